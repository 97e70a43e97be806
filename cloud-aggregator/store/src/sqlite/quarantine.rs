//! Table `quarantine`: what was refused, and what an operator made of it.

use bytes::Bytes;
use hearthwatch_protocol::messages::RefusalReason;
use hearthwatch_protocol::{HomeId, Sequence};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Params, Row, Transaction, params};
use sha2::{Digest as _, Sha256};

use super::ingest::{feedback_in, origin_word, reason_from};
use super::query::{self, all, run, word};
use super::{engine, limited, signed, tokens};
use crate::actor::Actor;
use crate::rows::{AuditEntry, QuarantineChoice, QuarantineEnd, QuarantineRow, Settled, Settlement};
use crate::store::{
    IngestBatch, QUARANTINE_HOME_PAYLOADS_MAX, QUARANTINE_HOME_ROWS_MAX, QUARANTINE_PAYLOADS_MAX, QUARANTINE_ROWS_MAX,
    StoreResult,
};

pub(super) fn store(transaction: &Transaction<'_>, batch: &IngestBatch) -> rusqlite::Result<()> {
    if batch.quarantine.is_empty() {
        return Ok(());
    }
    let mut insert = transaction.prepare(
        "INSERT INTO quarantine (reason, detail, topic, home, sequence, prefix, length, payload, at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    for row in &batch.quarantine {
        insert.execute(params![
            row.reason.as_str(),
            row.detail,
            row.topic,
            row.home.as_ref().map(HomeId::as_str),
            row.sequence.map(|sequence| signed(sequence.0)),
            row.prefix,
            signed(row.length),
            row.payload.as_deref(),
            row.at,
        ])?;
    }
    for ring in [Ring::Rows, Ring::Payloads] {
        ring.cut(transaction)?;
    }
    Ok(())
}

/// What is bounded: for each home, and in all.
#[derive(Clone, Copy)]
enum Ring {
    Rows,
    Payloads,
}

impl Ring {
    /// How many each home may hold, and all of them together.
    fn bounds(self) -> (u64, u64) {
        match self {
            Self::Rows => (QUARANTINE_HOME_ROWS_MAX, QUARANTINE_ROWS_MAX),
            Self::Payloads => (QUARANTINE_HOME_PAYLOADS_MAX, QUARANTINE_PAYLOADS_MAX),
        }
    }

    /// Takes the oldest away from each home that holds more than its share, and then from those that hold most, until all of them
    /// together hold no more than the bound: whoever fills the quarantine takes from what it put there.
    fn cut(self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let only = match self {
            Self::Rows => "",
            Self::Payloads => "WHERE payload IS NOT NULL",
        };
        let (share, all) = self.bounds();
        let count = format!("SELECT home, count(*) FROM quarantine {only} GROUP BY home");
        let mut counts = transaction.prepare(&count)?;
        let held: Vec<(Option<String>, u64)> =
            counts.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
        let level = level(&held.iter().map(|(_, count)| *count).collect::<Vec<_>>(), share, all);
        let oldest = match self {
            Self::Rows => {
                "DELETE FROM quarantine WHERE id IN (SELECT id FROM quarantine WHERE home IS ?1 ORDER BY id LIMIT ?2)"
            }
            Self::Payloads => {
                "UPDATE quarantine SET payload = NULL WHERE id IN
                     (SELECT id FROM quarantine WHERE home IS ?1 AND payload IS NOT NULL ORDER BY id LIMIT ?2)"
            }
        };
        let mut take = transaction.prepare(oldest)?;
        for ((home, count), left) in held.iter().zip(level) {
            if *count > left {
                take.execute(params![home, signed(count - left)])?;
            }
        }
        Ok(())
    }
}

/// What each of those who hold `held` may keep: at most `share`, and of that what a common level leaves so that all keep at most
/// `all` together. Those below the level keep everything; of those above it the later ones give up one more where it does not divide.
fn level(held: &[u64], share: u64, all: u64) -> Vec<u64> {
    let mut left: Vec<u64> = held.iter().map(|count| (*count).min(share)).collect();
    let total: u64 = left.iter().sum();
    if total <= all {
        return left;
    }
    let mut order: Vec<usize> = (0..left.len()).collect();
    order.sort_by_key(|index| left[*index]);
    // The least first: each may keep an equal part of what those before it left over.
    let (mut room, mut others) = (all, order.len() as u64);
    for index in order {
        left[index] = left[index].min(room.div_ceil(others));
        room -= left[index].min(room);
        others -= 1;
    }
    left
}

/// Newest first, before the id `before`.
pub(super) fn list(connection: &Connection, before: Option<u64>, limit: usize) -> StoreResult<Vec<QuarantineRow>> {
    let before = before.map_or(i64::MAX, signed);
    select(connection, "WHERE id < ?1 ORDER BY id DESC LIMIT ?2", params![before, limited(limit)])
}

pub(super) fn select(connection: &Connection, clause: &str, values: impl Params) -> StoreResult<Vec<QuarantineRow>> {
    let select = format!(
        "SELECT id, reason, detail, topic, home, sequence, prefix, length, at, payload, settled, settled_by, settled_at
             FROM quarantine {clause}"
    );
    let is_there = |row: &Row<'_>, column| Ok::<_, rusqlite::Error>(row.get_ref(column)? != ValueRef::Null);
    all(connection, "list quarantine", &select, values, |row| {
        let home = if is_there(row, 4)? { Some(query::home("quarantine", row, 4)?) } else { None };
        let end = if is_there(row, 10)? { Some(word("quarantine", row, 10)?) } else { None };
        let (by, at): (Option<String>, Option<i64>) = (row.get(11)?, row.get(12)?);
        Ok(QuarantineRow {
            id: row.get(0)?,
            reason: reason_from(&row.get::<_, String>(1)?)?,
            detail: row.get(2)?,
            topic: row.get(3)?,
            home,
            sequence: row.get::<_, Option<u64>>(5)?.map(Sequence),
            prefix: row.get(6)?,
            length: row.get(7)?,
            payload: row.get::<_, Option<Vec<u8>>>(9)?.map(Bytes::from),
            settled: end.zip(by).zip(at).map(|((end, by), at)| Settlement { end, by, at }),
            at: row.get(8)?,
        })
    })
}

/// Settles the rows that `choice` means.
pub(super) fn settle(
    transaction: &Transaction<'_>,
    choice: &QuarantineChoice,
    end: QuarantineEnd,
    (by, reason): (&str, &str),
    at: i64,
) -> StoreResult<Settled> {
    let mut settled = Settled::default();
    let chosen = chosen(transaction, choice).map_err(engine("settle quarantine"))?;
    let mut ends = Vec::new();
    for (id, payload) in chosen {
        match (end, payload) {
            (QuarantineEnd::Discarded, _) => ends.push((id, None)),
            (QuarantineEnd::Lifted, None) => settled.left += 1,
            (QuarantineEnd::Lifted, Some(payload)) => ends.push((id, Some(payload))),
        }
    }
    if ends.is_empty() {
        return Ok(settled);
    }
    let subject = match choice {
        QuarantineChoice::Row(id) => id.to_string(),
        QuarantineChoice::HomeReason(home, why) => format!("{home}/{}", why.as_str()),
    };
    let ids: Vec<i64> = ends.iter().map(|(id, _)| *id).collect();
    let action = match end {
        QuarantineEnd::Lifted => "quarantine.lift",
        QuarantineEnd::Discarded => "quarantine.discard",
    };
    let detail = serde_json::json!({ "reason": reason, "rows": ids }).to_string();
    let entry = AuditEntry { at, actor: Actor::parse(by), action: action.to_owned(), subject, detail };
    let line = tokens::append_audit(transaction, &entry)?.index;
    for (id, payload) in ends {
        let let_in = payload.map(|payload| admit(transaction, &payload, line, at)).transpose()?;
        if let_in == Some(false) {
            settled.left += 1;
            continue;
        }
        settled.rows += 1;
        let update =
            "UPDATE quarantine SET settled = ?2, settled_by = ?3, settled_at = ?4, payload = NULL WHERE id = ?1";
        run(transaction, "settle quarantine", update, params![id, end.as_str(), by, at])?;
    }
    settled.audit = Some(line);
    Ok(settled)
}

/// Row and payload of what is meant and not settled, oldest first.
fn chosen(transaction: &Transaction<'_>, choice: &QuarantineChoice) -> rusqlite::Result<Vec<(i64, Option<Vec<u8>>)>> {
    let (clause, values) = match choice {
        QuarantineChoice::Row(id) => ("id = ?1", vec![rusqlite::types::Value::from(signed(*id))]),
        QuarantineChoice::HomeReason(home, reason) => {
            let values = [home.as_str(), reason.as_str()].map(|text| rusqlite::types::Value::from(text.to_owned()));
            ("home = ?1 AND reason = ?2", values.to_vec())
        }
    };
    let select = format!("SELECT id, payload FROM quarantine WHERE {clause} AND settled IS NULL ORDER BY id");
    let mut statement = transaction.prepare(&select)?;
    let rows = statement.query_map(rusqlite::params_from_iter(values), |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

/// Stores an answer that was refused before; false where its number is settled otherwise by now (stored, or taken back).
fn admit(transaction: &Transaction<'_>, payload: &[u8], line: u64, at: i64) -> StoreResult<bool> {
    let record = feedback_in("quarantine", payload)?;
    let (home, sequence) = (record.home.as_str(), signed(record.sequence.0));
    let digest = Sha256::digest(payload).to_vec();
    let delete = "DELETE FROM refused WHERE home = ?1 AND sequence = ?2 AND digest = ?3 AND reason <> ?4";
    if run(transaction, "lift", delete, params![home, sequence, digest, RefusalReason::Withdrawn.as_str()])? == 0 {
        return Ok(false);
    }
    let insert = "INSERT INTO feedback (home, sequence, digest, verdict, received_at, payload, lift, device_class,
         model_version, origin, raised_at, answered_at, score, threshold)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
    let values = params![
        home,
        sequence,
        digest,
        <&str>::from(record.verdict),
        at,
        payload,
        signed(line),
        record.device_class,
        signed(record.model_version.0),
        origin_word(record.origin),
        record.raised_at,
        record.answered_at,
        record.score,
        record.threshold,
    ];
    run(transaction, "lift", insert, values)?;
    run(transaction, "lift", "UPDATE homes SET records = records + 1 WHERE home = ?1", [home])?;
    Ok(true)
}

/// Throws away what a home took back: its numbers from `first` to `last`.
pub(super) fn forget(tx: &Transaction<'_>, home: &str, first: i64, last: i64, at: i64) -> rusqlite::Result<()> {
    tx.execute(
        "UPDATE quarantine SET payload = NULL, prefix = x'', settled = coalesce(settled, ?4),
             settled_by = coalesce(settled_by, 'home:' || home), settled_at = coalesce(settled_at, ?5)
             WHERE home = ?1 AND sequence BETWEEN ?2 AND ?3",
        params![home, first, last, QuarantineEnd::Discarded.as_str(), at],
    )
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_hold_most_give_way_and_the_others_keep_what_they_have() {
        assert_eq!(level(&[3, 60, 9], 50, 100), [3, 50, 9], "only the share");
        assert_eq!(level(&[3, 50, 50], 50, 43), [3, 20, 20]);
        assert_eq!(level(&[1, 2, 3], 50, 6), [1, 2, 3]);
        assert_eq!(level(&[50, 1, 50], 50, 3), [1, 1, 1]);
        assert_eq!(level(&[], 50, 3), Vec::<u64>::new());
    }
}
