//! The TUF repository on disk: what agents trust, written so that power may fail between any two lines.
//!
//! Order of writing: target bytes, `N.targets.json`, `N.snapshot.json`, and last `timestamp.json`, whose atomic
//! replacement is what makes a release exist. Whatever was written before a crash is never named by any timestamp and
//! its version number is not used again. Every change starts by loading the repository as a client would, from the
//! trusted root, so that nothing is ever signed on top of a tampered state.
//!
//! `tough` verifies, signs and serialises each role; its `SignedRepository::write` is not used because it neither
//! syncs nor orders its files. The root key is never here; the targets key is behind [`TargetsSigner`].

mod error;
mod roles;

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU64;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::rand::SystemRandom;
use hearthwatch_protocol::ModelVersion;
use hearthwatch_protocol::limits::ARTIFACT_BYTES_MAX;
use hearthwatch_store::files;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tough::editor::signed::SignedRole;
use tough::key_source::KeySource;
use tough::schema::{Hashes, KeyHolder, Metafile, Role, Snapshot, Target, Targets, Timestamp};
use tough::{ExpirationEnforcement, FilesystemTransport, RepositoryLoader, TargetName};
use url::Url;

pub use self::error::{RepositoryError, SignerError};
pub use self::roles::{Listed, Written, target_name, version_of};
use self::roles::{expiries, listed, metafile, next_version, online_versions, parse_root, written};
use super::custom::TargetCustom;
use super::keys::FileKey;
use super::lifetimes::{Expiries, Lifetimes, Renewal, expiry};
use super::signer;
use super::verdict::SignedVerdict;

/// The TUF specification that tough writes.
const SPEC_VERSION: &str = "1.0.0";

/// Most releases that the metadata list; the oldest leave first. At 1 KB each they are 200 KB, a quarter of what the
/// signer reads. A roll back does not need them: it takes the bytes from the aggregator's own models.
pub const RELEASES_LISTED_MAX: usize = 200;

/// Asks whoever holds the targets key for signatures. The key itself never comes near this program.
#[async_trait]
pub trait TargetsSigner: fmt::Debug + Send + Sync {
    /// The version of the targets metadata that was signed last, published or not; the next one is one above.
    async fn last_version(&self) -> Result<u64, SignerError>;
    /// A source that signs one version of the targets metadata, given the verdict for each target that is new in it.
    fn key_source(&self, verdicts: Vec<SignedVerdict>) -> Box<dyn KeySource>;
}

/// Where the repository and its keys are.
#[derive(Debug, Clone)]
pub struct RepositoryFiles {
    /// Holds `metadata/` and `targets/`, both served as they are.
    pub directory: PathBuf,
    /// The root made by the ceremony (`1.root.json`).
    pub root: PathBuf,
    /// Online key of the snapshot role.
    pub snapshot_key: PathBuf,
    /// Online key of the timestamp role.
    pub timestamp_key: PathBuf,
}

/// A model to be released.
#[derive(Debug, Clone)]
pub struct NewRelease {
    /// The artifact as homes download it: 1 byte to [`ARTIFACT_BYTES_MAX`].
    pub bytes: Vec<u8>,
    /// What clients may know about it before they download it, its version among it.
    pub custom: TargetCustom,
    /// The gate's word for exactly these bytes.
    pub verdict: SignedVerdict,
}

/// The repository. One task changes it at a time; reading it over HTTP needs no lock.
#[derive(Debug)]
pub struct Repository {
    metadata: PathBuf,
    targets: PathBuf,
    trusted_root: Vec<u8>,
    online: [FileKey; 2],
    signer: Arc<dyn TargetsSigner>,
    lifetimes: Lifetimes,
}

impl Repository {
    /// Opens the repository, and makes an empty one (signed by all three roles) if there is none yet.
    ///
    /// # Errors
    /// [`RepositoryError`] when the root is not valid, a key is missing, the signer refuses, or what is on disk does
    /// not verify.
    pub async fn open(
        files: &RepositoryFiles,
        signer: Arc<dyn TargetsSigner>,
        lifetimes: Lifetimes,
        now: i64,
    ) -> Result<Self, RepositoryError> {
        let trusted_root = read(&files.root)?;
        let root = parse_root(&files.root, &trusted_root)?;
        let make = |name: &str| {
            let path = files.directory.join(name);
            std::fs::create_dir_all(&path)
                .and_then(|()| path.canonicalize())
                .map_err(|source| RepositoryError::File { path, source })
        };
        let repository = Self {
            metadata: make("metadata")?,
            targets: make("targets")?,
            trusted_root,
            online: [FileKey::new(&files.snapshot_key), FileKey::new(&files.timestamp_key)],
            signer,
            lifetimes,
        };
        repository.put(
            &repository.metadata,
            &format!("{}.root.json", root.signed.version),
            &repository.trusted_root,
        )?;
        if repository.metadata.join("timestamp.json").exists() {
            repository.load().await?;
        } else {
            let version = repository.next_targets_version(0).await?;
            let mut empty = Targets::new(SPEC_VERSION.to_owned(), version, expiry(now, lifetimes.targets_s));
            // Our repositories are flat, and an absent member reads the same everywhere.
            empty.delegations = None;
            let holder = KeyHolder::Root(root.signed);
            let signed = repository.sign_targets(empty, &holder, Vec::new()).await?;
            repository.write_below(&signed, &holder, (0, 0), now).await?;
        }
        Ok(repository)
    }

    /// The trusted root's bytes, as given to homes when they enrol.
    #[must_use]
    pub fn trusted_root(&self) -> &[u8] {
        &self.trusted_root
    }

    /// The directory of signed metadata.
    #[must_use]
    pub fn metadata_directory(&self) -> &Path {
        &self.metadata
    }

    /// The directory of target bytes.
    #[must_use]
    pub fn targets_directory(&self) -> &Path {
        &self.targets
    }

    /// What is released, oldest version first.
    ///
    /// # Errors
    /// [`RepositoryError::Unverified`].
    pub async fn list(&self) -> Result<Vec<Listed>, RepositoryError> {
        Ok(listed(&self.load().await?.targets().signed))
    }

    /// When the metadata in force expires.
    ///
    /// # Errors
    /// [`RepositoryError::Unverified`].
    pub async fn expiries(&self) -> Result<Expiries, RepositoryError> {
        Ok(expiries(&self.load().await?))
    }

    /// The bytes of a release, checked against the signed hash.
    ///
    /// # Errors
    /// [`RepositoryError`] when it is not listed, unreadable, or its bytes have changed.
    pub async fn read(&self, version: ModelVersion) -> Result<Vec<u8>, RepositoryError> {
        let found = self.list().await?.into_iter().find(|entry| entry.version == version);
        let entry = found.ok_or(RepositoryError::Unknown(version))?;
        let name = format!("{}.{}", entry.sha256, target_name(version));
        let bytes = read(&self.targets.join(&name))?;
        if hex::encode(Sha256::digest(&bytes)) == entry.sha256 { Ok(bytes) } else { Err(RepositoryError::Bytes(name)) }
    }

    /// Releases a model. Doing it again with the same version and bytes changes nothing and succeeds, so that a
    /// release interrupted by a crash may simply be repeated.
    ///
    /// # Errors
    /// [`RepositoryError`]; the repository in force is then the one before.
    pub async fn publish(&self, release: &NewRelease, now: i64) -> Result<Written, RepositoryError> {
        let version = release.custom.model_version;
        let length = release.bytes.len() as u64;
        if length == 0 || length > ARTIFACT_BYTES_MAX {
            return Err(RepositoryError::Size(length));
        }
        let current = self.load().await?;
        let sha256 = Sha256::digest(&release.bytes);
        let existing = listed(&current.targets().signed);
        if existing.iter().any(|entry| entry.version == version && entry.sha256 == hex::encode(sha256)) {
            return Ok(written(&current));
        }
        if let Some(newest) = existing.last().filter(|newest| newest.version >= version) {
            return Err(RepositoryError::NotAbove { asked: version, newest: newest.version });
        }

        let name = target_name(version);
        self.put(&self.targets, &format!("{}.{name}", hex::encode(sha256)), &release.bytes)?;
        let target = Target {
            length,
            hashes: Hashes { sha256: sha256.to_vec().into(), _extra: HashMap::new() },
            custom: release.custom.to_map(),
            _extra: HashMap::new(),
        };
        let mut targets = self.next_targets(&current, now).await?;
        let name = TargetName::new(name).expect("made of letters, digits, a dash and a dot");
        targets.add_target(name, target);
        let holder = KeyHolder::Root(current.root().signed.clone());
        let signed = self.sign_targets(targets, &holder, vec![release.verdict.clone()]).await?;
        self.write_below(&signed, &holder, online_versions(&current), now).await
    }

    /// Signs anew whatever is past half of its life at `now`.
    ///
    /// # Errors
    /// [`RepositoryError`]; what is in force stays in force.
    pub async fn renew(&self, now: i64) -> Result<Renewal, RepositoryError> {
        let current = self.load().await?;
        let due = self.lifetimes.due(expiries(&current), now);
        let holder = KeyHolder::Root(current.root().signed.clone());
        let (snapshot_version, timestamp_version) = online_versions(&current);
        match due {
            Renewal::Nothing => {}
            Renewal::Timestamp => {
                let name = format!("{snapshot_version}.snapshot.json");
                let bytes = read(&self.metadata.join(name))?;
                let meta = metafile(current.snapshot().signed.version, &bytes);
                self.write_timestamp(meta, &holder, timestamp_version, now).await?;
            }
            Renewal::Snapshot => {
                let version = current.targets().signed.version;
                let bytes = read(&self.metadata.join(format!("{version}.targets.json")))?;
                let meta = metafile(version, &bytes);
                self.write_snapshot(meta, &holder, (snapshot_version, timestamp_version), now).await?;
            }
            Renewal::Targets => {
                let targets = self.next_targets(&current, now).await?;
                let signed = self.sign_targets(targets, &holder, Vec::new()).await?;
                self.write_below(&signed, &holder, (snapshot_version, timestamp_version), now).await?;
            }
        }
        Ok(due)
    }

    /// Loads and verifies as a client does, from the trusted root; only the expiries are forgiven, since an
    /// aggregator that was off for long must be able to renew its own metadata.
    async fn load(&self) -> Result<tough::Repository, RepositoryError> {
        let url = |path: &Path| Url::from_directory_path(path).expect("a canonical path is absolute");
        RepositoryLoader::new(&self.trusted_root, url(&self.metadata), url(&self.targets))
            .transport(FilesystemTransport)
            .expiration_enforcement(ExpirationEnforcement::Unsafe)
            .load()
            .await
            .map_err(|error| RepositoryError::Unverified(Box::new(error)))
    }

    async fn next_targets(&self, current: &tough::Repository, now: i64) -> Result<Targets, RepositoryError> {
        let mut targets = current.targets().signed.clone();
        targets.version = self.next_targets_version(targets.version.get()).await?;
        targets.expires = expiry(now, self.lifetimes.targets_s);
        let surplus = (listed(&targets).len() + 1).saturating_sub(RELEASES_LISTED_MAX);
        for old in listed(&targets).into_iter().take(surplus) {
            targets.targets.retain(|name, _| version_of(name.resolved()) != Some(old.version));
        }
        Ok(targets)
    }

    /// One above what the signer signed last: what it signed shortly before a crash may never have been published,
    /// and is not signed again with other content.
    async fn next_targets_version(&self, in_force: u64) -> Result<NonZeroU64, RepositoryError> {
        let last = self.signer.last_version().await?;
        if last < in_force {
            return Err(RepositoryError::SignerBehind { signer: last, repository: in_force });
        }
        Ok(NonZeroU64::MIN.saturating_add(last))
    }

    async fn sign_targets(
        &self,
        targets: Targets,
        holder: &KeyHolder,
        verdicts: Vec<SignedVerdict>,
    ) -> Result<SignedRole<Targets>, RepositoryError> {
        sign(targets, holder, &[self.signer.key_source(verdicts)], "targets").await
    }

    /// Writes signed targets, then a snapshot and a timestamp that name them. `before` = (snapshot, timestamp) versions.
    async fn write_below(
        &self,
        targets: &SignedRole<Targets>,
        holder: &KeyHolder,
        before: (u64, u64),
        now: i64,
    ) -> Result<Written, RepositoryError> {
        let version = targets.signed().signed.version;
        self.put(&self.metadata, &format!("{version}.targets.json"), targets.buffer())?;
        let (snapshot, timestamp) =
            self.write_snapshot(metafile(version, targets.buffer()), holder, before, now).await?;
        Ok(Written { targets: version.get(), snapshot, timestamp })
    }

    async fn write_snapshot(
        &self,
        targets: Metafile,
        holder: &KeyHolder,
        before: (u64, u64),
        now: i64,
    ) -> Result<(u64, u64), RepositoryError> {
        let version = next_version(&self.metadata, before.0);
        let mut snapshot = Snapshot::new(SPEC_VERSION.to_owned(), version, expiry(now, self.lifetimes.snapshot_s));
        snapshot.meta.insert("targets.json".to_owned(), targets);
        let signed = sign(snapshot, holder, &self.online_keys(), "snapshot").await?;
        self.put(&self.metadata, &format!("{version}.snapshot.json"), signed.buffer())?;
        let timestamp = self.write_timestamp(metafile(version, signed.buffer()), holder, before.1, now).await?;
        Ok((version.get(), timestamp))
    }

    async fn write_timestamp(
        &self,
        snapshot: Metafile,
        holder: &KeyHolder,
        before: u64,
        now: i64,
    ) -> Result<u64, RepositoryError> {
        let version = NonZeroU64::MIN.saturating_add(before);
        let mut timestamp = Timestamp::new(SPEC_VERSION.to_owned(), version, expiry(now, self.lifetimes.timestamp_s));
        timestamp.meta.insert("snapshot.json".to_owned(), snapshot);
        let signed = sign(timestamp, holder, &self.online_keys(), "timestamp").await?;
        self.put(&self.metadata, "timestamp.json", signed.buffer())?;
        Ok(version.get())
    }

    fn online_keys(&self) -> Vec<Box<dyn KeySource>> {
        self.online.iter().map(|key| Box::new(key.clone()) as Box<dyn KeySource>).collect()
    }

    fn put(&self, directory: &Path, name: &str, bytes: &[u8]) -> Result<(), RepositoryError> {
        let path = directory.join(name);
        let public = PermissionsExt::from_mode(0o644);
        files::write_whole(&path, bytes)
            .and_then(|()| std::fs::set_permissions(&path, public))
            .map_err(|source| RepositoryError::File { path, source })
    }
}

async fn sign<T: Role + Serialize>(
    role: T,
    holder: &KeyHolder,
    keys: &[Box<dyn KeySource>],
    name: &'static str,
) -> Result<SignedRole<T>, RepositoryError> {
    let signed = SignedRole::new(role, holder, keys, &SystemRandom::new()).await;
    signed.map_err(|source| match signer::cause(&source) {
        Some(answer) => RepositoryError::Signer(answer),
        None => RepositoryError::Sign { role: name, source: Box::new(source) },
    })
}

fn read(path: &Path) -> Result<Vec<u8>, RepositoryError> {
    std::fs::read(path).map_err(|source| RepositoryError::File { path: path.to_owned(), source })
}

#[cfg(test)]
#[path = "repository/tests.rs"]
mod tests;
