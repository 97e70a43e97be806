//! The numbers behind `/metrics`: one registry for the whole program.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hearthwatch_metrics::{GaugeByWord, by_word, register_build, register_process};
use prometheus_client::encoding::EncodeLabelSet;
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

/// Who asked for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct By {
    /// One of [`RELEASED_BY`].
    pub by: &'static str,
}

/// A counter for each word.
pub type ByKind = Family<Kind, Counter>;

/// An answer that was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Answer {
    /// The resident's word.
    pub verdict: &'static str,
    /// Whose alarm it was: one of [`MODELS`].
    pub model: &'static str,
}

/// How a model is named beside the one in use: never by its number, or every release would add series.
pub const MODELS: [&str; 3] = ["current", "previous", "other"];
/// How homes stand by what the store knows of them; each is in one state.
pub const HOME_STATES: [&str; 5] = ["online", "offline", "late", "never_seen", "revoked"];
/// Who asked for a release.
pub const RELEASED_BY: [&str; 2] = ["automatic", "operator"];
/// What comes of a home that wants a certificate.
pub const ENROLMENTS: [&str; 5] = ["enrolled", "enrolled_again", "renewed", "waits", "refused"];

/// Name of every metric of this program, up to its first own word.
const PREFIX: &str = "hearthwatch_cloud";

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
    /// Answers stored, by verdict and by whose alarm it was.
    pub answers: Family<Answer, Counter>,
    /// Homes whose answers the newest run left out, for contradicting the others.
    pub homes_doubted: Gauge,
    /// Homes whose weight the newest run cut.
    pub homes_capped: Gauge,
    /// Homes by state, one of [`HOME_STATES`].
    pub homes: GaugeByWord,
    /// Homes whose answers are kept and not learnt from.
    pub homes_excluded: Gauge,
    /// Homes by the model that they said they run, one of [`MODELS`].
    pub homes_running: GaugeByWord,
    /// Records that wait in the homes' outboxes.
    pub records_waiting: Gauge,
    /// What came of homes that wanted a certificate, one of [`ENROLMENTS`].
    pub enrolments: ByKind,
    /// Homes whose certificate ran out and that wait for an operator.
    pub renewals_waiting: Gauge,
    /// Homes whose certificate ends within a week.
    pub certificates_ending: Gauge,
    /// Models released, by who asked: one of [`RELEASED_BY`].
    pub releases: Family<By, Counter>,
    /// Version of the model before the current one.
    pub previous_version: Gauge,
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
    /// Windows of the newest data set of another size, beyond the range, or copies.
    pub dataset_faulty_windows: Gauge,
    /// Features of the newest data set whose distribution is no longer the reigning model's, beyond chance.
    pub dataset_drifted_features: Gauge,
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
    /// All metrics at zero, registered under the prefix `hearthwatch_cloud`; beside them the process, under the names that all
    /// processes have.
    #[must_use]
    pub fn new() -> Self {
        let metrics = Self::zero();
        register_process(&mut metrics.registry());
        begin(&metrics.enrolments, &ENROLMENTS);
        for by in RELEASED_BY {
            drop(metrics.releases.get_or_create(&By { by }));
        }
        metrics.register(|registry| {
            register_build(registry);
            metrics.register_ingest(registry);
            metrics.register_learning(registry);
            metrics.register_releases(registry);
            metrics.register_rounds(registry);
            metrics.register_fleet(registry);
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
            registry: Mutex::default(),
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
            answers: Family::default(),
            homes_doubted: Gauge::default(),
            homes_capped: Gauge::default(),
            homes: by_word("state", &HOME_STATES),
            homes_excluded: Gauge::default(),
            homes_running: by_word("model", &MODELS),
            records_waiting: Gauge::default(),
            enrolments: ByKind::default(),
            renewals_waiting: Gauge::default(),
            certificates_ending: Gauge::default(),
            releases: Family::default(),
            previous_version: Gauge::default(),
            release_failures: Counter::default(),
            releases_awaiting: Counter::default(),
            champion_version: Gauge::default(),
            rollouts_stopped: Counter::default(),
            outcomes: ByKind::default(),
            dataset_findings: Gauge::default(),
            dataset_faulty_windows: Gauge::default(),
            dataset_drifted_features: Gauge::default(),
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
        registry.register("answers", "Answers stored, by verdict and model", self.answers.clone());
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
            "dataset_faulty_windows",
            "Windows of the newest data set of another size, beyond the range, or copies",
            self.dataset_faulty_windows.clone(),
        );
        registry.register(
            "dataset_drifted_features",
            "Features whose distribution is no longer the model's",
            self.dataset_drifted_features.clone(),
        );
        registry.register(
            "dataset_stability_index",
            "Highest index of a feature",
            self.dataset_stability_index.clone(),
        );
        registry.register("windows_moved", "Drift of incoming windows, by class", self.windows_moved.clone());
        registry.register("homes_doubted", "Homes that the newest run left out", self.homes_doubted.clone());
        registry.register("homes_capped", "Homes whose weight the newest run cut", self.homes_capped.clone());
    }

    /// What went out, and how it ended.
    fn register_releases(&self, registry: &mut Registry) {
        registry.register("releases_awaiting", "Attempts that await a signature", self.releases_awaiting.clone());
        registry.register("release_failures", "Releases to be tried again", self.release_failures.clone());
        registry.register("releases", "Models released, by who asked", self.releases.clone());
        registry.register("previous_version", "Version of the model before the current", self.previous_version.clone());
        registry.register("champion_version", "Version of the current model", self.champion_version.clone());
        registry.register("rollouts_stopped", "Rollouts that their tests stopped", self.rollouts_stopped.clone());
        registry.register("update_outcomes", "Updates reported by homes, by end", self.outcomes.clone());
    }

    /// The homes, as the store and the ledger of certificates know them.
    fn register_fleet(&self, registry: &mut Registry) {
        registry.register("homes", "Homes by state", self.homes.clone());
        registry.register("homes_excluded", "Homes whose answers are not learnt from", self.homes_excluded.clone());
        registry.register("homes_running", "Homes by the model that they run", self.homes_running.clone());
        registry.register("records_waiting", "Records in the homes' outboxes", self.records_waiting.clone());
        registry.register("enrolments", "Homes that wanted a certificate, by end", self.enrolments.clone());
        registry.register("renewals_waiting", "Homes that wait for an operator", self.renewals_waiting.clone());
        registry.register(
            "certificates_ending",
            "Homes' certificates in their last week",
            self.certificates_ending.clone(),
        );
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

    /// Adds more metrics to the registry, under the prefix.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(self.registry().sub_registry_with_prefix(PREFIX));
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The text that `/metrics` answers, OpenMetrics format.
    #[must_use]
    pub fn render(&self) -> String {
        hearthwatch_metrics::render(&self.registry())
    }

    /// How a model of this version is named beside the one in use, one of [`MODELS`].
    #[must_use]
    pub fn model_word(&self, version: u64) -> &'static str {
        let is = |gauge: &Gauge| i64::try_from(version).is_ok_and(|version| version == gauge.get());
        if is(&self.champion_version) {
            "current"
        } else if version > 0 && is(&self.previous_version) {
            "previous"
        } else {
            "other"
        }
    }
}

/// The counter for `kind`.
pub fn count(family: &ByKind, kind: &str) {
    family.get_or_create(&Kind { kind: kind.to_owned() }).inc();
}

/// Begins the counters of all `kinds` at 0: a counter that comes into the world at 1 has never risen, and who asks how often it rose
/// misses the first event.
pub fn begin(family: &ByKind, kinds: &[&str]) {
    for kind in kinds {
        drop(family.get_or_create(&Kind { kind: (*kind).to_owned() }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_has_the_usual_names_and_everything_else_the_prefix() {
        let text = Metrics::new().render();
        let mut names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        names.retain(|name| !name.starts_with("hearthwatch_cloud_"));
        assert!(!names.is_empty() && names.iter().all(|name| name.starts_with("process_")), "{names:?}");
    }

    #[test]
    fn a_model_is_named_beside_the_one_in_use_and_not_by_its_number() {
        let metrics = Metrics::new();
        assert_eq!(metrics.model_word(0), "current", "before the first release homes run none");
        metrics.champion_version.set(3);
        metrics.previous_version.set(2);
        assert_eq!([3, 2, 1, 0].map(|version| metrics.model_word(version)), ["current", "previous", "other", "other"]);
    }

    #[test]
    fn a_counter_that_has_begun_is_there_before_its_first_event() {
        let metrics = Metrics::new();
        begin(&metrics.runs, &["held"]);
        let text = metrics.render();
        assert!(text.contains("hearthwatch_cloud_runs_total{kind=\"held\"} 0\n"), "{text}");
        assert!(text.contains("hearthwatch_cloud_releases_total{by=\"operator\"} 0\n"), "{text}");
    }
}
