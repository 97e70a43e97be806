//! The release hook of an aggregator with `[release]`: verdict, signer, repository; and the clock-work that renews it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hearthwatch_store::ReleaseRow;
use hearthwatch_store::clock::{Clock, SystemClock};
use hearthwatch_store::release::ReleaseError;
use hearthwatch_telemetry::chain::chain;
use hearthwatch_telemetry::metrics::Metrics;
use prometheus_client::metrics::gauge::Gauge;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::config::ReleaseConfig;
use super::custom::TargetCustom;
use super::lifetimes::{Expiries, Lifetimes, Renewal};
use super::repository::{
    NewRelease, Repository, RepositoryError, RepositoryFiles, SignerError, TargetsSigner, target_name,
};
use super::verdict;
use crate::hook::{Promoted, ReleaseHook};

/// How often the repository is looked at for renewal. A look reads two small files; a machine that slept, or whose clock was set, is
/// behind for no longer than this.
const RENEWAL_EVERY: Duration = Duration::from_secs(60);

/// Largest gate summary in a target's custom metadata, bytes of JSON; a larger one is left out (its hash is there).
const SUMMARY_BYTES_MAX: usize = 1024;

/// Signs and publishes, one release at a time.
///
/// Expiries follow the machine's clock even where the rest of the program replays recorded years: those who check them
/// read a real clock too.
pub struct Publisher {
    repository: Mutex<Repository>,
    gate_key: PathBuf,
    expiries: ExpiryGauges,
}

/// When each role's metadata expires, Unix seconds.
#[derive(Default)]
struct ExpiryGauges {
    root: Gauge,
    targets: Gauge,
    snapshot: Gauge,
    timestamp: Gauge,
}

impl ExpiryGauges {
    fn register(&self, metrics: &Metrics) {
        metrics.register(|registry| {
            let help = "When the repository's root metadata expires, Unix seconds";
            registry.register("repository_root_expires_seconds", help, self.root.clone());
            let help = "When the repository's targets metadata expires, Unix seconds";
            registry.register("repository_targets_expires_seconds", help, self.targets.clone());
            let help = "When the repository's snapshot metadata expires, Unix seconds";
            registry.register("repository_snapshot_expires_seconds", help, self.snapshot.clone());
            let help = "When the repository's timestamp metadata expires, Unix seconds";
            registry.register("repository_timestamp_expires_seconds", help, self.timestamp.clone());
        });
    }

    fn show(&self, expiries: Expiries) {
        let Expiries { root, targets, snapshot, timestamp } = expiries;
        for (gauge, at) in
            [(&self.root, root), (&self.targets, targets), (&self.snapshot, snapshot), (&self.timestamp, timestamp)]
        {
            gauge.set(at);
        }
    }
}

impl Publisher {
    /// Opens the repository that `config` names; makes an empty one if there is none.
    ///
    /// # Errors
    /// [`RepositoryError`].
    pub async fn open(
        config: &ReleaseConfig,
        signer: Arc<dyn TargetsSigner>,
        metrics: &Metrics,
    ) -> Result<Arc<Self>, RepositoryError> {
        let files = RepositoryFiles {
            directory: config.repository.clone(),
            root: config.root_file.clone(),
            snapshot_key: config.keys.join("snapshot.key"),
            timestamp_key: config.keys.join("timestamp.key"),
        };
        let repository = Repository::open(&files, signer, Lifetimes::default(), SystemClock.now()).await?;
        let expiries = ExpiryGauges::default();
        expiries.show(repository.expiries().await?);
        expiries.register(metrics);
        let gate_key = config.gate_key.clone();
        Ok(Arc::new(Self { repository: Mutex::new(repository), gate_key, expiries }))
    }

    /// Renews what is past half of its life, now and every minute, until `stop`. A failure is logged and
    /// tried again: there is half a life left.
    pub async fn keep_fresh(&self, stop: CancellationToken) {
        loop {
            match self.renew().await {
                Ok(Renewal::Nothing) => {}
                Ok(renewed) => tracing::info!(renewed = ?renewed, "repository metadata renewed"),
                Err(error) => tracing::error!(error = %chain(&error), "repository metadata not renewed"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(RENEWAL_EVERY) => {}
            }
        }
    }

    /// When the repository's timestamp expires, Unix seconds; as of the last look.
    #[must_use]
    pub fn expires(&self) -> i64 {
        self.expiries.timestamp.get()
    }

    /// Renews what is past half of its life.
    ///
    /// # Errors
    /// [`RepositoryError`].
    pub async fn renew(&self) -> Result<Renewal, RepositoryError> {
        let repository = self.repository.lock().await;
        let renewed = repository.renew(SystemClock.now()).await?;
        self.expiries.show(repository.expiries().await?);
        Ok(renewed)
    }
}

#[async_trait]
impl ReleaseHook for Publisher {
    async fn release(&self, promoted: Promoted) -> Result<ReleaseRow, ReleaseError> {
        let verdict = verdict::promote(&self.gate_key, promoted.version, &promoted.artifact, &promoted.report)
            .map_err(|error| ReleaseError::Repository(chain(&error)))?;
        let report_sha256 = hex::encode(Sha256::digest(promoted.report.as_bytes()));
        let release = NewRelease {
            bytes: promoted.artifact.to_vec(),
            custom: TargetCustom {
                model_version: promoted.version,
                weights_id: promoted.weights_id,
                gate: summary(&promoted.report, &report_sha256, &promoted.by),
            },
            verdict,
        };
        let repository = self.repository.lock().await;
        repository.publish(&release, SystemClock.now()).await.map_err(|error| released_not(&error))?;
        Ok(ReleaseRow {
            model_version: promoted.version,
            target: target_name(promoted.version),
            sha256: promoted.sha256,
            length: promoted.artifact.len() as u64,
            report_sha256,
            released_at: promoted.at,
            by: promoted.by,
        })
    }
}

fn released_not(error: &RepositoryError) -> ReleaseError {
    match error {
        RepositoryError::Signer(SignerError::Refused(reason)) => ReleaseError::SignerRefused(reason.clone()),
        RepositoryError::Signer(SignerError::Awaiting(reason)) => ReleaseError::AwaitingSignature(reason.clone()),
        RepositoryError::Signer(SignerError::Unreachable(reason)) => ReleaseError::SignerUnreachable(reason.clone()),
        _ => ReleaseError::Repository(chain(error)),
    }
}

/// The candidate's figures that go with a release; those by class and family stay in the report.
const SUMMARY_FIGURES: [&str; 4] = ["homes", "home_weeks", "recall", "false_alarms_per_week"];

/// What clients may read of the gate's report before they download: the verdict and the candidate's figures.
fn summary(report: &str, report_sha256: &str, by: &str) -> Value {
    let report: Value = serde_json::from_str(report).unwrap_or_default();
    let candidate = report.get("candidate");
    let of_candidate = |name: &'static str| (name, candidate.and_then(|candidate| candidate.get(name)));
    let figures: BTreeMap<_, _> = SUMMARY_FIGURES.map(of_candidate).into();
    let picked = json!({"verdict": report.get("verdict"), "candidate": figures});
    let fits = picked.to_string().len() <= SUMMARY_BYTES_MAX;
    json!({
        "report_sha256": report_sha256,
        "released_by": if by == "auto" { "gate" } else { "operator" },
        "summary": if fits { picked } else { Value::Null },
    })
}

#[cfg(test)]
#[path = "publisher_tests.rs"]
mod tests;
