//! The outbox's tables, and the settings that make a commit mean "on disk".

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, ffi, params};

use crate::database::{self, Opened, Table};

/// Counter: the next sequence number.
pub const NEXT: &str = "next_sequence";
/// Counter: random audit samples that were dropped for lack of room.
pub const DROPPED: &str = "dropped_probes";

/// What each version of the tables added.
const VERSIONS: [&str; 3] = [VERSION_1, VERSION_2, VERSION_3];

/// How long a second process (an operator looking at the file) may make us wait.
const BUSY: Duration = Duration::from_secs(5);

/// Pages that SQLite keeps in memory: 64 × 4 KiB = 256 KiB. A record is looked at when it comes, goes and is settled.
const CACHE_PAGES: i64 = 64;

const VERSION_1: &str = "
CREATE TABLE records (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    sequence INTEGER UNIQUE,
    alarm TEXT NOT NULL,
    probe INTEGER NOT NULL,
    renumbered INTEGER NOT NULL DEFAULT 0,
    payload BLOB NOT NULL
) STRICT;
CREATE INDEX records_by_alarm ON records (alarm);
CREATE TABLE refusals (sequence INTEGER PRIMARY KEY, reason TEXT NOT NULL, at INTEGER NOT NULL) STRICT;
CREATE TABLE outcomes (id INTEGER PRIMARY KEY AUTOINCREMENT, payload BLOB NOT NULL, said INTEGER NOT NULL) STRICT;
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
INSERT INTO counters VALUES ('next_sequence', 1), ('dropped_probes', 0);
";

/// What version 2 added: the ledger of what left, withdrawals, what the home's answers did, and the resident's choice.
const VERSION_2: &str = "
CREATE TABLE ledger (
    sequence INTEGER PRIMARY KEY, payload BLOB NOT NULL, state TEXT NOT NULL, withdrawal INTEGER
) STRICT;
CREATE TABLE withdrawals (
    id INTEGER PRIMARY KEY, asked_at INTEGER NOT NULL, payload BLOB NOT NULL,
    removed INTEGER, models TEXT, receipt_at INTEGER
) STRICT;
CREATE TABLE contributions (
    model INTEGER PRIMARY KEY, snapshot TEXT NOT NULL, answers INTEGER NOT NULL, examples INTEGER NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE TABLE choices (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
-- What is on its way in the moment of the change has left already.
INSERT INTO ledger (sequence, payload, state) SELECT sequence, payload, 'sent' FROM records WHERE sequence IS NOT NULL;
";

/// What version 3 added: announcements, which travel under the same numbers.
const VERSION_3: &str = "
ALTER TABLE records ADD COLUMN announcement INTEGER NOT NULL DEFAULT 0;
";

/// Every table of the newest version. What the resident chose comes first: whatever is lost, that should not be.
const LAYOUT: [Table; 8] = [
    Table { name: "choices", columns: "name, value", order: "rowid" },
    Table { name: "records", columns: "id, sequence, alarm, probe, renumbered, payload, announcement", order: "rowid" },
    Table { name: "counters", columns: "name, value", order: "rowid" },
    Table { name: "withdrawals", columns: "id, asked_at, payload, removed, models, receipt_at", order: "rowid" },
    Table { name: "ledger", columns: "sequence, payload, state, withdrawal", order: "rowid" },
    Table { name: "refusals", columns: "sequence, reason, at", order: "rowid" },
    Table { name: "outcomes", columns: "id, payload, said", order: "rowid" },
    Table { name: "contributions", columns: "model, snapshot, answers, examples, at", order: "rowid" },
];

/// Table of the resident's choices, by name.
pub const CHOICES: &str = "choices";

/// Opens or makes the database, and sets it aside where it is damaged: then what can be read of it is in the new one.
pub fn open_sound(path: &Path) -> Result<(Connection, Opened), rusqlite::Error> {
    database::open(path, &LAYOUT, open, |error| Some(error))
}

/// Opens or makes the database. WAL with `synchronous = FULL`: each commit is flushed, so power may fail after it.
fn open(path: &Path) -> Result<Connection, rusqlite::Error> {
    let mut database = Connection::open(path)?;
    database.busy_timeout(BUSY)?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "FULL")?;
    database.pragma_update(None, "cache_size", CACHE_PAGES)?;
    match database::upgrade(&mut database, &VERSIONS)? {
        None => Ok(database),
        Some(newer) => {
            let cause = format!("it is of version {newer}, this program reads up to {}", VERSIONS.len());
            Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_MISUSE), Some(cause)))
        }
    }
}

/// The resident's choice of this name; none was made.
pub fn choice(database: &Connection, name: &str) -> Result<Option<String>, rusqlite::Error> {
    let select = "SELECT value FROM choices WHERE name = ?1";
    database.query_row(select, [name], |row| database::text(row, 0)).optional()
}

/// Stores a choice, in the place of an earlier one.
pub fn choose(database: &Connection, name: &str, value: &str) -> Result<(), rusqlite::Error> {
    database.execute("INSERT OR REPLACE INTO choices (name, value) VALUES (?1, ?2)", [name, value]).map(drop)
}

/// Value of a counter; 0 where it was never set.
pub fn get(database: &Connection, name: &str) -> Result<u64, rusqlite::Error> {
    database.query_row("SELECT value FROM counters WHERE name = ?1", [name], |row| row.get(0)).map(unsigned)
}

/// Sets a counter to `value`.
pub fn set(database: &Connection, name: &str, value: u64) -> Result<(), rusqlite::Error> {
    database.execute("UPDATE counters SET value = ?1 WHERE name = ?2", params![signed(value), name]).map(drop)
}

/// Adds `by` to a counter.
pub fn add(database: &Connection, name: &str, by: u64) -> Result<(), rusqlite::Error> {
    set(database, name, get(database, name)?.saturating_add(by))
}

/// SQLite's integers are signed; a number beyond them is clamped, which a home reaches after 10^18 answers.
pub fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The inverse of [`signed`].
pub fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
