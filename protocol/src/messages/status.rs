//! What an agent is and runs, said on connecting and when it changes.

use serde::{Deserialize, Serialize};

use crate::id::ModelVersion;

/// The agent's retained self-description. The will is the same message with `online` false.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentStatus {
    /// False only in the will and on a clean stop.
    pub online: bool,
    /// The agent's own version, e.g. `0.1.0`.
    pub agent_version: String,
    /// The model in charge.
    pub model_version: ModelVersion,
    /// How many entities are watched.
    pub entities: u32,
    /// Records that wait for a receipt.
    pub outbox: u32,
}
