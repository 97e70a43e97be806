//! What is said over the signer's socket, and the gate's signed verdict.

use std::path::Path;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use hearthwatch_protocol::ModelVersion;
use hearthwatch_protocol::limits::ARTIFACT_BYTES_MAX;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::ceremony::{self, CeremonyError};
use crate::files;

/// Largest targets metadata, in bytes: a release has 600 to 1,500 bytes, 500 of them fit.
pub const TARGETS_BYTES_MAX: usize = 768 * 1024;
/// Most verdicts in one request: one release at a time is usual.
pub const VERDICTS_MAX: usize = 16;
/// Largest message, in bytes: the metadata, and 16 verdicts of less than 1 KiB.
pub const MESSAGE_BYTES_MAX: usize = TARGETS_BYTES_MAX + 32 * 1024;
/// Begins the text that the gate signs, so that its signature means nothing elsewhere.
const VERDICT_CONTEXT: &str = "hearthwatch promotion verdict 1";
/// Length of a SHA-256 in hex.
const SHA256_HEX: usize = 64;

/// What the gate found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// Better than what is there: may be released.
    Promote,
    /// Not shown to be better: may not.
    Hold,
}

/// The gate's word on one artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromotionVerdict {
    /// Name of the target: see [`target_name`].
    pub target: String,
    /// SHA-256 of the artifact's file, lower-case hex.
    pub sha256: String,
    /// Length of the artifact's file in bytes.
    pub length: u64,
    /// The version that it is released as.
    pub model_version: ModelVersion,
    /// What the gate found.
    pub verdict: Judgement,
    /// SHA-256 of the gate's report, lower-case hex.
    pub report_sha256: String,
}

/// A verdict and the gate's signature over it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedVerdict {
    /// The verdict.
    pub body: PromotionVerdict,
    /// ed25519 over [`PromotionVerdict::signing_text`], hex.
    pub signature: String,
}

/// The only name that a release of `version` can have.
#[must_use]
pub fn target_name(version: ModelVersion) -> String {
    format!("model-{version}.safetensors")
}

impl PromotionVerdict {
    /// What is signed: one field a line in this order. None when a field could hold a line break or is not what it
    /// should be, so that no two verdicts share a text.
    #[must_use]
    pub fn signing_text(&self) -> Option<String> {
        let hex =
            |text: &str| text.len() == SHA256_HEX && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let whole = self.target == target_name(self.model_version)
            && hex(&self.sha256)
            && hex(&self.report_sha256)
            && self.length <= ARTIFACT_BYTES_MAX;
        let verdict = match self.verdict {
            Judgement::Promote => "promote",
            Judgement::Hold => "hold",
        };
        let Self { target, sha256, length, model_version, report_sha256, .. } = self;
        whole.then(|| {
            format!("{VERDICT_CONTEXT}\n{target}\n{sha256}\n{length}\n{model_version}\n{verdict}\n{report_sha256}\n")
        })
    }
}

/// The gate's private key.
pub struct GateKey(Ed25519KeyPair);

impl GateKey {
    /// Reads it from its private file.
    ///
    /// # Errors
    /// [`CeremonyError`] when the file is missing, open to others, or no key.
    pub fn load(path: &Path) -> Result<Self, CeremonyError> {
        ceremony::load_key(path).map(Self)
    }

    /// Signs a verdict. None when its fields are not what they should be.
    #[must_use]
    pub fn sign(&self, body: PromotionVerdict) -> Option<SignedVerdict> {
        let signature = hex::encode(self.0.sign(body.signing_text()?.as_bytes()).as_ref());
        Some(SignedVerdict { body, signature })
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> GatePublic {
        GatePublic(self.0.public_key().as_ref().to_vec())
    }
}

/// The gate's public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatePublic(Vec<u8>);

impl GatePublic {
    /// Reads it from its file (hex).
    ///
    /// # Errors
    /// [`CeremonyError`] when the file is missing or holds something else.
    pub fn load(path: &Path) -> Result<Self, CeremonyError> {
        let text = files::read_text(path)?;
        match hex::decode(text.trim()) {
            Ok(bytes) if bytes.len() == 32 => Ok(Self(bytes)),
            _ => Err(CeremonyError::NotAKey(path.to_owned())),
        }
    }

    /// Whether the gate said this.
    #[must_use]
    pub fn verifies(&self, verdict: &SignedVerdict) -> bool {
        let (Some(text), Ok(signature)) = (verdict.body.signing_text(), hex::decode(&verdict.signature)) else {
            return false;
        };
        UnparsedPublicKey::new(&ED25519, &self.0).verify(text.as_bytes(), &signature).is_ok()
    }
}

/// A question to the signer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Which key, and what was signed last?
    Describe,
    /// Sign these targets metadata.
    Sign {
        /// The canonical form, which is what is signed.
        targets: String,
        /// Verdicts for what is new in them.
        verdicts: Vec<SignedVerdict>,
    },
}

/// The signer's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// To [`Request::Describe`].
    Description(Description),
    /// To [`Request::Sign`]: the ed25519 signature, hex.
    Signature(String),
    /// Not signed, and why.
    Refused(Refusal),
}

/// What the signer is at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// The targets key's public half, hex.
    pub public_key: String,
    /// Version of the targets metadata that were signed last; the next must have one more.
    pub version: u64,
    /// Highest model version ever signed; a new one must be above.
    pub model_version: ModelVersion,
}

/// Why metadata were not signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Not a message of this protocol.
    #[error("not a request: {0}")]
    Malformed(String),
    /// Larger than the limit.
    #[error("the metadata have {found} bytes, at most {TARGETS_BYTES_MAX} are signed")]
    TooLarge {
        /// Bytes.
        found: u64,
    },
    /// More verdicts than the limit.
    #[error("{found} verdicts, at most {VERDICTS_MAX} are read")]
    TooManyVerdicts {
        /// Verdicts in the request.
        found: u64,
    },
    /// Not targets metadata.
    #[error("not targets metadata: {0}")]
    NotTargets(String),
    /// Readable, but not the one form that is signed.
    #[error("the metadata are not in canonical form")]
    NotCanonical,
    /// Members that our repositories do not have and agents might heed.
    #[error("the metadata hold {0}, which our repositories do not have")]
    Unexpected(String),
    /// Expired, too far ahead, or not in whole seconds.
    #[error("the metadata expire at {expires}; wanted are whole seconds, at most {days_max} days from now")]
    Expiry {
        /// What they say.
        expires: String,
        /// The longest life.
        days_max: i64,
    },
    /// Not one more than the last.
    #[error("version {asked} was asked for; the last one signed is {last}, so only {last} + 1 can follow")]
    Version {
        /// The last one signed.
        last: u64,
        /// What was asked.
        asked: u64,
    },
    /// A name that no release has.
    #[error(
        "{target:?} is no release's name; they are called model-VERSION.safetensors and say so in custom.model_version"
    )]
    TargetName {
        /// Its first 80 characters.
        target: String,
    },
    /// The file is larger than any agent would take.
    #[error("{target} has {length} bytes; agents take at most {ARTIFACT_BYTES_MAX}")]
    TargetSize {
        /// `model-VERSION.safetensors`.
        target: String,
        /// Bytes, as the metadata say.
        length: u64,
    },
    /// A released file with other content.
    #[error("{target} was signed with other content before; a release never changes, make a new version")]
    Changed {
        /// `model-VERSION.safetensors`.
        target: String,
    },
    /// Nothing from the gate.
    #[error("{target} is new and carries no verdict of the gate")]
    NoVerdict {
        /// `model-VERSION.safetensors`.
        target: String,
    },
    /// Not from our gate.
    #[error("the verdict on {target} is not signed by the gate")]
    VerdictSignature {
        /// `model-VERSION.safetensors`.
        target: String,
    },
    /// The gate said yes, and the second person has not yet.
    #[error(
        "{target} awaits a second person: `hearthwatch-provision approve {sha256}`, then the release is tried again"
    )]
    AwaitingApproval {
        /// `model-VERSION.safetensors`.
        target: String,
        /// Of its content, hex.
        sha256: String,
    },
    /// The gate said no.
    #[error("the gate holds {target} back")]
    NotPromoted {
        /// `model-VERSION.safetensors`.
        target: String,
    },
    /// The gate spoke of another file.
    #[error("the verdict on {target} names another {field}")]
    VerdictDiffers {
        /// `model-VERSION.safetensors`.
        target: String,
        /// `sha256` or `length`.
        field: String,
    },
    /// A new release must be newer than all before it, removed ones included.
    #[error("{target} is new but not newer: model version {highest} was signed already")]
    ModelVersion {
        /// `model-VERSION.safetensors`.
        target: String,
        /// The highest so far.
        highest: u64,
    },
    /// The signer's own disk.
    #[error("the signer cannot keep its state: {0}")]
    State(String),
}

impl Refusal {
    /// One word for counters and logs.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::TooLarge { .. } => "too_large",
            Self::TooManyVerdicts { .. } => "too_many_verdicts",
            Self::NotTargets(_) => "not_targets",
            Self::NotCanonical => "not_canonical",
            Self::Unexpected(_) => "unexpected",
            Self::Expiry { .. } => "expiry",
            Self::Version { .. } => "version",
            Self::TargetName { .. } => "target_name",
            Self::TargetSize { .. } => "target_size",
            Self::Changed { .. } => "changed",
            Self::NoVerdict { .. } => "no_verdict",
            Self::VerdictSignature { .. } => "verdict_signature",
            Self::AwaitingApproval { .. } => "awaiting_approval",
            Self::NotPromoted { .. } => "not_promoted",
            Self::VerdictDiffers { .. } => "verdict_differs",
            Self::ModelVersion { .. } => "model_version",
            Self::State(_) => "state",
        }
    }
}

/// Writes a message as CBOR. None only when a message of ours cannot be written, which is a fault of ours.
pub(crate) fn encode<T: Serialize>(message: &T) -> Option<Vec<u8>> {
    serde_cbor::to_vec(message).ok()
}

/// Reads a message of at most [`MESSAGE_BYTES_MAX`] bytes.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    serde_cbor::from_slice(bytes).map_err(|error| Refusal::Malformed(error.to_string()))
}
