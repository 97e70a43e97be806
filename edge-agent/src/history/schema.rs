//! The tables of the agent's own memory, and how they come to be.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use super::HistoryError;

/// Version of the tables; a file with a higher one is not touched.
const VERSION: i64 = 1;

const TABLES: &str = "
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

/// Pages that SQLite keeps in memory: 256 × 4 KiB = 1 MiB.
const CACHE_PAGES: i64 = 256;

pub(super) fn open(path: &Path) -> Result<Connection, HistoryError> {
    let database = Connection::open(path)?;
    database.busy_timeout(Duration::from_secs(5))?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    // A step lost to a power cut is fetched again from Home Assistant; a write per step must not wear out an SD card.
    database.pragma_update(None, "synchronous", "NORMAL")?;
    database.pragma_update(None, "cache_size", CACHE_PAGES)?;
    let found: i64 = database.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match found {
        0 => {
            database.execute_batch(&format!("BEGIN; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;"))?;
            Ok(database)
        }
        VERSION => Ok(database),
        _ => Err(HistoryError::Newer { found, known: VERSION }),
    }
}
