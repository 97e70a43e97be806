//! What every part of the program holds on to.

use std::sync::Arc;

use async_trait::async_trait;
use hearthwatch_protocol::ModelVersion;
use hearthwatch_supervision::Board;

use crate::clock::Clock;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::store::{ReleaseRow, Store};
use crate::training::TrainingHandle;

/// Shared by ingest, training and the admin API. Cloning is cheap.
#[derive(Clone)]
pub struct AppState {
    /// What the program was told.
    pub config: Arc<Config>,
    /// What it remembers.
    pub store: Arc<dyn Store>,
    /// What it counts.
    pub metrics: Arc<Metrics>,
    /// Where it takes the time from.
    pub clock: Arc<dyn Clock>,
    /// Starts runs and shows their progress.
    pub training: TrainingHandle,
    /// Lets models out and tells the fleet.
    pub releases: crate::release_service::ReleaseService,
    /// Signs orders to homes; none without `[rollout]`.
    pub director: Option<crate::rollout::Director>,
    /// How the parts are doing.
    pub health: Arc<Board>,
}

/// A model that the gate let through, with all that a release needs.
#[derive(Debug, Clone)]
pub struct Promoted {
    /// The version it got.
    pub version: ModelVersion,
    /// The artifact's bytes.
    pub artifact: Arc<[u8]>,
    /// Hex SHA-256 of the artifact.
    pub sha256: String,
    /// Canonical hash of the tensors.
    pub weights_id: String,
    /// The gate's report: the JSON bytes that were stored, and that the verdict's hash covers.
    pub report: String,
    /// The run that made it; empty for a model given from outside.
    pub run: String,
    /// Who or what releases it: `auto`, or the name of a token.
    pub by: String,
    /// When, Unix seconds.
    pub at: i64,
}

impl Promoted {
    /// The flat TUF target name.
    #[must_use]
    pub fn target(&self) -> String {
        format!("model-{}.safetensors", self.version)
    }
}

/// Why a promoted model was not released.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// No `[release]` in the configuration.
    #[error("no [release] is configured: the model waits")]
    NotConfigured,
    /// The signer said no.
    #[error("the signer refused: {0}")]
    SignerRefused(String),
    /// The signer waits for a second person's word.
    #[error("{0}")]
    AwaitingSignature(String),
    /// The signer cannot be reached.
    #[error("the signer cannot be reached: {0}")]
    SignerUnreachable(String),
    /// The repository could not be read or written.
    #[error("release repository: {0}")]
    Repository(String),
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}

/// Signs a promoted model and puts it where agents find it. Does not touch the store and announces nothing: the
/// caller does both once this has returned. Idempotent: a version that is in the repository already with the same
/// bytes is left there.
#[async_trait]
pub trait ReleaseHook: Send + Sync + 'static {
    /// Signs and publishes.
    async fn release(&self, promoted: Promoted) -> Result<ReleaseRow, ReleaseError>;
}

/// The hook of an aggregator without `[release]`: refuses.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRelease;

#[async_trait]
impl ReleaseHook for NoRelease {
    async fn release(&self, _: Promoted) -> Result<ReleaseRow, ReleaseError> {
        Err(ReleaseError::NotConfigured)
    }
}
