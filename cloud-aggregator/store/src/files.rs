//! Files that are whole or not there (written beside, flushed, renamed), and the data directory, closed to others.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use hearthwatch_provision::files::{FileError, check_private, make_dir};

/// What SQLite appends to the name of a database for the two files that it keeps beside it: answers are in them too.
const BESIDE_DATABASE: [&str; 3] = ["", "-wal", "-shm"];

/// Makes the data directory (0700) if it is not there. Returns the path of the file `database` in it.
///
/// # Errors
/// [`FileError::Wide`] if directory, database or a file that belongs to it is open to others; its text says with which mode,
/// and the command that mends it. [`FileError::Io`] if the directory cannot be made.
pub fn private_data(data: &Path, database: &str) -> Result<PathBuf, FileError> {
    make_dir(data)?;
    check_private(data)?;
    for suffix in BESIDE_DATABASE {
        match check_private(&data.join(format!("{database}{suffix}"))) {
            Ok(()) | Err(FileError::Missing(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(data.join(database))
}

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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::SqliteStore;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn open_to_others(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_is_made_is_the_owners_alone() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("var/data");
        let database = private_data(&data, "aggregator.db").unwrap();
        let store = SqliteStore::open(&database).unwrap();
        assert_eq!(mode(&data), 0o700);
        for suffix in BESIDE_DATABASE {
            assert_eq!(mode(&data.join(format!("aggregator.db{suffix}"))), 0o600, "{suffix}");
        }
        drop(store);
        private_data(&data, "aggregator.db").expect("and is taken again");
    }

    #[test]
    fn what_others_could_read_is_refused_with_its_mode_and_the_command_that_closes_it() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let database = private_data(&data, "aggregator.db").unwrap();
        let _store = SqliteStore::open(&database).unwrap();
        let refused = || private_data(&data, "aggregator.db").unwrap_err().to_string();
        let said = |path: &Path, mode, right| {
            let path = path.display();
            format!(
                "{path} is open to others (mode {mode}), so it is not used; if nobody read it: chmod {right} {path}"
            )
        };
        open_to_others(&data, 0o755);
        assert_eq!(refused(), said(&data, "0755", "700"));
        open_to_others(&data, 0o700);
        for suffix in BESIDE_DATABASE {
            let file = data.join(format!("aggregator.db{suffix}"));
            open_to_others(&file, 0o644);
            assert_eq!(refused(), said(&file, "0644", "600"));
            open_to_others(&file, 0o600);
        }
        private_data(&data, "aggregator.db").unwrap();
    }
}
