//! A home's right to be forgotten: everything of it in every table.
//!
//! Tables are found by their columns, so that one that is added later is not forgotten: rows with the home in a column `home` are deleted, and in
//! every other text its name, as JSON quotes it, is replaced. The two chains (`audit`, `lineage`) stay as they are: a line that could be
//! changed would prove nothing. They hold the home's name, and nothing that its sensors said.

use std::collections::BTreeMap;

use hearthwatch_protocol::HomeId;
use rusqlite::{Connection, Transaction, params};

use super::query::{all, run};
use super::{StoreResult, engine, limited};
use crate::erasure::{ERASED, Erased, Forgotten, KeptSince};

/// Tables that stay as they are.
const CHAINS: [&str; 2] = ["audit", "lineage"];

/// Deletes and replaces.
pub(super) fn erase(tx: &Transaction<'_>, home: &HomeId) -> StoreResult<Erased> {
    let quoted = format!("\"{home}\"");
    let mut erased = Erased::default();
    let snapshots = "SELECT id FROM snapshots WHERE instr(lineage, ?1) > 0 ORDER BY id";
    erased.snapshots = all(tx, "erase a home", snapshots, [&quoted], |row| Ok(row.get(0)?))?;
    let mut tables: Vec<_> = tables(tx)?.into_iter().collect();
    // Answers first: triggers count them off in other tables.
    tables.sort_by_key(|(table, _)| table != "feedback");
    for (table, columns) in tables {
        if CHAINS.contains(&table.as_str()) {
            continue;
        }
        let mut rows = 0;
        if columns.iter().any(|(name, _)| name == "home") {
            rows += run(tx, "erase a home", &format!("DELETE FROM \"{table}\" WHERE home = ?1"), [home.as_str()])?;
        }
        for (column, _) in columns.iter().filter(|(name, kind)| kind == "TEXT" && name != "home") {
            // Names within JSON, and columns that hold nothing but a name.
            let replace = format!(
                "UPDATE \"{table}\" SET \"{column}\" = CASE WHEN \"{column}\" IN (?1, 'home:' || ?1) THEN ?3
                     ELSE replace(\"{column}\", ?2, '\"' || ?3 || '\"') END
                     WHERE \"{column}\" IN (?1, 'home:' || ?1) OR instr(\"{column}\", ?2) > 0"
            );
            rows += run(tx, "erase a home", &replace, params![home.as_str(), quoted, ERASED])?;
        }
        if rows > 0 {
            erased.rows.insert(table, rows as u64);
        }
    }
    // A call that waits for a second person names it in its path.
    let place = format!("/{home}/");
    let asked =
        "UPDATE approvals SET place = replace(place, ?1, '/' || ?2 || '/'), body = x'' WHERE instr(place, ?1) > 0";
    let asked = run(tx, "erase a home", asked, params![place, ERASED])?;
    if asked > 0 {
        *erased.rows.entry("approvals".to_owned()).or_default() += asked as u64;
    }
    // Answers that are given again may name it anywhere.
    let answers = "DELETE FROM idempotency WHERE instr(CAST(body AS TEXT), ?1) > 0";
    let answers = run(tx, "erase a home", answers, [home.as_str()])?;
    if answers > 0 {
        *erased.rows.entry("idempotency".to_owned()).or_default() += answers as u64;
    }
    Ok(erased)
}

/// Deletes what is older than it may be.
pub(super) fn forget_older(tx: &Transaction<'_>, since: KeptSince, most: usize) -> StoreResult<Forgotten> {
    let mut forgotten = Forgotten::default();
    let tables = [
        ("feedback", "received_at", since.answers),
        ("announced", "received_at", since.answers),
        ("quarantine", "at", since.quarantine),
    ];
    for (table, column, before) in tables {
        let Some(before) = before else { continue };
        let delete = format!(
            "DELETE FROM {table} WHERE (home, sequence) IN
                 (SELECT home, sequence FROM {table} WHERE {column} < ?1 ORDER BY {column} LIMIT ?2)"
        );
        // Refusals of nobody have no key but their number.
        let delete = if table == "quarantine" {
            "DELETE FROM quarantine WHERE id IN (SELECT id FROM quarantine WHERE at < ?1 ORDER BY id LIMIT ?2)"
                .to_owned()
        } else {
            delete
        };
        let rows = run(tx, "forget", &delete, params![before, limited(most)])?;
        forgotten.more |= rows >= most;
        if rows > 0 {
            forgotten.rows.insert(table.to_owned(), rows as u64);
        }
    }
    if let Some(before) = since.answers {
        let select = "SELECT id FROM snapshots WHERE created_at < ?1 ORDER BY id";
        forgotten.snapshots = all(tx, "forget", select, [before], |row| Ok(row.get(0)?))?;
    }
    Ok(forgotten)
}

/// Every table with its columns and their types.
fn tables(connection: &Connection) -> StoreResult<BTreeMap<String, Vec<(String, String)>>> {
    let select = "SELECT m.name, c.name, c.type FROM sqlite_master m JOIN pragma_table_info(m.name) c
         WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' ORDER BY 1, c.cid";
    let rows = all(connection, "erase a home", select, [], |row| {
        Ok((row.get::<_, String>(0)?, (row.get::<_, String>(1)?, row.get::<_, String>(2)?)))
    })?;
    let mut tables: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for (table, column) in rows {
        tables.entry(table).or_default().push(column);
    }
    Ok(tables)
}

/// Moves what was written into the file, and empties the log that may still hold what was deleted.
pub(super) fn empty_log(connection: &Connection) -> StoreResult<()> {
    let checkpoint = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    checkpoint.map(drop).map_err(engine("empty the log"))
}

#[cfg(test)]
mod tests;
