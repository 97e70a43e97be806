//! The artifacts of rounds: kept by their hash, and copied to where homes fetch them.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use hearthwatch_detector::network::Artifact;
use hearthwatch_protocol::round::RoundFile;
use hearthwatch_store::artifact_store::{ArtifactStore, ArtifactStoreError};
use hearthwatch_store::files::write_whole;

/// Folder in the repository in which homes find what a plan names, each file named by the hex SHA-256 of its bytes.
pub const FOLDER: &str = "rounds";

/// Where artifacts of rounds lie.
#[derive(Debug, Clone)]
pub struct RoundFiles {
    kept: ArtifactStore,
    shown: PathBuf,
}

/// Why an artifact of a round cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum FileFault {
    /// The disk, or a file that was changed: worth trying again once somebody looked at it.
    #[error(transparent)]
    Disk(#[from] ArtifactStoreError),
    /// The bytes are no artifact of this program's.
    #[error("artifact {sha256}: {cause}")]
    Artifact {
        /// By its hex SHA-256.
        sha256: String,
        /// What is wrong with it.
        cause: String,
    },
}

impl RoundFiles {
    /// Files kept in `kept` and shown to homes in `repository`.
    #[must_use]
    pub fn new(kept: ArtifactStore, repository: &Path) -> Self {
        Self { kept, shown: repository.join(FOLDER) }
    }

    /// Keeps an artifact and shows it to homes. Returns its hex SHA-256.
    pub(super) fn put(&self, bytes: &[u8]) -> Result<String, FileFault> {
        let sha256 = self.kept.put_model(bytes)?;
        let path = self.shown.join(&sha256);
        write_whole(&path, bytes).map_err(|source| ArtifactStoreError::Io { path, source })?;
        Ok(sha256)
    }

    /// An artifact that was kept.
    pub(super) fn bytes(&self, sha256: &str) -> Result<Vec<u8>, FileFault> {
        Ok(self.kept.model(sha256)?)
    }

    /// The same, read.
    pub(super) fn artifact(&self, sha256: &str) -> Result<Artifact, FileFault> {
        let broken = |cause: String| FileFault::Artifact { sha256: sha256.to_owned(), cause };
        Artifact::parse(&self.bytes(sha256)?).map_err(|error| broken(error.to_string()))
    }

    /// Shows what was kept to homes; as a plan names it.
    pub(super) fn show(&self, sha256: &str) -> Result<RoundFile, FileFault> {
        let bytes = self.bytes(sha256)?;
        self.put(&bytes)?;
        Ok(RoundFile::of(&bytes))
    }

    /// Keeps an artifact no longer. One that cannot be removed is left for the next time.
    pub(super) fn remove(&self, sha256: &str) {
        if let Err(error) = self.kept.remove_model(sha256) {
            tracing::warn!(%error, "an old artifact of a round cannot be removed");
        }
    }

    /// Shows nothing but these any more; what is kept stays. A file that cannot be removed is left for the next time.
    pub(super) fn show_only(&self, names: &[&str]) {
        let names: BTreeSet<&str> = names.iter().copied().collect();
        let listed = match std::fs::read_dir(&self.shown) {
            Ok(listed) => listed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return tracing::warn!(%error, "the artifacts of rounds cannot be listed"),
        };
        for entry in listed.filter_map(Result::ok) {
            let old = entry.file_name().to_str().is_none_or(|name| !names.contains(name));
            if old && let Err(error) = std::fs::remove_file(entry.path()) {
                tracing::warn!(%error, "an old artifact of a round cannot be removed");
            }
        }
    }
}
