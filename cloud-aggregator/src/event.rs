//! Notable happenings, as types: each writes its log line and moves its metric, so that the two cannot drift apart.
//!
//! Never in here: what a household did, scores, windows, tokens, keys.

use std::time::Duration;

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_protocol::messages::{RefusalReason, UpdateOutcome, UpdateResult};
use hearthwatch_protocol::{HomeId, ModelVersion};
use tracing::{debug, error, info, warn};

use crate::dataset::RecallEstimate;
use crate::dataset::quality::QualityReport;
use crate::ingest::limiter::Traffic;
use crate::metrics::{Metrics, count};
use crate::store::run_requests::RunRequestRow;
use crate::store::{ReleaseRow, RunRow};

/// Something worth a line in the log.
pub trait Event {
    /// Writes the line and moves the metric.
    fn emit(&self, metrics: &Metrics);
}

/// A batch is on disk.
pub struct BatchStored {
    /// Answers stored.
    pub feedback: u64,
    /// Announcements stored.
    pub announcements: u64,
    /// Self-descriptions stored.
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
                metrics.admitted.get_or_create(&crate::metrics::Kind { kind: kind.to_owned() }).inc_by(number);
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
    /// Why.
    pub reason: RefusalReason,
    /// Who sent it, where known.
    pub home: Option<&'a HomeId>,
    /// One line more.
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
    /// What it was.
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
    /// Which home.
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
    /// Who sent it.
    pub home: Option<&'a HomeId>,
    /// What it was.
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
    /// Who sent it.
    pub home: Option<&'a HomeId>,
    /// What it was.
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
    /// Which home.
    pub home: &'a HomeId,
    /// Answers deleted.
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
    /// Why.
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
pub struct WordUnsent<'a> {
    /// What it was: `receipt`, `release`, `withdrawal_receipt` or `contribution`.
    pub kind: &'static str,
    /// Why.
    pub cause: &'a str,
}

impl Event for WordUnsent<'_> {
    fn emit(&self, metrics: &Metrics) {
        count(&metrics.unsent, self.kind);
        warn!(message.kind = self.kind, cause = self.cause, "not sent; it is said again when asked for");
    }
}

/// Records of a home were given up for lost.
pub struct GapSkipped<'a> {
    /// Whose.
    pub home: &'a HomeId,
    /// How many.
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
    /// Its words.
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
    /// Where.
    pub home: &'a HomeId,
    /// How.
    pub outcome: &'a UpdateOutcome,
}

impl Event for OutcomeHeard<'_> {
    fn emit(&self, metrics: &Metrics) {
        let (word, reason) = match &self.outcome.result {
            UpdateResult::Installed => ("installed", ""),
            UpdateResult::Refused { reason } => ("refused", reason.as_str()),
            UpdateResult::RolledBack { reason, .. } => ("rolled_back", reason.as_str()),
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

/// A retraining began.
pub struct RunStarted<'a>(pub &'a RunRow);

impl Event for RunStarted<'_> {
    fn emit(&self, _: &Metrics) {
        let run = self.0;
        info!(run.id = run.id, run.trigger = run.trigger.as_str(), snapshot.id = run.snapshot, "retraining");
    }
}

/// A retraining ended.
pub struct RunEnded<'a>(pub &'a RunRow);

impl Event for RunEnded<'_> {
    fn emit(&self, metrics: &Metrics) {
        let run = self.0;
        count(&metrics.runs, run.state.as_str());
        let cause = run.failure.as_deref().unwrap_or("");
        info!(run.id = run.id, run.state = run.state.as_str(), cause, "retraining ended");
    }
}

/// Random questions say how much the current model finds.
pub struct RecallEstimated<'a>(pub &'a RecallEstimate);

impl Event for RecallEstimated<'_> {
    fn emit(&self, metrics: &Metrics) {
        let estimate = self.0;
        metrics.model_deaf.set(i64::from(estimate.deaf));
        metrics.probes_answered.set(i64::try_from(estimate.probes).unwrap_or(i64::MAX));
        let Some(recall) = estimate.recall else { return };
        metrics.recall_estimate.set(recall);
        if estimate.deaf {
            warn!(recall, probes = estimate.probes, "the current model misses most of what residents see");
        } else {
            info!(recall, probes = estimate.probes, "recall estimated from random questions");
        }
    }
}

/// A data set was taken and looked at.
pub struct DatasetTaken<'a> {
    /// Its id.
    pub snapshot: &'a str,
    /// What was found.
    pub quality: &'a QualityReport,
}

impl Event for DatasetTaken<'_> {
    fn emit(&self, metrics: &Metrics) {
        let QualityReport { windows, stability, findings, .. } = self.quality;
        metrics.dataset_findings.set(i64::try_from(findings.len()).unwrap_or(i64::MAX));
        metrics.dataset_stability_index.set(stability.iter().copied().fold(0.0, f64::max));
        for finding in findings {
            warn!(dataset.id = self.snapshot, dataset.windows = windows, finding, "data set has a fault");
        }
    }
}

/// The windows that come in are no longer as they were.
pub struct WindowsMoved {
    /// Whose.
    pub class: DeviceClass,
}

impl Event for WindowsMoved {
    fn emit(&self, metrics: &Metrics) {
        count(&metrics.windows_moved, self.class.as_str());
        warn!(class = self.class.as_str(), "the usual size of residuals has moved");
    }
}

/// A request for a run has ended, or was cut off and is taken up at the next start.
pub struct RunRequestEnded<'a>(pub &'a RunRequestRow);

impl Event for RunRequestEnded<'_> {
    fn emit(&self, _: &Metrics) {
        let request = self.0;
        let (run, cause) = (request.run.as_deref().unwrap_or("-"), request.reason.as_deref().unwrap_or(""));
        if request.ended_at.is_none() {
            info!(request.id = request.id, "request for a retraining cut off; it is taken up at the next start");
            return;
        }
        info!(request.id = request.id, request.state = request.state.as_str(), run.id = run, cause, "request ended");
    }
}

/// A request for a run came to nothing.
pub struct RunRefused<'a> {
    /// Why.
    pub cause: &'a str,
}

impl Event for RunRefused<'_> {
    fn emit(&self, metrics: &Metrics) {
        count(&metrics.runs, "refused");
        warn!(cause = self.cause, "no retraining");
    }
}

/// A model went out to the fleet.
pub struct ModelReleased<'a>(pub &'a ReleaseRow);

impl Event for ModelReleased<'_> {
    fn emit(&self, metrics: &Metrics) {
        metrics.releases.inc();
        metrics.champion_version.set(i64::try_from(self.0.model_version.0).unwrap_or(i64::MAX));
        info!(model.version = self.0.model_version.0, target = self.0.target, by = self.0.by, "model released");
    }
}

/// A promoted model could not go out; it is tried again.
pub struct ReleaseFailed<'a> {
    /// Which.
    pub version: u64,
    /// Why.
    pub cause: &'a str,
}

impl Event for ReleaseFailed<'_> {
    fn emit(&self, metrics: &Metrics) {
        metrics.release_failures.inc();
        error!(model.version = self.version, cause = self.cause, "promoted, but not released");
    }
}

/// A promoted model waits for a second person's word; it is tried again.
pub struct ReleaseAwaits<'a> {
    /// What is to be done.
    pub cause: &'a str,
}

impl Event for ReleaseAwaits<'_> {
    fn emit(&self, metrics: &Metrics) {
        metrics.releases_awaiting.inc();
        info!(cause = self.cause, "promoted, and not signed yet");
    }
}

/// A rollout was stopped by its tests.
pub struct RolloutStopped<'a> {
    /// Which release.
    pub version: ModelVersion,
    /// Homes that had been ordered to run it.
    pub saw: u64,
    /// Which tests, and by how much.
    pub reason: &'a str,
}

impl Event for RolloutStopped<'_> {
    fn emit(&self, metrics: &Metrics) {
        metrics.rollouts_stopped.inc();
        error!(model.version = self.version.0, homes = self.saw, reason = self.reason, "rollout stopped by its tests");
    }
}
