//! Notable happenings, as types: each writes its log line and moves its metric, so that the two cannot drift apart.
//!
//! Never in here: what a household did, scores, windows, tokens, keys.

use std::time::Duration;

use hearthwatch_protocol::HomeId;
use hearthwatch_protocol::messages::{RefusalReason, UpdateOutcome, UpdateResult};
use tracing::{debug, error, info, warn};

use crate::metrics::{Metrics, count};
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
        for (kind, number) in [("feedback", self.feedback), ("status", self.statuses), ("outcome", self.outcomes)] {
            if number > 0 {
                metrics.admitted.get_or_create(&crate::metrics::Kind { kind: kind.to_owned() }).inc_by(number);
            }
        }
        debug!(
            batch.feedback = self.feedback,
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
    /// What it was: `receipt` or `release`.
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
