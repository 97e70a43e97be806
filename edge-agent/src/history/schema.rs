//! The tables of the agent's own memory, and how they come to be.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use super::HistoryError;

/// Version of the tables; a file with a higher one is not touched.
const VERSION: i64 = 2;

const TABLES: &str = "
-- `registry_id` is Home Assistant's own name for the entity, which outlives a change of its id.
CREATE TABLE entities (id INTEGER PRIMARY KEY, entity_id TEXT NOT NULL UNIQUE, registry_id TEXT);
CREATE TABLE steps (step INTEGER PRIMARY KEY);
-- `heard` tells a gap (heard, no value) from silence (a row for the score alone). `value` is as heard; `shown` and the
-- expected range are in the unit that residents see.
CREATE TABLE grid (step INTEGER NOT NULL, entity INTEGER NOT NULL, heard INTEGER NOT NULL, value REAL, score REAL,
    shown REAL, low REAL, expected REAL, high REAL, PRIMARY KEY (step, entity)) WITHOUT ROWID;
CREATE TABLE changes (at INTEGER NOT NULL, entity INTEGER NOT NULL, state INTEGER,
    PRIMARY KEY (at, entity)) WITHOUT ROWID;
CREATE TABLE alarms (id TEXT PRIMARY KEY, raised_at INTEGER NOT NULL, body TEXT NOT NULL, window BLOB);
CREATE INDEX alarms_by_time ON alarms (raised_at);
CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL);
";

/// From version 1, which had neither what was shown nor what was expected.
const FROM_1: &str = "
ALTER TABLE entities ADD COLUMN registry_id TEXT;
ALTER TABLE grid ADD COLUMN shown REAL;
ALTER TABLE grid ADD COLUMN low REAL;
ALTER TABLE grid ADD COLUMN expected REAL;
ALTER TABLE grid ADD COLUMN high REAL;
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
        1 => {
            database.execute_batch(&format!("BEGIN; {FROM_1} PRAGMA user_version = {VERSION}; COMMIT;"))?;
            Ok(database)
        }
        VERSION => Ok(database),
        _ => Err(HistoryError::Newer { found, known: VERSION }),
    }
}
