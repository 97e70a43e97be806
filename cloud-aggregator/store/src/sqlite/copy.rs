//! A copy of a database that is in use, and what is in it.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _};

use super::{StoreResult, connect, engine, schema_version};
use crate::rows::Digest;

/// What a database holds, in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contents {
    /// Version of its schema.
    pub schema: u32,
    /// Rows by table.
    pub tables: BTreeMap<String, u64>,
    /// Lines of the lineage's chain, and the hash of the last; zeros for none.
    pub lineage: (u64, Digest),
    /// Lines of the audit log, and the hash of the last; zeros for none.
    pub audit: (u64, Digest),
    /// Names of files that rows stand for: hexadecimal SHA-256 of models.
    pub models: Vec<String>,
    /// Ids of snapshots.
    pub snapshots: Vec<String>,
}

/// Writes everything that the database `from` holds at one moment to the new file `to`, while others go on reading and writing. What was
/// deleted is not in the copy. Nothing is migrated.
///
/// # Errors
/// [`StoreError::Engine`](crate::StoreError::Engine) when `from` cannot be read or `to` is there already.
pub fn copy_database(from: &Path, to: &Path) -> StoreResult<()> {
    let connection = connect(from)?;
    let to = to.to_string_lossy();
    let to: &str = &to;
    connection.execute("VACUUM INTO ?1", [to]).map(drop).map_err(engine("copy the database"))
}

/// Counts what a database holds. It is read as it is, and not migrated.
///
/// # Errors
/// [`StoreError::Engine`](crate::StoreError::Engine) when it cannot be read.
pub fn contents(file: &Path) -> StoreResult<Contents> {
    let connection = connect(file)?;
    let read = || -> rusqlite::Result<Contents> {
        let tables = names(&connection, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")?;
        let mut counts = BTreeMap::new();
        for table in tables.into_iter().filter(|table| !table.starts_with("sqlite_")) {
            // Names of our own tables: none has a quote in it.
            let count = connection.query_row(&format!("SELECT count(*) FROM \"{table}\""), [], |row| row.get(0))?;
            counts.insert(table, count);
        }
        Ok(Contents {
            schema: schema_version(&connection)?,
            tables: counts,
            lineage: last(&connection, "lineage")?,
            audit: last(&connection, "audit")?,
            models: names(&connection, "SELECT DISTINCT sha256 FROM models ORDER BY 1")?,
            snapshots: names(&connection, "SELECT id FROM snapshots ORDER BY 1")?,
        })
    };
    read().map_err(engine("read the database"))
}

pub(super) fn names(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<String>> {
    connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
}

fn last(connection: &Connection, table: &str) -> rusqlite::Result<(u64, Digest)> {
    let select = format!("SELECT position, hash FROM {table} ORDER BY position DESC LIMIT 1");
    let found = connection.query_row(&select, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(found.unwrap_or((0, [0; 32])))
}

/// Admin tokens of a database that are in force at `now`, Unix seconds. It is read as it is, and not migrated.
///
/// # Errors
/// [`StoreError::Engine`](crate::StoreError::Engine) when it cannot be read.
pub fn admin_tokens(file: &Path, now: i64) -> StoreResult<usize> {
    let select = "SELECT count(*) FROM tokens
         WHERE role = 'admin' AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?1)";
    connect(file)?.query_row(select, [now], |row| row.get(0)).map_err(engine("count tokens"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store as _;
    use crate::sqlite::SqliteStore;

    #[test]
    fn a_copy_has_all_rows_and_both_chains_while_the_store_is_in_use() {
        let (directory, store) = crate::fixtures::store();
        store.enrol_home(&crate::fixtures::home("a"), 5).unwrap();
        store.append_audit(&crate::fixtures::entry("home.revoke", "a")).unwrap();
        let (from, to) = (directory.path().join("store.db"), directory.path().join("copy.db"));
        copy_database(&from, &to).unwrap();
        store.enrol_home(&crate::fixtures::home("b"), 6).unwrap();
        let copied = contents(&to).unwrap();
        assert_eq!((copied.tables["homes"], copied.audit.0), (1, 1));
        assert_eq!(contents(&from).unwrap().tables["homes"], 2);
        let opened = SqliteStore::open(&to).unwrap();
        assert_eq!(opened.verify_lineage().unwrap().findings, []);
        assert!(copy_database(&from, &to).is_err(), "what is there is not written over");
    }
}
