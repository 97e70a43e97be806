//! What the signer has signed last: made by the ceremony, kept and carried on by the signer.

use std::collections::BTreeMap;

use hearthwatch_protocol::ModelVersion;
use serde::{Deserialize, Serialize};
use tough::schema::Target;

use crate::claims::sha256_hex;

/// What was signed last, kept in a private file by the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Version of the targets metadata.
    pub version: u64,
    /// SHA-256 of their canonical form, hex.
    pub sha256: String,
    /// The releases in them.
    pub targets: BTreeMap<String, Target>,
    /// Highest model version that was ever signed.
    pub model_version: ModelVersion,
}

impl State {
    /// After the ceremony: version 1, nothing released.
    #[must_use]
    pub fn first(canonical: &[u8]) -> Self {
        let model_version = ModelVersion::ROUTINE;
        Self { version: 1, sha256: sha256_hex(canonical), targets: BTreeMap::new(), model_version }
    }

    /// As kept on disk.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("the state has text keys and finite numbers only");
        bytes.push(b'\n');
        bytes
    }

    /// As read from disk.
    ///
    /// # Errors
    /// The parser's words.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    }
}
