//! Messages of the home that no receipt confirms yet, on disk.
//!
//! A record waits *without a number* until the uplink first sends it; then it gets the home's next [`Sequence`] and its final
//! bytes, on disk before it leaves, and keeps both until a receipt covers it. So numbers run from 1 without gaps whatever
//! is dropped, and every copy of a number on the wire is the same bytes.
//!
//! An alarm is announced when it is raised, under the same numbers, and before any answer: what is announced goes out first.
//!
//! Bounded by [`RECORDS_MAX`]. When full, the oldest probe that was never sent makes room (a probe is a question that
//! the agent put to itself; a verdict is a person's), then the oldest unsent announcement whose alarm nobody has answered. If
//! there is none, a new probe or announcement is let go and a new verdict is refused aloud: a verdict is never dropped to
//! make room, nor is what it rests on. A new answer to an alarm replaces an older one that was never sent.

mod announce;
mod ledger;
mod mend;
mod schema;
mod settle;
mod sharing;
#[cfg(test)]
mod tests;

use std::path::Path;

use hearthwatch_protocol::messages::{Announcement, FeedbackRecord, Origin, UpdateOutcome};
use hearthwatch_protocol::{DecodeError, EncodeError, Message, Sequence, decode, encode};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::database;
pub use ledger::{LEDGER_MAX, LedgerEntry, LedgerState, StoredWithdrawal, TakeBack};
pub use settle::Settled;
pub use sharing::{SharingLevel, example_record};

/// Most records kept. A record is at most 8 KiB as sent, so 16 MiB of disk; at four answers a day, 500 days
/// without the cloud.
pub const RECORDS_MAX: u32 = 2_000;

/// Refused records whose reason is remembered, for the ledger that the resident sees.
pub const REFUSALS_KEPT_MAX: u32 = 1_000;

/// Update outcomes kept until they are published; one arises per release, so a year of weekly releases.
pub const OUTCOMES_KEPT_MAX: u32 = 52;

/// Name of the choice of what is shared.
const SHARING: &str = "sharing";

/// Why the outbox did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The database failed: disk full, read-only, damaged.
    #[error("outbox: {0}")]
    Database(#[from] rusqlite::Error),
    /// The record would be refused by every aggregator.
    #[error("outbox: {0}")]
    Invalid(#[from] EncodeError),
    /// The bound is reached and nothing may be dropped for this record.
    #[error("outbox: full with {limit} records that nobody has confirmed; this answer is not kept for the cloud")]
    Full {
        /// Records that may wait at most.
        limit: u32,
    },
}

/// Whether a pushed record is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is on disk and will be sent.
    Queued,
    /// Took the place of an older answer to the same alarm.
    Replaced,
    /// Waits; the oldest unsent probe was dropped for it.
    QueuedForAuditSample,
    /// A probe for which there is no room: dropped.
    DroppedAuditSample,
    /// Waits; the oldest unsent announcement of an unanswered alarm was dropped for it.
    QueuedForAnnouncement,
    /// An announcement for which there is no room: dropped.
    DroppedAnnouncement,
    /// Dropped: the resident shares nothing.
    NotShared,
}

/// A record that may travel: its number and its final bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered {
    /// Number of the record.
    pub sequence: Sequence,
    /// The payload, the same on every attempt.
    pub payload: Vec<u8>,
}

/// One record that the cloud did not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Number of the record.
    pub sequence: Sequence,
    /// One word, from [`hearthwatch_protocol::messages::RefusalReason::as_str`].
    pub reason: String,
    /// When the receipt came, Unix seconds.
    pub at: i64,
}

/// The outbox of one home. Calls block on the disk for some milliseconds.
#[derive(Debug)]
pub struct Outbox {
    database: Connection,
    limit: u32,
    configured: SharingLevel,
}

impl Outbox {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// [`OutboxError::Database`] when it cannot be opened or is from a newer version of this program.
    pub fn open(path: &Path) -> Result<Self, OutboxError> {
        Self::open_with_limit(path, RECORDS_MAX)
    }

    /// As [`Outbox::open`], with another bound.
    ///
    /// # Errors
    /// As [`Outbox::open`].
    pub fn open_with_limit(path: &Path, limit: u32) -> Result<Self, OutboxError> {
        let (database, opened) = schema::open_sound(path)?;
        let mut outbox = Self { database, limit, configured: SharingLevel::default() };
        outbox.mend(&opened)?;
        Ok(outbox)
    }

    /// What the resident shares; until a choice was made, the value of the configuration. A choice that cannot be read counts as *off*:
    /// nothing leaves that the resident may have forbidden.
    ///
    /// # Errors
    /// [`OutboxError::Database`].
    pub fn sharing(&self) -> Result<SharingLevel, OutboxError> {
        let chosen = schema::choice(&self.database, SHARING)?;
        Ok(chosen.map_or(self.configured, |word| SharingLevel::parse(&word).unwrap_or(SharingLevel::Off)))
    }

    /// Takes the configuration's level, which holds until the resident chooses another on the page.
    pub fn configure_sharing(&mut self, level: SharingLevel) {
        self.configured = level;
    }

    /// Takes the resident's choice. What has not left yet is cut to it.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn choose_sharing(&mut self, level: SharingLevel) -> Result<(), OutboxError> {
        let tx = self.begin()?;
        schema::choose(&tx, SHARING, level.as_str())?;
        let waiting: Vec<(i64, Vec<u8>)> = tx
            .prepare("SELECT id, payload FROM records WHERE sequence IS NULL")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        for (id, payload) in waiting {
            let left = match message_in(&payload) {
                Ok(Numberable::Feedback(record)) => level.shape(record).map(Message::Feedback),
                Ok(Numberable::Announcement(said)) => level.shape_announcement(said).map(Message::Announcement),
                Err(cause) => {
                    mend::set_record_aside(&tx, id, &cause, &payload)?;
                    continue;
                }
            };
            match left {
                Some(message) => {
                    let payload = encode(&message)?;
                    tx.execute("UPDATE records SET payload = ?1 WHERE id = ?2", params![payload, id])?;
                }
                None => drop(tx.execute("DELETE FROM records WHERE id = ?1", [id])?),
            }
        }
        tx.commit()?;
        Ok(())
    }

    /// Keeps a record, as much of it as the resident shares; its own `sequence` is ignored. On `Ok` it is on disk, or was dropped as
    /// the policy says.
    ///
    /// # Errors
    /// [`OutboxError::Full`] for a verdict that finds no room; [`OutboxError::Invalid`]; [`OutboxError::Database`].
    pub fn push(&mut self, record: FeedbackRecord) -> Result<Admission, OutboxError> {
        let record = FeedbackRecord { sequence: Sequence(0), ..record };
        let Some(record) = self.sharing()?.shape(record) else { return Ok(Admission::NotShared) };
        let sample = matches!(record.origin, Origin::AuditSample { .. });
        let alarm = record.alarm.to_string();
        let payload = encode(&Message::Feedback(record))?;
        let limit = self.limit;
        let tx = self.begin()?;
        let replaced = tx.execute(
            "UPDATE records SET payload = ?1, probe = ?2 WHERE alarm = ?3 AND sequence IS NULL AND NOT announcement",
            params![payload, sample, alarm],
        )?;
        let mut admission = if replaced > 0 { Admission::Replaced } else { Admission::Queued };
        if replaced == 0 && count(&tx, "SELECT count(*) FROM records")? >= limit {
            admission = match announce::make_room(&tx, &alarm)? {
                Some(room) => room,
                None if sample => {
                    schema::add(&tx, schema::DROPPED, 1)?;
                    Admission::DroppedAuditSample
                }
                None => return Err(OutboxError::Full { limit }),
            };
        }
        if !matches!(admission, Admission::Replaced | Admission::DroppedAuditSample) {
            tx.execute(
                "INSERT INTO records (alarm, probe, payload) VALUES (?1, ?2, ?3)",
                params![alarm, sample, payload],
            )?;
        }
        tx.commit()?;
        Ok(admission)
    }

    /// Gives the next number to a record that has none: announcements before verdicts, for these are held against them,
    /// verdicts before probes, the newest first, so that an answer given now does not queue behind last week's. On return, number and
    /// bytes are on disk.
    ///
    /// # Errors
    /// [`OutboxError::Database`].
    pub fn number_next(&mut self) -> Result<Option<Numbered>, OutboxError> {
        let tx = self.begin()?;
        let next = "SELECT id, payload FROM records WHERE sequence IS NULL \
            ORDER BY announcement DESC, probe, id DESC LIMIT 1";
        let (id, waiting) = loop {
            let row = tx.query_row(next, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)));
            let Some((id, payload)) = row.optional()? else {
                tx.commit()?;
                return Ok(None);
            };
            match message_in(&payload) {
                Ok(waiting) => break (id, waiting),
                Err(cause) => mend::set_record_aside(&tx, id, &cause, &payload)?,
            }
        };
        let sequence = Sequence(schema::get(&tx, schema::NEXT)?);
        let payload = encode(&match waiting {
            Numberable::Feedback(record) => Message::Feedback(FeedbackRecord { sequence, ..record }),
            Numberable::Announcement(said) => Message::Announcement(Announcement { sequence, ..said }),
        })?;
        tx.execute(
            "UPDATE records SET sequence = ?1, payload = ?2 WHERE id = ?3",
            params![schema::signed(sequence.0), payload, id],
        )?;
        ledger::note(&tx, sequence, &payload)?;
        schema::add(&tx, schema::NEXT, 1)?;
        tx.commit()?;
        Ok(Some(Numbered { sequence, payload }))
    }

    /// Every record that has a number and no receipt, in order.
    ///
    /// # Errors
    /// [`OutboxError::Database`].
    pub fn numbered(&self) -> Result<Vec<Numbered>, OutboxError> {
        Ok(numbered(&self.database, Sequence(u64::MAX))?)
    }

    /// Records that wait for a receipt, sent or not.
    ///
    /// # Errors
    /// [`OutboxError::Database`].
    pub fn waiting(&self) -> Result<u32, OutboxError> {
        Ok(count(&self.database, "SELECT count(*) FROM records")?)
    }

    /// Records that were never sent.
    ///
    /// # Errors
    /// [`OutboxError::Database`].
    pub fn unsent(&self) -> Result<u32, OutboxError> {
        Ok(count(&self.database, "SELECT count(*) FROM records WHERE sequence IS NULL")?)
    }

    /// Probes dropped for lack of room since the outbox was made.
    ///
    /// # Errors
    /// [`OutboxError::Database`].
    pub fn dropped_audit_samples(&self) -> Result<u64, OutboxError> {
        Ok(schema::get(&self.database, schema::DROPPED)?)
    }

    /// The records that the cloud did not take, newest first.
    ///
    /// # Errors
    /// [`OutboxError::Database`].
    pub fn refusals(&self) -> Result<Vec<Refused>, OutboxError> {
        let mut statement =
            self.database.prepare("SELECT sequence, reason, at FROM refusals ORDER BY at DESC, sequence DESC")?;
        let rows = statement.query_map([], |row| {
            let sequence = Sequence(schema::unsigned(row.get(0)?));
            Ok(Refused { sequence, reason: database::text(row, 1)?, at: row.get(2)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Keeps an update's outcome until it is published.
    ///
    /// # Errors
    /// [`OutboxError::Invalid`] or [`OutboxError::Database`].
    pub fn push_outcome(&mut self, outcome: UpdateOutcome) -> Result<(), OutboxError> {
        let payload = encode(&Message::Outcome(outcome))?;
        let tx = self.begin()?;
        tx.execute("INSERT INTO outcomes (payload, said) VALUES (?1, 0)", [payload])?;
        let old = "DELETE FROM outcomes WHERE id NOT IN (SELECT id FROM outcomes ORDER BY id DESC LIMIT ?1)";
        tx.execute(old, [OUTCOMES_KEPT_MAX])?;
        tx.commit()?;
        Ok(())
    }

    /// The outcomes to publish, oldest first, with their row. The newest one is published again on each connection: a broker's
    /// acknowledgement does not mean that the aggregator has it.
    ///
    /// # Errors
    /// [`OutboxError::Database`].
    pub fn outcomes(&self, again: bool) -> Result<Vec<(i64, Vec<u8>)>, OutboxError> {
        let mut statement = self.database.prepare(
            "SELECT id, payload FROM outcomes WHERE said = 0 OR (?1 AND id = (SELECT max(id) FROM outcomes)) ORDER BY id",
        )?;
        let rows = statement.query_map([again], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Notes that the broker has an outcome; all but the newest published one are forgotten.
    ///
    /// # Errors
    /// [`OutboxError::Database`].
    pub fn outcome_published(&mut self, id: i64) -> Result<(), OutboxError> {
        let tx = self.begin()?;
        tx.execute("UPDATE outcomes SET said = 1 WHERE id = ?1", [id])?;
        tx.execute("DELETE FROM outcomes WHERE said = 1 AND id < (SELECT max(id) FROM outcomes)", [])?;
        tx.commit()?;
        Ok(())
    }

    /// Stored rows and files that could not be read since the outbox was made; they are kept aside.
    #[must_use]
    pub fn set_aside(&self) -> u64 {
        database::count_set_aside(&self.database)
    }

    fn begin(&mut self) -> Result<Transaction<'_>, rusqlite::Error> {
        self.database.transaction_with_behavior(TransactionBehavior::Immediate)
    }
}

/// A message that gets its sequence number when it is sent.
enum Numberable {
    Feedback(FeedbackRecord),
    Announcement(Announcement),
}

impl Numberable {
    fn sequence(&self) -> Sequence {
        match self {
            Self::Feedback(record) => record.sequence,
            Self::Announcement(said) => said.sequence,
        }
    }
}

fn message_in(payload: &[u8]) -> Result<Numberable, DecodeError> {
    match decode(payload)? {
        Message::Feedback(record) => Ok(Numberable::Feedback(record)),
        Message::Announcement(announcement) => Ok(Numberable::Announcement(announcement)),
        other => Err(DecodeError::UnknownKind(other.kind().to_owned())),
    }
}

/// What has a number up to `through` and no receipt, in order.
fn numbered(database: &Connection, through: Sequence) -> Result<Vec<Numbered>, rusqlite::Error> {
    let mut select =
        database.prepare("SELECT sequence, payload FROM records WHERE sequence <= ?1 ORDER BY sequence")?;
    let rows = select.query_map([schema::signed(through.0)], |row| {
        Ok(Numbered { sequence: Sequence(schema::unsigned(row.get(0)?)), payload: row.get(1)? })
    })?;
    rows.collect()
}

/// An answer that lost its number must not travel after a later answer to the same alarm.
fn drop_superseded(tx: &Transaction<'_>) -> Result<usize, rusqlite::Error> {
    tx.execute(
        "DELETE FROM records WHERE sequence IS NULL AND NOT announcement AND EXISTS \
         (SELECT 1 FROM records AS later WHERE later.alarm = records.alarm AND later.id > records.id \
          AND NOT later.announcement)",
        [],
    )
}

fn count(database: &Connection, query: &str) -> Result<u32, rusqlite::Error> {
    database.query_row(query, [], |row| row.get(0))
}

fn rows(changed: usize) -> u32 {
    u32::try_from(changed).unwrap_or(u32::MAX)
}
