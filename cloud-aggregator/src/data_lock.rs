//! One aggregator at a time writes to a data directory: two would give the same model two versions.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Name of the file that is locked.
const FILE: &str = ".lock";

/// How often a directory that is taken is tried again, and how long is waited each time: two seconds in all.
const ATTEMPTS: usize = 40;
const PAUSE: Duration = Duration::from_millis(50);

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataLockError {
    /// Another process has it.
    #[error("another aggregator serves {0}: stop it first, or give this one another data directory")]
    Taken(PathBuf),
    /// The file cannot be made or locked.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// Holds a data directory until it is dropped, or the process ends in whatever way.
#[derive(Debug)]
pub struct DataLock(#[expect(dead_code, reason = "the open file is the lock")] File);

impl DataLock {
    /// Takes `data`, which must be there. Waits a little for one that is just ending: a program that it has started holds the file until that
    /// program's own begin.
    ///
    /// # Errors
    /// [`DataLockError`].
    pub async fn take(data: &Path) -> Result<Self, DataLockError> {
        for _ in 0..ATTEMPTS {
            match Self::try_take(data) {
                Err(DataLockError::Taken(_)) => tokio::time::sleep(PAUSE).await,
                other => return other,
            }
        }
        Self::try_take(data)
    }

    /// The same without waiting.
    ///
    /// # Errors
    /// [`DataLockError`].
    pub fn try_take(data: &Path) -> Result<Self, DataLockError> {
        let path = data.join(FILE);
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(|source| DataLockError::Io { path: path.clone(), source })?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(DataLockError::Taken(data.to_owned())),
            Err(TryLockError::Error(source)) => Err(DataLockError::Io { path, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_directory_is_held_by_one_and_free_again_when_that_one_is_gone() {
        let data = tempfile::tempdir().unwrap();
        let held = DataLock::try_take(data.path()).unwrap();
        let refused = DataLock::try_take(data.path()).unwrap_err().to_string();
        let words = "stop it first, or give this one another data directory";
        assert_eq!(refused, format!("another aggregator serves {}: {words}", data.path().display()));
        drop(held);
        DataLock::try_take(data.path()).unwrap();
    }
}
