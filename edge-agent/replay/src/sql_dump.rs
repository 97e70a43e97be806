//! A dump of a recorder's database (`sqlite3 .dump`, `mysqldump`, `pg_dump`, a client's rows as `INSERT`): its tables of states
//! and statistics are loaded into a database in a temporary folder, which is read like any other.

use std::io::{self, BufReader, Read};
use std::path::Path;

use rusqlite::Connection;

use super::backup::{UNPACKED_BYTES_MAX, Unpacked};
use super::error::ReplayError;
use super::sql_load::{Loader, Stop};
use super::sql_words::{Dialect, Words};
use super::watch::counted;

/// The tables that are read, with the columns that are.
pub(super) const TABLES: [(&str, &[&str]); 5] = [
    (
        "states",
        &[
            "state_id",
            "metadata_id",
            "entity_id",
            "state",
            "last_updated_ts",
            "last_updated",
            "attributes_id",
            "attributes",
        ],
    ),
    ("states_meta", &["metadata_id", "entity_id"]),
    ("state_attributes", &["attributes_id", "shared_attrs"]),
    ("statistics", &["id", "metadata_id", "start_ts", "start", "mean", "state", "sum"]),
    ("statistics_meta", &["id", "statistic_id", "unit_of_measurement"]),
];
/// Bytes of a page of the temporary database.
const PAGE: u64 = 4096;

/// Whether a file that begins so is a dump, and of which dialect.
#[must_use]
pub fn is_dump(head: &[u8]) -> Option<Dialect> {
    let text = String::from_utf8_lossy(head);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let begins = |words: &[&str]| {
        words.iter().any(|word| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word)))
    };
    if text.contains("MySQL dump")
        || text.contains("phpMyAdmin")
        || text.contains("MariaDB dump")
        || begins(&["/*!", "/*M!"])
        || text.contains('`') && begins(&["INSERT ", "CREATE ", "DROP "])
    {
        return Some(Dialect::MySql);
    }
    let standard = [
        "BEGIN TRANSACTION",
        "PRAGMA foreign_keys",
        "-- PostgreSQL",
        "--\n-- PostgreSQL",
        "--\r\n-- PostgreSQL",
        "INSERT INTO ",
        "CREATE TABLE ",
        "COPY ",
        "SET statement_timeout",
    ];
    begins(&standard).then_some(Dialect::Standard)
}

/// A dump, loaded into a database.
#[derive(Debug)]
pub struct Loaded {
    /// Removed when it is dropped.
    pub database: Unpacked,
    /// Notes, one line each.
    pub notes: Vec<String>,
    /// Whether it holds class and unit of its entities.
    pub tells_kinds: bool,
}

/// Loads the dump `input`, which comes from `path`.
///
/// # Errors
/// [`ReplayError::Format`] where it has no states, a failed read or write, or [`ReplayError::TooLarge`].
pub fn load(path: &Path, input: impl Read, dialect: Dialect) -> Result<Loaded, ReplayError> {
    let database = Unpacked::new()?;
    let file = database.database();
    let failed = |source| ReplayError::Database { path: path.to_owned(), source };
    let connection = Connection::open(&file).map_err(failed)?;
    connection
        .execute_batch(&format!(
            "PRAGMA page_size = {PAGE}; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA max_page_count = {}; BEGIN;",
            UNPACKED_BYTES_MAX / PAGE
        ))
        .map_err(failed)?;
    for (table, columns) in TABLES {
        let columns: Vec<String> =
            columns.iter().enumerate().map(|(place, column)| declared(table, place, column)).collect();
        connection.execute_batch(&format!("CREATE TABLE {table} ({})", columns.join(", "))).map_err(failed)?;
    }
    let words = Words::new(BufReader::with_capacity(1 << 16, input), dialect);
    let mut loader = Loader::new(words, &connection);
    let end = loader.statements();
    let cut = matches!(&end, Err(Stop::Read(error)) if error.kind() == io::ErrorKind::UnexpectedEof);
    let Loader { words, rows, bad, first_bad, statements, .. } = loader;
    drop(statements);
    match end {
        Err(Stop::Read(error)) if !cut => return Err(ReplayError::read(path)(error)),
        Err(Stop::Full) => {
            let what = format!("holds more than {} GiB of states; replay a part of it", UNPACKED_BYTES_MAX >> 30);
            return Err(ReplayError::TooLarge { path: path.to_owned(), what });
        }
        _ => {}
    }
    let count = |table: &str| rows.get(table).copied().unwrap_or_default();
    if count("states") + count("statistics") == 0 {
        let what = "is a dump without Home Assistant's tables of states or statistics; dump states, states_meta and state_attributes";
        return Err(ReplayError::Format { path: path.to_owned(), what: what.to_owned() });
    }
    connection.execute_batch("COMMIT; CREATE INDEX times ON states (last_updated_ts);").map_err(failed)?;
    let inline =
        connection.query_row("SELECT EXISTS (SELECT 1 FROM states WHERE attributes <> '')", [], |row| row.get(0));
    let tells_kinds = count("state_attributes") > 0 || inline.unwrap_or(false);
    let mut notes = vec![format!(
        "read from a dump: {} of {}, {} of statistics",
        counted(count("states"), "state", "states"),
        counted(count("states_meta"), "entity", "entities"),
        counted(count("statistics"), "hour", "hours")
    )];
    if let Some(line) = first_bad {
        notes.push(format!(
            "{} of the dump that cannot be read, passed over (the first at line {line})",
            counted(bad, "statement or row", "statements or rows")
        ));
    }
    if cut {
        notes.push(format!(
            "the dump breaks off within a statement at line {}: the rest is missing; dump it again",
            words.line
        ));
    }
    Ok(Loaded { database, notes, tells_kinds })
}

/// A column with the type that its readers ask for.
fn declared(table: &str, place: usize, column: &str) -> String {
    let number = column.ends_with("_ts") || (table == "statistics" && ["mean", "state", "sum"].contains(&column));
    let kind = if column == "id" || column.ends_with("_id") && !["entity_id", "statistic_id"].contains(&column) {
        if place == 0 { "INTEGER PRIMARY KEY" } else { "INTEGER" }
    } else if number {
        "REAL"
    } else {
        "TEXT"
    };
    format!("{column} {kind}")
}

#[cfg(test)]
#[path = "sql_dump_tests.rs"]
mod tests;
