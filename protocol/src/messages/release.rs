//! The wake-up call: a release exists. Nothing in it is trusted; the TUF repository decides.

use serde::{Deserialize, Serialize};

use crate::id::ModelVersion;

/// Retained on the fleet's topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseNotice {
    /// The newest released model.
    pub model_version: ModelVersion,
    /// Flat TUF target name, e.g. `model-3.safetensors`.
    pub target: String,
    /// When it was released, Unix seconds.
    pub at: i64,
}
