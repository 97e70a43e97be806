//! A round of federated training: what the director asks of one home, what the home answers, and whether it takes part at all.
//!
//! After federated averaging (McMahan et al., AISTATS 2017). Three signed statements: the home's [`RoundOffer`] says that its residents
//! agreed, the director's [`RoundPlan`] says what is asked, the home's [`RoundAnswer`] says what came of it and is bound to the
//! bytes of a delta by their hash. History and windows are in none of them.

mod answer;
mod masks;
mod offer;
mod plan;

pub use answer::{DeclineReason, RoundAnswer, RoundResult, SignedRoundAnswer};
pub use masks::{
    GroupRequest, MaskAnswer, MaskExchange, MaskTerms, MaskedTrainWork, RequestRefusal, SignedGroupRequest,
};
pub use offer::{ClassCount, RoundOffer, SignedRoundOffer};
pub use plan::{
    AcceptedPlan, EvaluateWork, PlanRefusal, PlanSeen, ROUND_SECONDS_MAX, RoundPlan, RoundWork, SignedRoundPlan,
    TrainRecipe, TrainWork,
};

use serde::{Deserialize, Deserializer, Serialize};

/// Some bytes, by what they must hash to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RoundFile {
    /// SHA-256 of the bytes.
    #[serde(serialize_with = "crate::bytes::fixed_bytes::serialize", deserialize_with = "sha256_from_either")]
    pub sha256: [u8; 32],
    /// How many bytes.
    pub length: u64,
}

/// A byte string on the wire; in JSON, in which an agent hands its job to the process that trains, the array that bytes become there.
fn sha256_from_either<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
    if deserializer.is_human_readable() {
        Deserialize::deserialize(deserializer)
    } else {
        crate::bytes::fixed_bytes::deserialize(deserializer)
    }
}

impl RoundFile {
    /// Describes `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self { sha256: sha2::Sha256::digest(bytes).into(), length: bytes.len() as u64 }
    }
}
