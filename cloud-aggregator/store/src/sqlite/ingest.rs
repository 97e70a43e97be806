//! Tables `feedback` and `refused`: what homes sent, and how far each has been heard.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use hearthwatch_protocol::limits::RECEIPT_DIGESTS_MAX;
use hearthwatch_protocol::messages::{
    AgentStatus, FeatureWindow, FeedbackRecord, Origin, Refusal, RefusalReason, UpdateOutcome, Verdict,
};
use hearthwatch_protocol::{AlarmId, HomeId, Message, ModelVersion, RecordKey, Sequence, decode};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::query::{self, Fault, all};
use super::{announced, answered, corrupt, engine, homes, limited, outcomes, quarantine, rollouts, signed};
use crate::rows::{AnnouncedRow, Digest, FeedbackFilter, FeedbackRow, FeedbackTotals, Received};
use crate::store::{GAP_PATIENCE_SECONDS, Handled, HomeProgress, IngestBatch, StoreResult};

pub(super) fn apply(transaction: &Transaction<'_>, batch: &IngestBatch) -> StoreResult<Vec<HomeProgress>> {
    let mut touched: BTreeSet<&HomeId> = batch.asking.iter().collect();
    store_feedback(transaction, batch).map_err(engine("store feedback"))?;
    announced::store(transaction, batch).map_err(engine("store announcements"))?;
    answered::store_repeated(transaction, batch).map_err(engine("store repetitions"))?;
    store_refused(transaction, batch).map_err(engine("store refusals"))?;
    quarantine::store(transaction, batch).map_err(engine("quarantine"))?;
    outcomes::store(transaction, batch)?;
    for (home, status) in &batch.statuses {
        homes::set_status(transaction, home, status, batch.at)?;
    }
    for (home, manifest) in &batch.manifests {
        rollouts::put_manifest(transaction, home, manifest, batch.at)?;
    }
    touched.extend(batch.feedback.iter().map(|row| &row.record.home));
    touched.extend(batch.announced.iter().map(|row| &row.home));
    touched.extend(batch.repeated.iter().map(|(handled, _)| &handled.key.home));
    touched.extend(batch.refused.iter().map(|handled| &handled.key.home));
    touched.extend(&batch.awaiting);
    let mut steps = Advance::prepare(transaction).map_err(engine("advance"))?;
    let progress = touched.into_iter().filter_map(|home| steps.advance(home, batch).transpose());
    progress.collect::<Result<_, Fault>>().map_err(Fault::during("advance"))
}

/// Stores a batch with a little of everything, of a home of which there need be none, and takes it back: an error means that the fault is
/// not in what homes send.
pub(super) fn probe(transaction: &Transaction<'_>) -> StoreResult<()> {
    transaction.execute_batch("SAVEPOINT probe").map_err(engine("probe"))?;
    let result = apply_samples(transaction);
    transaction.execute_batch("ROLLBACK TO probe; RELEASE probe").map_err(engine("probe"))?;
    result
}

fn apply_samples(transaction: &Transaction<'_>) -> StoreResult<()> {
    let not_an_id = |error: hearthwatch_protocol::IdError| corrupt("probe", error);
    let (home, alarm) = (HomeId::new("probe").map_err(not_an_id)?, AlarmId::new("probe").map_err(not_an_id)?);
    let (digest, at) = ([0; 32], 0);
    homes::enrol(transaction, &home, at)?;
    let record = FeedbackRecord {
        home: home.clone(),
        sequence: Sequence(1),
        alarm: alarm.clone(),
        device_class: String::new(),
        model_version: ModelVersion::ROUTINE,
        feature_schema: 0,
        window: FeatureWindow::none(),
        score: 0.0,
        threshold: 0.0,
        verdict: Verdict::Confirmed,
        origin: Origin::Alarm,
        raised_at: at,
        answered_at: at,
    };
    let refused = RecordKey { home: home.clone(), sequence: Sequence(3) };
    let status = AgentStatus {
        online: true,
        agent_version: String::new(),
        model_version: ModelVersion::ROUTINE,
        entities: 0,
        outbox: 0,
    };
    let window = [0; 32];
    let announced = AnnouncedRow {
        home: home.clone(),
        sequence: Sequence(2),
        alarm,
        model_version: ModelVersion::ROUTINE,
        window,
        digest,
        received_at: at,
    };
    let batch = IngestBatch {
        feedback: vec![FeedbackRow {
            record,
            payload: Bytes::new(),
            digest,
            received_at: at,
            grace: false,
            lift: None,
        }],
        announced: vec![announced],
        refused: vec![Handled { key: refused, digest, refused: Some(RefusalReason::Malformed) }],
        statuses: vec![(home.clone(), status)],
        outcomes: vec![(home, UpdateOutcome::installed(ModelVersion::ROUTINE, at))],
        at,
        ..IngestBatch::default()
    };
    apply(transaction, &batch).map(drop)
}

fn store_feedback(transaction: &Transaction<'_>, batch: &IngestBatch) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare(
        "INSERT INTO feedback (home, sequence, digest, verdict, received_at, payload, grace, lift, device_class,
             model_version, origin, raised_at, answered_at, score, threshold)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15) ON CONFLICT (home, sequence) DO NOTHING",
    )?;
    let mut count = transaction.prepare("UPDATE homes SET records = records + 1 WHERE home = ?1")?;
    for row in &batch.feedback {
        let home = row.record.home.as_str();
        let inserted = insert.execute(params![
            home,
            signed(row.record.sequence.0),
            &row.digest[..],
            <&str>::from(row.record.verdict),
            row.received_at,
            &row.payload[..],
            row.grace,
            row.lift.map(signed),
            row.record.device_class,
            signed(row.record.model_version.0),
            origin_word(row.record.origin),
            row.record.raised_at,
            row.record.answered_at,
            row.record.score,
            row.record.threshold,
        ])?;
        if inserted == 1 {
            count.execute([home])?;
            answered::note(transaction, row)?;
        }
    }
    Ok(())
}

/// What was answered, in one word, as the API says it.
pub(super) fn origin_word(origin: Origin) -> &'static str {
    match origin {
        Origin::Alarm => "alarm",
        Origin::AuditSample { .. } => "probe",
        Origin::Miss => "miss",
    }
}

/// Rows that are filled in one transaction: some 0.1 s of work.
const FILLED_AT_ONCE: usize = 2_000;

/// Fills the columns of migration 14 in rows of before. A row whose payload cannot be read gets an empty class, and is looked at no more.
pub(super) fn fill_columns(connection: &mut Connection) -> StoreResult<()> {
    let action = "fill columns of feedback";
    loop {
        let transaction = connection.transaction().map_err(engine(action))?;
        let select = format!("SELECT rowid, payload FROM feedback WHERE device_class IS NULL LIMIT {FILLED_AT_ONCE}");
        let rows =
            all(&transaction, action, &select, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
        if rows.is_empty() {
            return Ok(());
        }
        let unread = "UPDATE feedback SET device_class = '' WHERE rowid = ?1";
        let update = "UPDATE feedback SET device_class = ?2, model_version = ?3, origin = ?4, raised_at = ?5,
             answered_at = ?6, score = ?7, threshold = ?8 WHERE rowid = ?1";
        for (rowid, payload) in rows {
            let Ok(record) = feedback_in("feedback", &payload) else {
                query::run(&transaction, action, unread, [rowid])?;
                continue;
            };
            let (version, origin) = (signed(record.model_version.0), origin_word(record.origin));
            let (raised, answered) = (record.raised_at, record.answered_at);
            let values =
                params![rowid, record.device_class, version, origin, raised, answered, record.score, record.threshold];
            query::run(&transaction, action, update, values)?;
        }
        transaction.commit().map_err(engine(action))?;
    }
}

fn store_refused(transaction: &Transaction<'_>, batch: &IngestBatch) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare(
        "INSERT INTO refused (home, sequence, digest, reason) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (home, sequence) DO NOTHING",
    )?;
    for handled in &batch.refused {
        let Some(reason) = handled.refused else { continue };
        let sequence = signed(handled.key.sequence.0);
        insert.execute(params![handled.key.home.as_str(), sequence, &handled.digest[..], reason.as_str()])?;
    }
    Ok(())
}

/// The statements that move a home's `through` forward.
struct Advance<'a> {
    where_it_is: rusqlite::Statement<'a>,
    end_of: rusqlite::Statement<'a>,
    first_after: rusqlite::Statement<'a>,
    refused_between: rusqlite::Statement<'a>,
    digests_between: rusqlite::Statement<'a>,
    save: rusqlite::Statement<'a>,
}

impl<'a> Advance<'a> {
    fn prepare(transaction: &'a Transaction<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            where_it_is: transaction.prepare("SELECT through, gap_since FROM homes WHERE home = ?1")?,
            end_of: transaction.prepare(
                "SELECT 1 FROM feedback WHERE home = ?1 AND sequence = ?2
                     UNION ALL SELECT 1 FROM refused WHERE home = ?1 AND sequence = ?2
                     UNION ALL SELECT 1 FROM announced WHERE home = ?1 AND sequence = ?2
                     UNION ALL SELECT 1 FROM repeated WHERE home = ?1 AND sequence = ?2",
            )?,
            first_after: transaction.prepare(
                "SELECT min(s) FROM (
                     SELECT min(sequence) AS s FROM feedback WHERE home = ?1 AND sequence > ?2
                     UNION ALL SELECT min(sequence) FROM refused WHERE home = ?1 AND sequence > ?2
                     UNION ALL SELECT min(sequence) FROM announced WHERE home = ?1 AND sequence > ?2
                     UNION ALL SELECT min(sequence) FROM repeated WHERE home = ?1 AND sequence > ?2)",
            )?,
            refused_between: transaction.prepare(
                "SELECT sequence, reason FROM refused WHERE home = ?1 AND sequence > ?2 AND sequence <= ?3
                     ORDER BY sequence",
            )?,
            digests_between: transaction.prepare(
                "SELECT sequence, digest FROM refused WHERE home = ?1 AND sequence > ?2 AND sequence <= ?3
                     UNION ALL SELECT sequence, digest FROM feedback WHERE home = ?1 AND sequence > ?2 AND sequence <= ?3
                     UNION ALL SELECT sequence, digest FROM announced WHERE home = ?1 AND sequence > ?2 AND sequence <= ?3
                     UNION ALL SELECT sequence, digest FROM repeated WHERE home = ?1 AND sequence > ?2 AND sequence <= ?3",
            )?,
            save: transaction.prepare("UPDATE homes SET through = ?2, gap_since = ?3 WHERE home = ?1")?,
        })
    }

    /// `None` for a home that is not enrolled.
    fn advance(&mut self, home: &HomeId, batch: &IngestBatch) -> Result<Option<HomeProgress>, Fault> {
        let (at, awaiting) = (batch.at, batch.awaiting.contains(home));
        let found = self.where_it_is.query_row([home.as_str()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some((before, mut gap_since)) = found else { return Ok(None) };
        let mut through = self.contiguous(home, before)?;
        if through > before {
            gap_since = None;
        }
        let mut lost = 0;
        let next = self.next_after(home, through)?;
        match (next, gap_since) {
            // An answer that waits for what it rests on is a later one that is not here.
            (None, since) => gap_since = awaiting.then(|| since.unwrap_or(at)),
            (Some(_), None) => gap_since = Some(at),
            (Some(next), Some(since)) if at.saturating_sub(since) >= GAP_PATIENCE_SECONDS => {
                lost = next.abs_diff(through).saturating_sub(1);
                through = self.contiguous(home, next)?;
                let again = self.next_after(home, through)?;
                gap_since = again.map(|_| at);
            }
            (Some(_), Some(_)) => {}
        }
        self.save.execute(params![home.as_str(), through, gap_since])?;
        let refused = self.refused(home, before, through)?;
        let digests = self.digests(home, through)?;
        Ok(Some(HomeProgress { home: home.clone(), through: Sequence(through.unsigned_abs()), refused, digests, lost }))
    }

    /// The last of the unbroken row of handled records that starts at `from`.
    fn contiguous(&mut self, home: &HomeId, from: i64) -> rusqlite::Result<i64> {
        let mut through = from;
        while let Some(next) = through.checked_add(1)
            && self.end_of.exists(params![home.as_str(), next])?
        {
            through = next;
        }
        Ok(through)
    }

    fn next_after(&mut self, home: &HomeId, through: i64) -> rusqlite::Result<Option<i64>> {
        self.first_after.query_row(params![home.as_str(), through], |row| row.get(0))
    }

    /// What was handled under the last numbers up to `through`.
    fn digests(&mut self, home: &HomeId, through: i64) -> rusqlite::Result<Vec<Option<Digest>>> {
        let after = through.saturating_sub(RECEIPT_DIGESTS_MAX as i64).max(0);
        let rows = self.digests_between.query_map(params![home.as_str(), after, through], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Digest>(1)?))
        })?;
        let known: BTreeMap<i64, Digest> = rows.collect::<Result<_, _>>()?;
        Ok((after.saturating_add(1)..=through).map(|sequence| known.get(&sequence).copied()).collect())
    }

    fn refused(&mut self, home: &HomeId, after: i64, through: i64) -> Result<Vec<Refusal>, Fault> {
        let rows = self.refused_between.query_and_then(params![home.as_str(), after, through], |row| {
            Ok(Refusal { sequence: Sequence(row.get(0)?), reason: reason_from(&row.get::<_, String>(1)?)? })
        });
        rows?.collect()
    }
}

pub(super) fn handled(connection: &Connection, keys: &[RecordKey]) -> StoreResult<Vec<Handled>> {
    let select = "SELECT digest, NULL FROM feedback WHERE home = ?1 AND sequence = ?2
         UNION ALL SELECT digest, reason FROM refused WHERE home = ?1 AND sequence = ?2
         UNION ALL SELECT digest, NULL FROM announced WHERE home = ?1 AND sequence = ?2
         UNION ALL SELECT digest, NULL FROM repeated WHERE home = ?1 AND sequence = ?2";
    let look_up = || -> Result<Vec<Handled>, Fault> {
        let mut statement = connection.prepare(select)?;
        let mut found = Vec::new();
        for key in keys {
            let mut rows = statement.query(params![key.home.as_str(), signed(key.sequence.0)])?;
            if let Some(row) = rows.next()? {
                let refused = row.get::<_, Option<String>>(1)?.as_deref().map(reason_from).transpose()?;
                found.push(Handled { key: key.clone(), digest: row.get(0)?, refused });
            }
        }
        Ok(found)
    };
    look_up().map_err(Fault::during("look up records"))
}

pub(super) fn received_since(connection: &Connection, home: &HomeId, since: i64) -> StoreResult<Received> {
    let select = "SELECT count(*), coalesce(sum(grace), 0),
         (SELECT count(*) FROM announced WHERE home = ?1 AND received_at >= ?2)
         FROM feedback WHERE home = ?1 AND received_at >= ?2";
    query::one(connection, "count received", select, params![home.as_str(), since], |row| {
        Ok(Received { answers: row.get(0)?, unannounced: row.get(1)?, announcements: row.get(2)? })
    })
}

pub(super) fn handled_between(
    connection: &Connection,
    home: &HomeId,
    after: Sequence,
    before: Sequence,
) -> StoreResult<u64> {
    let select = "SELECT (SELECT count(*) FROM feedback WHERE home = ?1 AND sequence > ?2 AND sequence < ?3)
         + (SELECT count(*) FROM refused WHERE home = ?1 AND sequence > ?2 AND sequence < ?3)
         + (SELECT count(*) FROM announced WHERE home = ?1 AND sequence > ?2 AND sequence < ?3)
         + (SELECT count(*) FROM repeated WHERE home = ?1 AND sequence > ?2 AND sequence < ?3)";
    let values = params![home.as_str(), signed(after.0), signed(before.0)];
    query::one(connection, "count handled", select, values, |row| row.get(0))
}

/// In order of (home, sequence), after a key.
pub(super) fn feedback(connection: &Connection, filter: &FeedbackFilter) -> StoreResult<Vec<FeedbackRow>> {
    // One statement for each case: with `?1 IS NULL OR …` no index would be used to find the first row.
    let (home, after) = (filter.home.as_ref().map(HomeId::as_str), filter.after.as_ref());
    // Before every key: no name is empty, and no number is below 0.
    let (after_home, after_sequence) = after.map_or(("", -1), |key| (key.home.as_str(), signed(key.sequence.0)));
    let limit = limited(filter.limit);
    match home {
        None => {
            let clause = "WHERE (home, sequence) > (?1, ?2) ORDER BY home, sequence LIMIT ?3";
            select_feedback(connection, clause, params![after_home, after_sequence, limit])
        }
        Some(home) => {
            let after = match after_home.cmp(home) {
                Ordering::Less => -1,
                Ordering::Equal => after_sequence,
                Ordering::Greater => return Ok(Vec::new()),
            };
            let clause = "WHERE home = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3";
            select_feedback(connection, clause, params![home, after, limit])
        }
    }
}

pub(super) fn feedback_of(connection: &Connection, keys: &[RecordKey]) -> StoreResult<Vec<FeedbackRow>> {
    let one = |key: &RecordKey| {
        let values = params![key.home.as_str(), signed(key.sequence.0)];
        select_feedback(connection, "WHERE home = ?1 AND sequence = ?2", values)
    };
    Ok(keys.iter().map(one).collect::<Result<Vec<_>, _>>()?.concat())
}

pub(super) fn select_feedback(
    connection: &Connection,
    clause: &str,
    values: impl rusqlite::Params,
) -> StoreResult<Vec<FeedbackRow>> {
    let select = format!("SELECT payload, digest, received_at, grace, lift FROM feedback {clause}");
    all(connection, "list feedback", &select, values, |row| {
        let payload: Vec<u8> = row.get(0)?;
        Ok(FeedbackRow {
            record: feedback_in("feedback", &payload)?,
            payload: payload.into(),
            digest: row.get(1)?,
            received_at: row.get(2)?,
            grace: row.get(3)?,
            lift: row.get(4)?,
        })
    })
}

/// The answer that a payload in `table` is.
pub(super) fn feedback_in(table: &'static str, payload: &[u8]) -> StoreResult<FeedbackRecord> {
    match decode(payload) {
        Ok(Message::Feedback(record)) => Ok(record),
        Ok(other) => Err(corrupt(table, format!("holds a {}", other.kind()))),
        Err(error) => Err(corrupt(table, error)),
    }
}

pub(super) fn totals(connection: &Connection) -> StoreResult<FeedbackTotals> {
    let select = "SELECT records, confirmed, dismissed, expected, answering FROM totals";
    query::one(connection, "count feedback", select, [], |row| {
        Ok(FeedbackTotals {
            records: row.get(0)?,
            confirmed: row.get(1)?,
            dismissed: row.get(2)?,
            expected: row.get(3)?,
            homes: row.get(4)?,
        })
    })
}

/// The reason that a stored word stands for: the same word as on the wire.
pub(super) fn reason_from(word: &str) -> StoreResult<RefusalReason> {
    serde_json::from_value(serde_json::Value::String(word.to_owned())).map_err(|error| corrupt("refused", error))
}
