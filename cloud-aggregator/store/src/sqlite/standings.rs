//! Tables `reputation`, `standings`.

use hearthwatch_protocol::HomeId;
use rusqlite::{Connection, Params, Transaction, params};

use super::query::{self, all, home, run};
use super::{SqliteStore, StoreResult, limited, rounds, signed};
use crate::rounds::{RoundHomeRow, RoundRow};
use crate::standings::{Remembered, ReputationRow, StandingRow, StandingStore};

impl StandingStore for SqliteStore {
    fn reputation(&self) -> StoreResult<Option<ReputationRow>> {
        let select = "SELECT seed, rounds, before FROM reputation";
        query::first(&self.read(), "read reputation", select, [], |row| {
            Ok(ReputationRow { seed: row.get(0)?, rounds: row.get(1)?, before: row.get(2)? })
        })
    }

    fn standings(&self, after: Option<&HomeId>, limit: usize) -> StoreResult<Vec<StandingRow>> {
        let after = after.map_or("", HomeId::as_str);
        select(&self.read(), "WHERE home > ?1 ORDER BY home LIMIT ?2", params![after, limited(limit)])
    }

    fn suspected(&self, least: f64, limit: usize) -> StoreResult<Vec<StandingRow>> {
        let clause = "WHERE suspicion >= ?1 ORDER BY suspicion DESC, home LIMIT ?2";
        select(&self.read(), clause, params![least, limited(limit)])
    }

    fn advance_round_and_remember(
        &self,
        row: &RoundRow,
        homes: &[RoundHomeRow],
        remembered: &Remembered,
    ) -> StoreResult<RoundRow> {
        self.write("advance round", |transaction| {
            let row = rounds::advance(transaction, row, homes)?;
            remember(transaction, remembered).map(|()| row)
        })
    }
}

fn remember(tx: &Transaction<'_>, remembered: &Remembered) -> StoreResult<()> {
    let ReputationRow { seed, rounds, before } = &remembered.reputation;
    let insert = "INSERT OR REPLACE INTO reputation (id, seed, rounds, before) VALUES (0, ?1, ?2, ?3)";
    run(tx, "put reputation", insert, params![&seed[..], signed(*rounds), before])?;
    let insert = format!("INSERT OR REPLACE INTO standings ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)");
    for row in &remembered.standings {
        let (alike, cosine) = row.alike.as_ref().map(|(home, cosine)| (home, cosine)).unzip();
        let StandingRow { home, rounds, left_out, copied, suspicion, latest, way, .. } = row;
        let values = params![home.as_str(), rounds, left_out, copied, alike, cosine, suspicion, signed(*latest), way];
        run(tx, "put standing", &insert, values)?;
    }
    remembered.forgotten.iter().try_for_each(|home| forget(tx, home).map(drop))
}

/// Whether there was anything to forget.
pub(super) fn forget(tx: &Transaction<'_>, home: &HomeId) -> StoreResult<bool> {
    Ok(run(tx, "forget standing", "DELETE FROM standings WHERE home = ?1", [home.as_str()])? > 0)
}

/// What is left of a home's deltas goes; that it was left out stays, or it would come back as another.
pub(super) fn erase_way(tx: &Transaction<'_>, home: &HomeId) -> StoreResult<()> {
    let update = "UPDATE standings SET way = zeroblob(length(way)) WHERE home = ?1";
    run(tx, "erase sketch", update, [home.as_str()]).map(drop)
}

const COLUMNS: &str = "home, rounds, left_out, copied, alike, cosine, suspicion, latest, way";

fn select(connection: &Connection, clause: &str, values: impl Params) -> StoreResult<Vec<StandingRow>> {
    let select = format!("SELECT {COLUMNS} FROM standings {clause}");
    all(connection, "list standings", &select, values, |row| {
        let alike: Option<String> = row.get(4)?;
        Ok(StandingRow {
            home: home("standings", row, 0)?,
            rounds: row.get(1)?,
            left_out: row.get(2)?,
            copied: row.get(3)?,
            alike: alike.zip(row.get(5)?),
            suspicion: row.get(6)?,
            latest: row.get(7)?,
            way: row.get(8)?,
        })
    })
}
