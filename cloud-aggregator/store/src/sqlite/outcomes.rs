//! Table `outcomes`: the last word of each home on each release.

use hearthwatch_protocol::messages::{UpdateOutcome, UpdateResult};
use hearthwatch_protocol::{HomeId, ModelVersion};
use rusqlite::{Connection, Params, Transaction, params};

use super::{corrupt, engine, home_id, limited, lineage, signed};
use crate::rows::{OutcomeKey, OutcomeRow, OutcomeTotals};
use crate::store::{CLOCK_AHEAD_SECONDS_MAX, IngestBatch, StoreError};

pub(super) fn store(transaction: &Transaction<'_>, batch: &IngestBatch) -> Result<(), StoreError> {
    batch.outcomes.iter().try_for_each(|(home, outcome)| put(transaction, home, outcome, batch.at))
}

/// Keeps a word if it is the last one by the home's clock; the same word again changes nothing.
fn put(transaction: &Transaction<'_>, home: &HomeId, outcome: &UpdateOutcome, heard: i64) -> Result<(), StoreError> {
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
    if transaction.execute(update, values).map_err(engine("store outcome"))? == 0 {
        transaction.execute(insert, values).map_err(engine("store outcome"))?;
    }
    Ok(())
}

const SELECT: &str = "SELECT home, model_version, at, result, received_at, stage FROM outcomes";
const ORDER: &str = "ORDER BY received_at DESC, home, at DESC";

pub(super) fn list(
    connection: &Connection,
    version: Option<ModelVersion>,
    limit: usize,
) -> Result<Vec<OutcomeRow>, StoreError> {
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
) -> Result<Vec<OutcomeRow>, StoreError> {
    let Some(after) = after else { return list(connection, Some(version), limit) };
    let clause = format!(
        "WHERE model_version = ?1 AND received_at <= ?2
             AND (received_at < ?2 OR home > ?3 OR (home = ?3 AND at < ?4)) {ORDER} LIMIT ?5"
    );
    let values = params![signed(version.0), after.received_at, after.home.as_str(), after.at, limited(limit)];
    select(connection, &clause, values)
}

fn select(connection: &Connection, clause: &str, values: impl Params) -> Result<Vec<OutcomeRow>, StoreError> {
    let mut statement = connection.prepare(&format!("{SELECT} {clause}")).map_err(engine("list outcomes"))?;
    let rows = statement
        .query_map(values, |row| {
            let (home, result, stage): (String, String, Option<String>) = (row.get(0)?, row.get(3)?, row.get(5)?);
            Ok((home, ModelVersion(row.get(1)?), row.get(2)?, (result, stage), row.get(4)?))
        })
        .map_err(engine("list outcomes"))?;
    rows.map(|row| {
        let (home, model_version, at, (result, stage), received_at) = row.map_err(engine("list outcomes"))?;
        let result: UpdateResult = serde_json::from_str(&result).map_err(|error| corrupt("outcomes", error))?;
        let stage = serde_json::from_value(stage.into()).map_err(|error| corrupt("outcomes", error))?;
        Ok(OutcomeRow { home: home_id("outcomes", home)?, model_version, stage, result, at, received_at })
    })
    .collect()
}

/// How many homes told each end of a release, from kept counts; and how many told of nothing but the way to it.
pub(super) fn totals(connection: &Connection, version: ModelVersion) -> Result<OutcomeTotals, StoreError> {
    let select = "SELECT kind, outcomes FROM outcome_kinds WHERE model_version = ?1";
    let mut statement = connection.prepare(select).map_err(engine("count outcomes"))?;
    let rows = statement
        .query_map([signed(version.0)], |row| Ok((row.get::<_, String>(0)?, row.get::<_, u64>(1)?)))
        .map_err(engine("count outcomes"))?;
    let mut totals = OutcomeTotals::default();
    for row in rows {
        let (kind, outcomes) = row.map_err(engine("count outcomes"))?;
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
    totals.undelivered =
        connection.query_row(undelivered, [signed(version.0)], |row| row.get(0)).map_err(engine("count outcomes"))?;
    Ok(totals)
}

/// Moves what was stored before one word of each home and release counted. The lineage sees the old rows go and the new ones come.
/// Rows that cannot be read, and words on models that were never made, are let go.
pub(super) fn move_those_of_before(connection: &mut Connection) -> Result<(), StoreError> {
    let action = "move outcomes";
    let transaction = connection.transaction().map_err(engine(action))?;
    let there = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'outcomes_before')";
    let there: bool = transaction.query_row(there, [], |row| row.get(0)).map_err(engine(action))?;
    if !there {
        return Ok(());
    }
    {
        let select = "SELECT home, model_version, at, result, received_at FROM outcomes_before
             WHERE model_version IN (SELECT version FROM models UNION SELECT model_version FROM releases)
             ORDER BY at, received_at, rowid";
        let mut statement = transaction.prepare(select).map_err(engine(action))?;
        let mut rows = statement.query([]).map_err(engine(action))?;
        while let Some(row) = rows.next().map_err(engine(action))? {
            let (home, result): (String, String) =
                (row.get(0).map_err(engine(action))?, row.get(3).map_err(engine(action))?);
            let model_version = ModelVersion(row.get(1).map_err(engine(action))?);
            let (at, heard): (i64, i64) = (row.get(2).map_err(engine(action))?, row.get(4).map_err(engine(action))?);
            let (Ok(home), Ok(result)) = (HomeId::new(home), serde_json::from_str(&result)) else { continue };
            let at = at.min(heard.saturating_add(CLOCK_AHEAD_SECONDS_MAX));
            put(&transaction, &home, &UpdateOutcome { model_version, stage: None, result, at }, heard)?;
        }
    }
    let gone = "INSERT OR IGNORE INTO touched
         SELECT 'outcome', home || '/' || model_version || '/' || at FROM outcomes_before";
    transaction.execute(gone, []).map_err(engine(action))?;
    transaction.execute("DROP TABLE outcomes_before", []).map_err(engine(action))?;
    lineage::seal(&transaction)?;
    transaction.commit().map_err(engine(action))
}

#[cfg(test)]
mod tests;
