//! What a home's answers did: said to that home alone, when a model that learnt from them is released.

use serde::{Deserialize, Serialize};

use crate::id::ModelVersion;

/// Retained on the home's own topic, so that a home that sleeps hears it when it wakes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contribution {
    /// The released model.
    pub model_version: ModelVersion,
    /// Hex SHA-256 of the data set that it learnt from.
    pub snapshot: String,
    /// Answers of this home that were looked at.
    pub answers: u64,
    /// Of these: became examples in the data set.
    pub examples: u64,
    /// When the data set was frozen, Unix seconds.
    pub at: i64,
}
