//! A round of federated training: what the director asks of one home, what the home answers, and whether it takes part at all.
//!
//! After federated averaging (McMahan et al., AISTATS 2017). Three signed statements: the home's [`RoundOffer`] says that its residents
//! agreed, the director's [`RoundPlan`] says what is asked, the home's [`RoundAnswer`] says what came of it and is bound to the
//! bytes of a delta by their hash. History and windows are in none of them.

mod answer;
mod offer;
mod plan;

pub use answer::{DeclineReason, RoundAnswer, RoundResult, SignedRoundAnswer};
pub use offer::{ClassCount, RoundOffer, SignedRoundOffer};
pub use plan::{
    AcceptedPlan, EvaluateWork, PlanRefusal, PlanSeen, ROUND_SECONDS_MAX, RoundPlan, RoundWork, SignedRoundPlan,
    TrainRecipe, TrainWork,
};

use serde::{Deserialize, Serialize};

/// Some bytes, by what they must hash to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RoundFile {
    /// SHA-256 of the bytes.
    #[serde(with = "crate::codec::fixed_bytes")]
    pub sha256: [u8; 32],
    /// How many bytes.
    pub length: u64,
}

impl RoundFile {
    /// Describes `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self { sha256: sha2::Sha256::digest(bytes).into(), length: bytes.len() as u64 }
    }
}
