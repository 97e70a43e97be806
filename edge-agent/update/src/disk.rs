//! The three things the slots do to a disk, small enough to be cut between any two of them.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// A disk that keeps its promises across power loss: once a call returns, its effect is there; a call that was cut short has
/// happened not at all, except that a written file may hold a piece of its bytes.
pub trait Disk: Send + Sync {
    /// Makes or overwrites a file and flushes it.
    ///
    /// # Errors
    /// When the disk is full, read-only or gone.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;

    /// Puts `from` in the place of `to`, as one step, and flushes the folder.
    ///
    /// # Errors
    /// As [`Disk::write`].
    fn replace(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file if it is there, and flushes the folder.
    ///
    /// # Errors
    /// As [`Disk::write`].
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// The machine's file system; each write is on disk when it returns.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    fn replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)?;
        flush_folder(to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => flush_folder(path),
        }
    }
}

/// A new name in a folder is on disk only once the folder is.
fn flush_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
