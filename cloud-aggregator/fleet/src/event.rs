//! Notable happenings of releases and rollouts.

use hearthwatch_protocol::ModelVersion;
use hearthwatch_store::ReleaseRow;
use hearthwatch_telemetry::event::Event;
use hearthwatch_telemetry::metrics::{By, Metrics};
use tracing::{error, info};

/// Who releases without being asked by a person: a run or a round, or the program on its own account.
const BY_ITSELF: [&str; 2] = ["auto", "system"];

/// A model went out to the fleet.
pub struct ModelReleased<'a>(pub &'a ReleaseRow);

impl Event for ModelReleased<'_> {
    fn emit(&self, metrics: &Metrics) {
        let by = if BY_ITSELF.contains(&self.0.by.as_str()) { "automatic" } else { "operator" };
        metrics.releases.get_or_create(&By { by }).inc();
        metrics.previous_version.set(metrics.champion_version.get());
        metrics.champion_version.set(i64::try_from(self.0.model_version.0).unwrap_or(i64::MAX));
        info!(model.version = self.0.model_version.0, target = self.0.target, by = self.0.by, "model released");
    }
}

/// A rollout was stopped by its tests.
pub struct RolloutStopped<'a> {
    /// Version of the model that went out.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_counts_for_who_asked_and_the_model_before_is_remembered() {
        let metrics = Metrics::new();
        for (version, by) in [(1, "auto"), (2, "token:ann"), (3, "system")] {
            let row = ReleaseRow {
                model_version: ModelVersion(version),
                target: String::new(),
                sha256: String::new(),
                length: 1,
                report_sha256: String::new(),
                released_at: 0,
                by: by.to_owned(),
            };
            ModelReleased(&row).emit(&metrics);
        }
        let of = |by| metrics.releases.get_or_create(&By { by }).get();
        assert_eq!((of("automatic"), of("operator")), (2, 1));
        assert_eq!((metrics.champion_version.get(), metrics.previous_version.get()), (3, 2));
    }
}
