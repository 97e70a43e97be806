//! The updater of a chaos home: asks its repository every second, takes what is new at once, and reports how it ended.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use hearthwatch_detector::detector::Model;
use hearthwatch_edge_cloud::uplink::UplinkHandle;
use hearthwatch_edge_core::trial::TrialWindows;
use hearthwatch_edge_update::{ModelProof, Policy, Trigger, Updater, UpdaterConfig, Watching};
use hearthwatch_protocol::ModelVersion;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use url::Url;

/// An agent asks every few hours.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// What each life of the updater begins with.
#[derive(Clone)]
pub struct Taker {
    url: Url,
    root: Vec<u8>,
    directory: PathBuf,
}

impl Taker {
    /// Models from `url`, kept in the folder `state`; trust begins with the file `root`.
    ///
    /// # Errors
    /// When the root cannot be read.
    pub fn new(url: Url, root: &Path, state: &Path) -> anyhow::Result<Self> {
        let root = std::fs::read(root).with_context(|| root.display().to_string())?;
        Ok(Self { url, root, directory: state.join("update") })
    }

    /// Asks, takes and reports until the process ends.
    pub async fn run(self, uplink: UplinkHandle, now: impl Fn() -> i64) -> anyhow::Result<()> {
        let config = UpdaterConfig {
            url: self.url,
            ca: None,
            root: self.root,
            directory: self.directory,
            director: None,
            // Taken at once: what is looked at here is the way of a model, not its worth.
            watching: Watching { shadow_seconds: 0, probation_seconds: 0 },
            policy: Policy::default(),
        };
        let own = Arc::new(Model::baseline());
        let (mut updater, mut step) = Updater::boot(config, ModelProof, own, ModelVersion(0), now())?;
        let mut rng = SmallRng::seed_from_u64(7);
        loop {
            let mut told = true;
            for outcome in step.outcomes {
                // Kept by the slots, and told at the next start.
                told &= uplink.report(outcome).await.is_ok();
            }
            if told {
                updater.reported();
            }
            tokio::time::sleep(ASK_EVERY).await;
            step = updater.run(Trigger::Consent(None), &TrialWindows::default(), now(), &mut rng).await;
        }
    }
}
