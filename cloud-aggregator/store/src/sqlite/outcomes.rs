//! Table `outcomes`: the last word of each home on each release.

use hearthwatch_protocol::messages::UpdateOutcome;
use hearthwatch_protocol::{HomeId, ModelVersion};
use rusqlite::{Connection, Params, Row, Transaction, params};

use super::query::{self, all, run};
use super::{corrupt, engine, limited, lineage, signed};
use crate::rows::{OutcomeKey, OutcomeRow, OutcomeTotals};
use crate::store::{CLOCK_AHEAD_SECONDS_MAX, IngestBatch, StoreResult};

pub(super) fn store(transaction: &Transaction<'_>, batch: &IngestBatch) -> StoreResult<()> {
    batch.outcomes.iter().try_for_each(|(home, outcome)| put(transaction, home, outcome, batch.at))
}

/// Keeps a word if it is the last one by the home's clock; the same word again changes nothing.
fn put(transaction: &Transaction<'_>, home: &HomeId, outcome: &UpdateOutcome, heard: i64) -> StoreResult<()> {
    let result = serde_json::to_string(&outcome.result).map_err(|error| corrupt("outcomes", error))?;
    let values = params![
        home.as_str(),
        signed(outcome.model_version.0),
        outcome.weighs_on_release(),
        outcome.at,
        outcome.stage.map(<&str>::from),
        result,
        heard,
    ];
    // Two statements: an upsert would take the lineage's triggers their own way with rows that they noted before.
    let update = "UPDATE outcomes SET at = ?4, stage = ?5, result = ?6, received_at = ?7
         WHERE home = ?1 AND model_version = ?2 AND weighs = ?3 AND (at < ?4 OR (at = ?4 AND result <> ?6))";
    let insert = "INSERT INTO outcomes (home, model_version, weighs, at, stage, result, received_at)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE NOT EXISTS
             (SELECT 1 FROM outcomes WHERE home = ?1 AND model_version = ?2 AND weighs = ?3)";
    if run(transaction, "store outcome", update, values)? == 0 {
        run(transaction, "store outcome", insert, values)?;
    }
    Ok(())
}

/// Whether storing this word would change something.
pub(super) fn is_news(connection: &Connection, home: &HomeId, outcome: &UpdateOutcome) -> StoreResult<bool> {
    let result = serde_json::to_string(&outcome.result).map_err(|error| corrupt("outcomes", error))?;
    let select = "SELECT NOT EXISTS (SELECT 1 FROM outcomes WHERE home = ?1 AND model_version = ?2 AND weighs = ?3
         AND (at > ?4 OR (at = ?4 AND result = ?5)))";
    let values =
        params![home.as_str(), signed(outcome.model_version.0), outcome.weighs_on_release(), outcome.at, result];
    query::one(connection, "look for outcome", select, values, |row| row.get(0))
}

const SELECT: &str = "SELECT home, model_version, at, result, received_at, stage FROM outcomes";
const ORDER: &str = "ORDER BY received_at DESC, home, at DESC";

pub(super) fn list(
    connection: &Connection,
    version: Option<ModelVersion>,
    limit: usize,
) -> StoreResult<Vec<OutcomeRow>> {
    match version {
        None => select(connection, &format!("{ORDER} LIMIT ?1"), [limited(limit)]),
        Some(version) => {
            let clause = format!("WHERE model_version = ?1 {ORDER} LIMIT ?2");
            select(connection, &clause, params![signed(version.0), limited(limit)])
        }
    }
}

/// Of one release, newest first, after a row.
pub(super) fn list_after(
    connection: &Connection,
    version: ModelVersion,
    after: Option<&OutcomeKey>,
    limit: usize,
) -> StoreResult<Vec<OutcomeRow>> {
    let Some(after) = after else { return list(connection, Some(version), limit) };
    let clause = format!(
        "WHERE model_version = ?1 AND received_at <= ?2
             AND (received_at < ?2 OR home > ?3 OR (home = ?3 AND at < ?4)) {ORDER} LIMIT ?5"
    );
    let values = params![signed(version.0), after.received_at, after.home.as_str(), after.at, limited(limit)];
    select(connection, &clause, values)
}

fn select(connection: &Connection, clause: &str, values: impl Params) -> StoreResult<Vec<OutcomeRow>> {
    let no_such_word = |error: serde_json::Error| corrupt("outcomes", error);
    all(connection, "list outcomes", &format!("{SELECT} {clause}"), values, |row| {
        Ok(OutcomeRow {
            home: query::home("outcomes", row, 0)?,
            model_version: ModelVersion(row.get(1)?),
            at: row.get(2)?,
            result: serde_json::from_str(&row.get::<_, String>(3)?).map_err(no_such_word)?,
            received_at: row.get(4)?,
            stage: serde_json::from_value(row.get::<_, Option<String>>(5)?.into()).map_err(no_such_word)?,
        })
    })
}

/// How many homes told each end of a release, from kept counts; and how many told of nothing but the way to it.
pub(super) fn totals(connection: &Connection, version: ModelVersion) -> StoreResult<OutcomeTotals> {
    let select = "SELECT kind, outcomes FROM outcome_kinds WHERE model_version = ?1";
    let read = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, u64>(1)?));
    let mut totals = OutcomeTotals::default();
    for (kind, outcomes) in all(connection, "count outcomes", select, [signed(version.0)], read)? {
        match kind.as_str() {
            "installed" => totals.installed = outcomes,
            "refused" => totals.refused = outcomes,
            "rolled_back" => totals.rolled_back = outcomes,
            // A kind that this program does not know was told by a newer agent.
            _ => {}
        }
    }
    let undelivered = "SELECT count(*) FROM outcomes AS way WHERE model_version = ?1 AND weighs = 0 AND NOT EXISTS
             (SELECT 1 FROM outcomes WHERE home = way.home AND model_version = ?1 AND weighs = 1)";
    totals.undelivered = query::one(connection, "count outcomes", undelivered, [signed(version.0)], |row| row.get(0))?;
    Ok(totals)
}

/// Moves what was stored before one word of each home and release counted. The lineage sees the old rows go and the new ones come.
/// Rows that cannot be read, and words on models that were never made, are let go.
pub(super) fn move_those_of_before(connection: &mut Connection) -> StoreResult<()> {
    let action = "move outcomes";
    let transaction = connection.transaction().map_err(engine(action))?;
    let there = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'outcomes_before')";
    let there: bool = query::one(&transaction, action, there, [], |row| row.get(0))?;
    if !there {
        return Ok(());
    }
    let select = "SELECT home, model_version, at, result, received_at FROM outcomes_before
         WHERE model_version IN (SELECT version FROM models UNION SELECT model_version FROM releases)
         ORDER BY at, received_at, rowid";
    let read = |row: &Row<'_>| {
        let (home, result): (String, String) = (row.get(0)?, row.get(3)?);
        Ok((home, ModelVersion(row.get(1)?), row.get::<_, i64>(2)?, result, row.get::<_, i64>(4)?))
    };
    for (home, model_version, at, result, heard) in all(&transaction, action, select, [], read)? {
        let (Ok(home), Ok(result)) = (HomeId::new(home), serde_json::from_str(&result)) else { continue };
        let at = at.min(heard.saturating_add(CLOCK_AHEAD_SECONDS_MAX));
        put(&transaction, &home, &UpdateOutcome { model_version, stage: None, result, at }, heard)?;
    }
    let gone = "INSERT OR IGNORE INTO touched
         SELECT 'outcome', home || '/' || model_version || '/' || at FROM outcomes_before";
    run(&transaction, action, gone, [])?;
    run(&transaction, action, "DROP TABLE outcomes_before", [])?;
    lineage::seal(&transaction)?;
    transaction.commit().map_err(engine(action))
}

#[cfg(test)]
mod tests;
