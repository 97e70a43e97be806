//! What the API holds on to.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use hearthwatch_fleet::release_service::ReleaseService;
use hearthwatch_fleet::rollout::Director;
use hearthwatch_learning::training::TrainingHandle;
use hearthwatch_store::Store;
use hearthwatch_store::clock::Clock;
use hearthwatch_supervision::Board;
use hearthwatch_telemetry::metrics::Metrics;
use serde_json::Value;

use super::origin::Network;

/// The running program, as far as it answers questions and takes orders. Cloning is cheap.
#[derive(Clone)]
pub struct AppState {
    /// The database; blocking, so only by [`hearthwatch_store::blocking`].
    pub store: Arc<dyn Store>,
    /// Of the whole program: what `/metrics` renders.
    pub metrics: Arc<Metrics>,
    /// Where it takes the time from.
    pub clock: Arc<dyn Clock>,
    /// Starts runs and shows their progress.
    pub training: TrainingHandle,
    /// Lets models out and tells the fleet.
    pub releases: ReleaseService,
    /// Signs orders to homes; none without `[rollout]`.
    pub director: Option<Director>,
    /// How the parts are doing.
    pub health: Arc<Board>,
    /// Directory of the signed repository; none without `[release]`.
    pub repository: Option<Arc<Path>>,
    /// What it was configured with, by key; without secrets.
    pub settings: Arc<BTreeMap<String, Value>>,
    /// Proxies whose word on a caller's address is taken.
    pub trusted_proxies: Arc<[Network]>,
}
