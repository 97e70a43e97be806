//! What a receipt does to the outbox.

use hearthwatch_protocol::Sequence;
use hearthwatch_protocol::messages::{Receipt, Refusal, RefusalReason, Said};
use rusqlite::{Transaction, params};

use super::{
    LedgerState, Numbered, Outbox, OutboxError, REFUSALS_KEPT_MAX, drop_superseded, ledger, numbered, rows, schema,
};

/// How a receipt changed the outbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    /// Records that the aggregator stored, and that left the outbox.
    pub confirmed: u32,
    /// Records forgotten because they were refused; each reason is kept.
    pub refused: u32,
    /// Records that will travel again under a new number, because theirs was used before by a lost past of this home.
    pub renumbered: u32,
}

impl Outbox {
    /// Takes the aggregator's word, received at `at`.
    ///
    /// It may be about a past that was lost (a new disk, an old backup), in which this home gave the same numbers to other
    /// records. Such a receipt shows itself in two ways: it covers numbers that this outbox never gave, then the sequence goes on after
    /// them; or it names other bytes than a record has, then that record goes on under a new number. What it names as never heard keeps
    /// its number and is sent on. Of bytes that it does not name, the number decides.
    ///
    /// # Errors
    /// [`OutboxError::Database`].
    pub fn settle(&mut self, receipt: &Receipt, at: i64) -> Result<Settled, OutboxError> {
        let tx = self.begin()?;
        let lost_past = receipt.through.0 >= schema::get(&tx, schema::NEXT)?;
        let mut settled = Settled::default();
        let mut safe = Vec::new();
        for Numbered { sequence, payload } in numbered(&tx, receipt.through)? {
            match receipt.says_of(sequence, &payload) {
                Said::Judged => safe.push(sequence),
                Said::Nothing if !lost_past => safe.push(sequence),
                Said::Nothing | Said::OtherBytes => settled.renumbered += free(&tx, sequence)?,
                Said::Missing => {}
            }
        }
        for refusal in &receipt.refused {
            if !is_of_this_life(&tx, receipt, refusal, lost_past)? {
                continue;
            }
            let replayed = refusal.reason == RefusalReason::ReplayedSequence && refusal.sequence <= receipt.through;
            if replayed && renumber_once(&tx, refusal.sequence)? {
                settled.renumbered += 1;
                continue;
            }
            settled.refused += refuse(&tx, refusal, at)?;
        }
        drop_superseded(&tx)?;
        for sequence in safe {
            let sequence = schema::signed(sequence.0);
            let known = rows(tx.execute("DELETE FROM records WHERE sequence = ?1", [sequence])?);
            if known > 0 {
                ledger::mark(&tx, sequence, LedgerState::Stored)?;
            }
            settled.confirmed += known;
        }
        if lost_past {
            ledger::mark_rest(&tx, i64::MAX, LedgerState::Renumbered)?;
            schema::set(&tx, schema::NEXT, receipt.through.0.saturating_add(1))?;
        } else {
            ledger::mark_rest(&tx, schema::signed(receipt.through.0), LedgerState::Stored)?;
        }
        let stale = "DELETE FROM refusals WHERE sequence NOT IN \
            (SELECT sequence FROM refusals ORDER BY at DESC, sequence DESC LIMIT ?1)";
        tx.execute(stale, [REFUSALS_KEPT_MAX])?;
        tx.commit()?;
        Ok(settled)
    }
}

/// Takes the number from a record, which waits for another one; how many had it.
fn free(tx: &Transaction<'_>, sequence: Sequence) -> Result<u32, rusqlite::Error> {
    let sequence = schema::signed(sequence.0);
    ledger::mark(tx, sequence, LedgerState::Renumbered)?;
    tx.execute("UPDATE records SET sequence = NULL WHERE sequence = ?1", [sequence]).map(rows)
}

/// Whether a refusal is of the bytes that this outbox sent under its number.
fn is_of_this_life(
    tx: &Transaction<'_>,
    receipt: &Receipt,
    refusal: &Refusal,
    lost_past: bool,
) -> Result<bool, rusqlite::Error> {
    let said = ledger::payload(tx, refusal.sequence)?.map(|payload| receipt.says_of(refusal.sequence, &payload));
    Ok(match said {
        // A replay that stays out is of other bytes than those that were judged.
        Some(Said::Judged) => refusal.reason != RefusalReason::ReplayedSequence,
        Some(Said::Nothing) | None => !lost_past,
        Some(Said::OtherBytes | Said::Missing) => false,
    })
}

/// Gives a record another number because its own was used before, as an aggregator says that does not name bytes. Once only: nothing
/// shows that it would end.
fn renumber_once(tx: &Transaction<'_>, sequence: Sequence) -> Result<bool, rusqlite::Error> {
    let sequence = schema::signed(sequence.0);
    let update = "UPDATE records SET sequence = NULL, renumbered = 1 WHERE sequence = ?1 AND renumbered = 0";
    let again = tx.execute(update, [sequence])? > 0;
    if again {
        ledger::mark(tx, sequence, LedgerState::Renumbered)?;
    }
    Ok(again)
}

/// Forgets a record that was refused, and keeps the reason; how many it was.
fn refuse(tx: &Transaction<'_>, refusal: &Refusal, at: i64) -> Result<u32, rusqlite::Error> {
    let sequence = schema::signed(refusal.sequence.0);
    let known = tx.execute("DELETE FROM records WHERE sequence = ?1", [sequence])?;
    ledger::mark(tx, sequence, LedgerState::Refused)?;
    tx.execute(
        "INSERT OR REPLACE INTO refusals (sequence, reason, at) VALUES (?1, ?2, ?3)",
        params![sequence, refusal.reason.as_str(), at],
    )?;
    Ok(rows(known))
}
