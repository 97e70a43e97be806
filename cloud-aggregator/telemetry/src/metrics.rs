//! The numbers behind `/metrics`: one registry for the whole program.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// Buckets of the batch histogram: 1 ms × 4^0 … 4^7 = 16 s.
const BATCH_BUCKETS: u16 = 8;

/// A word that splits a counter: a message kind, a refusal reason, a run's end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Kind {
    /// One word of a fixed list: what homes send never becomes a label.
    pub kind: String,
}

/// A counter for each word.
pub type ByKind = Family<Kind, Counter>;

/// Every metric of ingest and training. Other parts add theirs with [`Metrics::register`].
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    /// Messages stored, by kind.
    pub admitted: ByKind,
    /// Messages refused, by reason.
    pub refused: ByKind,
    /// Messages dropped before they were read, because their home had sent too much, by kind.
    pub over_quota: ByKind,
    /// Messages given up because the queue was full, always of the home that held most of it, by kind.
    pub queue_full: ByKind,
    /// Messages set aside because storing them failed, by kind.
    pub set_aside: ByKind,
    /// Messages that even the quarantine did not take, by kind.
    pub messages_lost: ByKind,
    /// Answers that overtook their announcements.
    pub awaiting: Counter,
    /// Records that were there already.
    pub duplicates: Counter,
    /// Batches committed.
    pub batches: Counter,
    /// Seconds from a batch's first look to its commit.
    pub batch_seconds: Histogram,
    /// Batches that the store did not take at once.
    pub store_failures: Counter,
    /// Receipts sent.
    pub receipts: Counter,
    /// Receipts and notices that did not reach the broker, by kind.
    pub unsent: ByKind,
    /// Answers deleted because their homes took them back.
    pub withdrawn: Counter,
    /// Records that homes numbered but never delivered.
    pub records_lost: Counter,
    /// 1 while the broker is connected.
    pub link_connected: Gauge,
    /// Retraining runs that ended, by end.
    pub runs: ByKind,
    /// Share of what is really off that the current model finds, by random questions.
    pub recall_estimate: Gauge<f64, AtomicU64>,
    /// 1 while even the upper end of that estimate is below one half.
    pub model_low_recall: Gauge,
    /// Answered random questions behind the estimate.
    pub audit_samples_answered: Gauge,
    /// Models released.
    pub releases: Counter,
    /// Releases that failed and are tried again.
    pub release_failures: Counter,
    /// Attempts that found a second person's word missing.
    pub releases_awaiting: Counter,
    /// Version of the current model.
    pub champion_version: Gauge,
    /// Rollouts that their tests stopped.
    pub rollouts_stopped: Counter,
    /// Ends of updates reported by homes, by end.
    pub outcomes: ByKind,
    /// Findings about the newest data set.
    pub dataset_findings: Gauge,
    /// Highest stability index of a feature of the newest data set, against the reigning model's.
    pub dataset_stability_index: Gauge<f64, AtomicU64>,
    /// Times that incoming windows stopped looking as before, by device class.
    pub windows_moved: ByKind,
    /// The same, of all classes.
    pub windows_moved_sum: AtomicU64,
    /// Rounds that were opened.
    pub rounds_opened: Counter,
    /// Rounds that ended, by outcome.
    pub rounds: ByKind,
    /// Homes that were asked to train in the newest round.
    pub round_cohort: Gauge,
    /// Homes whose delta is part of the newest aggregate.
    pub round_reporters: Gauge,
    /// Sound deltas that no aggregate used.
    pub round_left_out: Counter,
    /// Answers in rounds, by what came: `delta`, `counts`, `declined`.
    pub round_answers: ByKind,
    /// Answers in rounds that were refused, by reason.
    pub round_refusals: ByKind,
    /// Times that homes gave or withdrew their consent to rounds.
    pub round_consents: ByKind,
    /// Steps of rounds that are tried again.
    pub round_retries: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All metrics at zero, registered under the prefix `hearthwatch_cloud`.
    #[must_use]
    pub fn new() -> Self {
        let metrics = Self::zero();
        metrics.register(|registry| {
            metrics.register_ingest(registry);
            metrics.register_learning(registry);
            metrics.register_releases(registry);
            metrics.register_rounds(registry);
        });
        metrics
    }

    /// How often incoming windows of any class have moved, since the program started.
    #[must_use]
    pub fn windows_moved_in_all(&self) -> u64 {
        self.windows_moved_sum.load(Ordering::Relaxed)
    }

    fn zero() -> Self {
        Self {
            registry: Mutex::new(Registry::with_prefix("hearthwatch_cloud")),
            admitted: ByKind::default(),
            refused: ByKind::default(),
            over_quota: ByKind::default(),
            queue_full: ByKind::default(),
            set_aside: ByKind::default(),
            messages_lost: ByKind::default(),
            awaiting: Counter::default(),
            duplicates: Counter::default(),
            batches: Counter::default(),
            batch_seconds: Histogram::new(exponential_buckets(0.001, 4.0, BATCH_BUCKETS)),
            store_failures: Counter::default(),
            receipts: Counter::default(),
            unsent: ByKind::default(),
            withdrawn: Counter::default(),
            records_lost: Counter::default(),
            link_connected: Gauge::default(),
            runs: ByKind::default(),
            recall_estimate: Gauge::default(),
            model_low_recall: Gauge::default(),
            audit_samples_answered: Gauge::default(),
            releases: Counter::default(),
            release_failures: Counter::default(),
            releases_awaiting: Counter::default(),
            champion_version: Gauge::default(),
            rollouts_stopped: Counter::default(),
            outcomes: ByKind::default(),
            dataset_findings: Gauge::default(),
            dataset_stability_index: Gauge::default(),
            windows_moved: ByKind::default(),
            windows_moved_sum: AtomicU64::new(0),
            rounds_opened: Counter::default(),
            rounds: ByKind::default(),
            round_cohort: Gauge::default(),
            round_reporters: Gauge::default(),
            round_left_out: Counter::default(),
            round_answers: ByKind::default(),
            round_refusals: ByKind::default(),
            round_consents: ByKind::default(),
            round_retries: Counter::default(),
        }
    }

    /// What homes sent, and what came of it.
    fn register_ingest(&self, registry: &mut Registry) {
        registry.register("messages_admitted", "Messages stored, by kind", self.admitted.clone());
        registry.register("messages_refused", "Messages refused, by reason", self.refused.clone());
        registry.register("messages_over_quota", "Messages of homes over their quota", self.over_quota.clone());
        registry.register("messages_queue_full", "Messages given up for room", self.queue_full.clone());
        registry.register("messages_set_aside", "Messages that failed to be stored", self.set_aside.clone());
        registry.register("messages_lost", "Messages not even quarantined", self.messages_lost.clone());
        registry.register("answers_awaiting", "Answers before their announcements", self.awaiting.clone());
        registry.register("records_duplicate", "Records that were stored before", self.duplicates.clone());
        registry.register("batches", "Ingest transactions committed", self.batches.clone());
        registry.register("batch_seconds", "Time to judge and commit a batch", self.batch_seconds.clone());
        registry.register("store_failures", "Batches not stored at once", self.store_failures.clone());
        registry.register("unsent", "Words that did not reach the broker", self.unsent.clone());
        registry.register("records_withdrawn", "Answers taken back by homes", self.withdrawn.clone());
        registry.register("records_lost", "Records never delivered", self.records_lost.clone());
        registry.register("receipts", "Receipts sent to homes", self.receipts.clone());
        registry.register("link_connected", "1 while the broker is connected", self.link_connected.clone());
    }

    /// Runs, the model that they made, and the data that they learn from.
    fn register_learning(&self, registry: &mut Registry) {
        registry.register("runs", "Retraining runs that ended, by end", self.runs.clone());
        registry.register(
            "recall_estimate",
            "Recall of the current model by random questions; 0 if unknown",
            self.recall_estimate.clone(),
        );
        registry.register(
            "model_low_recall",
            "1 while the current model surely misses most",
            self.model_low_recall.clone(),
        );
        // Its name until 0.2.
        registry.register("model_deaf", "As model_low_recall", self.model_low_recall.clone());
        registry.register("audit_samples_answered", "Random questions answered", self.audit_samples_answered.clone());
        // Its name until 0.2.
        registry.register("probes_answered", "As audit_samples_answered", self.audit_samples_answered.clone());
        registry.register("dataset_findings", "Findings about the newest data set", self.dataset_findings.clone());
        registry.register(
            "dataset_stability_index",
            "Highest index of a feature",
            self.dataset_stability_index.clone(),
        );
        registry.register("windows_moved", "Drift of incoming windows, by class", self.windows_moved.clone());
    }

    /// What went out, and how it ended.
    fn register_releases(&self, registry: &mut Registry) {
        registry.register("releases_awaiting", "Attempts that await a signature", self.releases_awaiting.clone());
        registry.register("release_failures", "Releases to be tried again", self.release_failures.clone());
        registry.register("releases", "Models released", self.releases.clone());
        registry.register("champion_version", "Version of the current model", self.champion_version.clone());
        registry.register("rollouts_stopped", "Rollouts that their tests stopped", self.rollouts_stopped.clone());
        registry.register("update_outcomes", "Updates reported by homes, by end", self.outcomes.clone());
    }

    /// Rounds of federated training.
    fn register_rounds(&self, registry: &mut Registry) {
        registry.register("rounds_opened", "Rounds opened", self.rounds_opened.clone());
        registry.register("rounds", "Rounds that ended, by outcome", self.rounds.clone());
        registry.register("round_cohort", "Homes asked in the newest round", self.round_cohort.clone());
        registry.register("round_reporters", "Homes in the newest aggregate", self.round_reporters.clone());
        registry.register("round_left_out", "Sound deltas that were not used", self.round_left_out.clone());
        registry.register("round_answers", "Answers in rounds, by what came", self.round_answers.clone());
        registry.register("round_refusals", "Answers in rounds refused, by reason", self.round_refusals.clone());
        registry.register("round_consents", "Consents given or withdrawn", self.round_consents.clone());
        registry.register("round_retries", "Steps of rounds tried again", self.round_retries.clone());
    }

    /// Adds more metrics to the registry.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The text that `/metrics` answers, OpenMetrics format.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &registry);
        text
    }
}

/// The counter for `kind`.
pub fn count(family: &ByKind, kind: &str) {
    family.get_or_create(&Kind { kind: kind.to_owned() }).inc();
}
