//! Table `withdrawals`: answers that homes took back are deleted, and their numbers stay settled.

use hearthwatch_protocol::HomeId;
use hearthwatch_protocol::messages::{RefusalReason, Withdrawal, WithdrawalScope};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::query::{self, all, first};
use super::{answered, engine, limited, quarantine, signed};
use crate::rows::WithdrawalRow;
use crate::store::{StoreResult, WITHDRAWN_AHEAD_MAX};

/// What stands for the hash of bytes that were never seen here: no record hashes to it.
const NEVER_SEEN: [u8; 32] = [0; 32];

pub(super) fn withdraw(tx: &Transaction<'_>, withdrawal: &Withdrawal, at: i64) -> StoreResult<WithdrawalRow> {
    if let Some(row) = find(tx, &withdrawal.home, withdrawal.id)? {
        return Ok(row);
    }
    let removed = carry_out(tx, withdrawal, at).map_err(engine("withdraw"))?;
    Ok(WithdrawalRow { home: withdrawal.home.clone(), id: withdrawal.id, asked_at: withdrawal.at, removed, at })
}

/// How many answers and announcements are gone.
fn carry_out(tx: &Transaction<'_>, withdrawal: &Withdrawal, at: i64) -> rusqlite::Result<u64> {
    let home = withdrawal.home.as_str();
    let (mut answers, mut announcements) = (0, 0);
    match &withdrawal.scope {
        WithdrawalScope::Through(last) => {
            (answers, announcements) = remove_through(tx, home, signed(last.0))?;
            settle_ahead(tx, home, signed(last.0))?;
            answered::withdraw(tx, home, 0, signed(last.0), at)?;
            quarantine::forget(tx, home, 0, signed(last.0), at)?;
        }
        WithdrawalScope::Records(records) => {
            let last = settled_ahead(tx, home)?;
            // Numbers that the home cannot have given yet settle nothing.
            for sequence in records.iter().filter(|sequence| signed(sequence.0) <= last) {
                // What came once more is taken back where it is stored.
                let sequence = answered::original(tx, home, signed(sequence.0))?;
                answered::withdraw(tx, home, sequence, sequence, at)?;
                let removed = remove(tx, home, sequence)?;
                (answers, announcements) = (answers + removed.0, announcements + removed.1);
                quarantine::forget(tx, home, sequence, sequence, at)?;
            }
        }
    }
    tx.execute("UPDATE homes SET records = max(0, records - ?2) WHERE home = ?1", params![home, signed(answers)])?;
    let removed: u64 = answers + announcements;
    let insert = "INSERT INTO withdrawals (home, id, asked_at, removed, at) VALUES (?1, ?2, ?3, ?4, ?5)";
    tx.execute(insert, params![home, signed(withdrawal.id), withdrawal.at, signed(removed), at])?;
    Ok(removed)
}

pub(super) fn list(connection: &Connection, limit: usize) -> StoreResult<Vec<WithdrawalRow>> {
    let select = "SELECT home, id, asked_at, removed, at FROM withdrawals ORDER BY at DESC, home, id DESC LIMIT ?1";
    all(connection, "list withdrawals", select, [limited(limit)], |row| {
        let home = query::home("withdrawals", row, 0)?;
        Ok(WithdrawalRow { home, id: row.get(1)?, asked_at: row.get(2)?, removed: row.get(3)?, at: row.get(4)? })
    })
}

fn find(tx: &Transaction<'_>, home: &HomeId, id: u64) -> StoreResult<Option<WithdrawalRow>> {
    let select = "SELECT asked_at, removed, at FROM withdrawals WHERE home = ?1 AND id = ?2";
    first(tx, "withdraw", select, params![home.as_str(), signed(id)], |row| {
        let (asked_at, removed, at) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(WithdrawalRow { home: home.clone(), id, asked_at, removed, at })
    })
}

/// Deletes one answer or announcement, and settles its number so that a late copy of it stays out. How many of either.
fn remove(tx: &Transaction<'_>, home: &str, sequence: i64) -> rusqlite::Result<(u64, u64)> {
    let select = "SELECT digest FROM feedback WHERE home = ?1 AND sequence = ?2
        UNION ALL SELECT digest FROM announced WHERE home = ?1 AND sequence = ?2";
    let digest: Option<[u8; 32]> = tx.query_row(select, params![home, sequence], |row| row.get(0)).optional()?;
    settle(tx, home, sequence, &digest.unwrap_or(NEVER_SEEN))?;
    let delete = |table: &str| {
        let delete = format!("DELETE FROM {table} WHERE home = ?1 AND sequence = ?2");
        tx.execute(&delete, params![home, sequence]).map(|deleted| deleted as u64)
    };
    Ok((delete("feedback")?, delete("announced")?))
}

/// The same with everything up to `last`.
fn remove_through(tx: &Transaction<'_>, home: &str, last: i64) -> rusqlite::Result<(u64, u64)> {
    let remove = |table: &str| {
        let insert = format!(
            "INSERT INTO refused (home, sequence, digest, reason)
                 SELECT home, sequence, digest, ?3 FROM {table} WHERE home = ?1 AND sequence <= ?2
                 ON CONFLICT (home, sequence) DO NOTHING"
        );
        tx.execute(&insert, params![home, last, RefusalReason::Withdrawn.as_str()])?;
        let delete = format!("DELETE FROM {table} WHERE home = ?1 AND sequence <= ?2");
        tx.execute(&delete, params![home, last]).map(|deleted| deleted as u64)
    };
    Ok((remove("feedback")?, remove("announced")?))
}

/// Settles the numbers up to `last` that were never seen here: those records are on their way, or lost.
fn settle_ahead(tx: &Transaction<'_>, home: &str, last: i64) -> rusqlite::Result<()> {
    let through: Option<i64> =
        tx.query_row("SELECT through FROM homes WHERE home = ?1", [home], |row| row.get(0)).optional()?;
    let Some(through) = through else { return Ok(()) };
    for sequence in through.saturating_add(1)..=last.min(through.saturating_add(WITHDRAWN_AHEAD_MAX)) {
        settle(tx, home, sequence, &NEVER_SEEN)?;
    }
    Ok(())
}

/// The highest number of a home that may be settled in advance, or is here already.
fn settled_ahead(tx: &Transaction<'_>, home: &str) -> rusqlite::Result<i64> {
    let select = "SELECT max(coalesce((SELECT through FROM homes WHERE home = ?1), 0),
             coalesce((SELECT max(sequence) FROM feedback WHERE home = ?1), 0),
             coalesce((SELECT max(sequence) FROM announced WHERE home = ?1), 0))";
    tx.query_row(select, [home], |row| row.get::<_, i64>(0)).map(|last| last.saturating_add(WITHDRAWN_AHEAD_MAX))
}

fn settle(tx: &Transaction<'_>, home: &str, sequence: i64, digest: &[u8; 32]) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT INTO refused (home, sequence, digest, reason) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (home, sequence) DO NOTHING",
        params![home, sequence, &digest[..], RefusalReason::Withdrawn.as_str()],
    )
    .map(drop)
}
