//! What can stop a replay. Every text names the file and the line, and says what to do about it.

use std::fmt;
use std::path::{Path, PathBuf};

use super::odd::FaultKind;

/// Faulty rows that are named before the rest is only counted: as many as fit on a screen with room to think.
pub const FAULTS_SHOWN: usize = 10;

/// One row that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFault {
    /// Line in the file, the header being line 1; number of the row in a database.
    pub line: u64,
    /// In which way it is odd.
    pub kind: FaultKind,
    /// What is wrong with it and what to write instead.
    pub what: String,
    /// Entities that are named in it.
    pub of: Vec<String>,
}

/// The faulty rows of one file, the first [`FAULTS_SHOWN`] of them in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFaults {
    path: PathBuf,
    shown: Vec<RowFault>,
    total: u64,
}

impl RowFaults {
    /// No faults yet in `path`.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), shown: Vec::new(), total: 0 }
    }

    /// Adds a fault.
    pub fn push(&mut self, fault: RowFault) {
        self.total += 1;
        if self.shown.len() < FAULTS_SHOWN {
            self.shown.push(fault);
        }
    }

    /// An error if there was any fault.
    ///
    /// # Errors
    /// [`ReplayError::Rows`] with all of them.
    pub fn into_result(self) -> Result<(), ReplayError> {
        if self.total == 0 { Ok(()) } else { Err(ReplayError::Rows(self)) }
    }
}

impl fmt::Display for RowFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, fault) in self.shown.iter().enumerate() {
            if position > 0 {
                writeln!(f)?;
            }
            write!(f, "{}:{}: {}", self.path.display(), fault.line, fault.what)?;
        }
        match self.total - self.shown.len() as u64 {
            0 => Ok(()),
            rest => write!(f, "\n{}: and {rest} more faulty rows", self.path.display()),
        }
    }
}

/// Why a replay stopped. What the user gave is told apart from what the machine refused: see
/// [`ReplayError::exit_code`].
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// An input that cannot be opened or read.
    #[error("cannot read {path}: {source}; give a file that exists and that you may read")]
    Read {
        /// The input.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Rows that mean nothing.
    #[error("{0}")]
    Rows(RowFaults),
    /// A file without the columns that give it meaning.
    #[error("{path}:{line}: {what}")]
    Header {
        /// The file.
        path: PathBuf,
        /// Where its header was looked for.
        line: u64,
        /// What is missing and what to write.
        what: String,
    },
    /// A file that is not text in UTF-8, or not CSV at all.
    #[error("{path}: {what}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        what: String,
    },
    /// A database that SQLite cannot read.
    #[error(
        "{path}: cannot be read as a Home Assistant recorder database: {source}; give a complete copy, made while Home \
         Assistant was stopped or taken from a backup"
    )]
    Database {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// A database server that cannot be reached, or does not let us read.
    #[error(
        "{path}: {source}; check host, port, database, user and password (those of db_url in Home Assistant's configuration), and that \
         this machine may connect"
    )]
    Server {
        /// Its address, without user and password.
        path: PathBuf,
        /// What it, or the way to it, said.
        source: sqlx::Error,
    },
    /// No rows at all.
    #[error("{0}: holds no rows; there is nothing to replay")]
    Empty(PathBuf),
    /// An `--entities` file that is neither of its two forms.
    #[error("--entities {path}: {what}")]
    Entities {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to write.
        what: String,
    },
    /// More than this program holds in memory.
    #[error("{path}: {what}")]
    TooLarge {
        /// The input.
        path: PathBuf,
        /// Which limit, and what to do.
        what: String,
    },
    /// A time zone that the database of time zones does not know.
    #[error("--timezone {0}: no such time zone; give an IANA name such as Europe/London")]
    Timezone(String),
    /// A model that cannot be used.
    #[error("--model {path}: {why}; give a model file of this version, or `baseline` for the baseline detector")]
    Model {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// An id that no alarm of this replay has.
    #[error("--explain {id}: no such alarm in this replay; {known}")]
    NoSuchAlarm {
        /// What was asked for.
        id: String,
        /// Which ids there are.
        known: String,
    },
    /// An `--out` that is a file.
    #[error("--out {0}: is not a folder; give one, or a name that is still free")]
    OutFolder(PathBuf),
    /// A result that could not be written.
    #[error("cannot write {path}: {source}; give an --out folder that you may write to, with room on its disk")]
    Write {
        /// The result.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A picture that could not be drawn.
    #[error("cannot draw {path}: {source}")]
    Draw {
        /// The picture.
        path: PathBuf,
        /// What failed.
        source: hearthwatch_edge_core::explain::DrawError,
    },
}

impl ReplayError {
    /// 2 for what the user can mend in what they gave, 1 for a machine that would not write.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Write { .. } | Self::Draw { .. } => 1,
            _ => 2,
        }
    }

    /// A failed read of `path`.
    pub fn read(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }

    /// A failed write of `path`.
    pub fn write(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Write { path, source }
    }
}
