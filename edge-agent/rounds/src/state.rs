//! What this home remembers of rounds, on disk: the newest plan that it saw, the round in hand, and the ledger.
//!
//! Each change is one transaction, made before what it stands for is done. So after a kill at any moment a home neither follows a plan
//! twice nor sends two answers to one.

use std::path::Path;

use hearthwatch_edge_core::round_job::JobFigures;
use hearthwatch_edge_store::database;
use hearthwatch_protocol::HomeId;
use hearthwatch_protocol::round::{PlanSeen, RoundPlan, SignedRoundAnswer, SignedRoundPlan};
use hearthwatch_protocol::seal::PublicKey;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, TransactionBehavior, params};

use crate::ledger::{Outcome, RoundEntry};
use crate::machine::{Stage, Work};
use crate::masks::Masks;
use crate::picture::Picture;
use crate::schema;

/// Rounds that the ledger keeps: seven years of weekly ones. An entry has about 500 bytes.
pub const ROUNDS_KEPT_MAX: u64 = 365;

/// Longest reason that is kept, in characters.
const REASON_CHARS_MAX: usize = 200;

/// Note: the newest plan that was accepted.
const SEEN: &str = "plan_seen";
/// Note: whether this home ever offered to take part.
const OFFERED: &str = "offered";

/// Why something is not remembered or not known.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The database failed: disk full, read-only, damaged.
    #[error("rounds: {0}")]
    Database(#[from] rusqlite::Error),
    /// A value cannot be written as text.
    #[error("rounds: {0}")]
    Form(#[from] serde_json::Error),
}

impl StateError {
    /// Whether the disk has no room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Database(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull))
    }
}

/// The memory of rounds of one home. Calls block on the disk for some milliseconds.
#[derive(Debug)]
pub struct RoundState {
    database: Connection,
}

impl RoundState {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// [`StateError::Database`] when it cannot be opened or is from a newer version of this program.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        Ok(Self { database: schema::open_sound(path)? })
    }

    /// The newest entries of the ledger in a file that may be in use by the agent; none where there is no such file.
    ///
    /// # Errors
    /// [`StateError::Database`].
    pub fn read_ledger(path: &Path, count: u32) -> Result<Vec<RoundEntry>, StateError> {
        if !path.exists() {
            return Ok(Vec::new());
        }
        Self { database: schema::open_to_read(path)? }.ledger(count)
    }

    /// The newest plan that was accepted; none before the first.
    ///
    /// # Errors
    /// [`StateError::Database`].
    pub fn seen(&self) -> Result<Option<PlanSeen>, StateError> {
        let read = |text: String| {
            let (round, digest) = text.split_once(' ')?;
            let mut bytes = [0; 32];
            hex::decode_to_slice(digest, &mut bytes).ok()?;
            Some(PlanSeen { round: round.parse().ok()?, digest: bytes })
        };
        Ok(self.note(SEEN)?.and_then(read))
    }

    /// Whether this home ever offered to take part. Without, nothing needs to be taken back.
    ///
    /// # Errors
    /// [`StateError::Database`].
    pub fn has_offered(&self) -> Result<bool, StateError> {
        Ok(self.note(OFFERED)?.is_some())
    }

    /// Notes that this home offers to take part; before it does.
    ///
    /// # Errors
    /// [`StateError::Database`].
    pub fn offering(&mut self) -> Result<(), StateError> {
        Ok(set_note(&self.database, OFFERED, "1")?)
    }

    /// Takes an accepted plan in hand, in the place of an older one.
    ///
    /// # Errors
    /// [`StateError::Database`]; then nothing has changed.
    pub fn take(
        &mut self,
        signed: &SignedRoundPlan,
        plan: &RoundPlan,
        seen: &PlanSeen,
        now: i64,
    ) -> Result<(), StateError> {
        let tx = self.begin()?;
        let older: Option<u64> = tx.query_row("SELECT round FROM work", [], |row| number(row, 0)).optional()?;
        if let Some(older) = older {
            end(&tx, older, Outcome::Superseded, None, now)?;
        }
        set_note(&tx, SEEN, &format!("{} {}", seen.round, hex::encode(seen.digest)))?;
        tx.execute(
            "INSERT OR REPLACE INTO work (round, plan, begun, stored) VALUES (?1, ?2, 0, 0)",
            params![signed_of(plan.round), signed.as_bytes()],
        )?;
        let entry = RoundEntry::of(plan, now);
        tx.execute(
            "INSERT OR REPLACE INTO ledger (round, evaluates, planned_at, bytes, clip, model, cohort, outcome, reason,
             least, server_noise, masked) VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6, ?7, '', ?8, ?9, ?10)",
            params![
                signed_of(entry.round),
                entry.evaluates,
                now,
                entry.clip,
                entry.model,
                entry.cohort,
                Outcome::Open.as_str(),
                entry.least,
                entry.server_noise,
                entry.masked
            ],
        )?;
        let surplus = "DELETE FROM ledger WHERE round NOT IN (SELECT round FROM ledger ORDER BY planned_at DESC, round DESC LIMIT ?1)";
        tx.execute(surplus, [signed_of(ROUNDS_KEPT_MAX)])?;
        tx.commit()?;
        if let Some(older) = older {
            self.forget(older)?;
        }
        Ok(())
    }

    /// The round in hand, where one of `directors` signed its plan for `home`. One that no longer verifies (the keys were changed) is
    /// given up.
    ///
    /// # Errors
    /// [`StateError::Database`].
    pub fn work(&mut self, home: &HomeId, directors: &[PublicKey], now: i64) -> Result<Option<Work>, StateError> {
        let select = "SELECT round, plan, begun, answer, body, stored, masks FROM work";
        let row = self.database.query_row(select, [], |row| {
            let answer = database::bytes(row, 3)?.map(SignedRoundAnswer::from_bytes);
            let (begun, stored) = (row.get::<_, i64>(2)?, row.get::<_, i64>(5)?);
            let masks = database::bytes(row, 6)?.and_then(|bytes| Masks::from_bytes(&bytes)).map(Box::new);
            let stage = match answer {
                None if masks.is_some() => Stage::Grouped,
                None => Stage::Planned { begun: u8::try_from(begun).unwrap_or(u8::MAX) },
                Some(answer) => Stage::Answered {
                    answer,
                    body: database::bytes(row, 4)?.unwrap_or_default(),
                    stored: u16::try_from(stored).unwrap_or(0),
                },
            };
            Ok((number(row, 0)?, database::bytes(row, 1)?.unwrap_or_default(), stage, masks))
        });
        let Some((round, plan, stage, masks)) = row.optional()? else { return Ok(None) };
        match SignedRoundPlan::from_bytes(plan).read_of(home, directors) {
            Ok(plan) => Ok(Some(Work { plan, stage, masks })),
            Err(refusal) => {
                self.end(round, Outcome::Missed, Some(&refusal.to_string()), now)?;
                Ok(None)
            }
        }
    }

    /// Counts a run of the program that trains; before it is begun.
    ///
    /// # Errors
    /// [`StateError::Database`].
    pub fn begin_run(&mut self, round: u64) -> Result<(), StateError> {
        let update = "UPDATE work SET begun = begun + 1 WHERE round = ?1";
        Ok(self.database.execute(update, [signed_of(round)]).map(drop)?)
    }

    /// Does not count a run that was ended from here: the agent stops, or the machine became too warm.
    ///
    /// # Errors
    /// [`StateError::Database`].
    pub fn forget_run(&mut self, round: u64) -> Result<(), StateError> {
        let update = "UPDATE work SET begun = max(begun - 1, 0) WHERE round = ?1";
        Ok(self.database.execute(update, [signed_of(round)]).map(drop)?)
    }

    /// Keeps an answer with what it names, before any of it is sent.
    ///
    /// # Errors
    /// [`StateError`]; then nothing has changed.
    pub fn answer(
        &mut self,
        round: u64,
        answer: &SignedRoundAnswer,
        body: &[u8],
        figures: &JobFigures,
        now: i64,
    ) -> Result<(), StateError> {
        let figures = serde_json::to_string(figures)?;
        let tx = self.begin()?;
        tx.execute(
            "UPDATE work SET answer = ?1, body = ?2, stored = 0 WHERE round = ?3",
            params![answer.as_bytes(), body, signed_of(round)],
        )?;
        tx.execute(
            "UPDATE ledger SET trained_at = ?1, bytes = ?2, figures = ?3, picture = ?4 WHERE round = ?5",
            params![
                now,
                i64::try_from(body.len()).unwrap_or(i64::MAX),
                figures,
                Picture::of(body).to_bytes(),
                signed_of(round)
            ],
        )?;
        tx.commit()?;
        Ok(())
    }

    /// Keeps an answer of a masked round with what it names and with what the home then knows, before any of it is sent. With the `figures` of
    /// training where it is the first.
    ///
    /// # Errors
    /// [`StateError`]; then nothing has changed.
    pub(crate) fn exchange(
        &mut self,
        round: u64,
        (answer, body): (&SignedRoundAnswer, &[u8]),
        masks: &Masks,
        figures: Option<&JobFigures>,
        now: i64,
    ) -> Result<(), StateError> {
        let known = masks.to_bytes().map_err(|_| rusqlite::Error::InvalidQuery)?;
        let figures = figures.map(serde_json::to_string).transpose()?;
        let tx = self.begin()?;
        tx.execute(
            "UPDATE work SET answer = ?1, body = ?2, stored = 0, masks = ?3 WHERE round = ?4",
            params![answer.as_bytes(), body, known, signed_of(round)],
        )?;
        tx.execute(
            "UPDATE ledger SET trained_at = coalesce(trained_at, ?1), bytes = bytes + ?2, figures = coalesce(?3, figures),
             masked = ?4 WHERE round = ?5",
            params![
                now,
                i64::try_from(body.len()).unwrap_or(i64::MAX),
                figures,
                masks.group_homes().unwrap_or(0),
                signed_of(round)
            ],
        )?;
        tx.commit()?;
        Ok(())
    }

    /// An answer of a masked round is stored by the aggregator: the next request is waited for.
    ///
    /// # Errors
    /// [`StateError::Database`].
    pub fn received(&mut self, round: u64) -> Result<(), StateError> {
        let update = "UPDATE work SET answer = NULL, body = NULL, stored = 0 WHERE round = ?1 AND masks IS NOT NULL";
        Ok(self.database.execute(update, [signed_of(round)]).map(drop)?)
    }

    /// Keeps an answer that there is nothing, and why.
    ///
    /// # Errors
    /// [`StateError::Database`]; then nothing has changed.
    pub fn decline(&mut self, round: u64, answer: &SignedRoundAnswer, reason: &str) -> Result<(), StateError> {
        let tx = self.begin()?;
        tx.execute(
            "UPDATE work SET answer = ?1, body = x'', stored = 0, masks = NULL WHERE round = ?2",
            params![answer.as_bytes(), signed_of(round)],
        )?;
        tx.execute(
            "UPDATE ledger SET outcome = ?1, reason = ?2 WHERE round = ?3",
            params![Outcome::Declined.as_str(), short(reason), signed_of(round)],
        )?;
        tx.commit()?;
        Ok(())
    }

    /// Notes how many parts of the answer the aggregator has stored.
    ///
    /// # Errors
    /// [`StateError::Database`].
    pub fn stored(&mut self, round: u64, parts: u16) -> Result<(), StateError> {
        let update = "UPDATE work SET stored = ?1 WHERE round = ?2";
        Ok(self.database.execute(update, params![parts, signed_of(round)]).map(drop)?)
    }

    /// Notes when a first part of the answer had left.
    ///
    /// # Errors
    /// [`StateError::Database`].
    pub fn sent(&mut self, round: u64, now: i64) -> Result<(), StateError> {
        let update = "UPDATE ledger SET sent_at = coalesce(sent_at, ?1) WHERE round = ?2";
        Ok(self.database.execute(update, params![now, signed_of(round)]).map(drop)?)
    }

    /// Ends a round: what waited to be sent is deleted, its entry stays. An answer that there is nothing stays *declined*, however it
    /// was received. A round that is not in hand any more takes a late receipt: then only its entry changes.
    ///
    /// # Errors
    /// [`StateError::Database`]; then nothing has changed.
    pub fn end(&mut self, round: u64, outcome: Outcome, reason: Option<&str>, now: i64) -> Result<(), StateError> {
        let tx = self.begin()?;
        end(&tx, round, outcome, reason, now)?;
        tx.commit()?;
        Ok(self.forget(round)?)
    }

    /// Empties the database's log after a masked round: it has the keys too, until it is begun anew.
    fn forget(&self, round: u64) -> Result<(), rusqlite::Error> {
        let masked = "SELECT count(*) FROM ledger WHERE round = ?1 AND masked IS NOT NULL";
        let masked: i64 = self.database.query_row(masked, [signed_of(round)], |row| row.get(0))?;
        if masked > 0 {
            self.database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        }
        Ok(())
    }

    /// The newest entries of the ledger, newest first.
    ///
    /// # Errors
    /// [`StateError::Database`].
    pub fn ledger(&self, count: u32) -> Result<Vec<RoundEntry>, StateError> {
        let mut select = self.database.prepare(
            "SELECT round, evaluates, planned_at, trained_at, sent_at, ended_at, bytes, figures, clip, model, cohort, outcome, reason,
             picture, least, server_noise, masked FROM ledger ORDER BY planned_at DESC, round DESC LIMIT ?1",
        )?;
        let rows = select.query_map([count], entry)?;
        Ok(database::readable(rows)?)
    }

    fn note(&self, name: &str) -> Result<Option<String>, rusqlite::Error> {
        let select = "SELECT value FROM notes WHERE name = ?1";
        self.database.query_row(select, [name], |row| database::text(row, 0)).optional()
    }

    fn begin(&mut self) -> Result<Transaction<'_>, rusqlite::Error> {
        self.database.transaction_with_behavior(TransactionBehavior::Immediate)
    }
}

fn set_note(database: &Connection, name: &str, value: &str) -> Result<(), rusqlite::Error> {
    database.execute("INSERT OR REPLACE INTO notes (name, value) VALUES (?1, ?2)", [name, value]).map(drop)
}

fn end(
    tx: &Transaction<'_>,
    round: u64,
    outcome: Outcome,
    reason: Option<&str>,
    now: i64,
) -> Result<(), rusqlite::Error> {
    tx.execute("DELETE FROM work WHERE round = ?1", [signed_of(round)])?;
    tx.execute(
        "UPDATE ledger SET outcome = CASE outcome WHEN ?1 THEN outcome ELSE ?2 END, reason = coalesce(?3, reason), ended_at = coalesce(ended_at, ?4)
         WHERE round = ?5",
        params![Outcome::Declined.as_str(), outcome.as_str(), reason.map(short), now, signed_of(round)],
    )?;
    Ok(())
}

fn entry(row: &Row<'_>) -> rusqlite::Result<RoundEntry> {
    let figures = row.get::<_, Option<String>>(7)?.and_then(|text| serde_json::from_str(&text).ok());
    let model = database::bytes(row, 9)?.and_then(|bytes| bytes.try_into().ok());
    Ok(RoundEntry {
        round: number(row, 0)?,
        evaluates: row.get(1)?,
        planned_at: row.get(2)?,
        trained_at: row.get(3)?,
        sent_at: row.get(4)?,
        ended_at: row.get(5)?,
        bytes: usize::try_from(row.get::<_, i64>(6)?).unwrap_or(0),
        figures,
        clip: row.get(8)?,
        model: model.unwrap_or([0; 32]),
        cohort: row.get(10)?,
        outcome: database::text(row, 11)?.parse().unwrap_or(Outcome::Missed),
        reason: database::text(row, 12)?,
        picture: database::bytes(row, 13)?.and_then(|bytes| Picture::from_bytes(&bytes)),
        least: row.get(14)?,
        server_noise: row.get(15)?,
        masked: row.get(16)?,
    })
}

fn short(reason: &str) -> String {
    reason.chars().filter(|c| !c.is_control()).take(REASON_CHARS_MAX).collect()
}

/// SQLite's integers are signed; a plan with a number beyond them is out of its limits.
fn signed_of(round: u64) -> i64 {
    i64::try_from(round).unwrap_or(i64::MAX)
}

fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
}

#[cfg(test)]
mod tests;
