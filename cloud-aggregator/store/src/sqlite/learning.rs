//! Tables `snapshots` and `runs`.

use hearthwatch_protocol::ModelVersion;
use rusqlite::{Connection, Params, params};

use super::query::{self, all, first, word};
use super::{limited, lost, signed};
use crate::rows::{RunRow, SnapshotRow};
use crate::store::StoreResult;

pub(super) fn put_snapshot(connection: &Connection, row: &SnapshotRow) -> StoreResult<()> {
    let insert = "INSERT INTO snapshots (id, created_at, rows, homes, watermark, corpus, lineage)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (id) DO UPDATE SET watermark = ?5, lineage = ?7 WHERE watermark < ?5";
    let (rows, homes, watermark) = (signed(row.rows), signed(row.homes), signed(row.watermark));
    let values = params![row.id, row.created_at, rows, homes, watermark, row.corpus, row.lineage];
    query::run(connection, "put snapshot", insert, values).map(drop)
}

pub(super) fn snapshot(connection: &Connection, id: &str) -> StoreResult<Option<SnapshotRow>> {
    Ok(select_snapshots(connection, "WHERE id = ?1", [id])?.pop())
}

/// Newest first, after `after`.
pub(super) fn snapshots(connection: &Connection, after: Option<&str>, limit: usize) -> StoreResult<Vec<SnapshotRow>> {
    select_snapshots(connection, &newest_after("snapshots", "created_at", after), params![after, limited(limit)])
}

/// What a page of `table` is: newest first by `time`, after the row of the id ?1 if one is given, at most ?2 rows.
fn newest_after(table: &str, time: &str, after: Option<&str>) -> String {
    let from = match after {
        None => "?1 IS NULL".to_owned(),
        Some(_) => format!("({time}, rowid) < (SELECT {time}, rowid FROM {table} WHERE id = ?1)"),
    };
    format!("WHERE {from} ORDER BY {time} DESC, rowid DESC LIMIT ?2")
}

/// Read from the index alone.
pub(super) fn newest_recall(connection: &Connection) -> StoreResult<Option<String>> {
    let select = "SELECT CASE WHEN json_valid(lineage) THEN json_extract(lineage, '$.recall') END FROM snapshots
         ORDER BY created_at DESC LIMIT 1";
    Ok(first(connection, "look up recall", select, [], |row| Ok(row.get::<_, Option<String>>(0)?))?.flatten())
}

fn select_snapshots(connection: &Connection, clause: &str, values: impl Params) -> StoreResult<Vec<SnapshotRow>> {
    let select = format!("SELECT id, created_at, rows, homes, watermark, corpus, lineage FROM snapshots {clause}");
    all(connection, "list snapshots", &select, values, |row| {
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
}

pub(super) fn put_run(connection: &Connection, row: &RunRow) -> StoreResult<()> {
    let insert = "INSERT INTO runs
         (id, snapshot, trigger, config, champion, state, started_at, ended_at, challenger, report, failure)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
         ON CONFLICT (id) DO UPDATE SET trigger = ?3, state = ?6, started_at = ?7, ended_at = ?8,
             challenger = ?9, report = ?10, failure = ?11";
    let values = params![
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
    ];
    query::run(connection, "put run", insert, values).map(drop)
}

/// Marks a held run as promoted.
pub(super) fn promote_run(connection: &Connection, id: &str) -> StoreResult<()> {
    let update = "UPDATE runs SET state = 'promoted' WHERE id = ?1 AND state IN ('held', 'promoted')";
    if query::run(connection, "promote run", update, [id])? > 0 {
        return Ok(());
    }
    let now = run(connection, id)?.map(|run| (run.state.as_str(), 0));
    Err(lost("run", id.to_owned(), now))
}

pub(super) fn run(connection: &Connection, id: &str) -> StoreResult<Option<RunRow>> {
    Ok(select_runs(connection, "WHERE id = ?1", [id])?.pop())
}

/// Newest first, after `after`.
pub(super) fn runs(connection: &Connection, after: Option<&str>, limit: usize) -> StoreResult<Vec<RunRow>> {
    select_runs(connection, &newest_after("runs", "started_at", after), params![after, limited(limit)])
}

pub(super) fn select_runs(connection: &Connection, clause: &str, values: impl Params) -> StoreResult<Vec<RunRow>> {
    let select = format!(
        "SELECT id, snapshot, trigger, config, champion, state, started_at, ended_at, challenger, report, failure
             FROM runs {clause}"
    );
    all(connection, "list runs", &select, values, |row| {
        Ok(RunRow {
            id: row.get(0)?,
            snapshot: row.get(1)?,
            trigger: word("runs", row, 2)?,
            config: row.get(3)?,
            champion: row.get::<_, Option<u64>>(4)?.map(ModelVersion),
            state: word("runs", row, 5)?,
            started_at: row.get(6)?,
            ended_at: row.get(7)?,
            challenger: row.get(8)?,
            report: row.get(9)?,
            failure: row.get(10)?,
        })
    })
}
