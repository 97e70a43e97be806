//! Whether a payload may come in. Pure: bytes and what is known go in, a decision comes out.
//!
//! Two steps, because what must be looked up depends on what was read: [`Envelope::open`] reads, [`judge`] decides.

use std::collections::BTreeSet;

use bytes::Bytes;
use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::grid::{FEATURE_SCHEMA, FEATURES, WINDOW_STEPS};
use hearthwatch_protocol::manifest::SignedManifest;
use hearthwatch_protocol::messages::{
    AgentStatus, Announcement, FeedbackRecord, RefusalReason, UpdateOutcome, Withdrawal,
};
use hearthwatch_protocol::{DecodeError, HomeId, Message, ModelVersion, RecordKey, Sequence, Topic, decode, peek_key};
use hearthwatch_store::{AnnouncedRow, AnsweredRow, CLOCK_AHEAD_SECONDS_MAX, Digest, FeedbackRow, Handled};
use sha2::{Digest as _, Sha256};

use super::labels::{Backing, Basis, LabelPolicy, basis};
use super::repeats::is_repeat;
use super::rounds::RoundMessage;

/// Nothing was raised before the year 2000: the oldest recorded homes are younger.
pub const EARLIEST_AT: i64 = 946_684_800;

/// Records that a home may send within [`QUOTA_SECONDS`]. A resident answers a handful a day; an agent back from a long
/// absence sends its whole outbox. At 8 KiB each, this is 40 MB a day at the very worst.
pub const QUOTA_RECORDS: u64 = 5_000;

/// The window over which the quota counts: a day.
pub const QUOTA_SECONDS: i64 = 86_400;

/// Days for which a home's numbers may run ahead of what is known of it: a store that was put back from a backup so old takes
/// a home that used its whole quota on every day since.
const AHEAD_DAYS: u64 = 105;

/// Records of an agent's outbox: all of them may have a number when the store knows none of it.
const OUTBOX_RECORDS: u64 = 2_000;

/// How far a number may be beyond what was handled of its home without a gap: what it can have sent meanwhile, answers and
/// announcements alike. 105 × 2 × 5,000 + 2,000 = 1,052,000 at the usual quota; a store that lost everything still takes a home that has
/// counted thirty a day for 95 years. A smaller quota than the usual does not narrow it: it may have been larger before.
#[must_use]
pub fn ahead_max(records_per_day: u64) -> u64 {
    records_per_day.max(QUOTA_RECORDS).saturating_mul(2 * AHEAD_DAYS).saturating_add(OUTBOX_RECORDS)
}

/// A payload that was read, but not yet judged.
#[derive(Debug)]
pub struct Envelope {
    /// As it travelled, byte for byte.
    pub payload: Bytes,
    /// SHA-256 of the payload: what came before is known by it.
    pub digest: Digest,
    /// The home that the topic belongs to, if it is an upward topic of ours.
    pub home: Option<HomeId>,
    /// The key that a receipt can name: the topic's home and the record's sequence, if one could be read.
    pub key: Option<RecordKey>,
    content: Result<Content, (RefusalReason, String)>,
}

#[derive(Debug)]
enum Content {
    Feedback(Box<FeedbackRecord>),
    Announcement(Announcement),
    Status(AgentStatus),
    Outcome(UpdateOutcome),
    Manifest(SignedManifest),
    Withdrawal(Withdrawal),
    Round(RoundMessage),
}

/// What is known about an envelope's sender and key, looked up by the caller.
#[derive(Debug, Clone)]
pub struct Known<'a> {
    /// Enrolled and not revoked.
    pub enrolled: bool,
    /// How the envelope's key was handled before.
    pub before: Option<&'a Handled>,
    /// Every version that was ever released.
    pub released: &'a BTreeSet<ModelVersion>,
    /// Every version that was ever made: a home may try one before its release is on record here.
    pub made: &'a BTreeSet<ModelVersion>,
    /// Every number of the home up to this one was handled.
    pub through: Sequence,
    /// Records stored of this home within the last [`QUOTA_SECONDS`].
    pub recent: u64,
    /// Announcements stored of it within the same time.
    pub announced: u64,
    /// How many of either it may send.
    pub quota: u64,
    /// What is asked of answers.
    pub labels: LabelPolicy,
    /// What the envelope can rest on, if it is an answer.
    pub backing: Backing<'a>,
    /// The last stored answer to the same alarm, if the envelope is an answer.
    pub answered: Option<AnsweredRow>,
    /// The time here, Unix seconds.
    pub now: i64,
}

/// What [`judge`] decided of a envelope.
#[derive(Debug, Clone, PartialEq)]
pub enum Admission {
    /// It comes in, to be stored.
    Admit(Admitted),
    /// Was handled before, with the same bytes: nothing to store, but the home wants to hear that it is.
    Duplicate {
        /// The home and the number that were handled before.
        key: RecordKey,
        /// Why it was refused then, if it was.
        refused: Option<RefusalReason>,
    },
    /// Says once more what is stored under another number: nothing to store, and its own number is settled.
    Repeat {
        /// Which record, and its bytes.
        handled: Handled,
        /// Number of the stored answer, of the same home.
        original: Sequence,
    },
    /// Neither comes in nor stays out: what it rests on may be on its way. The home sends it again.
    Await {
        /// The home and the number that are to come again.
        key: RecordKey,
    },
    /// It stays out, and goes into quarantine.
    Refuse {
        /// The rule that it broke.
        reason: RefusalReason,
        /// What broke the rule, as one line for the operator.
        detail: String,
        /// Whether a receipt must cover the key: false for strangers, who are told nothing, and for keys that are
        /// covered already.
        covers: bool,
    },
}

/// What comes in, by kind, as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub enum Admitted {
    /// An answer, announced or not.
    Feedback(Box<FeedbackRow>),
    /// An alarm that nobody has answered yet.
    Announcement(AnnouncedRow),
    /// What an agent says of itself; the last word of a home counts.
    Status(HomeId, AgentStatus),
    /// The end of an update.
    Outcome(HomeId, UpdateOutcome),
    /// What the home says that it runs; its signature is looked at by whoever reads it.
    Manifest(HomeId, SignedManifest),
    /// Answers that are taken back.
    Withdrawal(Withdrawal),
    /// Something sent in a round; whoever takes it verifies it.
    Round(HomeId, RoundMessage),
}

impl Envelope {
    /// Reads `payload` as what `topic` promises. Never fails: what is wrong is kept for [`judge`].
    #[must_use]
    pub fn open(topic: &str, payload: Bytes) -> Self {
        let digest = Sha256::digest(&payload).into();
        let (home, content) = match Topic::parse(topic) {
            Ok(
                topic @ (Topic::Feedback(_)
                | Topic::Status(_)
                | Topic::Outcome(_)
                | Topic::Withdrawal(_)
                | Topic::Manifest(_)
                | Topic::RoundOffer(_)
                | Topic::RoundPart(_)),
            ) => (topic.home().cloned(), read(&topic, &payload)),
            Ok(other) => (None, Err((RefusalReason::WrongTopic, format!("{other} is not for records")))),
            Err(error) => (None, Err((RefusalReason::WrongTopic, error.to_string()))),
        };
        let sequence = match &content {
            Ok(Content::Feedback(record)) => Some(record.sequence),
            Ok(Content::Announcement(announcement)) => Some(announcement.sequence),
            Ok(
                Content::Status(_)
                | Content::Outcome(_)
                | Content::Withdrawal(_)
                | Content::Manifest(_)
                | Content::Round(_),
            ) => None,
            // Only the home itself can publish on its topic, so a false key harms nobody else.
            Err(_) => peek_key(&payload).map(|key| key.sequence),
        };
        let key = home.clone().zip(sequence.filter(|sequence| countable(*sequence)));
        let key = key.map(|(home, sequence)| RecordKey { home, sequence });
        Self { payload, digest, home, key, content }
    }

    /// The answer that it holds, if it holds one.
    #[must_use]
    pub fn answer(&self) -> Option<&FeedbackRecord> {
        match &self.content {
            Ok(Content::Feedback(record)) => Some(record),
            _ => None,
        }
    }
}

/// Sequences count from 1, and a store's integers are signed.
fn countable(sequence: Sequence) -> bool {
    sequence.0 >= 1 && i64::try_from(sequence.0).is_ok()
}

fn read(topic: &Topic, payload: &[u8]) -> Result<Content, (RefusalReason, String)> {
    let message = decode(payload).map_err(|error| (reason_of(&error), error.to_string()))?;
    match (topic, message) {
        (Topic::Feedback(_), Message::Feedback(record)) if !countable(record.sequence) => {
            Err((RefusalReason::Malformed, format!("sequence {} is out of range", record.sequence)))
        }
        (Topic::Feedback(_), Message::Announcement(said)) if !countable(said.sequence) => {
            Err((RefusalReason::Malformed, format!("sequence {} is out of range", said.sequence)))
        }
        (Topic::Feedback(_), Message::Feedback(record)) => Ok(Content::Feedback(Box::new(record))),
        (Topic::Feedback(_), Message::Announcement(announcement)) => Ok(Content::Announcement(announcement)),
        (Topic::Status(_), Message::Status(status)) => Ok(Content::Status(status)),
        (Topic::Outcome(_), Message::Outcome(outcome)) => Ok(Content::Outcome(outcome)),
        (Topic::Manifest(_), Message::Manifest(manifest)) => Ok(Content::Manifest(manifest)),
        (Topic::RoundOffer(_), Message::RoundOffer(offer)) => Ok(Content::Round(RoundMessage::Offer(offer))),
        (Topic::RoundPart(_), Message::RoundPart(part)) => Ok(Content::Round(RoundMessage::Part(Box::new(part)))),
        (Topic::Withdrawal(home), Message::Withdrawal(withdrawal)) if withdrawal.home != *home => {
            Err((RefusalReason::WrongHome, format!("says {}, came on the topic of {home}", withdrawal.home)))
        }
        (Topic::Withdrawal(_), Message::Withdrawal(withdrawal)) if !countable(Sequence(withdrawal.id)) => {
            Err((RefusalReason::Malformed, format!("withdrawal {} is out of range", withdrawal.id)))
        }
        (Topic::Withdrawal(_), Message::Withdrawal(withdrawal)) => Ok(Content::Withdrawal(withdrawal)),
        (topic, message) => Err((RefusalReason::Malformed, format!("a {} on {topic}", message.kind()))),
    }
}

fn reason_of(error: &DecodeError) -> RefusalReason {
    match error {
        DecodeError::TooLarge { .. } => RefusalReason::TooLarge,
        DecodeError::UnknownSchema(_) => RefusalReason::UnknownSchema,
        DecodeError::NotFinite => RefusalReason::NotFinite,
        DecodeError::WindowShape { .. } | DecodeError::WindowLength { .. } => RefusalReason::WindowShape,
        _ => RefusalReason::Malformed,
    }
}

/// Decides. The order is: topic, size and form · who · seen before · number · whose · what · when · how much · announced.
#[must_use]
pub fn judge(envelope: &Envelope, known: &Known<'_>) -> Admission {
    let Some(home) = &envelope.home else {
        let (reason, detail) = match &envelope.content {
            Err((reason, detail)) => (*reason, detail.clone()),
            Ok(_) => (RefusalReason::WrongTopic, String::new()),
        };
        return refuse(reason, detail, false);
    };
    if let Some(turned_away) = turn_away(envelope, home, known) {
        return turned_away;
    }
    let covers = envelope.key.is_some();
    match &envelope.content {
        Err((reason, detail)) => refuse(*reason, detail.clone(), covers),
        Ok(Content::Status(status)) => Admission::Admit(Admitted::Status(home.clone(), status.clone())),
        // Of what was never made nobody can tell how it ended, and each home would fill the table with it.
        Ok(Content::Outcome(outcome)) if !known.made.contains(&outcome.model_version) => {
            refuse(RefusalReason::UnknownModel, format!("model {} was never made", outcome.model_version), covers)
        }
        Ok(Content::Outcome(outcome)) => {
            // The last word of a home counts, by its own clock: one from the future would be the last for ever.
            let at = outcome.at.min(known.now.saturating_add(CLOCK_AHEAD_SECONDS_MAX));
            Admission::Admit(Admitted::Outcome(home.clone(), UpdateOutcome { at, ..outcome.clone() }))
        }
        Ok(Content::Manifest(manifest)) => Admission::Admit(Admitted::Manifest(home.clone(), manifest.clone())),
        Ok(Content::Withdrawal(withdrawal)) => Admission::Admit(Admitted::Withdrawal(withdrawal.clone())),
        Ok(Content::Round(message)) => Admission::Admit(Admitted::Round(home.clone(), message.clone())),
        Ok(Content::Feedback(record)) => judge_answer(envelope, record, home, known),
        Ok(Content::Announcement(said)) if said.home != *home => {
            refuse(RefusalReason::WrongHome, format!("says {}, came on the topic of {home}", said.home), covers)
        }
        Ok(Content::Announcement(_)) if known.announced >= known.quota => {
            refuse(RefusalReason::QuotaExceeded, format!("{} announcements within a day", known.announced), covers)
        }
        Ok(Content::Announcement(said)) => Admission::Admit(Admitted::Announcement(AnnouncedRow {
            home: home.clone(),
            sequence: said.sequence,
            alarm: said.alarm.clone(),
            model_version: said.model_version,
            window: said.window_sha256,
            digest: envelope.digest,
            received_at: known.now,
        })),
    }
}

fn refuse(reason: RefusalReason, detail: String, covers: bool) -> Admission {
    Admission::Refuse { reason, detail, covers }
}

/// What ends before its content is looked at: it comes from nobody who may send, came before, or has a number far ahead of its home's.
fn turn_away(envelope: &Envelope, home: &HomeId, known: &Known<'_>) -> Option<Admission> {
    if !known.enrolled {
        return Some(refuse(RefusalReason::UnknownHome, format!("{home} is not enrolled, or is revoked"), false));
    }
    let key = envelope.key.as_ref()?;
    if let Some(before) = known.before {
        return Some(if before.digest == envelope.digest {
            Admission::Duplicate { key: key.clone(), refused: before.refused }
        } else {
            refuse(RefusalReason::ReplayedSequence, format!("{key} was other bytes before"), false)
        });
    }
    let ahead = key.sequence.0.saturating_sub(known.through.0) > ahead_max(known.quota);
    let detail = || format!("number {}, and {} is heard up to {}", key.sequence, home, known.through);
    ahead.then(|| refuse(RefusalReason::SequenceAhead, detail(), false))
}

/// An answer, by its values and by what it rests on.
fn judge_answer(envelope: &Envelope, record: &FeedbackRecord, home: &HomeId, known: &Known<'_>) -> Admission {
    let covers = envelope.key.is_some();
    if let Some((reason, detail)) = fault(record, home, known) {
        return refuse(reason, detail, covers);
    }
    if let Some(known) = known.answered.filter(|known| is_repeat(record, known)) {
        let handled = Handled { key: record.key(), digest: envelope.digest, refused: None };
        return Admission::Repeat { handled, original: known.sequence };
    }
    let admit = |grace| {
        Admission::Admit(Admitted::Feedback(Box::new(FeedbackRow {
            record: record.clone(),
            payload: envelope.payload.clone(),
            digest: envelope.digest,
            received_at: known.now,
            grace,
            lift: None,
        })))
    };
    match basis(record, &known.backing, &known.labels, known.now) {
        Basis::Sound => admit(false),
        Basis::Grace => admit(true),
        Basis::Awaited => Admission::Await { key: record.key() },
        Basis::Missing(reason, detail) => refuse(reason, detail, covers),
    }
}

/// Whether an operator may let in what was refused for this reason: it is whole, and its home's own.
#[must_use]
pub fn liftable(reason: RefusalReason) -> bool {
    use RefusalReason as Reason;
    matches!(reason, Reason::NotAnnounced | Reason::QuotaExceeded | Reason::ImplausibleTime | Reason::UnknownModel)
}

/// What is wrong with a well-formed record, if anything is.
fn fault(record: &FeedbackRecord, home: &HomeId, known: &Known<'_>) -> Option<(RefusalReason, String)> {
    let window = &record.window;
    if record.home != *home {
        return Some((RefusalReason::WrongHome, format!("says {}, came on the topic of {home}", record.home)));
    }
    if record.feature_schema != FEATURE_SCHEMA {
        let detail = format!("feature schema {}, this is {FEATURE_SCHEMA}", record.feature_schema);
        return Some((RefusalReason::UnknownSchema, detail));
    }
    if !window.is_none() && (usize::from(window.steps), usize::from(window.features)) != (WINDOW_STEPS, FEATURES) {
        let detail = format!("{} × {}, should be {WINDOW_STEPS} × {FEATURES}", window.steps, window.features);
        return Some((RefusalReason::WindowShape, detail));
    }
    if DeviceClass::parse(&record.device_class).is_none() {
        return Some((RefusalReason::UnknownClass, format!("{:?}", record.device_class)));
    }
    if record.model_version != ModelVersion::ROUTINE && !known.released.contains(&record.model_version) {
        return Some((RefusalReason::UnknownModel, format!("model {} was never released", record.model_version)));
    }
    let latest = known.now.saturating_add(CLOCK_AHEAD_SECONDS_MAX);
    if record.raised_at < EARLIEST_AT || record.answered_at < record.raised_at || record.answered_at > latest {
        let detail = format!("raised {}, answered {}, now {}", record.raised_at, record.answered_at, known.now);
        return Some((RefusalReason::ImplausibleTime, detail));
    }
    if known.recent >= known.quota {
        return Some((RefusalReason::QuotaExceeded, format!("{} records within a day", known.recent)));
    }
    None
}

#[cfg(test)]
mod tests;
