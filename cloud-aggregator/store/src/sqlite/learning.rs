//! Tables `snapshots` and `runs`.

use hearthwatch_protocol::ModelVersion;
use rusqlite::{Connection, OptionalExtension as _, Params, params};

use super::{corrupt, engine, limited, signed};
use crate::rows::{RunRow, RunState, RunTrigger, SnapshotRow};
use crate::store::StoreError;

pub(super) fn put_snapshot(connection: &Connection, row: &SnapshotRow) -> Result<(), StoreError> {
    connection
        .execute(
            "INSERT INTO snapshots (id, created_at, rows, homes, watermark, corpus, lineage)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (id) DO UPDATE SET watermark = ?5, lineage = ?7 WHERE watermark < ?5",
            params![
                row.id,
                row.created_at,
                signed(row.rows),
                signed(row.homes),
                signed(row.watermark),
                row.corpus,
                row.lineage
            ],
        )
        .map(drop)
        .map_err(engine("put snapshot"))
}

pub(super) fn snapshot(connection: &Connection, id: &str) -> Result<Option<SnapshotRow>, StoreError> {
    Ok(select_snapshots(connection, "WHERE id = ?1", [id])?.pop())
}

/// Newest first, after `after`.
pub(super) fn snapshots(
    connection: &Connection,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<SnapshotRow>, StoreError> {
    let order = "ORDER BY created_at DESC, rowid DESC";
    match after {
        None => select_snapshots(connection, &format!("{order} LIMIT ?1"), [limited(limit)]),
        Some(after) => {
            let clause = format!(
                "WHERE (created_at, rowid) < (SELECT created_at, rowid FROM snapshots WHERE id = ?1) {order} LIMIT ?2"
            );
            select_snapshots(connection, &clause, params![after, limited(limit)])
        }
    }
}

/// Read from the index alone.
pub(super) fn newest_recall(connection: &Connection) -> Result<Option<String>, StoreError> {
    let select = "SELECT CASE WHEN json_valid(lineage) THEN json_extract(lineage, '$.recall') END FROM snapshots
         ORDER BY created_at DESC LIMIT 1";
    let mut statement = connection.prepare(select).map_err(engine("look up recall"))?;
    let found = statement.query_row([], |row| row.get::<_, Option<String>>(0)).optional();
    Ok(found.map_err(engine("look up recall"))?.flatten())
}

fn select_snapshots(
    connection: &Connection,
    clause: &str,
    values: impl Params,
) -> Result<Vec<SnapshotRow>, StoreError> {
    let select = format!("SELECT id, created_at, rows, homes, watermark, corpus, lineage FROM snapshots {clause}");
    let mut statement = connection.prepare(&select).map_err(engine("list snapshots"))?;
    let rows = statement
        .query_map(values, |row| {
            Ok(SnapshotRow {
                id: row.get(0)?,
                created_at: row.get(1)?,
                rows: row.get(2)?,
                homes: row.get(3)?,
                watermark: row.get(4)?,
                corpus: row.get(5)?,
                lineage: row.get(6)?,
            })
        })
        .map_err(engine("list snapshots"))?;
    rows.collect::<rusqlite::Result<_>>().map_err(engine("list snapshots"))
}

pub(super) fn put_run(connection: &Connection, row: &RunRow) -> Result<(), StoreError> {
    connection
        .execute(
            "INSERT INTO runs
                 (id, snapshot, trigger, config, champion, state, started_at, ended_at, challenger, report, failure)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
                 ON CONFLICT (id) DO UPDATE SET trigger = ?3, state = ?6, started_at = ?7, ended_at = ?8,
                     challenger = ?9, report = ?10, failure = ?11",
            params![
                row.id,
                row.snapshot,
                row.trigger.as_str(),
                row.config,
                row.champion.map(|version| signed(version.0)),
                row.state.as_str(),
                row.started_at,
                row.ended_at,
                row.challenger,
                row.report,
                row.failure,
            ],
        )
        .map(drop)
        .map_err(engine("put run"))
}

/// Marks a held run as promoted.
pub(super) fn promote_run(connection: &Connection, id: &str) -> Result<(), StoreError> {
    let update = "UPDATE runs SET state = 'promoted' WHERE id = ?1 AND state IN ('held', 'promoted')";
    if connection.execute(update, [id]).map_err(engine("promote run"))? > 0 {
        return Ok(());
    }
    let id = id.to_owned();
    Err(match run(connection, &id)? {
        None => StoreError::NotFound { noun: "run", id },
        Some(run) => StoreError::Conflict { noun: "run", id, present: run.state.as_str().to_owned(), row_version: 0 },
    })
}

pub(super) fn run(connection: &Connection, id: &str) -> Result<Option<RunRow>, StoreError> {
    Ok(select_runs(connection, "WHERE id = ?1", [id])?.pop())
}

/// Newest first, after `after`.
pub(super) fn runs(connection: &Connection, after: Option<&str>, limit: usize) -> Result<Vec<RunRow>, StoreError> {
    let order = "ORDER BY started_at DESC, rowid DESC";
    match after {
        None => select_runs(connection, &format!("{order} LIMIT ?1"), [limited(limit)]),
        Some(after) => {
            let clause = format!(
                "WHERE (started_at, rowid) < (SELECT started_at, rowid FROM runs WHERE id = ?1) {order} LIMIT ?2"
            );
            select_runs(connection, &clause, params![after, limited(limit)])
        }
    }
}

fn select_runs(connection: &Connection, clause: &str, values: impl Params) -> Result<Vec<RunRow>, StoreError> {
    let select = format!(
        "SELECT id, snapshot, trigger, config, champion, state, started_at, ended_at, challenger, report, failure
             FROM runs {clause}"
    );
    let mut statement = connection.prepare(&select).map_err(engine("list runs"))?;
    let rows = statement
        .query_map(values, |row| {
            let (trigger, state): (String, String) = (row.get(2)?, row.get(5)?);
            let read = RunRow {
                id: row.get(0)?,
                snapshot: row.get(1)?,
                trigger: RunTrigger::Hand,
                config: row.get(3)?,
                champion: row.get::<_, Option<u64>>(4)?.map(ModelVersion),
                state: RunState::Failed,
                started_at: row.get(6)?,
                ended_at: row.get(7)?,
                challenger: row.get(8)?,
                report: row.get(9)?,
                failure: row.get(10)?,
            };
            Ok((trigger, state, read))
        })
        .map_err(engine("list runs"))?;
    rows.map(|row| {
        let (trigger, state, read) = row.map_err(engine("list runs"))?;
        let trigger = RunTrigger::parse(&trigger).ok_or_else(|| corrupt("runs", trigger))?;
        let state = RunState::parse(&state).ok_or_else(|| corrupt("runs", state))?;
        Ok(RunRow { trigger, state, ..read })
    })
    .collect()
}
