//! Tokens, passwords and private files: read whole, never shown, and their owner's alone where that is asked for.

use std::fs::Metadata;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Longest token or password that a file may hold, in bytes. Home Assistant's long-lived tokens have about 180 characters.
pub const SECRET_BYTES_MAX: usize = 4096;

/// Why a file holds no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It is not there, is no text, or may not be read.
    #[error("{} cannot be read: {cause}", file.display())]
    Unreadable {
        /// The file that was named.
        file: PathBuf,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// Nothing but white space.
    #[error("{} is empty", .0.display())]
    Empty(PathBuf),
    /// Longer than a token or password can be.
    #[error("{} holds more than {SECRET_BYTES_MAX} bytes: not a token or password", .0.display())]
    Long(PathBuf),
}

/// A token or password. Its `Debug` says only that there is one.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    text: String,
    /// Where it was read; none where it did not come from a file.
    file: Option<PathBuf>,
}

impl Secret {
    /// Wraps a secret, e.g. in a test.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), file: None }
    }

    /// Reads the secret in a file, surrounding white space aside.
    ///
    /// # Errors
    /// [`SecretError`], which never holds any of the content.
    pub fn read(path: &Path) -> Result<Self, SecretError> {
        let file = path.to_owned();
        match std::fs::read_to_string(path) {
            Ok(text) if text.trim().is_empty() => Err(SecretError::Empty(file)),
            Ok(text) if text.trim().len() > SECRET_BYTES_MAX => Err(SecretError::Long(file)),
            Ok(text) => Ok(Self { text: text.trim().to_owned(), file: Some(file) }),
            Err(cause) => Err(SecretError::Unreadable { file, cause }),
        }
    }

    /// The secret itself: for the request that needs it, never for a log.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The file that it was read from.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The secret as its file has it now: a person may have written a new one. Where there is no file, or it cannot be read or is
    /// empty, this one.
    #[must_use]
    pub fn read_again(&self) -> Self {
        self.file().and_then(|file| Self::read(file).ok()).unwrap_or_else(|| self.clone())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

/// Every permission bit that gives something of a file to its group or to others.
const OTHERS: u32 = 0o077;
/// The same of a directory, whose group may pass through: it finds only what it knows the name of, and may read.
const OTHERS_IN_DIR: u32 = 0o067;

/// The permission bits of a private file or directory that others can read or write; none if it is its owner's alone.
#[must_use]
pub fn exposed(metadata: &Metadata) -> Option<u32> {
    let mode = metadata.permissions().mode() & 0o7777;
    let others = if metadata.is_dir() { OTHERS_IN_DIR } else { OTHERS };
    (mode & others != 0).then_some(mode)
}
