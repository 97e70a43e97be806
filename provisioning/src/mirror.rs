//! The repository as a folder for any static server: names carry a version or a hash, and all of it is signed.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::files::{self, FileError};
use crate::layout::Layout;

/// What puts everything else in force, and so is copied last.
const LAST: &str = "timestamp.json";

/// Why the mirror is not complete; what was copied is good, and running it again goes on.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A folder could not be listed.
    #[error("{}: {cause}", .path.display())]
    List {
        /// The folder.
        path: PathBuf,
        /// The system's words.
        cause: std::io::Error,
    },
    /// An artifact that is not what its name says.
    #[error("{} is not what its name says: its SHA-256 is {found}", .path.display())]
    Artifact {
        /// The file, called by the hash that it should have.
        path: PathBuf,
        /// Of its bytes, hex.
        found: String,
    },
}

/// What was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Copied {
    /// Files that were new or had changed.
    pub written: usize,
    /// Files that were there already.
    pub kept: usize,
}

/// Copies the repository of `layout` to `to`: artifacts, then metadata, then the timestamp, so that a client that reads
/// meanwhile always finds what it is promised.
///
/// # Errors
/// [`MirrorError`].
pub fn copy(layout: &Layout, to: &Path) -> Result<Copied, MirrorError> {
    let mut copied = Copied::default();
    let targets = to.join("targets");
    files::make_dir(&targets)?;
    for path in listed(&layout.tuf_targets())? {
        let bytes = files::read(&path)?;
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let found = hex::encode(Sha256::digest(&bytes));
        if !name.starts_with(&found) {
            return Err(MirrorError::Artifact { path, found });
        }
        put(&targets.join(name), &bytes, &mut copied)?;
    }
    let metadata = to.join("metadata");
    files::make_dir(&metadata)?;
    let (last, first): (Vec<PathBuf>, Vec<PathBuf>) =
        listed(&layout.tuf_metadata())?.into_iter().partition(|path| path.ends_with(LAST));
    for path in first.into_iter().chain(last) {
        let name = path.file_name().unwrap_or_default().to_owned();
        put(&metadata.join(name), &files::read(&path)?, &mut copied)?;
    }
    Ok(copied)
}

fn put(path: &Path, bytes: &[u8], copied: &mut Copied) -> Result<(), MirrorError> {
    if matches!(files::read(path), Ok(found) if found == bytes) {
        copied.kept += 1;
    } else {
        files::write_public(path, bytes)?;
        copied.written += 1;
    }
    Ok(())
}

/// The plain files of a folder, by name.
fn listed(folder: &Path) -> Result<Vec<PathBuf>, MirrorError> {
    let failed = |cause| MirrorError::List { path: folder.to_owned(), cause };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_file() {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::ceremony;

    #[tokio::test]
    async fn a_client_reads_the_mirror_and_a_second_copy_writes_only_what_is_new() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().join("hw"));
        files::make_dir(layout.root()).unwrap();
        // tough reads the real clock.
        ceremony::hold(&layout, Timestamp::now()).unwrap();
        let to = dir.path().join("mirror");
        assert_eq!(copy(&layout, &to).unwrap(), Copied { written: 4, kept: 0 });
        let artifact = format!("{}.model-1.safetensors", hex::encode(Sha256::digest(b"weights")));
        std::fs::write(layout.tuf_targets().join(&artifact), b"weights").unwrap();
        assert_eq!(copy(&layout, &to).unwrap(), Copied { written: 1, kept: 4 });

        let url = |name: &str| url::Url::from_directory_path(to.join(name)).unwrap();
        let root = std::fs::read(layout.tuf_root()).unwrap();
        tough::RepositoryLoader::new(&root, url("metadata"), url("targets"))
            .transport(tough::FilesystemTransport)
            .load()
            .await
            .unwrap();
    }

    #[test]
    fn an_artifact_that_changed_on_disk_is_not_passed_on() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().join("hw"));
        files::make_dir(layout.root()).unwrap();
        ceremony::hold(&layout, Timestamp::now()).unwrap();
        let artifact = format!("{}.model-1.safetensors", hex::encode(Sha256::digest(b"weights")));
        std::fs::write(layout.tuf_targets().join(artifact), b"others").unwrap();
        let refused = copy(&layout, &dir.path().join("mirror")).unwrap_err();
        assert!(matches!(refused, MirrorError::Artifact { .. }), "{refused}");
    }
}
