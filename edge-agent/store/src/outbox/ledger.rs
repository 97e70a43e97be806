//! The sharing ledger: every record that ever got a number, byte for byte, and what became of it; and withdrawals.

use hearthwatch_protocol::limits::WITHDRAWN_RECORDS_MAX;
use hearthwatch_protocol::messages::{Contribution, Withdrawal, WithdrawalReceipt, WithdrawalScope};
use hearthwatch_protocol::{HomeId, Message, ModelVersion, Sequence, encode};
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::{Outbox, OutboxError, schema};
use crate::database;

/// Records whose bytes are kept. At four answers a day, seven years; at 8 KiB each 80 MiB of disk. Older ones can still be
/// taken back, all at once.
pub const LEDGER_MAX: u64 = 10_000;

/// What became of a record that left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LedgerState {
    /// On its way; nobody has confirmed it.
    Sent,
    /// A receipt says that the aggregator stored it.
    Stored,
    /// A receipt says that the aggregator refused it.
    Refused,
    /// It was sent again under another sequence number.
    Renumbered,
}

impl LedgerState {
    /// It in a word, as in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Stored => "stored",
            Self::Refused => "refused",
            Self::Renumbered => "renumbered",
        }
    }

    fn parse(word: &str) -> Self {
        let all = [Self::Stored, Self::Refused, Self::Renumbered];
        all.into_iter().find(|state| state.as_str() == word).unwrap_or(Self::Sent)
    }
}

/// A record that left this home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// The number under which it was sent.
    pub sequence: Sequence,
    /// The message body, byte for byte as sent.
    pub payload: Vec<u8>,
    /// From the newest receipt.
    pub state: LedgerState,
    /// The withdrawal that took it back, if one did.
    pub withdrawal: Option<u64>,
}

/// A withdrawal and what is known of its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredWithdrawal {
    /// Given by this home, from 1 on.
    pub id: u64,
    /// Unix seconds.
    pub asked_at: i64,
    /// The message body, byte for byte as sent.
    pub payload: Vec<u8>,
    /// None until the aggregator has answered.
    pub receipt: Option<WithdrawalReceipt>,
}

/// What a withdrawal covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TakeBack {
    /// All records of this home, also those that the ledger has forgotten.
    Everything,
    /// These records; of more than [`WITHDRAWN_RECORDS_MAX`] the first ones.
    Records(Vec<Sequence>),
}

impl Outbox {
    /// The ledger, newest first, at most `limit`; only records before `before` if given.
    ///
    /// # Errors
    /// [`OutboxError::Database`].
    pub fn ledger(&self, before: Option<Sequence>, limit: u32) -> Result<Vec<LedgerEntry>, OutboxError> {
        let mut select = self.database.prepare(
            "SELECT sequence, payload, state, withdrawal FROM ledger WHERE sequence < ?1 ORDER BY sequence DESC LIMIT ?2",
        )?;
        let before = before.map_or(i64::MAX, |before| schema::signed(before.0));
        let rows = select.query_map(params![before, limit], entry)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// One record of the ledger.
    ///
    /// # Errors
    /// [`OutboxError::Database`].
    pub fn ledger_entry(&self, sequence: Sequence) -> Result<Option<LedgerEntry>, OutboxError> {
        let select = "SELECT sequence, payload, state, withdrawal FROM ledger WHERE sequence = ?1";
        Ok(self.database.query_row(select, [schema::signed(sequence.0)], entry).optional()?)
    }

    /// How many records were ever sent, and how many of them were taken back.
    ///
    /// # Errors
    /// [`OutboxError::Database`].
    pub fn shared_totals(&self) -> Result<(u64, u64), OutboxError> {
        let taken_back = "SELECT count(*) FROM ledger WHERE withdrawal IS NOT NULL";
        let taken_back = self.database.query_row(taken_back, [], |row| row.get::<_, i64>(0))?;
        Ok((schema::get(&self.database, schema::NEXT)?.saturating_sub(1), schema::unsigned(taken_back)))
    }

    /// Takes records back: what has not left yet is deleted here, for the rest a withdrawal waits to be published. None when
    /// nothing has ever left.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn take_back(&mut self, home: &HomeId, what: TakeBack, at: i64) -> Result<Option<u64>, OutboxError> {
        let tx = self.begin()?;
        let last = schema::get(&tx, schema::NEXT)?.saturating_sub(1);
        let id: i64 = tx.query_row("SELECT coalesce(max(id), 0) + 1 FROM withdrawals", [], |row| row.get(0))?;
        let scope = match what {
            TakeBack::Everything => {
                tx.execute("DELETE FROM records", [])?;
                tx.execute("UPDATE ledger SET withdrawal = ?1 WHERE withdrawal IS NULL", [id])?;
                WithdrawalScope::Through(Sequence(last))
            }
            TakeBack::Records(mut records) => {
                records.truncate(WITHDRAWN_RECORDS_MAX);
                records.retain(|sequence| (1..=last).contains(&sequence.0));
                for sequence in &records {
                    let sequence = schema::signed(sequence.0);
                    tx.execute("DELETE FROM records WHERE sequence = ?1", [sequence])?;
                    tx.execute("UPDATE ledger SET withdrawal = ?1 WHERE sequence = ?2", params![id, sequence])?;
                }
                WithdrawalScope::Records(records)
            }
        };
        let nothing = last == 0 || matches!(&scope, WithdrawalScope::Records(records) if records.is_empty());
        let id = schema::unsigned(id);
        if !nothing {
            let payload = encode(&Message::Withdrawal(Withdrawal { home: home.clone(), id, scope, at }))?;
            tx.execute(
                "INSERT INTO withdrawals (id, asked_at, payload) VALUES (?1, ?2, ?3)",
                params![schema::signed(id), at, payload],
            )?;
        }
        tx.commit()?;
        Ok((!nothing).then_some(id))
    }

    /// Every withdrawal, newest first.
    ///
    /// # Errors
    /// [`OutboxError::Database`].
    pub fn withdrawals(&self) -> Result<Vec<StoredWithdrawal>, OutboxError> {
        let mut select = self
            .database
            .prepare("SELECT id, asked_at, payload, removed, models, receipt_at FROM withdrawals ORDER BY id DESC")?;
        let rows = select.query_map([], |row| {
            let id = schema::unsigned(row.get(0)?);
            let (removed, models, at) = (row.get::<_, Option<i64>>(3)?, database::text(row, 4)?, row.get(5)?);
            let receipt = removed.zip(at).map(|(removed, at)| WithdrawalReceipt {
                id,
                removed: schema::unsigned(removed),
                models: models_from(&models),
                at,
            });
            Ok(StoredWithdrawal { id, asked_at: row.get(1)?, payload: row.get(2)?, receipt })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The withdrawals that nobody has confirmed, oldest first.
    ///
    /// # Errors
    /// [`OutboxError::Database`].
    pub fn unconfirmed_withdrawals(&self) -> Result<Vec<StoredWithdrawal>, OutboxError> {
        let mut all = self.withdrawals()?;
        all.retain(|withdrawal| withdrawal.receipt.is_none());
        all.reverse();
        Ok(all)
    }

    /// Takes the aggregator's word that a withdrawal is carried out.
    ///
    /// # Errors
    /// [`OutboxError::Database`].
    pub fn withdrawal_done(&mut self, receipt: &WithdrawalReceipt) -> Result<(), OutboxError> {
        let models: Vec<String> = receipt.models.iter().map(ModelVersion::to_string).collect();
        self.database.execute(
            "UPDATE withdrawals SET removed = ?2, models = ?3, receipt_at = ?4 WHERE id = ?1 AND receipt_at IS NULL",
            params![schema::signed(receipt.id), schema::signed(receipt.removed), models.join(","), receipt.at],
        )?;
        Ok(())
    }

    /// Keeps what the home's answers did in a model.
    ///
    /// # Errors
    /// [`OutboxError::Database`].
    pub fn credit(&mut self, contribution: &Contribution) -> Result<(), OutboxError> {
        self.database.execute(
            "INSERT OR REPLACE INTO contributions (model, snapshot, answers, examples, at) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                schema::signed(contribution.model_version.0),
                contribution.snapshot,
                schema::signed(contribution.answers),
                schema::signed(contribution.examples),
                contribution.at
            ],
        )?;
        Ok(())
    }

    /// What the home's answers did, newest model first.
    ///
    /// # Errors
    /// [`OutboxError::Database`].
    pub fn contributions(&self) -> Result<Vec<Contribution>, OutboxError> {
        let mut select = self
            .database
            .prepare("SELECT model, snapshot, answers, examples, at FROM contributions ORDER BY model DESC")?;
        let rows = select.query_map([], |row| {
            Ok(Contribution {
                model_version: ModelVersion(schema::unsigned(row.get(0)?)),
                snapshot: database::text(row, 1)?,
                answers: schema::unsigned(row.get(2)?),
                examples: schema::unsigned(row.get(3)?),
                at: row.get(4)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// Notes a record in the moment in which it gets its number and its final bytes, before it leaves.
pub(super) fn note(tx: &Transaction<'_>, sequence: Sequence, payload: &[u8]) -> Result<(), rusqlite::Error> {
    tx.execute(
        "INSERT OR REPLACE INTO ledger (sequence, payload, state) VALUES (?1, ?2, 'sent')",
        params![schema::signed(sequence.0), payload],
    )?;
    tx.execute("DELETE FROM ledger WHERE sequence <= ?1", [schema::signed(sequence.0) - schema::signed(LEDGER_MAX)])?;
    Ok(())
}

pub(super) fn mark(tx: &Transaction<'_>, sequence: i64, state: LedgerState) -> Result<(), rusqlite::Error> {
    tx.execute("UPDATE ledger SET state = ?2 WHERE sequence = ?1", params![sequence, state.as_str()]).map(drop)
}

/// Notes that whatever was on its way up to `through` and waits no longer has come to `state`.
pub(super) fn mark_rest(tx: &Transaction<'_>, through: i64, state: LedgerState) -> Result<(), rusqlite::Error> {
    let update = "UPDATE ledger SET state = ?2 WHERE sequence <= ?1 AND state = 'sent' \
        AND NOT EXISTS (SELECT 1 FROM records WHERE records.sequence = ledger.sequence)";
    tx.execute(update, params![through, state.as_str()]).map(drop)
}

/// Message body of the record that was sent under this number; none when the ledger has forgotten it.
pub(super) fn payload(tx: &Transaction<'_>, sequence: Sequence) -> Result<Option<Vec<u8>>, rusqlite::Error> {
    let select = "SELECT payload FROM ledger WHERE sequence = ?1";
    tx.query_row(select, [schema::signed(sequence.0)], |row| row.get(0)).optional()
}

fn entry(row: &Row<'_>) -> rusqlite::Result<LedgerEntry> {
    Ok(LedgerEntry {
        sequence: Sequence(schema::unsigned(row.get(0)?)),
        payload: row.get(1)?,
        state: LedgerState::parse(&database::text(row, 2)?),
        withdrawal: row.get::<_, Option<i64>>(3)?.map(schema::unsigned),
    })
}

fn models_from(list: &str) -> Vec<ModelVersion> {
    list.split(',').filter_map(|version| version.parse().ok()).map(ModelVersion).collect()
}
