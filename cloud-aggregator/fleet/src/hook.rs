//! What a release goes through to be signed and published.

use std::sync::Arc;

use async_trait::async_trait;
use hearthwatch_protocol::ModelVersion;
use hearthwatch_store::ReleaseRow;
use hearthwatch_store::release::ReleaseError;

/// A model that the gate let through, with all that a release needs.
#[derive(Debug, Clone)]
pub struct Promoted {
    /// The version it got.
    pub version: ModelVersion,
    /// The file that homes download, byte for byte.
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
    /// When it is let out, Unix seconds.
    pub at: i64,
}

impl Promoted {
    /// The flat TUF target name.
    #[must_use]
    pub fn target(&self) -> String {
        format!("model-{}.safetensors", self.version)
    }
}

/// Signs a promoted model and puts it where agents find it. Does not touch the store and announces nothing: the
/// caller does both once this has returned. Idempotent: a version that is in the repository already with the same
/// bytes is left there.
#[async_trait]
pub trait ReleaseHook: Send + Sync + 'static {
    /// Signs `promoted` and puts it in the repository; the row is what the caller records.
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
