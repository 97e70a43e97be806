//! The gate's word about exactly these bytes, signed with the gate key: without it the targets key does not move.

use std::path::Path;

use hearthwatch_protocol::ModelVersion;
use hearthwatch_provision::signer::message::target_name;
use sha2::{Digest, Sha256};

pub use hearthwatch_provision::signer::{GateKey, Judgement, PromotionVerdict, SignedVerdict};

/// Why no verdict could be signed.
#[derive(Debug, thiserror::Error)]
pub enum VerdictError {
    /// The gate's key cannot be used.
    #[error("the gate's key: {0}")]
    Key(#[from] hearthwatch_provision::ceremony::CeremonyError),
    /// The artifact is not one that a verdict can name.
    #[error("no verdict can be given on {length} bytes as version {version}")]
    Artifact {
        /// The version asked for.
        version: ModelVersion,
        /// The artifact's length in bytes.
        length: u64,
    },
}

/// The verdict that lets `artifact` out as `version`, signed with the gate's key in `key`. `report` is the gate's
/// report as it was stored; the verdict holds its hash.
///
/// # Errors
/// [`VerdictError`].
pub fn promote(
    key: &Path,
    version: ModelVersion,
    artifact: &[u8],
    report: &str,
) -> Result<SignedVerdict, VerdictError> {
    let length = artifact.len() as u64;
    let body = PromotionVerdict {
        target: target_name(version),
        sha256: hex::encode(Sha256::digest(artifact)),
        length,
        model_version: version,
        verdict: Judgement::Promote,
        report_sha256: hex::encode(Sha256::digest(report.as_bytes())),
    };
    GateKey::load(key)?.sign(body).ok_or(VerdictError::Artifact { version, length })
}
