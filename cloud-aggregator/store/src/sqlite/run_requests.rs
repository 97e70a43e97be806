//! Table `run_requests`.

use rusqlite::{Connection, Params, params};

use super::{SqliteStore, corrupt, engine, limited, signed};
use crate::rows::{RequestState, RunTrigger};
use crate::run_requests::{RUN_REQUESTS_KEPT, RunRequestRow, RunRequestStore};
use crate::store::StoreError;

impl RunRequestStore for SqliteStore {
    fn put_run_request(&self, row: &RunRequestRow) -> Result<(), StoreError> {
        self.write("put run request", |transaction| {
            let put = "INSERT INTO run_requests
                 (id, trigger, by, state, asked_at, started_at, ended_at, attempts, run, reason)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                 ON CONFLICT (id) DO UPDATE SET state = ?4, started_at = ?6, ended_at = ?7, attempts = ?8, run = ?9,
                     reason = ?10";
            let values = params![
                row.id,
                row.trigger.as_str(),
                row.by,
                row.state.as_str(),
                row.asked_at,
                row.started_at,
                row.ended_at,
                row.attempts,
                row.run,
                row.reason,
            ];
            transaction.execute(put, values).map_err(engine("put run request"))?;
            let trim = "DELETE FROM run_requests WHERE ended_at IS NOT NULL
                 AND position <= (SELECT max(position) FROM run_requests) - ?1";
            transaction.execute(trim, [signed(RUN_REQUESTS_KEPT)]).map(drop).map_err(engine("put run request"))
        })
    }

    fn run_request(&self, id: &str) -> Result<Option<RunRequestRow>, StoreError> {
        Ok(select(&self.read(), "WHERE id = ?1", [id])?.pop())
    }

    fn run_requests_after(&self, after: Option<&str>, limit: usize) -> Result<Vec<RunRequestRow>, StoreError> {
        let Some(after) = after else {
            return select(&self.read(), "ORDER BY position DESC LIMIT ?1", [limited(limit)]);
        };
        let clause =
            "WHERE position < (SELECT position FROM run_requests WHERE id = ?1) ORDER BY position DESC LIMIT ?2";
        select(&self.read(), clause, params![after, limited(limit)])
    }

    fn open_run_requests(&self) -> Result<Vec<RunRequestRow>, StoreError> {
        select(&self.read(), "WHERE ended_at IS NULL ORDER BY position", [])
    }
}

fn select(connection: &Connection, clause: &str, values: impl Params) -> Result<Vec<RunRequestRow>, StoreError> {
    let select =
        "SELECT id, trigger, by, state, asked_at, started_at, ended_at, attempts, run, reason FROM run_requests";
    let mut statement = connection.prepare(&format!("{select} {clause}")).map_err(engine("list run requests"))?;
    let rows = statement.query_map(values, |row| {
        let (trigger, state): (String, String) = (row.get(1)?, row.get(3)?);
        let read = RunRequestRow {
            id: row.get(0)?,
            trigger: RunTrigger::Hand,
            by: row.get(2)?,
            state: RequestState::Queued,
            asked_at: row.get(4)?,
            started_at: row.get(5)?,
            ended_at: row.get(6)?,
            attempts: row.get(7)?,
            run: row.get(8)?,
            reason: row.get(9)?,
        };
        Ok((trigger, state, read))
    });
    let rows = rows.map_err(engine("list run requests"))?;
    rows.map(|row| {
        let (trigger, state, read) = row.map_err(engine("list run requests"))?;
        let trigger = RunTrigger::parse(&trigger).ok_or_else(|| corrupt("run_requests", trigger))?;
        let state = RequestState::parse(&state).ok_or_else(|| corrupt("run_requests", state))?;
        Ok(RunRequestRow { trigger, state, ..read })
    })
    .collect()
}
