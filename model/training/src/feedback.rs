//! Residents' answers as training examples.

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::network::WINDOW_VALUES;
use sha2::{Digest, Sha256};

use super::error::TrainError;

/// A window that a resident answered about, as the network sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedbackExample {
    /// `WINDOW_STEPS * FEATURES` values, oldest step first.
    pub window: Vec<f32>,
    /// The class of the entity, which the network sees, too.
    pub class: DeviceClass,
    /// Whether the resident confirmed it.
    pub anomalous: bool,
    /// How much it counts: 1, or the inverse of the probability with which it was asked.
    pub weight: f32,
}

/// Checks the windows' sizes.
pub(super) fn check(examples: &[FeedbackExample]) -> Result<(), TrainError> {
    for (index, example) in examples.iter().enumerate() {
        if example.window.len() != WINDOW_VALUES {
            return Err(TrainError::FeedbackShape { index, length: example.window.len(), expected: WINDOW_VALUES });
        }
    }
    Ok(())
}

/// SHA-256 in hex over all examples in order; `None` without any.
pub(super) fn content_hash(examples: &[FeedbackExample]) -> Option<String> {
    if examples.is_empty() {
        return None;
    }
    let mut hasher = Sha256::new();
    for example in examples {
        for value in &example.window {
            hasher.update(value.to_le_bytes());
        }
        hasher.update(example.class.as_str().as_bytes());
        hasher.update([u8::from(example.anomalous)]);
        hasher.update(example.weight.to_le_bytes());
    }
    Some(hex::encode(hasher.finalize()))
}
