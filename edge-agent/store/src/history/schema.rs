//! The tables of the agent's own memory, and how they come to be.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::HistoryError;
use crate::database::{self, Table};

/// What each version of the tables added.
const VERSIONS: [&str; 3] = [VERSION_1, VERSION_2, VERSION_3];

const VERSION_1: &str = "
CREATE TABLE entities (id INTEGER PRIMARY KEY, entity_id TEXT NOT NULL UNIQUE);
CREATE TABLE steps (step INTEGER PRIMARY KEY);
-- `heard` tells a gap (heard, no value) from silence (a row for the score alone).
CREATE TABLE grid (step INTEGER NOT NULL, entity INTEGER NOT NULL, heard INTEGER NOT NULL, value REAL, score REAL,
    PRIMARY KEY (step, entity)) WITHOUT ROWID;
CREATE TABLE changes (at INTEGER NOT NULL, entity INTEGER NOT NULL, state INTEGER,
    PRIMARY KEY (at, entity)) WITHOUT ROWID;
CREATE TABLE alarms (id TEXT PRIMARY KEY, raised_at INTEGER NOT NULL, body TEXT NOT NULL, window BLOB);
CREATE INDEX alarms_by_time ON alarms (raised_at);
CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL);
";

/// What version 2 added: what is drawn (observed, low, expected, high as four little-endian binary32, NaN for none), how
/// rare the score is, and whether one step was enough to say it.
const VERSION_2: &str = "
ALTER TABLE grid ADD COLUMN shown BLOB;
ALTER TABLE grid ADD COLUMN rarity REAL;
ALTER TABLE grid ADD COLUMN immediate INTEGER NOT NULL DEFAULT 0;
CREATE TABLE misses (alarm TEXT PRIMARY KEY, entity_id TEXT NOT NULL, at INTEGER NOT NULL, said_at INTEGER NOT NULL,
    shared INTEGER NOT NULL);
";

/// What version 3 added: questions drawn by chance.
const VERSION_3: &str = "
CREATE TABLE questions (id TEXT PRIMARY KEY, at INTEGER NOT NULL, body TEXT NOT NULL, window BLOB);
CREATE INDEX questions_by_time ON questions (at);
";

/// Every table of the newest version; what residents said first.
const LAYOUT: [Table; 8] = [
    Table { name: "notes", columns: "name, value", order: "rowid" },
    Table { name: "alarms", columns: "id, raised_at, body, window", order: "rowid" },
    Table { name: "questions", columns: "id, at, body, window", order: "rowid" },
    Table { name: "misses", columns: "alarm, entity_id, at, said_at, shared", order: "rowid" },
    Table { name: "entities", columns: "id, entity_id", order: "rowid" },
    Table { name: "steps", columns: "step", order: "rowid" },
    Table {
        name: "grid",
        columns: "step, entity, heard, value, score, shown, rarity, immediate",
        order: "step, entity",
    },
    Table { name: "changes", columns: "at, entity, state", order: "at, entity" },
];

/// How long anybody waits for a write.
const BUSY: Duration = Duration::from_secs(5);
/// Pages that SQLite keeps in memory: 64 × 4 KiB = 256 KiB. It is written to in order and read in order, so more of them help little.
const CACHE_PAGES: i64 = 64;

/// Opens or makes the database, and sets it aside where it is damaged: then what can be read of it is in the new one.
pub(super) fn open_sound(path: &Path) -> Result<Connection, HistoryError> {
    database::open(path, &LAYOUT, open, HistoryError::engine).map(|(database, _)| database)
}

fn open(path: &Path) -> Result<Connection, HistoryError> {
    let mut database = Connection::open(path)?;
    database.busy_timeout(BUSY)?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    // A step lost to a power cut is fetched again from Home Assistant; a write per step must not wear out an SD card.
    database.pragma_update(None, "synchronous", "NORMAL")?;
    database.pragma_update(None, "cache_size", CACHE_PAGES)?;
    match database::upgrade(&mut database, &VERSIONS)? {
        None => Ok(database),
        Some(found) => Err(HistoryError::Newer { found, known: VERSIONS.len() as i64 }),
    }
}

/// A connection to a file that [`open`] has made, which never writes.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, HistoryError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(path, flags)?;
    database.busy_timeout(BUSY)?;
    database.pragma_update(None, "cache_size", CACHE_PAGES)?;
    Ok(database)
}

/// A file as the first version left it, with one step of one number.
#[cfg(test)]
pub(super) fn write_version_1(path: &Path) {
    let database = Connection::open(path).unwrap();
    database.execute_batch(&format!("BEGIN; {VERSION_1} PRAGMA user_version = 1; COMMIT;")).unwrap();
    let row = "INSERT INTO entities VALUES (1, 'sensor.t'); INSERT INTO steps VALUES (600);
        INSERT INTO grid VALUES (600, 1, 1, 20.5, NULL);";
    database.execute_batch(row).unwrap();
}
