//! How an update ended on one home.

use serde::{Deserialize, Serialize};

use crate::id::ModelVersion;

/// Reported once for each release that an agent tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateOutcome {
    /// The release in question.
    pub model_version: ModelVersion,
    /// What came of it.
    pub result: UpdateResult,
    /// Unix seconds.
    pub at: i64,
}

/// The three ends of an update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdateResult {
    /// In charge, and proven on the home's recent windows.
    Installed,
    /// Never put in charge.
    Refused {
        /// The exact cause, one line.
        reason: String,
    },
    /// Was in charge, failed its probation; the one before is back.
    RolledBack {
        /// The exact cause, one line.
        reason: String,
        /// What is in charge again.
        to: ModelVersion,
    },
}
