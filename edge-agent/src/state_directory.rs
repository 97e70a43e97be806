//! The state directory: one agent at a time, private to its user, with the home's secret.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use hearthwatch_edge_store::database;

/// Bytes of the home's secret, as many as the hash has that it goes into.
const SALT_BYTES: usize = 32;

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A file or folder cannot be made, read or written.
    #[error("state directory {path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// Another process holds the lock of the directory.
    #[error("state directory {0}: another hearthwatch-edge runs with it; stop that one, or name another directory")]
    InUse(PathBuf),
}

/// The directory, held as long as this value lives.
#[derive(Debug)]
pub struct StateDirectory {
    path: PathBuf,
    lock: File,
}

impl Drop for StateDirectory {
    fn drop(&mut self) {
        // Closing alone would not do: a child process that is just being started holds a copy of the open file for a moment.
        let _ = self.lock.unlock();
    }
}

impl StateDirectory {
    /// Makes the directory if needed and takes it for this process.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn take(path: &Path) -> Result<Self, StateError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| StateError::Io { path, source }
        };
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(path).map_err(at(path))?;
        let lock_path = path.join("lock");
        let lock = private().create(true).truncate(false).write(true).open(&lock_path).map_err(at(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), lock }),
            Err(TryLockError::WouldBlock) => Err(StateError::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => Err(StateError::Io { path: lock_path, source }),
        }
    }

    /// Path of the file `name` in the directory.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The home's secret, made from `fresh` at the first start. One that a power cut left half written is set aside, for a home must not
    /// stay unwatched for it: alarms of before keep their ids, later ones have others.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn salt(&self, fresh: impl FnOnce() -> [u8; SALT_BYTES]) -> Result<Vec<u8>, StateError> {
        let path = self.file("salt");
        let io = |source| StateError::Io { path: path.clone(), source };
        match File::open(&path) {
            Ok(file) => {
                let mut salt = Vec::new();
                file.take(SALT_BYTES as u64 + 1).read_to_end(&mut salt).map_err(io)?;
                if salt.len() == SALT_BYTES {
                    return Ok(salt);
                }
                let aside = database::set_file_aside(&path, &[], &[]).map_err(io)?;
                tracing::error!(
                    state.path = %path.display(), state.set_aside = %aside.display(),
                    "the home's secret is damaged: it is kept under a new name, and a new one is made"
                );
                self.write_salt(&path, fresh())
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => self.write_salt(&path, fresh()),
            Err(error) => Err(io(error)),
        }
    }

    /// Whole or not at all: it is renamed into its place once it is on disk.
    fn write_salt(&self, path: &Path, salt: [u8; SALT_BYTES]) -> Result<Vec<u8>, StateError> {
        let next = self.file("salt.next");
        let write = || {
            let mut file = private().create(true).truncate(true).write(true).open(&next)?;
            file.write_all(&salt)?;
            file.sync_all()?;
            std::fs::rename(&next, path)
        };
        write().map_err(|source| StateError::Io { path: path.to_owned(), source })?;
        Ok(salt.to_vec())
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// A number that differs from home to home, for jitter.
pub fn spread(salt: &[u8]) -> u64 {
    salt.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_agent_at_a_time_holds_a_state_directory() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let held = StateDirectory::take(&path).unwrap();
        assert!(matches!(StateDirectory::take(&path), Err(StateError::InUse(_))));
        drop(held);
        assert!(StateDirectory::take(&path).is_ok());
    }

    #[test]
    fn the_secret_is_made_once_and_kept_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let state = StateDirectory::take(dir.path()).unwrap();
        let first = state.salt(|| [7; SALT_BYTES]).unwrap();
        let second = state.salt(|| [8; SALT_BYTES]).unwrap();
        assert_eq!(first, second);
        let mode = std::fs::metadata(state.file("salt")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_secret_is_kept_aside_and_does_not_stop_the_home() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDirectory::take(dir.path()).unwrap();
        std::fs::write(state.file("salt"), "short").unwrap();
        assert_eq!(state.salt(|| [7; SALT_BYTES]).unwrap(), [7; SALT_BYTES]);
        assert_eq!(std::fs::read(state.file("salt.damaged-1")).unwrap(), b"short");
        assert_eq!(state.salt(|| [8; SALT_BYTES]).unwrap(), [7; SALT_BYTES]);
    }
}
