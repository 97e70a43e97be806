//! What those who make models ask of those who let them out, and what is stored of a model that goes out anew.

use async_trait::async_trait;
use hearthwatch_protocol::ModelVersion;

use crate::{ReleaseRow, StoreError};

/// Marks the run of a model that is another one under a new version: `again:RUN:WHEN`.
pub const AGAIN: &str = "again:";

/// The run that made a model's weights, however often they were put in charge again.
#[must_use]
pub fn origin(run: &str) -> &str {
    run.strip_prefix(AGAIN).and_then(|run| run.split(':').next()).unwrap_or(run)
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
    Store(#[from] StoreError),
}

/// Lets models out: signs, publishes, records and announces them.
#[async_trait]
pub trait Releases: Send + Sync + 'static {
    /// Lets out a model that has a version; one that is out already is announced again and nothing else. `by` is `auto` or an
    /// [`Actor`](crate::Actor).
    async fn release(&self, version: ModelVersion, by: &str) -> Result<ReleaseRow, ReleaseError>;
    /// The newest model that was promoted and never went out, if there is one.
    async fn release_pending(&self, by: &str) -> Result<Option<ReleaseRow>, ReleaseError>;
}
