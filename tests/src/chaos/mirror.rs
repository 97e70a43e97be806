//! A repository of models, the copies of it that are stale, and the place where homes look: a link to one of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use async_trait::async_trait;
use hearthwatch_fleet::release::keys::FileKey;
use hearthwatch_fleet::release::{
    Lifetimes, NewRelease, Repository, RepositoryFiles, SignerError, TargetCustom, TargetsSigner, verdict,
};
use hearthwatch_protocol::ModelVersion;
use hearthwatch_provision::Layout;
use hearthwatch_provision::signer::SignedVerdict;
use hearthwatch_store::{NewModel, Store};
use tokio::runtime::Runtime;
use tough::key_source::KeySource;

use crate::learner::shipped;

/// So long ago everything that was signed then has expired.
const EXPIRED_SECONDS: i64 = 2 * 365 * 86_400;

/// Which copy homes see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// The newest.
    Fresh,
    /// As it was before the newest release.
    Before,
    /// One whose metadata have expired.
    Expired,
}

/// Signs targets in this process: what the signer process refuses is no matter here.
#[derive(Debug)]
struct InHand {
    key: PathBuf,
    version: AtomicU64,
}

#[async_trait]
impl TargetsSigner for InHand {
    async fn last_version(&self) -> Result<u64, SignerError> {
        Ok(self.version.load(Ordering::Relaxed))
    }

    fn key_source(&self, _verdicts: Vec<SignedVerdict>) -> Box<dyn KeySource> {
        self.version.fetch_add(1, Ordering::Relaxed);
        Box::new(FileKey::new(&self.key))
    }
}

/// The repository and its copies.
pub struct Mirror {
    folder: PathBuf,
    layout: Layout,
    repository: Repository,
    newest: ModelVersion,
    runtime: Runtime,
}

impl Mirror {
    /// Makes one below `folder`, with one release.
    ///
    /// # Errors
    /// The part that could not be made.
    pub fn start(folder: &Path, layout: &Layout, store: &dyn Store) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let now = jiff::Timestamp::now().as_second();
        std::fs::create_dir_all(folder)?;
        let expired = runtime.block_on(open(layout, &folder.join("expired"), now - EXPIRED_SECONDS))?;
        drop(expired);
        let repository = runtime.block_on(open(layout, &folder.join("fresh"), now))?;
        let (folder, layout) = (folder.to_owned(), layout.clone());
        let mut mirror = Self { folder, layout, repository, newest: ModelVersion(0), runtime };
        mirror.release(store)?;
        mirror.show(Shown::Fresh)?;
        Ok(mirror)
    }

    /// Where homes look.
    ///
    /// # Errors
    /// When the folder has no absolute path.
    pub fn url(&self) -> anyhow::Result<String> {
        Ok(format!("file://{}/", self.folder.join("shown").to_str().context("a path that is text")?))
    }

    /// The newest release.
    #[must_use]
    pub fn newest(&self) -> ModelVersion {
        self.newest
    }

    /// Releases the same network under the next version, which `store` learns of; what was there before is kept as [`Shown::Before`].
    ///
    /// # Errors
    /// When it cannot be signed or written.
    pub fn release(&mut self, store: &dyn Store) -> anyhow::Result<()> {
        let before = self.folder.join("before");
        if before.exists() {
            std::fs::remove_dir_all(&before)?;
        }
        copy(&self.folder.join("fresh"), &before)?;
        let (network, now) = (shipped(), jiff::Timestamp::now().as_second());
        let bytes = network.to_bytes();
        let new = NewModel {
            // Nobody compares it here, and each version has one of its own.
            sha256: format!("{:064x}", self.newest.next().0),
            length: bytes.len() as u64,
            weights_id: network.weights_id(),
            run: format!("chaos-{}", self.newest.next()),
            at: now,
        };
        let version = store.add_model(&new)?.version;
        let verdict = verdict::promote(&self.layout.gate_key(), version, &bytes, "{}")?;
        let custom =
            TargetCustom { model_version: version, weights_id: network.weights_id(), gate: serde_json::json!({}) };
        let release = NewRelease { bytes, custom, verdict };
        self.runtime.block_on(self.repository.publish(&release, now))?;
        self.newest = version;
        Ok(())
    }

    /// Has homes see this copy from now on.
    ///
    /// # Errors
    /// When the link cannot be changed.
    pub fn show(&self, shown: Shown) -> std::io::Result<()> {
        let name = match shown {
            Shown::Fresh => "fresh",
            Shown::Before => "before",
            Shown::Expired => "expired",
        };
        let (link, next) = (self.folder.join("shown"), self.folder.join("shown.next"));
        std::os::unix::fs::symlink(self.folder.join(name), &next)?;
        std::fs::rename(next, link)
    }
}

async fn open(layout: &Layout, directory: &Path, now: i64) -> anyhow::Result<Repository> {
    let files = RepositoryFiles {
        directory: directory.to_owned(),
        root: layout.tuf_root(),
        snapshot_key: layout.snapshot_key(),
        timestamp_key: layout.timestamp_key(),
    };
    let signer = Arc::new(InHand { key: layout.targets_key(), version: AtomicU64::new(0) });
    Ok(Repository::open(&files, signer, Lifetimes::default(), now).await?)
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let place = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &place)?;
        } else {
            std::fs::copy(entry.path(), place)?;
        }
    }
    Ok(())
}
