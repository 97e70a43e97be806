//! Table `home_tags`.

use std::collections::BTreeSet;

use hearthwatch_protocol::HomeId;
use rusqlite::{Connection, Transaction, params};

use super::query::{all, run};
use crate::store::StoreResult;

pub(super) fn of(connection: &Connection, home: &HomeId) -> StoreResult<BTreeSet<String>> {
    let select = "SELECT tag FROM home_tags WHERE home = ?1";
    Ok(all(connection, "list tags", select, [home.as_str()], |row| Ok(row.get(0)?))?.into_iter().collect())
}

/// Gives a home these tags and no others.
pub(super) fn set(tx: &Transaction<'_>, home: &HomeId, tags: &BTreeSet<String>) -> StoreResult<()> {
    run(tx, "set tags", "DELETE FROM home_tags WHERE home = ?1", [home.as_str()])?;
    for tag in tags {
        run(tx, "set tags", "INSERT INTO home_tags (home, tag) VALUES (?1, ?2)", params![home.as_str(), tag])?;
    }
    Ok(())
}
