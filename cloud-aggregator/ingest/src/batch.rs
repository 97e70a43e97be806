//! One batch: look up, judge, commit in one transaction, and say what each home is to be told.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use hearthwatch_detector::class::DeviceClass;
use hearthwatch_protocol::limits::TEXT_BYTES_MAX;
use hearthwatch_protocol::messages::{
    PayloadDigest, Receipt, Refusal, RefusalReason, RoundReceipt, UpdateOutcome, Withdrawal, WithdrawalReceipt,
};
use hearthwatch_protocol::{AlarmId, HomeId, ModelVersion, RecordKey, Sequence};
use hearthwatch_store::{
    AnnouncedRow, AnsweredRow, Digest, FeedbackRow, GAP_PATIENCE_SECONDS, Handled, HomeProgress, IngestBatch,
    QuarantineRow, Received, Store, StoreResult,
};
use hearthwatch_telemetry::event::Event;
use hearthwatch_telemetry::metrics::Metrics;

use super::admission::{
    Admission, Admitted, Envelope, Known, QUOTA_RECORDS, QUOTA_SECONDS, ahead_max, judge, liftable,
};
use super::labels::{Backing, LabelPolicy};
use super::limiter::Traffic;
use super::rounds::{RoundIntake, RoundMessage};
use super::storing::Message;
use super::withdrawals::withdraw;
use crate::drift::DriftWatch;
use crate::event::{AnswerStored, AnswersAwait, BatchStored, GapSkipped, MessageRefused, OutcomeHeard, WindowsMoved};

/// Bytes of a refused payload that are kept: enough for the envelope and the first fields.
pub const QUARANTINE_PREFIX_BYTES: usize = 512;

/// Bytes of a refused message's topic that are kept; ours have at most 90.
const QUARANTINE_TOPIC_BYTES: usize = 128;

/// What a batch came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchReport {
    /// A receipt for each home that sent records or asked.
    pub receipts: Vec<(HomeId, Receipt)>,
    /// What each home is to be told of what it took back.
    pub withdrawn: Vec<(HomeId, WithdrawalReceipt)>,
    /// What each home is to be told of its answer in a round, once for each part of it that came.
    pub rounds: Vec<(HomeId, RoundReceipt)>,
    /// Answers that were stored, those that came before left out.
    pub stored: u64,
}

/// What storing is made of; all of it blocks.
pub(super) trait Take: Send + Sync + 'static {
    /// See [`BatchTaker::take`].
    fn take(&self, messages: &[Message], now: i64) -> StoreResult<BatchReport>;
    /// Puts a message that the store does not take into quarantine, with the `cause`. With `covered`, and if its key can be read, a
    /// receipt will cover it: its home sends it no more. Blocks on the store.
    ///
    /// # Errors
    /// [`StoreError`](hearthwatch_store::StoreError); then it is not even in quarantine.
    fn set_aside(&self, message: &Message, cause: &str, covered: bool, now: i64) -> StoreResult<BatchReport>;
    /// Whether anything can be stored now.
    fn probe(&self) -> StoreResult<()>;
}

/// Takes batches, one at a time.
pub struct BatchTaker {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    quota: u64,
    labels: LabelPolicy,
    /// Takes what is sent in rounds; without it that is passed over.
    rounds: Option<Arc<dyn RoundIntake>>,
    /// Whether what comes in still looks as before.
    drift: Mutex<DriftWatch>,
}

/// What the store said about a home, asked once a batch.
struct Sender {
    enrolled: bool,
    /// What is stored of it within the quota's time, this batch included.
    received: Received,
    through: Sequence,
    /// Whether what is missing is still waited for.
    patient: bool,
    announces_since: Option<i64>,
}

impl BatchTaker {
    /// A taker that stores in `store`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, metrics: Arc<Metrics>) -> Self {
        let (quota, labels) = (QUOTA_RECORDS, LabelPolicy::default());
        Self { store, metrics, quota, labels, rounds: None, drift: Mutex::default() }
    }

    /// The same with another daily quota for each home.
    #[must_use]
    pub fn with_quota(self, quota: u64) -> Self {
        Self { quota, ..self }
    }

    /// The same asking something else of answers.
    #[must_use]
    pub fn with_labels(self, labels: LabelPolicy) -> Self {
        Self { labels, ..self }
    }

    /// The same, handing what is sent in rounds to `rounds`.
    #[must_use]
    pub fn with_rounds(self, rounds: Arc<dyn RoundIntake>) -> Self {
        Self { rounds: Some(rounds), ..self }
    }

    /// The daily quota for each home.
    #[must_use]
    pub fn quota(&self) -> u64 {
        self.quota
    }

    /// The store that it writes to, for those who read.
    #[must_use]
    pub fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    /// Judges `messages` (topic, payload) and commits what follows from it. Blocks on the store.
    ///
    /// # Errors
    /// [`StoreError`](hearthwatch_store::StoreError); then nothing of the batch was stored, and it may be taken again.
    pub fn take(&self, messages: &[(String, Bytes)], now: i64) -> StoreResult<BatchReport> {
        let started = Instant::now();
        let released: BTreeSet<ModelVersion> =
            self.store.releases()?.into_iter().map(|release| release.model_version).collect();
        let made: BTreeSet<ModelVersion> = self.store.models()?.into_iter().map(|model| model.version).collect();
        let made = &made | &released;
        let envelopes: Vec<Envelope> =
            messages.iter().map(|(topic, payload)| Envelope::open(topic, payload.clone())).collect();
        let keys: Vec<RecordKey> = envelopes.iter().filter_map(|envelope| envelope.key.clone()).collect();
        let handled = self.store.handled(&keys)?;
        let mut sorted = Sorted::new(now, handled);
        for ((topic, _), envelope) in messages.iter().zip(&envelopes) {
            let before = envelope.key.as_ref().and_then(|key| sorted.handled.get(key)).cloned();
            if let Some(home) = &envelope.home {
                self.ask_about(&mut sorted.senders, home, now)?;
            }
            let sender = envelope.home.as_ref().and_then(|home| sorted.senders.get(home));
            let (announced, missing_below) = match sender {
                Some(sender) if sender.enrolled && before.is_none() => self.rests_on(&sorted, sender, envelope)?,
                _ => (None, false),
            };
            let received = sender.map_or(Received::default(), |sender| sender.received);
            let known = Known {
                enrolled: sender.is_some_and(|sender| sender.enrolled),
                before: before.as_ref(),
                released: &released,
                made: &made,
                through: sender.map_or(Sequence(0), |sender| sender.through),
                recent: received.answers,
                announced: received.announcements,
                quota: self.quota,
                labels: self.labels,
                backing: Backing {
                    announced: announced.as_ref(),
                    announces_since: sender.and_then(|sender| sender.announces_since),
                    missing_below,
                    unannounced: received.unannounced,
                },
                answered: match sender {
                    Some(sender) if sender.enrolled && before.is_none() => self.answered(&sorted, envelope)?,
                    _ => None,
                },
                now,
            };
            let admission = judge(envelope, &known);
            sorted.file(topic, envelope, admission);
        }
        let news = self.new_outcomes(&sorted.batch)?;
        let progress = self.store.apply(&sorted.batch)?;
        // After the answers of the same batch: what was sent before it was taken back is taken back too.
        let withdrawn = withdraw(self.store.as_ref(), &self.metrics, &sorted.withdrawals, now)?;
        let rounds = self.take_rounds(&sorted.rounds)?;
        for (home, outcome) in news {
            OutcomeHeard { home, outcome }.emit(&self.metrics);
        }
        self.emit(&sorted, &progress, started);
        self.watch(&sorted.batch);
        let stored = sorted.batch.feedback.len() as u64;
        Ok(BatchReport { receipts: sorted.receipts(progress), withdrawn, rounds, stored })
    }

    /// Each message is a transaction of its own: a batch that is taken again finds them done.
    fn take_rounds(&self, messages: &[(HomeId, RoundMessage)]) -> StoreResult<Vec<(HomeId, RoundReceipt)>> {
        let Some(rounds) = &self.rounds else { return Ok(Vec::new()) };
        let mut receipts = Vec::new();
        for (home, message) in messages {
            match message {
                RoundMessage::Offer(offer) => rounds.offer(self.store.as_ref(), home, offer)?,
                RoundMessage::Part(part) => {
                    receipts.push((home.clone(), rounds.part(self.store.as_ref(), home, part)?));
                }
            }
        }
        Ok(receipts)
    }

    fn ask_about(&self, senders: &mut HashMap<HomeId, Sender>, home: &HomeId, now: i64) -> StoreResult<()> {
        if senders.contains_key(home) {
            return Ok(());
        }
        let row = self.store.home(home)?;
        let enrolled = row.as_ref().is_some_and(|row| row.revoked_at.is_none());
        let received = if enrolled {
            self.store.received_since(home, now.saturating_sub(QUOTA_SECONDS))?
        } else {
            Received::default()
        };
        let gap_since = row.as_ref().and_then(|row| row.gap_since);
        let sender = Sender {
            enrolled,
            received,
            through: row.as_ref().map_or(Sequence(0), |row| row.through),
            patient: gap_since.is_none_or(|since| now.saturating_sub(since) < GAP_PATIENCE_SECONDS),
            announces_since: row.and_then(|row| row.announces_since),
        };
        senders.insert(home.clone(), sender);
        Ok(())
    }

    /// The announcement that an answer rests on, in this batch or before it; and where there is none, whether numbers below
    /// the answer's are missing that may still come.
    fn rests_on(
        &self,
        sorted: &Sorted,
        sender: &Sender,
        envelope: &Envelope,
    ) -> StoreResult<(Option<AnnouncedRow>, bool)> {
        let Some(answer) = envelope.answer() else { return Ok((None, false)) };
        let Some(home) = &envelope.home else { return Ok((None, false)) };
        let known = match sorted.announced.get(&(home.clone(), answer.alarm.clone())) {
            Some(index) => sorted.batch.announced.get(*index).cloned(),
            None => self.store.announced(home, &answer.alarm)?,
        };
        let between = answer.sequence.0.saturating_sub(sender.through.0.saturating_add(1));
        if known.is_some() || between == 0 || !sender.patient {
            return Ok((known, false));
        }
        let stored = self.store.handled_between(home, sender.through, answer.sequence)?;
        let here = sorted.handled_here(home, sender.through, answer.sequence);
        Ok((None, stored.saturating_add(here) < between))
    }

    /// The last answer to the same alarm, in this batch or before it; of a verdict alone only, which may be a repetition.
    fn answered(&self, sorted: &Sorted, envelope: &Envelope) -> StoreResult<Option<AnsweredRow>> {
        let Some(answer) = envelope.answer().filter(|answer| answer.window.is_none()) else { return Ok(None) };
        let same = |row: &&FeedbackRow| row.record.home == answer.home && row.record.alarm == answer.alarm;
        let here = sorted.batch.feedback.iter().filter(same).max_by_key(|row| row.record.sequence);
        Ok(match here {
            Some(row) => Some(AnsweredRow {
                sequence: row.record.sequence,
                verdict: row.record.verdict,
                answered_at: row.record.answered_at,
                withdrawn_at: None,
            }),
            None => self.store.answered(&answer.home, &answer.alarm)?,
        })
    }

    /// The ends of updates that were not told before, in the store or in this batch.
    fn new_outcomes<'a>(&self, batch: &'a IngestBatch) -> StoreResult<Vec<(&'a HomeId, &'a UpdateOutcome)>> {
        let mut news = Vec::new();
        for (home, outcome) in &batch.outcomes {
            if !news.contains(&(home, outcome)) && self.store.is_new_outcome(home, outcome)? {
                news.push((home, outcome));
            }
        }
        Ok(news)
    }

    /// Looks at the admitted windows as a stream. What it has seen is forgotten at a restart: it then learns anew.
    fn watch(&self, batch: &IngestBatch) {
        let mut drift = self.drift.lock().unwrap_or_else(PoisonError::into_inner);
        for row in &batch.feedback {
            let Some(class) = DeviceClass::parse(&row.record.device_class) else { continue };
            if drift.step(class, &row.record.window.values) {
                WindowsMoved { class }.emit(&self.metrics);
            }
        }
    }

    fn emit(&self, sorted: &Sorted, progress: &[HomeProgress], started: Instant) {
        let batch = &sorted.batch;
        for row in &batch.quarantine {
            MessageRefused { reason: row.reason, home: row.home.as_ref(), detail: &row.detail }.emit(&self.metrics);
        }
        for home in progress.iter().filter(|home| home.lost > 0) {
            GapSkipped { home: &home.home, lost: home.lost }.emit(&self.metrics);
        }
        if !batch.awaiting.is_empty() {
            AnswersAwait(batch.awaiting.len() as u64).emit(&self.metrics);
        }
        for FeedbackRow { record, .. } in &batch.feedback {
            AnswerStored { verdict: record.verdict, model: record.model_version }.emit(&self.metrics);
        }
        BatchStored {
            feedback: batch.feedback.len() as u64,
            announcements: batch.announced.len() as u64,
            statuses: batch.statuses.len() as u64,
            outcomes: batch.outcomes.len() as u64,
            duplicates: sorted.duplicates,
            took: started.elapsed(),
        }
        .emit(&self.metrics);
    }
}

impl Take for BatchTaker {
    fn take(&self, messages: &[Message], now: i64) -> StoreResult<BatchReport> {
        Self::take(self, messages, now)
    }

    fn set_aside(&self, message: &Message, cause: &str, covered: bool, now: i64) -> StoreResult<BatchReport> {
        let (topic, payload) = message;
        // What reading it did is not known to be harmless: without `covered` it is not read again.
        let envelope = covered.then(|| Envelope::open(topic, payload.clone()));
        let home = Traffic::of(topic).0;
        let key = envelope.and_then(|envelope| Some((envelope.key?, envelope.digest)));
        let row = match &home {
            Some(home) if covered => self.store.home(home)?.filter(|row| row.revoked_at.is_none()),
            Some(_) | None => None,
        };
        let near =
            |key: &RecordKey, through: Sequence| key.sequence.0.saturating_sub(through.0) <= ahead_max(self.quota);
        let key = key.zip(row).filter(|((key, _), row)| near(key, row.through)).map(|(key, _)| key);
        let mut batch = IngestBatch { at: now, ..IngestBatch::default() };
        let reason = RefusalReason::Unstorable;
        let sequence = key.as_ref().map(|(key, _)| key.sequence);
        let why = (reason, shortened(cause, TEXT_BYTES_MAX).to_owned());
        batch.quarantine.push(quarantined(why, topic, home, sequence, payload, now));
        // In the receipt a word that every agent knows.
        batch.refused.extend(key.map(|(key, digest)| Handled { key, digest, refused: Some(RefusalReason::Malformed) }));
        let progress = self.store.apply(&batch)?;
        let sorted = Sorted { batch, ..Sorted::new(now, Vec::new()) };
        for row in &sorted.batch.quarantine {
            MessageRefused { reason: row.reason, home: row.home.as_ref(), detail: &row.detail }.emit(&self.metrics);
        }
        Ok(BatchReport { receipts: sorted.receipts(progress), ..BatchReport::default() })
    }

    fn probe(&self) -> StoreResult<()> {
        self.store.probe()
    }
}

/// A batch while it is being judged.
struct Sorted {
    batch: IngestBatch,
    senders: HashMap<HomeId, Sender>,
    /// Decided by earlier batches, or by this one already: the same key may come twice in it.
    handled: HashMap<RecordKey, Handled>,
    /// Where in the batch the first announcement of an alarm is.
    announced: HashMap<(HomeId, AlarmId), usize>,
    /// Refusals of earlier batches that homes asked about again by resending.
    remembered: BTreeMap<HomeId, Vec<Refusal>>,
    withdrawals: Vec<Withdrawal>,
    rounds: Vec<(HomeId, RoundMessage)>,
    duplicates: u64,
}

impl Sorted {
    fn new(now: i64, handled: Vec<Handled>) -> Self {
        Self {
            batch: IngestBatch { at: now, ..IngestBatch::default() },
            senders: HashMap::new(),
            handled: handled.into_iter().map(|handled| (handled.key.clone(), handled)).collect(),
            announced: HashMap::new(),
            remembered: BTreeMap::new(),
            withdrawals: Vec::new(),
            rounds: Vec::new(),
            duplicates: 0,
        }
    }

    fn file(&mut self, topic: &str, envelope: &Envelope, admission: Admission) {
        match admission {
            Admission::Admit(Admitted::Feedback(row)) => {
                if let Some(sender) = self.senders.get_mut(&row.record.home) {
                    sender.received.answers += 1;
                    sender.received.unannounced += u64::from(row.grace);
                }
                let handled = Handled { key: row.record.key(), digest: row.digest, refused: None };
                self.handled.insert(handled.key.clone(), handled);
                self.batch.feedback.push(*row);
            }
            Admission::Admit(Admitted::Announcement(row)) => {
                if let Some(sender) = self.senders.get_mut(&row.home) {
                    sender.received.announcements += 1;
                    sender.announces_since.get_or_insert(row.received_at);
                }
                let key = RecordKey { home: row.home.clone(), sequence: row.sequence };
                self.handled.insert(key.clone(), Handled { key, digest: row.digest, refused: None });
                let place = (row.home.clone(), row.alarm.clone());
                self.announced.entry(place).or_insert(self.batch.announced.len());
                self.batch.announced.push(row);
            }
            Admission::Repeat { handled, original } => {
                self.duplicates += 1;
                self.handled.insert(handled.key.clone(), handled.clone());
                self.batch.repeated.push((handled, original));
            }
            // Nothing remembers it: it is judged anew when it comes again.
            Admission::Await { key } => self.batch.awaiting.push(key.home),
            Admission::Admit(Admitted::Status(home, status)) => {
                // An agent that says "I am here, and records wait" gets to hear which of them need not.
                if status.online && status.outbox > 0 {
                    self.batch.asking.push(home.clone());
                }
                self.batch.statuses.push((home, status));
            }
            Admission::Admit(Admitted::Outcome(home, outcome)) => self.batch.outcomes.push((home, outcome)),
            Admission::Admit(Admitted::Manifest(home, manifest)) => self.batch.manifests.push((home, manifest)),
            Admission::Admit(Admitted::Withdrawal(withdrawal)) => self.withdrawals.push(withdrawal),
            Admission::Admit(Admitted::Round(home, message)) => self.rounds.push((home, message)),
            Admission::Duplicate { key, refused } => {
                self.duplicates += 1;
                if let Some(reason) = refused {
                    let refusal = Refusal { sequence: key.sequence, reason };
                    self.remembered.entry(key.home.clone()).or_default().push(refusal);
                }
                self.batch.asking.push(key.home);
            }
            Admission::Refuse { reason, detail, covers } => self.refuse(topic, envelope, reason, detail, covers),
        }
    }

    /// Into quarantine with it; its home hears of it where a receipt can say so.
    fn refuse(&mut self, topic: &str, envelope: &Envelope, reason: RefusalReason, detail: String, covers: bool) {
        let whole = envelope.answer().is_some() && envelope.key.is_some() && liftable(reason);
        let sequence = envelope.key.as_ref().map(|key| key.sequence);
        let why = (reason, detail);
        let row = quarantined(why, topic, envelope.home.clone(), sequence, &envelope.payload, self.batch.at);
        self.batch.quarantine.push(QuarantineRow { payload: whole.then(|| envelope.payload.clone()), ..row });
        if reason == RefusalReason::SequenceAhead {
            // It hears where it stands, and nothing of this number.
            self.batch.asking.extend(envelope.home.clone());
        }
        let taken_back = |key: &&RecordKey| {
            self.handled.get(*key).and_then(|before| before.refused) == Some(RefusalReason::Withdrawn)
        };
        let replayed = envelope.key.as_ref().filter(|_| reason == RefusalReason::ReplayedSequence);
        if let Some(key) = replayed.filter(|key| !taken_back(key)) {
            // A home that lost its past counts from 1 again: the receipt says so, and it gives its answer a number that is free. Not so
            // a late copy of what it took back, which must not come again.
            let refusal = Refusal { sequence: key.sequence, reason };
            self.remembered.entry(key.home.clone()).or_default().push(refusal);
            self.batch.asking.push(key.home.clone());
        }
        if let Some(key) = envelope.key.as_ref().filter(|_| covers) {
            let handled = Handled { key: key.clone(), digest: envelope.digest, refused: Some(reason) };
            self.handled.insert(key.clone(), handled.clone());
            self.batch.refused.push(handled);
        }
    }

    /// How many of a home's numbers between the two this batch itself stores or refuses.
    fn handled_here(&self, home: &HomeId, after: Sequence, before: Sequence) -> u64 {
        let answers = self.batch.feedback.iter().map(|row| (&row.record.home, row.record.sequence));
        let announcements = self.batch.announced.iter().map(|row| (&row.home, row.sequence));
        let refused = self.batch.refused.iter().map(|handled| (&handled.key.home, handled.key.sequence));
        let repeated = self.batch.repeated.iter().map(|(handled, _)| (&handled.key.home, handled.key.sequence));
        let all = answers.chain(announcements).chain(refused).chain(repeated);
        all.filter(|(whose, sequence)| *whose == home && *sequence > after && *sequence < before).count() as u64
    }

    /// What each home is to be told: how far it has been heard, and what of that was refused, new or remembered.
    fn receipts(mut self, progress: Vec<HomeProgress>) -> Vec<(HomeId, Receipt)> {
        let receipt = |home: HomeProgress| {
            let mut refused: BTreeMap<Sequence, Refusal> = BTreeMap::new();
            let remembered = self.remembered.remove(&home.home).unwrap_or_default();
            for refusal in home.refused.into_iter().chain(remembered) {
                if refusal.sequence <= home.through {
                    refused.insert(refusal.sequence, refusal);
                }
            }
            let digest =
                |sha256: &Option<Digest>| sha256.as_ref().map_or(PayloadDigest::MISSING, PayloadDigest::from_sha256);
            let digests = home.digests.iter().map(digest).collect();
            (home.home, Receipt { through: home.through, refused: refused.into_values().collect(), digests })
        };
        progress.into_iter().map(receipt).collect()
    }
}

/// What is kept of a payload that stays out for a reason, with one line more.
fn quarantined(
    (reason, detail): (RefusalReason, String),
    topic: &str,
    home: Option<HomeId>,
    sequence: Option<Sequence>,
    payload: &Bytes,
    at: i64,
) -> QuarantineRow {
    QuarantineRow {
        id: 0,
        reason,
        detail,
        topic: shortened(topic, QUARANTINE_TOPIC_BYTES).to_owned(),
        home,
        sequence,
        prefix: payload[..payload.len().min(QUARANTINE_PREFIX_BYTES)].to_vec(),
        length: payload.len() as u64,
        payload: None,
        settled: None,
        at,
    }
}

/// At most `limit` bytes of `text`, cut between characters.
fn shortened(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

#[cfg(test)]
mod tests;
