//! The gate's word about exactly these bytes, signed with the gate key: without it the targets key does not move.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use hearthwatch_protocol::ModelVersion;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::repository::target_name;

/// What the gate says about one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromotionVerdict {
    /// Flat target name.
    pub target: String,
    /// Lower-case hexadecimal.
    pub sha256: String,
    /// In bytes.
    pub length: u64,
    /// The version under which it is released.
    pub model_version: ModelVersion,
    /// Always `promote`; a signer refuses any other word.
    pub verdict: String,
    /// Lower-case hexadecimal SHA-256 of the gate's report.
    pub report_sha256: String,
}

/// A verdict with its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedVerdict {
    /// The bytes that were signed: a [`PromotionVerdict`] as JSON.
    pub bytes: Vec<u8>,
    /// ed25519, by the gate key, over `bytes`.
    pub signature: Vec<u8>,
}

impl PromotionVerdict {
    /// The verdict that lets `artifact` out as `version`.
    #[must_use]
    pub fn promote(version: ModelVersion, artifact: &[u8], report_sha256: String) -> Self {
        Self {
            target: target_name(version),
            sha256: hex::encode(Sha256::digest(artifact)),
            length: artifact.len() as u64,
            model_version: version,
            verdict: "promote".to_owned(),
            report_sha256,
        }
    }

    /// Signs it with the gate key.
    #[must_use]
    pub fn sign(&self, gate: &Ed25519KeyPair) -> SignedVerdict {
        let bytes = serde_json::to_vec(self).expect("a struct of texts and integers has a JSON form");
        let signature = gate.sign(&bytes).as_ref().to_vec();
        debug_assert_eq!(gate.public_key().as_ref().len(), 32, "an ed25519 public key");
        SignedVerdict { bytes, signature }
    }
}
