//! Files that are whole or not there: written beside, flushed, renamed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Writes `bytes` to `path` so that after a power failure the file holds either all of them or is as it was before.
/// Makes the directory if need be.
///
/// # Errors
/// What the file system says.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = WholeFile::begin(path.parent().unwrap_or_else(|| Path::new(".")))?;
    file.write_all(bytes)?;
    file.keep(path)
}

/// A file that is written bit by bit and has no name before it is whole.
pub struct WholeFile(tempfile::NamedTempFile);

impl WholeFile {
    /// Begins one in `directory`, which is made if need be.
    ///
    /// # Errors
    /// What the file system says.
    pub fn begin(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        tempfile::NamedTempFile::new_in(directory).map(Self)
    }

    /// Puts what was written on disk, as `path` in the same directory.
    ///
    /// # Errors
    /// What the file system says.
    pub fn keep(self, path: &Path) -> io::Result<()> {
        self.0.as_file().sync_all()?;
        self.0.persist(path).map_err(|error| error.error)?;
        // Without this the new name may be lost with the power.
        File::open(path.parent().unwrap_or_else(|| Path::new(".")))?.sync_all()
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
