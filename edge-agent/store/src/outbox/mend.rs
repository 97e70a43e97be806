//! What is put right when the outbox is opened, so that one damaged row stops neither sending nor settling nor a choice.

use hearthwatch_protocol::limits::WITHDRAWN_RECORDS_MAX;
use hearthwatch_protocol::messages::{Withdrawal, WithdrawalScope};
use hearthwatch_protocol::{HomeId, Message, Sequence, decode, encode};
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::{Outbox, OutboxError, SHARING, SharingLevel, message_in, schema};
use crate::database::{self, Opened};

/// A home gives a number for each alarm and each answer: some ten a day. It does not run ahead of what it remembers to have sent by more
/// than a former life of it could have given: 2^32 are a million years.
const NUMBERS_AHEAD_MAX: u64 = 1 << 32;

/// A row of `records`: its place, its number, its bytes.
type StoredRecord = (i64, Option<i64>, Vec<u8>);

impl Outbox {
    /// Puts right what a damaged disk left.
    pub(super) fn mend(&mut self, opened: &Opened) -> Result<(), OutboxError> {
        let tx = self.begin()?;
        if opened.cut.contains(&schema::CHOICES) && schema::choice(&tx, SHARING)?.is_none() {
            tracing::error!(
                "the resident's choice of what is shared is lost: nothing is shared until one is made anew"
            );
            schema::choose(&tx, SHARING, SharingLevel::Off.as_str())?;
        }
        mend_records(&tx)?;
        mend_outcomes(&tx)?;
        mend_counters(&tx)?;
        tx.commit()?;
        Ok(())
    }

    /// Writes withdrawals anew that nobody has confirmed and that cannot be read: what a resident took back stays taken back. Which records
    /// those are stands in the ledger; where it does not, it is everything up to now.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn mend_withdrawals(&mut self, home: &HomeId) -> Result<(), OutboxError> {
        let damaged: Vec<_> = self
            .unconfirmed_withdrawals()?
            .into_iter()
            .filter(|one| !matches!(decode(&one.payload), Ok(Message::Withdrawal(read)) if read.id == one.id && read.home == *home))
            .collect();
        let tx = self.begin()?;
        for one in damaged {
            let id = schema::signed(one.id);
            let mut of_it: Vec<Sequence> = tx
                .prepare("SELECT sequence FROM ledger WHERE withdrawal = ?1 ORDER BY sequence")?
                .query_map([id], |row| Ok(Sequence(schema::unsigned(row.get(0)?))))?
                .collect::<Result<_, _>>()?;
            let scope = match of_it.len() {
                1..=WITHDRAWN_RECORDS_MAX => WithdrawalScope::Records(std::mem::take(&mut of_it)),
                0 => WithdrawalScope::Through(Sequence(schema::get(&tx, schema::NEXT)?.saturating_sub(1))),
                _ => WithdrawalScope::Through(of_it.pop().unwrap_or(Sequence(0))),
            };
            let anew = Withdrawal { home: home.clone(), id: one.id, scope, at: one.asked_at };
            let payload = encode(&Message::Withdrawal(anew))?;
            database::set_aside(&tx, "withdrawals", &id.to_string(), &"written anew: it cannot be read", &one.payload)?;
            tx.execute("UPDATE withdrawals SET payload = ?1 WHERE id = ?2", params![payload, id])?;
        }
        tx.commit()?;
        Ok(())
    }
}

/// Takes a record that cannot be read out of the way.
pub(super) fn set_record_aside(
    tx: &Transaction<'_>,
    id: i64,
    cause: &dyn std::fmt::Display,
    payload: &[u8],
) -> Result<(), rusqlite::Error> {
    database::set_aside(tx, "records", &id.to_string(), cause, payload)?;
    tx.execute("DELETE FROM records WHERE id = ?1", [id]).map(drop)
}

/// Records that have a number lie in the ledger once more: what one of the two lost, the other may have.
fn mend_records(tx: &Transaction<'_>) -> Result<(), rusqlite::Error> {
    let all: Vec<StoredRecord> = tx
        .prepare("SELECT id, sequence, payload FROM records")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    for (id, sequence, payload) in all {
        let read = message_in(&payload).map(|message| message.sequence());
        match (sequence, read) {
            (None, Ok(_)) => {}
            (Some(number), Ok(read)) if schema::signed(read.0) == number => {}
            // The bytes are whole and say another number than the row.
            (Some(_), Ok(Sequence(1..))) if restore_number(tx, id, &payload)? => {}
            (Some(number), Err(_)) if restore_payload(tx, id, number)? => {}
            (_, Ok(_)) => set_record_aside(tx, id, &"its number is another one than that of its row", &payload)?,
            (_, Err(cause)) => set_record_aside(tx, id, &cause, &payload)?,
        }
    }
    Ok(())
}

/// Gives a row the number that its bytes say, if no other row has it.
fn restore_number(tx: &Transaction<'_>, id: i64, payload: &[u8]) -> Result<bool, rusqlite::Error> {
    let Ok(message) = message_in(payload) else { return Ok(false) };
    let update = "UPDATE OR IGNORE records SET sequence = ?1 WHERE id = ?2";
    Ok(tx.execute(update, params![schema::signed(message.sequence().0), id])? == 1)
}

/// Gives a row the bytes that the ledger has under its number, if those can be read.
fn restore_payload(tx: &Transaction<'_>, id: i64, number: i64) -> Result<bool, rusqlite::Error> {
    let select = "SELECT payload FROM ledger WHERE sequence = ?1";
    let kept: Option<Vec<u8>> = tx.query_row(select, [number], |row| row.get(0)).optional()?;
    let Some(kept) = kept else { return Ok(false) };
    if !message_in(&kept).is_ok_and(|message| schema::signed(message.sequence().0) == number) {
        return Ok(false);
    }
    tracing::warn!(record.sequence = number, "a damaged record is written anew from the ledger");
    Ok(tx.execute("UPDATE records SET payload = ?1 WHERE id = ?2", params![kept, id])? == 1)
}

fn mend_outcomes(tx: &Transaction<'_>) -> Result<(), rusqlite::Error> {
    let all: Vec<(i64, Vec<u8>)> = tx
        .prepare("SELECT id, payload FROM outcomes")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (id, payload) in all {
        let cause = match decode(&payload) {
            Ok(Message::Outcome(_)) => continue,
            Ok(other) => format!("a {} is no outcome", other.kind()),
            Err(cause) => cause.to_string(),
        };
        database::set_aside(tx, "outcomes", &id.to_string(), &cause, &payload)?;
        tx.execute("DELETE FROM outcomes WHERE id = ?1", [id])?;
    }
    Ok(())
}

/// The next number is behind every one that was given, and not far behind: a number that no home can have given is refused by the fleet.
fn mend_counters(tx: &Transaction<'_>) -> Result<(), rusqlite::Error> {
    tx.execute("INSERT OR IGNORE INTO counters VALUES (?1, 1), (?2, 0)", [schema::NEXT, schema::DROPPED])?;
    let next = schema::get(tx, schema::NEXT)?;
    mend_ledger_beyond(tx, next)?;
    let given =
        "SELECT max(coalesce((SELECT max(sequence) FROM records), 0), coalesce((SELECT max(sequence) FROM ledger), 0))";
    let given = schema::unsigned(tx.query_row(given, [], |row| row.get(0))?);
    let behind = given.saturating_add(1);
    if next < behind || next - behind > NUMBERS_AHEAD_MAX {
        tracing::error!(
            outbox.next = next,
            outbox.given = given,
            "the next number is damaged; it goes on behind the last one"
        );
        schema::set(tx, schema::NEXT, behind)?;
    }
    Ok(())
}

/// Rows of the ledger at or beyond the next number: either the counter is damaged or they are. Those are whose bytes say another number.
fn mend_ledger_beyond(tx: &Transaction<'_>, next: u64) -> Result<(), rusqlite::Error> {
    let select = "SELECT sequence, payload FROM ledger WHERE sequence >= ?1 ORDER BY sequence DESC LIMIT 1";
    loop {
        let row =
            tx.query_row(select, [schema::signed(next)], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)));
        let Some((number, payload)) = row.optional()? else { return Ok(()) };
        if message_in(&payload).is_ok_and(|message| schema::signed(message.sequence().0) == number) {
            return Ok(());
        }
        database::set_aside(tx, "ledger", &number.to_string(), &"no such number was given yet", &payload)?;
        tx.execute("DELETE FROM ledger WHERE sequence = ?1", [number])?;
    }
}
