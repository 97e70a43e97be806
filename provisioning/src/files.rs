//! Files that matter: written whole or not at all, private ones readable by their owner only.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use hearthwatch_configuration::exposed;

/// Largest file of ours that is read, in bytes: certificates and keys have 2 KiB, claims 200 bytes each, TUF metadata
/// 600 bytes a release.
pub const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Permissions of private files and of all directories: the owner's alone.
const PRIVATE_FILE: u32 = 0o600;
const PRIVATE_DIR: u32 = 0o700;
const PUBLIC_FILE: u32 = 0o644;

/// Why a file could not be used; the path is always named.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Nothing there.
    #[error("{} does not exist", .0.display())]
    Missing(PathBuf),
    /// The operating system refused.
    #[error("cannot {what} {}: {cause}", .path.display())]
    Io {
        /// `read`, `write`, …
        what: &'static str,
        /// Of which file.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// Others could read or write a private file.
    #[error("{} is open to others (mode {mode:04o}), so it is not used; if nobody read it: chmod {} {}",
        .path.display(), if *.directory { "700" } else { "600" }, .path.display())]
    Wide {
        /// The file or directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// Whether it is a directory.
        directory: bool,
    },
    /// Larger than anything of ours.
    #[error("{} has {found} bytes, more than the {FILE_BYTES_MAX} that are read", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Bytes.
        found: u64,
    },
    /// Not text.
    #[error("{} is not UTF-8 text", .0.display())]
    NotText(PathBuf),
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    move |cause| match cause.kind() {
        io::ErrorKind::NotFound if what == "read" => FileError::Missing(path.to_owned()),
        _ => FileError::Io { what, path: path.to_owned(), cause },
    }
}

/// Makes a directory and its parents, for the owner only. One that exists is left as it is.
///
/// # Errors
/// [`FileError::Io`].
pub fn make_dir(path: &Path) -> Result<(), FileError> {
    DirBuilder::new().recursive(true).mode(PRIVATE_DIR).create(path).map_err(io_error("make the directory", path))
}

/// Reads a file that anybody may read.
///
/// # Errors
/// [`FileError`] when it is missing, unreadable or too large.
pub fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let file = File::open(path).map_err(io_error("read", path))?;
    read_open(file, path)
}

/// Reads a text that anybody may read.
///
/// # Errors
/// As [`read`], and [`FileError::NotText`].
pub fn read_text(path: &Path) -> Result<String, FileError> {
    String::from_utf8(read(path)?).map_err(|_| FileError::NotText(path.to_owned()))
}

/// Reads a private file, and refuses one that others could have read.
///
/// # Errors
/// As [`read`], and [`FileError::Wide`].
pub fn read_private(path: &Path) -> Result<Vec<u8>, FileError> {
    let file = File::open(path).map_err(io_error("read", path))?;
    closed(path, &file.metadata().map_err(io_error("read", path))?)?;
    read_open(file, path)
}

/// The permission fault of a private file or of a directory, if it has one.
///
/// # Errors
/// [`FileError::Missing`], [`FileError::Io`], and [`FileError::Wide`] as the finding itself.
pub fn check_private(path: &Path) -> Result<(), FileError> {
    closed(path, &fs::metadata(path).map_err(io_error("read", path))?)
}

fn closed(path: &Path, metadata: &Metadata) -> Result<(), FileError> {
    let wide = |mode| FileError::Wide { path: path.to_owned(), mode, directory: metadata.is_dir() };
    exposed(metadata).map_or(Ok(()), |mode| Err(wide(mode)))
}

fn read_open(file: File, path: &Path) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(io_error("read", path))?;
    match bytes.len() as u64 {
        found if found > FILE_BYTES_MAX => Err(FileError::TooLarge { path: path.to_owned(), found }),
        _ => Ok(bytes),
    }
}

/// What was read; none where the file is not there.
///
/// # Errors
/// Any other fault of the reading.
pub(crate) fn if_there<T>(read: Result<T, FileError>) -> Result<Option<T>, FileError> {
    match read {
        Err(FileError::Missing(_)) => Ok(None),
        other => other.map(Some),
    }
}

/// Makes and locks a file; none while somebody else holds it.
///
/// # Errors
/// [`FileError::Io`].
pub(crate) fn try_lock(path: &Path) -> Result<Option<File>, FileError> {
    let file = File::create(path).map_err(io_error("lock", path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(cause)) => Err(io_error("lock", path)(cause)),
    }
}

/// Writes a private file (0600), replacing the old one in one step.
///
/// # Errors
/// [`FileError::Io`].
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write_with(path, bytes, PRIVATE_FILE)
}

/// Writes a file that anybody may read, replacing the old one in one step.
///
/// # Errors
/// [`FileError::Io`].
pub fn write_public(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write_with(path, bytes, PUBLIC_FILE)
}

/// Adds to the end of a private file, made if it is not there; on disk when this returns. One write, so that two
/// processes do not mix their lines.
///
/// # Errors
/// [`FileError::Io`], and [`FileError::Wide`] for a file that others could write.
pub fn append_private(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    match check_private(path) {
        Ok(()) | Err(FileError::Missing(_)) => {}
        Err(error) => return Err(error),
    }
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().append(true).create(true).mode(PRIVATE_FILE).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(io_error("write", path))
}

/// A file that was given to somebody stays theirs when it is replaced. Who may not give it away keeps it, as before.
fn keep_owner(path: &Path, new: &File) -> io::Result<()> {
    let Ok(old) = fs::symlink_metadata(path) else { return Ok(()) };
    let own = new.metadata()?;
    if (old.uid(), old.gid()) == (own.uid(), own.gid()) {
        return Ok(());
    }
    match fchown(new, Some(old.uid()), Some(old.gid())) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        given => given,
    }
}

/// Beside the target, synced, renamed, directory synced: after a power cut there is the old file or the new one.
fn write_with(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    let write = || -> io::Result<()> {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.new", std::process::id()));
        let beside = directory.join(name);
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
        // The umask may have taken bits away; it never adds any, so a private file was private from its first byte.
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        keep_owner(path, &file)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        File::open(directory)?.sync_all()
    };
    write().map_err(io_error("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_file_that_others_can_read_is_refused_with_the_command_that_mends_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.key");
        write_private(&path, b"secret").unwrap();
        assert_eq!(read_private(&path).unwrap(), b"secret");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = read_private(&path).unwrap_err();
        assert!(matches!(error, FileError::Wide { mode: 0o640, .. }));
        assert!(error.to_string().ends_with(&format!("chmod 600 {}", path.display())), "{error}");
    }

    #[test]
    fn writing_again_replaces_the_file_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        write_private(&path, b"1").unwrap();
        write_private(&path, b"2").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"2");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_file_is_called_missing() {
        assert!(matches!(read_private(Path::new("/nonexistent/key")), Err(FileError::Missing(_))));
    }
}
