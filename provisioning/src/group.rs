//! The group in which aggregators share what homes say: a name that no home may know.
//!
//! mosquitto lets every client into every group (`$share/GROUP/…`) and asks its access rules only when it delivers: the message of a
//! turn that falls to somebody who may not read it is dropped. A home in the aggregators' group would so take the messages
//! of others away, unread. A home in a group of its own gets nothing and takes nothing. Hence a name of 128 random bits.

use std::fmt;
use std::path::{Path, PathBuf};

use hearthwatch_protocol::topic::{UP_FILTER, shared};

use crate::authority::random;
use crate::files::{self, FileError};
use crate::homes::Outcome;

/// Bytes of a name: 128 bits, which nobody guesses.
const NAME_BYTES: usize = 16;
/// The name that every aggregator used before there were secret ones. A broker that kept such a session goes on serving it.
const WELL_KNOWN: &str = "aggregator";
/// Most former names that are kept: a broker keeps a session for an hour, so one would do where all aggregators are restarted.
const FORMER_MAX: usize = 4;
/// How the file begins.
const HEADER: &str = "# The group in which the aggregators share what homes say; the first name counts, the others were used before.\n\
                      # Secret: whoever knows it and may connect can make the broker drop the messages of others.\n";

/// Why there is no name.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// The file is missing, or open to others.
    #[error(transparent)]
    File(#[from] FileError),
    /// Something else is in it.
    #[error("{} holds a line that is not a name of {} hexadecimal digits; for a new one: hearthwatch-provision group --new",
        .0.display(), 2 * NAME_BYTES)]
    Unusable(PathBuf),
}

/// The group's name now, and those that it had before. Neither `Debug` nor an error shows them.
#[derive(Clone, PartialEq, Eq)]
pub struct Group {
    name: String,
    former: Vec<String>,
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").finish_non_exhaustive()
    }
}

impl Group {
    /// A new one, from the operating system's randomness.
    #[must_use]
    pub fn random() -> Self {
        Self { name: hex::encode(random::<NAME_BYTES>()), former: Vec::new() }
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`GroupError`]: missing, readable by others, or not a list of names.
    pub fn load(path: &Path) -> Result<Self, GroupError> {
        let text = String::from_utf8(files::read_private(path)?).map_err(|_| GroupError::Unusable(path.to_owned()))?;
        let names = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        let usable = |name: &String| {
            name.len() == 2 * NAME_BYTES && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        if names.is_empty() || !names.iter().all(usable) {
            return Err(GroupError::Unusable(path.to_owned()));
        }
        let name = names.remove(0);
        Ok(Self { name, former: names })
    }

    /// Makes the file at `path` unless it is there and good.
    ///
    /// # Errors
    /// [`GroupError`].
    pub fn make(path: &Path) -> Result<Outcome, GroupError> {
        match Self::load(path) {
            Ok(_) => Ok(Outcome::Kept),
            Err(GroupError::File(FileError::Missing(_))) => {
                Self::random().write(path)?;
                Ok(Outcome::Created)
            }
            Err(error) => Err(error),
        }
    }

    /// Gives the file at `path` a new name; the present one becomes a former one.
    ///
    /// # Errors
    /// [`FileError`] when it cannot be written; one that cannot be read is replaced.
    pub fn renew(path: &Path) -> Result<(), FileError> {
        let former = Self::load(path).map(|group| std::iter::once(group.name).chain(group.former).collect());
        let mut former: Vec<String> = former.unwrap_or_default();
        former.truncate(FORMER_MAX);
        Self { former, ..Self::random() }.write(path)
    }

    /// What an aggregator subscribes to.
    #[must_use]
    pub fn filter(&self) -> String {
        shared(&self.name, UP_FILTER)
    }

    /// What it may still be subscribed to from earlier days.
    #[must_use]
    pub fn former_filters(&self) -> Vec<String> {
        let names = self.former.iter().map(String::as_str).chain([WELL_KNOWN]);
        names.map(|name| shared(name, UP_FILTER)).collect()
    }

    fn write(&self, path: &Path) -> Result<(), FileError> {
        let lines: String = std::iter::once(&self.name).chain(&self.former).map(|name| format!("{name}\n")).collect();
        files::write_private(path, format!("{HEADER}{lines}").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_made_once_is_the_owners_alone_and_is_not_shown() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ingest.group");
        assert_eq!(Group::make(&path).unwrap(), Outcome::Created);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let group = Group::load(&path).unwrap();
        assert_eq!(Group::make(&path).unwrap(), Outcome::Kept);
        assert_eq!(Group::load(&path).unwrap(), group);
        assert_ne!(Group::random(), Group::random());
        assert_eq!(format!("{group:?}"), "Group { .. }");
        assert_eq!(group.filter(), format!("$share/{}/hw/v1/home/+/up/+", group.name));
    }

    #[test]
    fn a_renewed_name_remembers_those_before_it_so_that_kept_sessions_can_be_rid_of_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ingest.group");
        Group::make(&path).unwrap();
        let first = Group::load(&path).unwrap();
        assert_eq!(first.former_filters(), ["$share/aggregator/hw/v1/home/+/up/+"]);
        Group::renew(&path).unwrap();
        let second = Group::load(&path).unwrap();
        assert_ne!(second.filter(), first.filter());
        assert_eq!(second.former_filters(), [first.filter(), first.former_filters().remove(0)]);
        for _ in 0..10 {
            Group::renew(&path).unwrap();
        }
        assert_eq!(Group::load(&path).unwrap().former.len(), FORMER_MAX);
    }

    #[test]
    fn a_name_that_could_be_guessed_or_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ingest.group");
        for text in ["", "aggregator\n", "# only a comment\n", "00112233445566778899aabbccddeeff\n+\n"] {
            files::write_private(&path, text.as_bytes()).unwrap();
            assert!(matches!(Group::load(&path), Err(GroupError::Unusable(_))), "{text:?}");
        }
        Group::renew(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Group::load(&path), Err(GroupError::File(FileError::Wide { .. }))));
    }
}
