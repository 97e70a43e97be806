//! SQLite files that may be damaged: a bad row is set aside in a table of its own, a bad file under a new name.
//!
//! Nothing damaged is deleted and nothing damaged stops the rest: what can be read of a file that is set aside goes on in a new one.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, ErrorCode, Row, TransactionBehavior, ffi, params, params_from_iter};

/// Rows that are kept aside, the newest: at [`SET_ASIDE_BYTES_MAX`] each at most 6.4 MB of disk.
pub const SET_ASIDE_ROWS_MAX: i64 = 100;
/// Bytes that are kept of one: as many as a message may have.
pub const SET_ASIDE_BYTES_MAX: usize = 64 * 1024;

/// Rows that are read of one damaged table: three times as many as the largest home's memory has.
const ROWS_READ_MAX: usize = 5_000_000;

/// Source of a row that stands for a whole file.
const FILE: &str = "file";

/// Beside the versions of the tables: a program from before opens a file that has it.
const SET_ASIDE: &str = "
CREATE TABLE IF NOT EXISTS set_aside (
    id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, row TEXT NOT NULL, cause TEXT NOT NULL, bytes BLOB NOT NULL
) STRICT;
";

/// A table, as it must be for this program to work with it.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// Name of the table.
    pub name: &'static str,
    /// All its columns in the order in which they lie on disk, separated by commas.
    pub columns: &'static str,
    /// The key in whose order it lies on disk.
    pub order: &'static str,
}

/// What became of a file when it was opened.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// Where the damaged file is now; none where it was sound.
    pub set_aside: Option<PathBuf>,
    /// Tables of the damaged file that could not be read to their end.
    pub cut: Vec<&'static str>,
}

/// Opens a file with `open`, and reads all of it to see whether it is whole: tenths of a second for each 10 MB. One that is damaged is
/// set aside, and what can be read of it is carried into a new file.
///
/// # Errors
/// Any error of `open` that is not damage: no disk, no permission, a file of a newer program.
pub fn open<E: From<rusqlite::Error>>(
    path: &Path,
    tables: &[Table],
    open: impl Fn(&Path) -> Result<Connection, E>,
    engine: impl Fn(&E) -> Option<&rusqlite::Error>,
) -> Result<(Connection, Opened), E> {
    let opened = open(path).and_then(|database| {
        let model = open(Path::new(":memory:"))?;
        // A file of before has no such table yet.
        database.execute_batch(SET_ASIDE)?;
        model.execute_batch(SET_ASIDE)?;
        verify(&database, &model, tables)?;
        Ok(database)
    });
    let error = match opened {
        Ok(database) => return Ok((database, Opened::default())),
        Err(error) if engine(&error).is_some_and(is_damage) => error,
        Err(error) => return Err(error),
    };
    let cause = engine(&error).map_or_else(String::new, ToString::to_string);
    let failed =
        |error: io::Error| failure(ffi::SQLITE_CANTOPEN, format!("a damaged file cannot be set aside: {error}"));
    let aside = set_file_aside(path, &["-wal"], &["-shm"]).map_err(failed)?;
    let mut database = open(path)?;
    database.execute_batch(SET_ASIDE)?;
    let (rows, cut) = carry_over(&aside, &mut database, tables)?;
    let name = aside.file_name().unwrap_or_default().to_string_lossy().into_owned();
    set_aside(&database, FILE, &name, &cause, &[])?;
    tracing::error!(
        store.path = %path.display(), store.set_aside = %aside.display(), store.cause = cause, store.rows_kept = rows,
        store.tables_cut = cut.join(", "), "a file is damaged: it is kept under a new name, and what can be read of it goes on in a new file"
    );
    Ok((database, Opened { set_aside: Some(aside), cut }))
}

/// Brings a file to the newest version of its tables, `versions[0]` being what version 1 has; a version beyond these comes back, and
/// that file is not touched.
///
/// # Errors
/// The engine's, and damage where no program of ours writes such a version.
pub fn upgrade(database: &mut Connection, versions: &[&str]) -> Result<Option<i64>, rusqlite::Error> {
    /// No file of ours has a higher version in this century; one that says so is damaged.
    const PLAUSIBLE_MAX: i64 = 1_000;
    let version = |database: &Connection| database.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0));
    let newest = versions.len() as i64;
    if version(database)? == newest {
        return Ok(None);
    }
    // Asked again where nobody else can write.
    let tx = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&tx)?;
    let Some(missing) = usize::try_from(found).ok().and_then(|found| versions.get(found..)) else {
        let plausible = (0..=PLAUSIBLE_MAX).contains(&found);
        return if plausible { Ok(Some(found)) } else { Err(corrupt(format!("no version of ours: {found}"))) };
    };
    tx.execute_batch(&missing.concat())?;
    tx.pragma_update(None, "user_version", newest)?;
    tx.commit()?;
    Ok(None)
}

/// Keeps the bytes of a row that cannot be used, and logs it. The caller removes it from its table.
///
/// # Errors
/// The engine's.
pub fn set_aside(
    database: &Connection,
    source: &str,
    row: &str,
    cause: &dyn Display,
    bytes: &[u8],
) -> Result<(), rusqlite::Error> {
    let kept = bytes.get(..SET_ASIDE_BYTES_MAX).unwrap_or(bytes);
    database.execute(
        "INSERT INTO set_aside (source, row, cause, bytes) VALUES (?1, ?2, ?3, ?4)",
        params![source, row, cause.to_string(), kept],
    )?;
    let surplus = "DELETE FROM set_aside WHERE id <= (SELECT max(id) FROM set_aside) - ?1";
    database.execute(surplus, [SET_ASIDE_ROWS_MAX])?;
    if source != FILE {
        tracing::error!(
            store.table = source,
            store.row = row,
            store.cause = %cause,
            "a stored row cannot be read: it is set aside, and the rest goes on"
        );
    }
    Ok(())
}

/// How many rows and files were ever set aside; 0 for a file that no program with this table has opened.
#[must_use]
pub fn count_set_aside(database: &Connection) -> u64 {
    let count = database.query_row("SELECT coalesce(max(id), 0) FROM set_aside", [], |row| row.get::<_, i64>(0));
    count.ok().and_then(|count| u64::try_from(count).ok()).unwrap_or(0)
}

/// Moves a file to the first free name `NAME.damaged-1`, `-2`, …; what belongs to it moves along (`with`) or goes (`without`).
///
/// # Errors
/// The system's.
pub fn set_file_aside(path: &Path, with: &[&str], without: &[&str]) -> io::Result<PathBuf> {
    let aside = free_name(path)?;
    let gone = |outcome: io::Result<()>| match outcome {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    // What belongs to it first: cut between the two, the file is still where it is looked for, and set aside the next time.
    for more in with {
        gone(std::fs::rename(beside(path, more), beside(&aside, more)))?;
    }
    for more in without {
        gone(std::fs::remove_file(beside(path, more)))?;
    }
    std::fs::rename(path, &aside)?;
    Ok(aside)
}

/// Copies a file to the first free name `NAME.damaged-1`, `-2`, …, for a file of which something still holds.
///
/// # Errors
/// The system's.
pub fn copy_file_aside(path: &Path) -> io::Result<PathBuf> {
    let aside = free_name(path)?;
    std::fs::copy(path, &aside)?;
    Ok(aside)
}

fn beside(path: &Path, more: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(more);
    PathBuf::from(name)
}

fn free_name(path: &Path) -> io::Result<PathBuf> {
    let mut names = (1_u32..).map(|number| beside(path, &format!(".damaged-{number}")));
    names.find(|name| !name.exists()).ok_or_else(|| io::Error::other("too many damaged files"))
}

/// Text of a column, with a mark in the place of bytes that are none; empty for a number.
///
/// # Errors
/// The engine's.
pub fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    Ok(match row.get_ref(column)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        _ => String::new(),
    })
}

/// Bytes of a column, whatever it holds; none for nothing or a number.
///
/// # Errors
/// The engine's.
pub fn bytes(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Vec<u8>>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(bytes.to_vec()),
        _ => None,
    })
}

/// Leaves out rows with a column of another type than ours: damage of a row must not hide the rows behind it.
///
/// # Errors
/// The engine's.
pub fn readable<T>(rows: impl Iterator<Item = rusqlite::Result<T>>) -> rusqlite::Result<Vec<T>> {
    rows.filter_map(|row| match row {
        Err(error) if is_of_row(&error) => {
            tracing::warn!(%error, "a stored row is left out: it cannot be read");
            None
        }
        row => Some(row),
    })
    .collect()
}

/// Whether an error is about what one row holds.
#[must_use]
pub fn is_of_row(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::Utf8Error(..)
            | rusqlite::Error::InvalidColumnType(..)
    )
}

/// An error as the engine would give it: the file is not what it must be.
#[must_use]
pub fn corrupt(cause: String) -> rusqlite::Error {
    failure(ffi::SQLITE_CORRUPT, cause)
}

fn failure(code: i32, cause: String) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some(cause))
}

/// Whether waiting, or another disk, cannot mend it. `Unknown` is what the engine calls a table that is not there, or is there already.
fn is_damage(error: &rusqlite::Error) -> bool {
    let damaged =
        [ErrorCode::DatabaseCorrupt, ErrorCode::NotADatabase, ErrorCode::Unknown, ErrorCode::ConstraintViolation];
    let unreadable = [ffi::SQLITE_IOERR_READ, ffi::SQLITE_IOERR_CORRUPTFS];
    error.sqlite_error_code().is_some_and(|code| damaged.contains(&code))
        || error.sqlite_extended_error_code().is_some_and(|code| unreadable.contains(&code))
        || matches!(error, rusqlite::Error::SqlInputError { .. })
        || is_of_row(error)
}

/// Whether a file is whole, and its tables are those of `model`.
fn verify(database: &Connection, model: &Connection, tables: &[Table]) -> Result<(), rusqlite::Error> {
    for name in tables.iter().map(|table| table.name).chain(["set_aside"]) {
        // A default or a type that is damaged in the file's own description of its tables would spoil what is written from now on.
        if described(database, name)? != described(model, name)? {
            return Err(corrupt(format!("its description of {name} is not ours")));
        }
    }
    // Not the quick one: an index that does not fit its table fails only when a row is deleted.
    let found = database.query_row("PRAGMA integrity_check(1)", [], |row| text(row, 0))?;
    if found == "ok" { Ok(()) } else { Err(corrupt(found)) }
}

/// Name, type, whether it may be absent, default and place in the key of each column.
fn described(database: &Connection, table: &str) -> Result<Vec<String>, rusqlite::Error> {
    let select = "SELECT format('%s|%s|%s|%s|%s', name, type, \"notnull\", dflt_value, pk) FROM pragma_table_info(?1)";
    database.prepare(select)?.query_map([table], |row| text(row, 0))?.collect()
}

/// Copies what can be read: how many rows, and which tables were cut short.
fn carry_over(
    from: &Path,
    to: &mut Connection,
    tables: &[Table],
) -> Result<(usize, Vec<&'static str>), rusqlite::Error> {
    let all = || tables.iter().map(|table| table.name).collect();
    let Ok(old) = Connection::open(from) else { return Ok((0, all())) };
    // Notices a page that is damaged before its content is used; an error means that nothing will be read either.
    let _ = old.pragma_update(None, "cell_size_check", true);
    let tx = to.transaction()?;
    let (mut rows, mut cut) = (0, Vec::new());
    for table in tables {
        let columns = columns_of(&old, table);
        let whole = !columns.is_empty() && {
            tx.execute(&format!("DELETE FROM {}", table.name), [])?;
            copy(&old, &tx, table, &columns, "ASC", &mut rows)
        };
        if !whole {
            cut.push(table.name);
            // Behind the place where reading from the front ended there may be more.
            if !columns.is_empty() {
                copy(&old, &tx, table, &columns, "DESC", &mut rows);
            }
        }
    }
    tx.commit()?;
    Ok((rows, cut))
}

/// The columns of a table by their names in the old file and in the new one. They correspond by their place: a file of an earlier program
/// has fewer, none of them in another place, and a name may be what is damaged.
fn columns_of(old: &Connection, table: &Table) -> Vec<(String, &'static str)> {
    let known = old.prepare("SELECT name FROM pragma_table_info(?1)").and_then(|mut select| {
        let names = select.query_map([table.name], |row| text(row, 0))?;
        names.collect::<Result<Vec<_>, _>>()
    });
    let quoted = |name: String| format!("\"{}\"", name.replace('"', "\"\""));
    known.unwrap_or_default().into_iter().map(quoted).zip(table.columns.split(',').map(str::trim)).collect()
}

/// Copies rows in one direction until the table ends, and returns whether it did; rows that do not fit into the new table stay behind.
fn copy(
    old: &Connection,
    new: &Connection,
    table: &Table,
    columns: &[(String, &'static str)],
    order: &str,
    copied: &mut usize,
) -> bool {
    let (theirs, ours): (Vec<&str>, Vec<&str>) = columns.iter().map(|(theirs, ours)| (theirs.as_str(), *ours)).unzip();
    let places = vec!["?"; columns.len()].join(", ");
    let keys = table.order.split(',').map(str::trim).map(|key| {
        let place = ours.iter().position(|column| *column == key);
        format!("{} {order}", place.map_or(key, |place| theirs[place]))
    });
    let keys = keys.collect::<Vec<_>>().join(", ");
    let select = format!("SELECT {} FROM {} NOT INDEXED ORDER BY {keys}", theirs.join(", "), table.name);
    let insert = format!("INSERT OR IGNORE INTO {} ({}) VALUES ({places})", table.name, ours.join(", "));
    let (Ok(mut select), Ok(mut insert)) = (old.prepare(&select), new.prepare(&insert)) else { return false };
    let Ok(mut rows) = select.query([]) else { return false };
    let mut whole = true;
    // Damaged pages may lead in circles.
    for _ in 0..ROWS_READ_MAX {
        let row = match rows.next() {
            Ok(Some(row)) => row,
            Ok(None) => return whole,
            Err(_) => return false,
        };
        let values: rusqlite::Result<Vec<Value>> = (0..columns.len()).map(|column| value(row, column)).collect();
        match values.and_then(|values| insert.execute(params_from_iter(values))) {
            Ok(rows) => *copied += rows,
            Err(_) => whole = false,
        }
    }
    false
}

fn value(row: &Row<'_>, column: usize) -> rusqlite::Result<Value> {
    Ok(match row.get_ref(column)? {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(bytes) => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    })
}
