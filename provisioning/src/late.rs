//! Homes that were away so long that their certificate ran out, and wait for an operator's word to come back.
//!
//! One private file of JSON beside the claims; every call reads it, changes are locked.

use std::path::PathBuf;

use hearthwatch_protocol::HomeId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::claims::lock;
use crate::files::{self, FileError};

/// Homes that may wait at once: a fleet's worth after a long outage of the aggregator, 250 bytes each.
pub const WAITING_MAX: usize = 10_000;

/// Why the waiting room cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LateError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is not what we write.
    #[error("{} is damaged ({cause}); remove it: homes that wait ask again", .path.display())]
    Damaged {
        /// The file of those that wait.
        path: PathBuf,
        /// What was wrong.
        cause: String,
    },
    /// Nobody of that name waits.
    #[error("{0} does not wait for approval")]
    Nobody(HomeId),
    /// Too many wait.
    #[error("{WAITING_MAX} homes wait already")]
    Full,
}

/// A home that asks to come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Late {
    /// The home in the certificate that ran out.
    pub home: HomeId,
    /// SHA-256 of the key that it wants certified, hex. Another key is another wish.
    pub key_sha256: String,
    /// When its last certificate ran out.
    pub expired_at: Timestamp,
    /// When it asked first with this key.
    pub asked_at: Timestamp,
    /// Who let it back in, and when.
    pub approved: Option<(String, Timestamp)>,
}

/// The file.
#[derive(Debug, Clone)]
pub struct WaitingRoom {
    path: PathBuf,
}

impl WaitingRoom {
    /// The room kept at `path`, which need not exist yet.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Everybody who waits, longest first.
    ///
    /// # Errors
    /// [`LateError`].
    pub fn list(&self) -> Result<Vec<Late>, LateError> {
        self.read()
    }

    /// Whether `home` may come in with this key. If nobody has said so, it waits from now on; a new key takes the
    /// place of the one it asked with before, and the word that was given for that one.
    ///
    /// # Errors
    /// [`LateError`].
    pub fn ask(
        &self,
        home: &HomeId,
        key_sha256: &str,
        expired_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, LateError> {
        let _lock = lock(&self.path.with_extension("lock"))?;
        let mut waiting = self.read()?;
        if let Some(late) = waiting.iter().find(|late| late.home == *home && late.key_sha256 == key_sha256) {
            return Ok(late.approved.is_some());
        }
        waiting.retain(|late| late.home != *home);
        if waiting.len() >= WAITING_MAX {
            return Err(LateError::Full);
        }
        let (home, key_sha256) = (home.clone(), key_sha256.to_owned());
        waiting.push(Late { home, key_sha256, expired_at, asked_at: now, approved: None });
        self.write(&waiting)?;
        Ok(false)
    }

    /// Lets `home` come back with the key that it asked with.
    ///
    /// # Errors
    /// [`LateError::Nobody`], or trouble with the file.
    pub fn approve(&self, home: &HomeId, by: &str, now: Timestamp) -> Result<Late, LateError> {
        let _lock = lock(&self.path.with_extension("lock"))?;
        let mut waiting = self.read()?;
        let late = waiting.iter_mut().find(|late| late.home == *home).ok_or_else(|| LateError::Nobody(home.clone()))?;
        late.approved.get_or_insert_with(|| (by.to_owned(), now));
        let late = late.clone();
        self.write(&waiting)?;
        Ok(late)
    }

    /// Forgets that `home` waits: it came in, or was sent away (and may ask again).
    ///
    /// # Errors
    /// [`LateError::Nobody`], or trouble with the file.
    pub fn forget(&self, home: &HomeId) -> Result<(), LateError> {
        let _lock = lock(&self.path.with_extension("lock"))?;
        let mut waiting = self.read()?;
        let before = waiting.len();
        waiting.retain(|late| late.home != *home);
        if waiting.len() == before {
            return Err(LateError::Nobody(home.clone()));
        }
        self.write(&waiting)
    }

    fn read(&self) -> Result<Vec<Late>, LateError> {
        let Some(bytes) = files::if_there(files::read_private(&self.path))? else { return Ok(Vec::new()) };
        serde_json::from_slice(&bytes)
            .map_err(|error| LateError::Damaged { path: self.path.clone(), cause: error.to_string() })
    }

    fn write(&self, waiting: &[Late]) -> Result<(), LateError> {
        let bytes = serde_json::to_vec_pretty(waiting)
            .map_err(|error| LateError::Damaged { path: self.path.clone(), cause: error.to_string() })?;
        Ok(files::write_private(&self.path, &bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{home, now};

    #[test]
    fn a_word_is_for_one_key() {
        let dir = tempfile::tempdir().unwrap();
        let room = WaitingRoom::at(dir.path().join("late.json"));
        assert!(!room.ask(&home(), "k1", now(), now()).unwrap());
        assert!(!room.ask(&home(), "k1", now(), now()).unwrap(), "asking again is no word");
        room.approve(&home(), "ada", now()).unwrap();
        assert!(room.ask(&home(), "k1", now(), now()).unwrap());
        assert!(!room.ask(&home(), "k2", now(), now()).unwrap(), "another key has to wait anew");
        assert!(!room.ask(&home(), "k1", now(), now()).unwrap());
        assert_eq!(room.list().unwrap().len(), 1);
    }

    #[test]
    fn nobody_is_let_in_who_did_not_ask() {
        let dir = tempfile::tempdir().unwrap();
        let room = WaitingRoom::at(dir.path().join("late.json"));
        assert!(matches!(room.approve(&home(), "ada", now()), Err(LateError::Nobody(_))));
        room.ask(&home(), "k1", now(), now()).unwrap();
        room.forget(&home()).unwrap();
        assert!(matches!(room.forget(&home()), Err(LateError::Nobody(_))));
    }
}
