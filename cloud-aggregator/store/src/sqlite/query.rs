//! Statements, and what comes of them in the store's own errors.

use std::str::FromStr;

use hearthwatch_protocol::HomeId;
use rusqlite::{Connection, Params, Row};

use super::{StoreError, StoreResult, corrupt, engine};

/// Why a row was not read: the engine could not, or the row holds what this program never writes.
pub(super) enum Fault {
    Engine(rusqlite::Error),
    Row(StoreError),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Engine(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Row(error)
    }
}

impl Fault {
    /// Ours for the engine's, of what was being done.
    pub(super) fn during(action: &'static str) -> impl FnOnce(Self) -> StoreError {
        move |fault| match fault {
            Self::Engine(error) => engine(action)(error),
            Self::Row(error) => error,
        }
    }
}

/// Runs a statement that finds nothing; how many rows it changed.
pub(super) fn run(connection: &Connection, action: &'static str, sql: &str, values: impl Params) -> StoreResult<usize> {
    connection.execute(sql, values).map_err(engine(action))
}

/// Every row that `sql` finds, as `read` makes it out.
pub(super) fn all<T>(
    connection: &Connection,
    action: &'static str,
    sql: &str,
    values: impl Params,
    read: impl Fn(&Row<'_>) -> Result<T, Fault>,
) -> StoreResult<Vec<T>> {
    let look = || {
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query(values)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(read(row)?);
        }
        Ok(found)
    };
    look().map_err(Fault::during(action))
}

/// The first row that `sql` finds; none if it finds none.
pub(super) fn first<T>(
    connection: &Connection,
    action: &'static str,
    sql: &str,
    values: impl Params,
    read: impl FnOnce(&Row<'_>) -> Result<T, Fault>,
) -> StoreResult<Option<T>> {
    let look = || {
        let mut statement = connection.prepare(sql)?;
        statement.query(values)?.next()?.map(read).transpose()
    };
    look().map_err(Fault::during(action))
}

/// The row of a statement that always finds one.
pub(super) fn one<T>(
    connection: &Connection,
    action: &'static str,
    sql: &str,
    values: impl Params,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> StoreResult<T> {
    connection.query_row(sql, values, read).map_err(engine(action))
}

/// The home that a column of `table` names.
pub(super) fn home(table: &'static str, row: &Row<'_>, column: usize) -> Result<HomeId, Fault> {
    Ok(HomeId::new(row.get::<_, String>(column)?).map_err(|error| corrupt(table, error))?)
}

/// What the word in a column of `table` stands for.
pub(super) fn word<T: FromStr>(table: &'static str, row: &Row<'_>, column: usize) -> Result<T, Fault> {
    let word: String = row.get(column)?;
    Ok(word.parse().map_err(|_| corrupt(table, word))?)
}
