//! Table `run_requests`.

use rusqlite::{Connection, Params, params};

use super::query::{all, run, word};
use super::{SqliteStore, limited, signed};
use crate::run_requests::{RUN_REQUESTS_KEPT, RunRequestRow, RunRequestStore};
use crate::store::StoreResult;

impl RunRequestStore for SqliteStore {
    fn put_run_request(&self, row: &RunRequestRow) -> StoreResult<()> {
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
            run(transaction, "put run request", put, values)?;
            let trim = "DELETE FROM run_requests WHERE ended_at IS NOT NULL
                 AND position <= (SELECT max(position) FROM run_requests) - ?1";
            run(transaction, "put run request", trim, [signed(RUN_REQUESTS_KEPT)]).map(drop)
        })
    }

    fn run_request(&self, id: &str) -> StoreResult<Option<RunRequestRow>> {
        Ok(select(&self.read(), "WHERE id = ?1", [id])?.pop())
    }

    fn run_requests_after(&self, after: Option<&str>, limit: usize) -> StoreResult<Vec<RunRequestRow>> {
        let Some(after) = after else {
            return select(&self.read(), "ORDER BY position DESC LIMIT ?1", [limited(limit)]);
        };
        let clause =
            "WHERE position < (SELECT position FROM run_requests WHERE id = ?1) ORDER BY position DESC LIMIT ?2";
        select(&self.read(), clause, params![after, limited(limit)])
    }

    fn open_run_requests(&self) -> StoreResult<Vec<RunRequestRow>> {
        select(&self.read(), "WHERE ended_at IS NULL ORDER BY position", [])
    }
}

pub(super) fn select(connection: &Connection, clause: &str, values: impl Params) -> StoreResult<Vec<RunRequestRow>> {
    let select =
        "SELECT id, trigger, by, state, asked_at, started_at, ended_at, attempts, run, reason FROM run_requests";
    all(connection, "list run requests", &format!("{select} {clause}"), values, |row| {
        Ok(RunRequestRow {
            id: row.get(0)?,
            trigger: word("run_requests", row, 1)?,
            by: row.get(2)?,
            state: word("run_requests", row, 3)?,
            asked_at: row.get(4)?,
            started_at: row.get(5)?,
            ended_at: row.get(6)?,
            attempts: row.get(7)?,
            run: row.get(8)?,
            reason: row.get(9)?,
        })
    })
}
