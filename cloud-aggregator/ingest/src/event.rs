//! Notable happenings of the intake.

use std::sync::atomic::Ordering;
use std::time::Duration;

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_protocol::messages::{RefusalReason, UpdateOutcome, UpdateResult, Verdict};
use hearthwatch_protocol::{HomeId, ModelVersion};
use hearthwatch_telemetry::event::Event;
use hearthwatch_telemetry::metrics::{Answer, Kind, MODELS, Metrics, begin, count};
use strum::{VariantArray as _, VariantNames as _};
use tracing::{debug, error, info, warn};

use crate::limiter::Traffic;

/// What is sent to homes and may not reach the broker: by the intake, by rounds and by rollouts.
const SENT: [&str; 8] = [
    "receipt",
    "withdrawal_receipt",
    "contribution",
    "release",
    "assignment",
    "round_plan",
    "round_request",
    "round_receipt",
];
/// What is stored of what homes send.
const ADMITTED: [&str; 4] = ["feedback", "announcement", "status", "outcome"];

/// Begins every counter of the intake at 0, with all words that it may have.
pub fn begin_counters(metrics: &Metrics) {
    begin(&metrics.admitted, &ADMITTED);
    begin(&metrics.refused, RefusalReason::VARIANTS);
    let traffic: Vec<&str> = Traffic::VARIANTS.iter().map(|traffic| traffic.as_str()).collect();
    for family in [&metrics.over_quota, &metrics.queue_full, &metrics.set_aside, &metrics.messages_lost] {
        begin(family, &traffic);
    }
    begin(&metrics.unsent, &SENT);
    begin(&metrics.outcomes, UpdateResult::VARIANTS);
    let classes: Vec<&str> = DeviceClass::ALL.iter().map(|class| class.as_str()).collect();
    begin(&metrics.windows_moved, &classes);
    for verdict in Verdict::VARIANTS {
        for model in MODELS {
            drop(metrics.answers.get_or_create(&Answer { verdict, model }));
        }
    }
}

/// An answer is on disk, for the first time.
pub struct AnswerStored {
    /// The resident's word.
    pub verdict: Verdict,
    /// The model whose alarm it was.
    pub model: ModelVersion,
}

impl Event for AnswerStored {
    fn emit(&self, metrics: &Metrics) {
        let answer = Answer { verdict: self.verdict.into(), model: metrics.model_word(self.model.0) };
        metrics.answers.get_or_create(&answer).inc();
    }
}

/// A batch is on disk.
pub struct BatchStored {
    /// Answers that were stored.
    pub feedback: u64,
    /// Announcements that were stored.
    pub announcements: u64,
    /// Self-descriptions that were stored; of several of one home all are counted.
    pub statuses: u64,
    /// Ends of updates stored.
    pub outcomes: u64,
    /// Records that were there already.
    pub duplicates: u64,
    /// How long judging and storing took.
    pub took: Duration,
}

impl Event for BatchStored {
    fn emit(&self, metrics: &Metrics) {
        metrics.batches.inc();
        metrics.duplicates.inc_by(self.duplicates);
        metrics.batch_seconds.observe(self.took.as_secs_f64());
        let kinds = [
            ("feedback", self.feedback),
            ("announcement", self.announcements),
            ("status", self.statuses),
            ("outcome", self.outcomes),
        ];
        for (kind, number) in kinds {
            if number > 0 {
                metrics.admitted.get_or_create(&Kind { kind: kind.to_owned() }).inc_by(number);
            }
        }
        debug!(
            batch.feedback = self.feedback,
            batch.announcements = self.announcements,
            batch.statuses = self.statuses,
            batch.outcomes = self.outcomes,
            batch.duplicates = self.duplicates,
            duration_ms = u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
            "batch stored"
        );
    }
}

/// A payload stayed out.
pub struct MessageRefused<'a> {
    /// The rule that it broke; also the counter's label.
    pub reason: RefusalReason,
    /// Who sent it, where known.
    pub home: Option<&'a HomeId>,
    /// What broke the rule, as one line for the operator.
    pub detail: &'a str,
}

impl Event for MessageRefused<'_> {
    fn emit(&self, metrics: &Metrics) {
        count(&metrics.refused, self.reason.as_str());
        let home = self.home.map_or("-", HomeId::as_str);
        warn!(reason = self.reason.as_str(), home.id = home, detail = self.detail, "message refused");
    }
}

/// A message was dropped before it was read: its home had sent too much.
pub struct QuotaExceeded<'a> {
    /// Who sent it; none where its topic belongs to nobody.
    pub home: Option<&'a HomeId>,
    /// What its topic carries; also the counter's label.
    pub traffic: Traffic,
    /// Messages of the home dropped since the last line that names it; none when this is not the time for a line.
    pub tell: Option<u64>,
}

impl Event for QuotaExceeded<'_> {
    fn emit(&self, metrics: &Metrics) {
        count(&metrics.over_quota, self.traffic.as_str());
        count(&metrics.refused, RefusalReason::QuotaExceeded.as_str());
        let Some(messages) = self.tell else { return };
        let home = self.home.map_or("-", HomeId::as_str);
        warn!(
            home.id = home,
            message.kind = self.traffic.as_str(),
            messages,
            "a home sends more than its quota; what is beyond it is dropped"
        );
    }
}

/// The queue was full: the home that held most of it gave something up, and sends it again if it matters.
pub struct QueueFull<'a> {
    /// The home that held most of the queue; none where the topic belongs to nobody.
    pub home: Option<&'a HomeId>,
    /// What was given up.
    pub traffic: Traffic,
    /// As in [`QuotaExceeded`].
    pub tell: Option<u64>,
}

impl Event for QueueFull<'_> {
    fn emit(&self, metrics: &Metrics) {
        count(&metrics.queue_full, self.traffic.as_str());
        let Some(messages) = self.tell else { return };
        let home = self.home.map_or("-", HomeId::as_str);
        warn!(
            home.id = home,
            message.kind = self.traffic.as_str(),
            messages,
            "more comes than is stored; the home that holds most of the queue gives way"
        );
    }
}

/// Storing a message failed while the store works: it is in quarantine.
pub struct MessageSetAside<'a> {
    /// Who sent it; none where its topic belongs to nobody.
    pub home: Option<&'a HomeId>,
    /// What its topic carries; also the counter's label.
    pub traffic: Traffic,
    /// How storing it failed.
    pub cause: &'a str,
}

impl Event for MessageSetAside<'_> {
    fn emit(&self, metrics: &Metrics) {
        count(&metrics.set_aside, self.traffic.as_str());
        let home = self.home.map_or("-", HomeId::as_str);
        error!(
            home.id = home,
            message.kind = self.traffic.as_str(),
            cause = self.cause,
            "a message cannot be stored and is in quarantine; this is a fault of this program, please report it"
        );
    }
}

/// Neither the store nor the quarantine took a message, while both work.
pub struct MessageLost<'a> {
    /// Who sent it; none where its topic belongs to nobody.
    pub home: Option<&'a HomeId>,
    /// What its topic carries; also the counter's label.
    pub traffic: Traffic,
    /// How storing it failed.
    pub cause: &'a str,
    /// How the quarantine failed.
    pub second: &'a str,
}

impl Event for MessageLost<'_> {
    fn emit(&self, metrics: &Metrics) {
        count(&metrics.messages_lost, self.traffic.as_str());
        let home = self.home.map_or("-", HomeId::as_str);
        error!(
            home.id = home,
            message.kind = self.traffic.as_str(),
            cause = self.cause,
            quarantine.cause = self.second,
            "a message can neither be stored nor quarantined and is dropped; this is a fault of this program, please report it"
        );
    }
}

/// Answers came before what they rest on, and are to come again.
pub struct AnswersAwait(pub u64);

impl Event for AnswersAwait {
    fn emit(&self, metrics: &Metrics) {
        metrics.awaiting.inc_by(self.0);
        debug!(batch.awaiting = self.0, "answers overtook their announcements; their homes send them again");
    }
}

/// A home took answers back.
pub struct RecordsWithdrawn<'a> {
    /// The home that asked for it.
    pub home: &'a HomeId,
    /// Answers and announcements that were deleted; 0 where none had come.
    pub removed: u64,
}

impl Event for RecordsWithdrawn<'_> {
    fn emit(&self, metrics: &Metrics) {
        metrics.withdrawn.inc_by(self.removed);
        info!(home.id = %self.home, records.removed = self.removed, "a home took back what it shared");
    }
}

/// The broker is there.
pub struct LinkUp {
    /// Whether it kept our session.
    pub session_present: bool,
}

impl Event for LinkUp {
    fn emit(&self, metrics: &Metrics) {
        metrics.link_connected.set(1);
        info!(mqtt.session_present = self.session_present, "connected to the broker");
    }
}

/// The broker is gone.
pub struct LinkDown<'a> {
    /// What the link said.
    pub reason: &'a str,
}

impl Event for LinkDown<'_> {
    fn emit(&self, metrics: &Metrics) {
        metrics.link_connected.set(0);
        warn!(reason = self.reason, "not connected to the broker; trying again");
    }
}

/// A receipt is at the broker.
pub struct ReceiptSent;

impl Event for ReceiptSent {
    fn emit(&self, metrics: &Metrics) {
        metrics.receipts.inc();
    }
}

/// A receipt or notice did not reach the broker. Nothing is lost: homes resend, and are told again.
pub struct MessageUnsent<'a> {
    /// What it was: `receipt`, `release`, `withdrawal_receipt` or `contribution`.
    pub kind: &'static str,
    /// What the link said.
    pub cause: &'a str,
}

impl Event for MessageUnsent<'_> {
    fn emit(&self, metrics: &Metrics) {
        count(&metrics.unsent, self.kind);
        warn!(message.kind = self.kind, cause = self.cause, "not sent; it is said again when asked for");
    }
}

/// Records of a home were given up for lost.
pub struct GapSkipped<'a> {
    /// The home whose numbers are skipped.
    pub home: &'a HomeId,
    /// Numbers under which nothing came.
    pub lost: u64,
}

impl Event for GapSkipped<'_> {
    fn emit(&self, metrics: &Metrics) {
        metrics.records_lost.inc_by(self.lost);
        warn!(home.id = self.home.as_str(), lost = self.lost, "records never came; going on without them");
    }
}

/// The store did not take a batch.
pub struct StoreFailing<'a> {
    /// What the store said.
    pub cause: &'a str,
    /// When the next attempt is.
    pub again_in: Duration,
}

impl Event for StoreFailing<'_> {
    fn emit(&self, metrics: &Metrics) {
        metrics.store_failures.inc();
        error!(
            cause = self.cause,
            again_in_s = self.again_in.as_secs(),
            "cannot store; nothing is receipted until it can"
        );
    }
}

/// A home told how an update ended.
pub struct OutcomeHeard<'a> {
    /// The home that reported it.
    pub home: &'a HomeId,
    /// As it travelled, its time by the home's clock.
    pub outcome: &'a UpdateOutcome,
}

impl Event for OutcomeHeard<'_> {
    fn emit(&self, metrics: &Metrics) {
        let word: &'static str = (&self.outcome.result).into();
        let reason = match &self.outcome.result {
            UpdateResult::Installed => "",
            UpdateResult::Refused { reason } | UpdateResult::RolledBack { reason, .. } => reason.as_str(),
        };
        count(&metrics.outcomes, word);
        info!(
            home.id = self.home.as_str(),
            model.version = self.outcome.model_version.0,
            outcome = word,
            reason,
            "update ended"
        );
    }
}

/// The windows that come in are no longer as they were.
pub struct WindowsMoved {
    /// The device class of the entities.
    pub class: DeviceClass,
}

impl Event for WindowsMoved {
    fn emit(&self, metrics: &Metrics) {
        count(&metrics.windows_moved, self.class.as_str());
        metrics.windows_moved_sum.fetch_add(1, Ordering::Relaxed);
        warn!(class = self.class.as_str(), "the usual size of residuals has moved");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_there_before_the_first_message() {
        let metrics = Metrics::new();
        begin_counters(&metrics);
        let text = metrics.render();
        for sample in [
            "messages_refused_total{kind=\"unknown_class\"}",
            "messages_over_quota_total{kind=\"records\"}",
            "unsent_total{kind=\"round_plan\"}",
            "update_outcomes_total{kind=\"rolled_back\"}",
            "windows_moved_total{kind=\"temperature\"}",
            "answers_total{verdict=\"expected\",model=\"other\"}",
        ] {
            assert!(text.contains(&format!("\nhearthwatch_cloud_{sample} 0\n")), "{sample} is missing:\n{text}");
        }
    }

    #[test]
    fn an_answer_counts_for_the_model_that_raised_its_alarm() {
        let metrics = Metrics::new();
        metrics.champion_version.set(3);
        metrics.previous_version.set(2);
        for version in [3, 2, 2, 1] {
            AnswerStored { verdict: Verdict::Confirmed, model: ModelVersion(version) }.emit(&metrics);
        }
        let of = |model| metrics.answers.get_or_create(&Answer { verdict: "confirmed", model }).get();
        assert_eq!(MODELS.map(of), [1, 2, 1]);
    }
}
