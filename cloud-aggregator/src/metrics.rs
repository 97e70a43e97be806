//! The numbers behind `/metrics`: one registry for the whole program.

use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// A word that splits a counter: a message kind, a refusal reason, a run's end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Kind {
    /// The word.
    pub kind: String,
}

/// A counter for each word.
pub type ByKind = Family<Kind, Counter>;

/// Every metric of ingest and training. Other parts add theirs with [`Metrics::register`].
#[derive(Debug, Default)]
pub struct Metrics {
    registry: Mutex<Registry>,
    /// Messages stored, by kind.
    pub admitted: ByKind,
    /// Messages refused, by reason.
    pub refused: ByKind,
    /// Records that were there already.
    pub duplicates: Counter,
    /// Batches committed.
    pub batches: Counter,
    /// Receipts sent.
    pub receipts: Counter,
    /// 1 while the broker is connected.
    pub link_connected: Gauge,
    /// Retraining runs that ended, by end.
    pub runs: ByKind,
    /// Models released.
    pub releases: Counter,
    /// Version of the current model.
    pub champion_version: Gauge,
    /// Ends of updates reported by homes, by end.
    pub outcomes: ByKind,
}

impl Metrics {
    /// All metrics at zero, registered under the prefix `hearthwatch_cloud`.
    #[must_use]
    pub fn new() -> Self {
        let metrics = Self { registry: Mutex::new(Registry::with_prefix("hearthwatch_cloud")), ..Self::default() };
        metrics.register(|registry| {
            registry.register("messages_admitted", "Messages stored, by kind", metrics.admitted.clone());
            registry.register("messages_refused", "Messages refused, by reason", metrics.refused.clone());
            registry.register("records_duplicate", "Records that were stored before", metrics.duplicates.clone());
            registry.register("batches", "Ingest transactions committed", metrics.batches.clone());
            registry.register("receipts", "Receipts sent to homes", metrics.receipts.clone());
            registry.register("link_connected", "1 while the broker is connected", metrics.link_connected.clone());
            registry.register("runs", "Retraining runs that ended, by end", metrics.runs.clone());
            registry.register("releases", "Models released", metrics.releases.clone());
            registry.register("champion_version", "Version of the current model", metrics.champion_version.clone());
            registry.register("update_outcomes", "Updates reported by homes, by end", metrics.outcomes.clone());
        });
        metrics
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
pub(crate) fn count(family: &ByKind, kind: &str) {
    family.get_or_create(&Kind { kind: kind.to_owned() }).inc();
}
