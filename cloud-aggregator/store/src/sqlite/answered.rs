//! Tables `answered` and `repeated`: the last answer to each alarm, and the numbers under which one came once more.

use hearthwatch_protocol::{AlarmId, HomeId, Sequence};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::query::{first, word};
use super::signed;
use crate::rows::{ANSWERED_KEPT_SECONDS, AnsweredRow, FeedbackRow};
use crate::store::{IngestBatch, StoreResult};

/// Notes stored answers; of several to one alarm the highest number counts.
pub(super) fn note(transaction: &Transaction<'_>, row: &FeedbackRow) -> rusqlite::Result<()> {
    let record = &row.record;
    let mut note = transaction.prepare(
        "INSERT INTO answered (home, alarm, sequence, verdict, answered_at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (home, alarm) DO UPDATE SET sequence = excluded.sequence, verdict = excluded.verdict,
                 answered_at = excluded.answered_at, withdrawn_at = NULL WHERE excluded.sequence > sequence",
    )?;
    let home = record.home.as_str();
    note.execute(params![
        home,
        record.alarm.as_str(),
        signed(record.sequence.0),
        <&str>::from(record.verdict),
        record.answered_at,
    ])?;
    let mut forget = transaction.prepare("DELETE FROM answered WHERE home = ?1 AND answered_at < ?2")?;
    forget.execute(params![home, row.received_at.saturating_sub(ANSWERED_KEPT_SECONDS)]).map(drop)
}

pub(super) fn store_repeated(transaction: &Transaction<'_>, batch: &IngestBatch) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare(
        "INSERT INTO repeated (home, sequence, digest, original) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (home, sequence) DO NOTHING",
    )?;
    for (handled, original) in &batch.repeated {
        let key = &handled.key;
        insert.execute(params![key.home.as_str(), signed(key.sequence.0), &handled.digest[..], signed(original.0)])?;
    }
    Ok(())
}

pub(super) fn last(connection: &Connection, home: &HomeId, alarm: &AlarmId) -> StoreResult<Option<AnsweredRow>> {
    let select = "SELECT sequence, verdict, answered_at, withdrawn_at FROM answered WHERE home = ?1 AND alarm = ?2";
    first(connection, "look up an answer", select, [home.as_str(), alarm.as_str()], |row| {
        let (sequence, verdict) = (Sequence(row.get(0)?), word("answered", row, 1)?);
        Ok(AnsweredRow { sequence, verdict, answered_at: row.get(2)?, withdrawn_at: row.get(3)? })
    })
}

/// The number under which what came as `sequence` is stored; itself, where it was no repetition.
pub(super) fn original(tx: &Transaction<'_>, home: &str, sequence: i64) -> rusqlite::Result<i64> {
    let select = "SELECT original FROM repeated WHERE home = ?1 AND sequence = ?2";
    let found = tx.query_row(select, params![home, sequence], |row| row.get(0)).optional()?;
    Ok(found.unwrap_or(sequence))
}

/// Notes that the answers with these numbers, both ends included, were taken back.
pub(super) fn withdraw(tx: &Transaction<'_>, home: &str, from: i64, until: i64, at: i64) -> rusqlite::Result<()> {
    let update = "UPDATE answered SET withdrawn_at = ?4 WHERE home = ?1 AND sequence BETWEEN ?2 AND ?3";
    tx.execute(update, params![home, from, until, at]).map(drop)
}
