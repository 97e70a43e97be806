//! The tables of rounds, and the settings that make a commit mean "on disk".

use std::path::Path;
use std::time::Duration;

use hearthwatch_edge_store::database::{self, Table};
use rusqlite::{Connection, OpenFlags, ffi};

/// How long a second process (an operator looking at the file) may make us wait.
const BUSY: Duration = Duration::from_secs(5);

/// Pages that SQLite keeps in memory: 16 × 4 KiB = 64 KiB. Few rows a day pass through them.
const CACHE_PAGES: i64 = 16;

/// What each version of the tables added.
const VERSIONS: [&str; 3] = [VERSION_1, VERSION_2, VERSION_3];

pub(crate) const VERSION_1: &str = "
CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE work (
    round INTEGER PRIMARY KEY, plan BLOB NOT NULL, begun INTEGER NOT NULL, answer BLOB, body BLOB, stored INTEGER NOT NULL
) STRICT;
CREATE TABLE ledger (
    round INTEGER PRIMARY KEY, judges INTEGER NOT NULL, planned_at INTEGER NOT NULL, trained_at INTEGER, sent_at INTEGER,
    ended_at INTEGER, bytes INTEGER NOT NULL, figures TEXT, clip REAL NOT NULL, model BLOB NOT NULL, cohort INTEGER NOT NULL,
    outcome TEXT NOT NULL, reason TEXT NOT NULL, picture BLOB
) STRICT;
";

const VERSION_2: &str = "
ALTER TABLE ledger RENAME COLUMN judges TO evaluates;
ALTER TABLE ledger ADD COLUMN least INTEGER NOT NULL DEFAULT 0;
ALTER TABLE ledger ADD COLUMN server_noise REAL NOT NULL DEFAULT 0;
";

/// What a home holds of a masked round until it ends, and whether a round was one.
const VERSION_3: &str = "
ALTER TABLE work ADD COLUMN masks BLOB;
ALTER TABLE ledger ADD COLUMN masked INTEGER;
";

/// Every table of the newest version. What was seen and agreed to comes first: whatever is lost, that should not be.
const LAYOUT: [Table; 3] = [
    Table { name: "notes", columns: "name, value", order: "rowid" },
    Table { name: "work", columns: "round, plan, begun, answer, body, stored, masks", order: "rowid" },
    Table {
        name: "ledger",
        columns: "round, evaluates, planned_at, trained_at, sent_at, ended_at, bytes, figures, clip, model, cohort, outcome, \
                  reason, picture, least, server_noise, masked",
        order: "rowid",
    },
];

/// Opens or makes the database, and sets it aside where it is damaged: then what can be read of it is in the new one.
pub(crate) fn open_sound(path: &Path) -> Result<Connection, rusqlite::Error> {
    database::open(path, &LAYOUT, open, |error| Some(error)).map(|(database, _)| database)
}

/// Opens or makes the database. WAL with `synchronous = FULL`: each commit is flushed, so power may fail after it.
fn open(path: &Path) -> Result<Connection, rusqlite::Error> {
    let mut database = Connection::open(path)?;
    database.busy_timeout(BUSY)?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "FULL")?;
    // What residents took back leaves no copy in the file.
    database.pragma_update(None, "secure_delete", true)?;
    database.pragma_update(None, "cache_size", CACHE_PAGES)?;
    match database::upgrade(&mut database, &VERSIONS)? {
        None => Ok(database),
        Some(newer) => {
            let cause = format!("it is of version {newer}, this program reads up to {}", VERSIONS.len());
            Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_MISUSE), Some(cause)))
        }
    }
}

/// A connection that never writes, to a file that [`open`] has made.
pub(crate) fn open_to_read(path: &Path) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(path, flags)?;
    database.busy_timeout(BUSY)?;
    database.pragma_update(None, "cache_size", CACHE_PAGES)?;
    Ok(database)
}
