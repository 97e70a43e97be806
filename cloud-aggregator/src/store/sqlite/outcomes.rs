//! Table `outcomes`: the last word of each home on each release.

use hearthwatch_protocol::messages::{UpdateOutcome, UpdateResult};
use hearthwatch_protocol::{HomeId, ModelVersion};
use rusqlite::{Connection, Transaction, params};

use super::{corrupt, engine, home_id, limited, lineage, signed};
use crate::ingest::admission::CLOCK_AHEAD_SECONDS_MAX;
use crate::store::{IngestBatch, OutcomeRow, StoreError, stage_word};

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
        outcome.stage.map(stage_word),
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

pub(super) fn list(
    connection: &Connection,
    version: Option<ModelVersion>,
    limit: usize,
) -> Result<Vec<OutcomeRow>, StoreError> {
    let mut statement = connection
        .prepare(
            "SELECT home, model_version, at, result, received_at, stage FROM outcomes
                 WHERE ?1 IS NULL OR model_version = ?1 ORDER BY received_at DESC, home, at DESC LIMIT ?2",
        )
        .map_err(engine("list outcomes"))?;
    let rows = statement
        .query_map(params![version.map(|version| signed(version.0)), limited(limit)], |row| {
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
