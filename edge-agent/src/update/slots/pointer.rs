//! What the pointer file says: which slot is in charge, which waits, what may get in.

use hearthwatch_protocol::ModelVersion;
use hearthwatch_protocol::messages::UpdateOutcome;
use serde::{Deserialize, Serialize};

/// One of the two places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Slot {
    /// The first.
    A,
    /// The second.
    B,
}

/// A model in a slot, or one that is about to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Where.
    pub slot: Slot,
    /// Which.
    pub version: ModelVersion,
    /// Hash of its file, hexadecimal.
    pub sha256: String,
    /// Length of its file, in bytes.
    pub length: u64,
}

/// A model in charge that has yet to earn it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// When it is over, Unix seconds.
    pub until: i64,
    /// Starts of the agent that are left.
    pub tries: u8,
    /// Installed by a signed order, which alone may lower the floor.
    #[serde(default)]
    pub ordered: bool,
}

/// A whole model in the spare slot, watched beside the one in charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staged {
    /// Which, and where.
    pub held: Held,
    /// When it has been watched for long enough, Unix seconds.
    pub until: i64,
    /// Starts of the agent that are left.
    pub tries: u8,
    /// Staged by a signed order.
    pub ordered: bool,
}

/// The assignment that this home follows: what was signed, and what tells a replay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Followed {
    /// Its place in the home's sequence.
    pub generation: u64,
    /// The COSE_Sign1 structure as it came, hexadecimal.
    pub signed: String,
}

/// The pointer file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pointer {
    /// In charge; without it the program's own model is.
    pub active: Option<Held>,
    /// In charge before, if its slot is still filled.
    pub previous: Option<Held>,
    /// Set while `active` is on trial.
    pub trial: Option<Trial>,
    /// What the spare slot is being filled with; that slot holds nothing that can be relied on.
    pub intent: Option<Held>,
    /// What the spare slot holds, whole.
    #[serde(default)]
    pub staged: Option<Staged>,
    /// How an update ended, until it is known to be in the outbox.
    #[serde(default)]
    pub untold: Option<UpdateOutcome>,
    /// When `active` took charge, Unix seconds.
    #[serde(default)]
    pub since: i64,
    /// The newest assignment of the fleet's director that was accepted, as it came; nothing older is.
    #[serde(default)]
    pub assignment: Option<Followed>,
    /// Nothing below this version gets in.
    pub floor: ModelVersion,
    /// Versions that failed here.
    pub failed: Vec<ModelVersion>,
}
