//! The aggregator's side of the signer's socket: a key that is elsewhere, as `tough` wants it.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::rand::SecureRandom;
use tokio::net::UnixStream;
use tough::key_source::KeySource;
use tough::schema::key::{Ed25519Key, Ed25519Scheme, Key};
use tough::sign::Sign;

use super::message::{Description, Refusal, Request, Response, SignedVerdict, decode, encode};
use super::server::{read_frame, write_frame};

/// How long an answer may take: the signer serves others first, five seconds each at most.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// Why there is no signature.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody there.
    #[error("cannot reach the signer at {}: {cause}; start it: hearthwatch-provision signer --help", .socket.display())]
    Unreachable {
        /// Where it should be.
        socket: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// It does not answer.
    #[error("the signer at {} did not answer within {} s", .0.display(), ANSWER_TIMEOUT.as_secs())]
    Timeout(PathBuf),
    /// It answers something else than was asked.
    #[error("the signer's answer makes no sense: {0}")]
    Answer(String),
    /// It will not sign.
    #[error("the signer refused: {0}")]
    Refused(Refusal),
    /// The key cannot be written from here.
    #[error("the targets key lives in the signer and cannot be replaced from here")]
    ReadOnly,
}

/// Asks a signer. One connection for each question.
#[derive(Debug, Clone)]
pub struct SignerClient {
    socket: PathBuf,
}

impl SignerClient {
    /// A client of the signer at `socket`; connects to nothing yet.
    #[must_use]
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }

    /// The signer's key and what it signed last. The next metadata must have `version + 1`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn describe(&self) -> Result<Description, ClientError> {
        match self.ask(&Request::Describe).await? {
            Response::Description(description) => Ok(description),
            Response::Refused(refusal) => Err(ClientError::Refused(refusal)),
            Response::Signature(_) => Err(ClientError::Answer("a signature, unasked".to_owned())),
        }
    }

    /// Has targets metadata signed. `targets` is their canonical form.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the signer's reason, or trouble on the way.
    pub async fn sign(&self, targets: &[u8], verdicts: &[SignedVerdict]) -> Result<Vec<u8>, ClientError> {
        let targets = String::from_utf8(targets.to_vec())
            .map_err(|_| ClientError::Refused(Refusal::NotTargets("not text".to_owned())))?;
        match self.ask(&Request::Sign { targets, verdicts: verdicts.to_vec() }).await? {
            Response::Signature(hex) => hex::decode(hex).map_err(|error| ClientError::Answer(error.to_string())),
            Response::Refused(refusal) => Err(ClientError::Refused(refusal)),
            Response::Description(_) => Err(ClientError::Answer("a description, unasked".to_owned())),
        }
    }

    async fn ask(&self, request: &Request) -> Result<Response, ClientError> {
        let unreachable = |cause| ClientError::Unreachable { socket: self.socket.clone(), cause };
        let bytes = encode(request).ok_or_else(|| ClientError::Answer("the question cannot be written".to_owned()))?;
        let exchange = async {
            let mut stream = UnixStream::connect(&self.socket).await?;
            // The signer answers an oversized question after its first four bytes and closes.
            let written = write_frame(&mut stream, &bytes).await;
            match read_frame(&mut stream).await {
                Ok(frame) => Ok(frame),
                Err(error) => Err(written.err().unwrap_or(error)),
            }
        };
        let frame = tokio::time::timeout(ANSWER_TIMEOUT, exchange)
            .await
            .map_err(|_| ClientError::Timeout(self.socket.clone()))?
            .map_err(unreachable)?;
        let bytes = frame.map_err(|length| ClientError::Answer(format!("{length} bytes")))?;
        decode(&bytes).map_err(|refusal| ClientError::Answer(refusal.to_string()))
    }
}

/// The targets key as a [`KeySource`]: give it to `tough`'s editor beside the snapshot and timestamp keys.
#[derive(Debug, Clone)]
pub struct RemoteTargetsKey {
    client: SignerClient,
    verdicts: Vec<SignedVerdict>,
}

impl RemoteTargetsKey {
    /// The key behind `client`; `verdicts` speak for what is new in the metadata that it will be asked to sign.
    #[must_use]
    pub fn new(client: SignerClient, verdicts: Vec<SignedVerdict>) -> Self {
        Self { client, verdicts }
    }
}

struct RemoteSign {
    key: RemoteTargetsKey,
    public: Vec<u8>,
}

#[async_trait]
impl KeySource for RemoteTargetsKey {
    async fn as_sign(&self) -> Result<Box<dyn Sign>, Box<dyn StdError + Send + Sync + 'static>> {
        let description = self.client.describe().await?;
        let public = hex::decode(description.public_key).map_err(|error| ClientError::Answer(error.to_string()))?;
        Ok(Box::new(RemoteSign { key: self.clone(), public }))
    }

    async fn write(&self, _: &str, _: &str) -> Result<(), Box<dyn StdError + Send + Sync + 'static>> {
        Err(ClientError::ReadOnly.into())
    }
}

#[async_trait]
impl Sign for RemoteSign {
    fn tuf_key(&self) -> Key {
        Key::Ed25519 {
            keyval: Ed25519Key { public: self.public.clone().into(), _extra: HashMap::new() },
            scheme: Ed25519Scheme::Ed25519,
            _extra: HashMap::new(),
        }
    }

    async fn sign(
        &self,
        message: &[u8],
        _: &(dyn SecureRandom + Sync),
    ) -> Result<Vec<u8>, Box<dyn StdError + Send + Sync + 'static>> {
        Ok(self.key.client.sign(message, &self.key.verdicts).await?)
    }
}
