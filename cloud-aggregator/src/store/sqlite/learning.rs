//! Tables `snapshots` and `runs`.

use hearthwatch_protocol::ModelVersion;
use rusqlite::{Connection, params};

use super::{corrupt, engine, limited, signed};
use crate::store::{RunRow, RunState, RunTrigger, SnapshotRow, StoreError};

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

pub(super) fn snapshots(
    connection: &Connection,
    only: Option<&str>,
    limit: usize,
) -> Result<Vec<SnapshotRow>, StoreError> {
    let mut statement = connection
        .prepare(
            "SELECT id, created_at, rows, homes, watermark, corpus, lineage FROM snapshots
                 WHERE ?1 IS NULL OR id = ?1 ORDER BY created_at DESC, rowid DESC LIMIT ?2",
        )
        .map_err(engine("list snapshots"))?;
    let rows = statement
        .query_map(params![only, limited(limit)], |row| {
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

pub(super) fn runs(connection: &Connection, only: Option<&str>, limit: usize) -> Result<Vec<RunRow>, StoreError> {
    let mut statement = connection
        .prepare(
            "SELECT id, snapshot, trigger, config, champion, state, started_at, ended_at, challenger, report, failure
                 FROM runs WHERE ?1 IS NULL OR id = ?1 ORDER BY started_at DESC, rowid DESC LIMIT ?2",
        )
        .map_err(engine("list runs"))?;
    let rows = statement
        .query_map(params![only, limited(limit)], |row| {
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
