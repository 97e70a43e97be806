//! What the updater does, as types: one place that logs and counts.

use std::collections::BTreeMap;

use hearthwatch_protocol::ModelVersion;
use hearthwatch_protocol::messages::{UpdateOutcome, UpdateResult};

/// Something worth a line and a count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpdateEvent<'a> {
    /// Metadata or a release is not trusted, or a release is not good enough here.
    Refused {
        /// One word, from [`crate::trust::TrustError::reason`]; names the counter.
        reason: &'a str,
        /// One line for the log.
        cause: &'a str,
    },
    /// Something else than the release stood in the way; it is tried again.
    Hindered {
        /// One word; names the counter.
        reason: &'a str,
        /// One line for the log.
        cause: &'a str,
    },
    /// The repository's metadata is not trusted, for another cause than before or for the first time.
    MirrorFault {
        /// When the fault was first seen, Unix seconds.
        since: i64,
        /// One line for the log.
        cause: &'a str,
    },
    /// The repository's metadata is trusted again.
    MirrorRepaired,
    /// A model waits in the spare slot and scores beside the one in charge.
    Staged(ModelVersion),
    /// A model is in charge, on trial.
    Swapped(ModelVersion),
    /// The same outcome goes to the fleet.
    Ended(&'a UpdateOutcome),
}

/// Counts by `event` and reason since the agent started, for metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpdateCounts(BTreeMap<(&'static str, String), u64>);

impl UpdateCounts {
    /// Writes one log line, and adds one to the counter.
    pub fn emit(&mut self, event: &UpdateEvent<'_>) {
        let (name, reason) = match event {
            UpdateEvent::Refused { reason, cause } => {
                tracing::warn!(update.reason = reason, update.cause = cause, "refused; nothing of it is installed");
                ("refused", *reason)
            }
            UpdateEvent::Hindered { reason, cause } => {
                tracing::info!(
                    update.reason = reason,
                    update.cause = cause,
                    "update not possible now; tried again later"
                );
                ("hindered", *reason)
            }
            UpdateEvent::MirrorFault { since, cause } => {
                tracing::warn!(
                    mirror.since = since,
                    mirror.cause = cause,
                    "the mirror of models cannot be trusted now; what is installed goes on, and the mirror is asked again"
                );
                ("mirror", "fault")
            }
            UpdateEvent::MirrorRepaired => {
                tracing::info!("the mirror of models is in order again");
                ("mirror", "repaired")
            }
            UpdateEvent::Staged(version) => {
                tracing::info!(model.version = version.0, "new model watched beside the one in charge");
                ("staged", "")
            }
            UpdateEvent::Swapped(version) => {
                tracing::info!(model.version = version.0, "new model in charge, on trial");
                ("swapped", "")
            }
            UpdateEvent::Ended(outcome) => {
                let version = outcome.model_version.0;
                match &outcome.result {
                    UpdateResult::Installed => {
                        tracing::info!(model.version = version, "new model has earned its place");
                    }
                    UpdateResult::Refused { reason } => {
                        tracing::warn!(model.version = version, update.cause = %reason, "release reported as refused");
                    }
                    UpdateResult::RolledBack { reason, to } => {
                        tracing::error!(model.version = version, model.restored = to.0, update.cause = %reason, "model rolled back");
                    }
                }
                let word = match outcome.result {
                    UpdateResult::Installed => "installed",
                    UpdateResult::Refused { .. } => "refused",
                    UpdateResult::RolledBack { .. } => "rolled_back",
                };
                ("outcome", word)
            }
        };
        *self.0.entry((name, reason.to_owned())).or_default() += 1;
    }

    /// How often an event with this reason was seen; the reason is empty where there is none.
    #[must_use]
    pub fn get(&self, event: &'static str, reason: &str) -> u64 {
        self.0.get(&(event, reason.to_owned())).copied().unwrap_or(0)
    }

    /// Event, reason and count.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str, u64)> {
        self.0.iter().map(|((event, reason), &count)| (*event, reason.as_str(), count))
    }
}
