//! Where artifacts and snapshots lie: files named for their own hash, so that none can change unseen.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use hearthwatch_protocol::HomeId;
use sha2::{Digest as _, Sha256};

use crate::erasure::ERASED;
use crate::files::{WholeFile, write_whole};

/// The directories under the aggregator's data directory that hold immutable files.
#[derive(Debug, Clone)]
pub struct ArtifactStore {
    directory: PathBuf,
}

/// Why a file on the artifact store cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArtifactStoreError {
    /// The file system says no.
    #[error("{path}: {source}")]
    Io {
        /// The file that was to be read, written or removed.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is not what its name promises.
    #[error("{path} was changed: its bytes hash to {found}")]
    Changed {
        /// The file whose name promises another hash.
        path: PathBuf,
        /// SHA-256 of what is there, hexadecimal.
        found: String,
    },
}

impl ArtifactStore {
    /// The artifact_store in `data`, the aggregator's data directory.
    #[must_use]
    pub fn new(data: &Path) -> Self {
        Self { directory: data.to_owned() }
    }

    /// The aggregator's data directory, in which other things lie too.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.directory
    }

    fn model_path(&self, sha256: &str) -> PathBuf {
        self.directory.join("models").join(format!("{sha256}.safetensors"))
    }

    /// The file of a snapshot.
    #[must_use]
    pub fn snapshot_path(&self, id: &str) -> PathBuf {
        self.directory.join("snapshots").join(format!("{id}.hwds"))
    }

    /// Puts an artifact down. Returns its hex SHA-256.
    ///
    /// # Errors
    /// [`ArtifactStoreError::Io`].
    pub fn put_model(&self, artifact: &[u8]) -> Result<String, ArtifactStoreError> {
        let sha256 = hex::encode(Sha256::digest(artifact));
        put(self.model_path(&sha256), artifact)?;
        Ok(sha256)
    }

    /// An artifact, checked against its hash.
    ///
    /// # Errors
    /// [`ArtifactStoreError`].
    pub fn model(&self, sha256: &str) -> Result<Vec<u8>, ArtifactStoreError> {
        get(self.model_path(sha256), sha256)
    }

    /// Removes an artifact, if it is there.
    ///
    /// # Errors
    /// [`ArtifactStoreError::Io`].
    pub fn remove_model(&self, sha256: &str) -> Result<(), ArtifactStoreError> {
        let path = self.model_path(sha256);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(ArtifactStoreError::Io { path, source }),
            _ => Ok(()),
        }
    }

    /// A file for a snapshot whose id is known once it is written.
    ///
    /// # Errors
    /// [`ArtifactStoreError::Io`].
    pub fn begin_snapshot(&self) -> Result<SnapshotFile, ArtifactStoreError> {
        let folder = self.directory.join("snapshots");
        let begun = WholeFile::begin(&folder).map_err(|source| ArtifactStoreError::Io { path: folder, source })?;
        Ok(SnapshotFile { file: BufWriter::new(begun), artifact_store: self.clone() })
    }

    /// Deletes the files of these snapshots. Returns how many were there.
    ///
    /// # Errors
    /// [`ArtifactStoreError::Io`].
    pub fn remove_snapshots(&self, snapshots: &[String]) -> Result<u64, ArtifactStoreError> {
        let mut files = 0;
        for id in snapshots {
            let path = self.snapshot_path(id);
            match std::fs::remove_file(&path) {
                Ok(()) => files += 1,
                Err(source) if source.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(ArtifactStoreError::Io { path, source }),
            }
        }
        Ok(files)
    }

    /// Forgets a home: deletes the files of these snapshots, and replaces its name in the files of runs. Returns how many files that were.
    ///
    /// # Errors
    /// [`ArtifactStoreError::Io`].
    pub fn forget(&self, home: &HomeId, snapshots: &[String]) -> Result<u64, ArtifactStoreError> {
        let files = self.remove_snapshots(snapshots)?;
        Ok(files + replace_below(&self.directory.join("runs"), &format!("\"{home}\""), &format!("\"{ERASED}\""))?)
    }

    /// A snapshot's canonical bytes, checked against its id.
    ///
    /// # Errors
    /// [`ArtifactStoreError`].
    pub fn snapshot(&self, id: &str) -> Result<Vec<u8>, ArtifactStoreError> {
        get(self.snapshot_path(id), id)
    }
}

/// A snapshot's file while it is written; gone again unless it is kept.
pub struct SnapshotFile {
    file: BufWriter<WholeFile>,
    artifact_store: ArtifactStore,
}

impl Write for SnapshotFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl SnapshotFile {
    /// Gives the file its name, whole and on disk.
    ///
    /// # Errors
    /// [`ArtifactStoreError::Io`].
    pub fn keep(self, id: &str) -> Result<(), ArtifactStoreError> {
        let path = self.artifact_store.snapshot_path(id);
        let kept = self.file.into_inner().map_err(|error| error.into_error()).and_then(|file| file.keep(&path));
        kept.map_err(|source| ArtifactStoreError::Io { path, source })
    }
}

/// Replaces a text in every text file of up to [`TEXT_BYTES_MAX`] below `folder`. Returns in how many.
fn replace_below(folder: &Path, from: &str, to: &str) -> Result<u64, ArtifactStoreError> {
    let fault = |path: &Path| {
        let path = path.to_owned();
        move |source| ArtifactStoreError::Io { path, source }
    };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(fault(folder)(error)),
    };
    let mut files = 0;
    for entry in entries {
        let entry = entry.map_err(fault(folder))?;
        let (path, about) = (entry.path(), entry.metadata().map_err(fault(folder))?);
        if about.is_dir() {
            files += replace_below(&path, from, to)?;
        } else if about.is_file() && about.len() <= TEXT_BYTES_MAX {
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            if text.contains(from) {
                write_whole(&path, text.replace(from, to).as_bytes()).map_err(fault(&path))?;
                files += 1;
            }
        }
    }
    Ok(files)
}

/// Largest file of a run in which a name may stand: a report of 10,000 homes has 2 MB.
const TEXT_BYTES_MAX: u64 = 64 << 20;

fn put(path: PathBuf, bytes: &[u8]) -> Result<(), ArtifactStoreError> {
    // The name is the hash: what is there is either these bytes or damaged, and damage is worth mending.
    write_whole(&path, bytes).map_err(|source| ArtifactStoreError::Io { path, source })
}

fn get(path: PathBuf, sha256: &str) -> Result<Vec<u8>, ArtifactStoreError> {
    let bytes = std::fs::read(&path).map_err(|source| ArtifactStoreError::Io { path: path.clone(), source })?;
    let found = hex::encode(Sha256::digest(&bytes));
    if found == sha256 { Ok(bytes) } else { Err(ArtifactStoreError::Changed { path, found }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artifact_that_was_changed_on_disk_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let artifact_store = ArtifactStore::new(directory.path());
        let sha256 = artifact_store.put_model(b"weights").unwrap();
        assert_eq!(artifact_store.model(&sha256).unwrap(), b"weights");
        std::fs::write(artifact_store.model_path(&sha256), b"weighty").unwrap();
        assert!(matches!(artifact_store.model(&sha256), Err(ArtifactStoreError::Changed { .. })));
    }
}
