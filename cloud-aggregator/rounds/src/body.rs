//! Whether the bytes of an answer are what the plan asked for. Pure.

use hearthwatch_federation::{CountsError, Delta, DeltaError, HomeCounts, Quantised};
use hearthwatch_protocol::messages::RoundRefusal;
use hearthwatch_protocol::round::{RoundFile, RoundResult};
use hearthwatch_store::rounds::RoundDuty;

use super::settings::RoundSettings;

/// Models that homes evaluate, in this order: the candidate, replay alone, the fleet's.
pub const EVALUATED_MODELS: usize = 3;

/// How far a delta's norm may be above the clip: eight bits a value round it, by well under a hundredth.
const NORM_TOLERANCE: f64 = 1.02;

/// How far noise may lengthen a delta beyond its expected length: the length of 29,798 Gaussian values varies by .4 %.
const NOISE_TOLERANCE: f64 = 1.05;

/// What a sound answer brought.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// What training changed.
    Delta(Delta),
    /// How models score.
    Counts(HomeCounts),
}

/// Reads the whole `bytes` of an answer in a round of these `settings`, of a home with this `duty`.
///
/// # Errors
/// The first [`RoundRefusal`] that applies: the digest, the kind, the form, the number of values, finiteness, the norm.
pub fn read(
    settings: &RoundSettings,
    duty: RoundDuty,
    result: &RoundResult,
    bytes: &[u8],
) -> Result<Body, RoundRefusal> {
    let file = result.file().ok_or(RoundRefusal::Malformed)?;
    if RoundFile::of(bytes) != *file {
        return Err(RoundRefusal::Digest);
    }
    match (duty, result) {
        (RoundDuty::Train, RoundResult::Delta(_)) => {
            let delta =
                Quantised::from_bytes(bytes).and_then(|quantised| quantised.restore()).map_err(
                    |error| match error {
                        DeltaError::Malformed => RoundRefusal::Malformed,
                        DeltaError::Count { .. } => RoundRefusal::Shape,
                        DeltaError::NotFinite { .. } => RoundRefusal::NotFinite,
                    },
                )?;
            let values = delta.values().len() as f64;
            let longest = settings.clip * NORM_TOLERANCE + settings.noise * values.sqrt() * NOISE_TOLERANCE;
            if delta.norm() <= longest { Ok(Body::Delta(delta)) } else { Err(RoundRefusal::Norm) }
        }
        (RoundDuty::Evaluate, RoundResult::Counts(_)) => {
            HomeCounts::from_bytes(bytes, EVALUATED_MODELS).map(Body::Counts).map_err(|error| match error {
                CountsError::Models { .. } => RoundRefusal::Shape,
                CountsError::Malformed(_) | CountsError::Limits => RoundRefusal::Malformed,
            })
        }
        _ => Err(RoundRefusal::Malformed),
    }
}
