//! The signer process as the repository knows it.

use async_trait::async_trait;
use hearthwatch_provision::signer::client::ClientError;
use hearthwatch_provision::signer::{Refusal, RemoteTargetsKey, SignedVerdict, SignerClient};
use tough::key_source::KeySource;

use super::repository::{SignerError, TargetsSigner};

/// The signer at the other end of a Unix socket; asked anew for each signature.
#[derive(Debug, Clone)]
pub struct RemoteSigner(SignerClient);

impl RemoteSigner {
    /// The signer at `socket`; connects to nothing yet.
    #[must_use]
    pub fn new(socket: impl Into<std::path::PathBuf>) -> Self {
        Self(SignerClient::new(socket))
    }
}

#[async_trait]
impl TargetsSigner for RemoteSigner {
    async fn last_version(&self) -> Result<u64, SignerError> {
        Ok(self.0.describe().await.map_err(|error| SignerError::from(&error))?.version)
    }

    fn key_source(&self, verdicts: Vec<SignedVerdict>) -> Box<dyn KeySource> {
        Box::new(RemoteTargetsKey::new(self.0.clone(), verdicts))
    }
}

impl From<&ClientError> for SignerError {
    fn from(error: &ClientError) -> Self {
        match error {
            ClientError::Refused(refusal @ Refusal::AwaitingApproval { .. }) => Self::Awaiting(refusal.to_string()),
            ClientError::Refused(refusal) => Self::Refused(refusal.to_string()),
            other => Self::Unreachable(other.to_string()),
        }
    }
}

/// What the signer said, if it is among the causes of `error`.
pub(super) fn cause(error: &tough::error::Error) -> Option<SignerError> {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(answer) = cause.downcast_ref::<ClientError>() {
            return Some(answer.into());
        }
        source = cause.source();
    }
    None
}
