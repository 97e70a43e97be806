//! Errors that stop a replay. Every text names the file and the line, and what to do about it.

use std::fmt;
use std::path::{Path, PathBuf};

use super::odd::FaultKind;

/// Faulty rows that are named before the rest is only counted: as many as fit on a screen with room to think.
pub const FAULTS_SHOWN: usize = 10;

/// A row that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFault {
    /// Line in the file, the header being line 1; number of the row in a database.
    pub line: u64,
    /// Rows of one kind are counted together.
    pub kind: FaultKind,
    /// What is wrong with it and what to write instead.
    pub what: String,
    /// Entity ids in the row.
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
    /// An empty list for `path`.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), shown: Vec::new(), total: 0 }
    }

    /// Counts a fault, and keeps it while there is room.
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
        /// The system's error.
        source: std::io::Error,
    },
    /// Rows that cannot be read; all of them are in the text.
    #[error("{0}")]
    Rows(RowFaults),
    /// A file without the columns that give it meaning.
    #[error("{path}:{line}: {what}")]
    Header {
        /// The file.
        path: PathBuf,
        /// Line in which a header was expected.
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
        /// SQLite's error.
        source: rusqlite::Error,
    },
    /// A database server that cannot be reached, or does not let us read.
    #[error(
        "{path}: {source}; check host, port, database, user and password (those of db_url in Home Assistant's configuration), and that \
         this machine may connect"
    )]
    Server {
        /// Address of the server, without user and password.
        path: PathBuf,
        /// What it, or the way to it, said.
        source: sqlx::Error,
    },
    /// The input has no rows.
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
        /// The limit, and what to do.
        what: String,
    },
    /// A time zone that the database of time zones does not know.
    #[error("--timezone {0}: no such time zone; give an IANA name such as Europe/London")]
    Timezone(String),
    /// The file of `--model` is no model of this program.
    #[error("--model {path}: {why}; give a model file of this version, or `baseline` for the baseline detector")]
    Model {
        /// The file of the model.
        path: String,
        /// One line.
        why: String,
    },
    /// An id that no alarm of this replay has.
    #[error("--explain {id}: no such alarm in this replay; {known}")]
    NoSuchAlarm {
        /// The requested id.
        id: String,
        /// The ids that exist, joined.
        known: String,
    },
    /// `--out` names a file, not a folder.
    #[error("--out {0}: is not a folder; give one, or a name that is still free")]
    OutFolder(PathBuf),
    /// A result that could not be written.
    #[error("cannot write {path}: {source}; give an --out folder that you may write to, with room on its disk")]
    Write {
        /// The file that could not be written.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A picture that could not be drawn.
    #[error("cannot draw {path}: {source}")]
    Draw {
        /// The file of the picture.
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

    /// For `map_err` of reading `path`.
    pub fn read(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }

    /// For `map_err` of writing `path`.
    pub fn write(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Write { path, source }
    }
}
