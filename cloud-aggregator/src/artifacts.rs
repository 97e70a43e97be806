//! Artifacts of candidates and models, each in a file named by its own hash: written once, checked on each reading.

use std::io;
use std::path::{Path, PathBuf};

use hearthwatch_protocol::limits::ARTIFACT_BYTES_MAX;
use sha2::{Digest, Sha256};

use crate::files;

/// Why an artifact is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactFileError {
    /// Not a SHA-256 in lower-case hexadecimal.
    #[error("{0:?} is not the hash of an artifact")]
    Hash(String),
    /// It is not there, or cannot be read.
    #[error("artifact {sha256}")]
    Read {
        /// Which one.
        sha256: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Its bytes are not those it was named for.
    #[error("the bytes of artifact {0} have changed")]
    Changed(String),
    /// No agent would take it.
    #[error("an artifact has 1 to {ARTIFACT_BYTES_MAX} bytes, this one has {0}")]
    Size(u64),
}

/// The directory of artifacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifacts(PathBuf);

impl Artifacts {
    /// The artifacts of the aggregator whose data are in `data`; touches nothing.
    #[must_use]
    pub fn of(data: &Path) -> Self {
        Self(data.join("artifacts"))
    }

    /// Where the artifact with this hash lies or would lie.
    ///
    /// # Errors
    /// [`ArtifactFileError::Hash`].
    pub fn path(&self, sha256: &str) -> Result<PathBuf, ArtifactFileError> {
        let hash = sha256.len() == 64 && sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if hash {
            Ok(self.0.join(format!("{sha256}.safetensors")))
        } else {
            Err(ArtifactFileError::Hash(sha256.to_owned()))
        }
    }

    /// Keeps an artifact and returns its hash. The same bytes again change nothing.
    ///
    /// # Errors
    /// [`ArtifactFileError`] when it is too large or cannot be written.
    pub fn put(&self, bytes: &[u8]) -> Result<String, ArtifactFileError> {
        let length = bytes.len() as u64;
        if length == 0 || length > ARTIFACT_BYTES_MAX {
            return Err(ArtifactFileError::Size(length));
        }
        let sha256 = hex::encode(Sha256::digest(bytes));
        let path = self.path(&sha256)?;
        files::write_whole(&path, bytes)
            .map_err(|source| ArtifactFileError::Read { sha256: sha256.clone(), source })?;
        Ok(sha256)
    }

    /// The bytes of an artifact.
    ///
    /// # Errors
    /// [`ArtifactFileError`].
    pub fn get(&self, sha256: &str) -> Result<Vec<u8>, ArtifactFileError> {
        let path = self.path(sha256)?;
        let bytes = std::fs::read(path)
            .map_err(|source| ArtifactFileError::Read { sha256: sha256.to_owned(), source })?;
        if hex::encode(Sha256::digest(&bytes)) == sha256 {
            Ok(bytes)
        } else {
            Err(ArtifactFileError::Changed(sha256.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artifact_is_found_by_its_hash_and_only_unchanged() {
        let directory = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::of(directory.path());
        let sha256 = artifacts.put(b"weights").unwrap();
        assert_eq!(artifacts.put(b"weights").unwrap(), sha256);
        assert_eq!(artifacts.get(&sha256).unwrap(), b"weights");
        std::fs::write(artifacts.path(&sha256).unwrap(), b"others").unwrap();
        assert!(matches!(artifacts.get(&sha256), Err(ArtifactFileError::Changed(_))));
    }

    #[test]
    fn a_text_that_is_no_hash_names_no_file() {
        let artifacts = Artifacts::of(Path::new("/nowhere"));
        assert!(matches!(artifacts.get("../../etc/passwd"), Err(ArtifactFileError::Hash(_))));
        assert!(matches!(artifacts.get(&"A".repeat(64)), Err(ArtifactFileError::Hash(_))));
    }

    #[test]
    fn an_empty_artifact_is_not_kept() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(Artifacts::of(directory.path()).put(b""), Err(ArtifactFileError::Size(0))));
    }
}
