//! Tables `round_groups` and `round_requests`.

use hearthwatch_protocol::HomeId;
use hearthwatch_protocol::round::SignedGroupRequest;
use rusqlite::{Connection, Params, Transaction, params};

use super::super::query::{all, home, run};
use super::super::{StoreResult, signed};
use crate::rounds::{GroupRow, RequestRow};

/// Writes groups and the requests of the exchange that opens; the bodies of the one before go.
pub(super) fn put(tx: &Transaction<'_>, round: u64, groups: &[GroupRow], requests: &[RequestRow]) -> StoreResult<()> {
    let insert = "INSERT INTO round_groups (round, number, state, sum, reason) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (round, number) DO UPDATE SET state = ?3, sum = ?4, reason = ?5";
    for row in groups {
        run(tx, "put group", insert, params![signed(round), row.number, row.state, row.sum, row.reason])?;
    }
    run(tx, "drop round parts", "DELETE FROM round_parts WHERE round = ?1", [signed(round)])?;
    run(tx, "drop requests", "DELETE FROM round_requests WHERE round = ?1", [signed(round)])?;
    let insert = "INSERT INTO round_requests (round, home, number, signed, body) VALUES (?1, ?2, ?3, ?4, ?5)";
    for row in requests {
        let values = params![signed(round), row.home.as_str(), row.group, row.signed.as_bytes(), row.body];
        run(tx, "put request", insert, values)?;
    }
    Ok(())
}

/// Forgets both of a round.
pub(super) fn end(tx: &Transaction<'_>, round: u64) -> StoreResult<()> {
    for delete in ["DELETE FROM round_groups WHERE round = ?1", "DELETE FROM round_requests WHERE round = ?1"] {
        run(tx, "end groups", delete, [signed(round)])?;
    }
    Ok(())
}

pub(super) fn groups(connection: &Connection, round: u64) -> StoreResult<Vec<GroupRow>> {
    select(connection, "WHERE round = ?1 ORDER BY number", [signed(round)])
}

/// The group of a home that is asked for something now.
pub(super) fn of_home(connection: &Connection, round: u64, home: &HomeId) -> StoreResult<Option<GroupRow>> {
    let number = "(SELECT number FROM round_requests WHERE round = ?1 AND home = ?2)";
    let clause = format!("WHERE round = ?1 AND number = {number}");
    Ok(select(connection, &clause, params![signed(round), home.as_str()])?.pop())
}

fn select(connection: &Connection, clause: &str, values: impl Params) -> StoreResult<Vec<GroupRow>> {
    let select = format!("SELECT round, number, state, sum, reason FROM round_groups {clause}");
    all(connection, "list groups", &select, values, |row| {
        Ok(GroupRow {
            round: row.get(0)?,
            number: row.get(1)?,
            state: row.get(2)?,
            sum: row.get(3)?,
            reason: row.get(4)?,
        })
    })
}

pub(super) fn requests(connection: &Connection, round: u64) -> StoreResult<Vec<RequestRow>> {
    let select = "SELECT round, home, number, signed, body FROM round_requests WHERE round = ?1 ORDER BY home";
    all(connection, "list requests", select, [signed(round)], |row| {
        Ok(RequestRow {
            round: row.get(0)?,
            home: home("round_requests", row, 1)?,
            group: row.get(2)?,
            signed: SignedGroupRequest::from_bytes(row.get(3)?),
            body: row.get(4)?,
        })
    })
}
