//! What a run needs from whoever does the learning; the seam between the job and the model.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use hearthwatch_detector::drift::FeatureProfile;
use hearthwatch_training::{Checkpoints, EpochRecord, TrainError};
use serde::{Deserialize, Serialize};

use crate::dataset::Example;

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// Reading the recorded sets into windows.
    Preparing {
        /// Homes done.
        done: u64,
        /// Homes in all.
        total: u64,
    },
    /// Fitting the network.
    Training {
        /// Optimiser steps done.
        done: u64,
        /// Optimiser steps in all.
        total: u64,
        /// The last loss.
        loss: f32,
    },
    /// Holding the challenger against champion and baseline detector.
    Evaluating {
        /// Homes done.
        done: u64,
        /// Homes in all.
        total: u64,
    },
}

/// What was done to homes' answers before they were learnt from, by home; the method is in `docs/reference/feedback.md`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Defences {
    /// Answers beyond the quota.
    pub over_quota: BTreeMap<String, usize>,
    /// Left out, for contradicting the others beyond chance.
    pub doubted: Vec<String>,
    /// Weight for agreeing less than the median home, below 1.
    pub reliability: BTreeMap<String, f64>,
    /// Share of the weight that was cut off above the cap.
    pub capped: BTreeMap<String, f64>,
}

/// What came of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Challenger {
    /// The artifact's bytes.
    pub artifact: Vec<u8>,
    /// Canonical hash of the tensors.
    pub weights_id: String,
    /// Whether the gate lets it through.
    pub promote: bool,
    /// The gate's whole report, as JSON.
    pub report: String,
    /// The model card, in Markdown.
    pub card: String,
    /// What was done to the answers before they were learnt from.
    pub defences: Option<Defences>,
    /// Losses by epoch.
    pub history: Vec<EpochRecord>,
    /// Figures that runs are compared by, with their names.
    pub figures: Vec<(&'static str, f64)>,
    /// How the features of the data it trained on are distributed.
    pub profile: Option<FeatureProfile>,
}

/// Why nothing was learnt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LearnError {
    /// It was asked to stop.
    #[error("stopped")]
    Stopped,
    /// In one line.
    #[error("{0}")]
    Failed(String),
}

impl From<String> for LearnError {
    fn from(cause: String) -> Self {
        Self::Failed(cause)
    }
}

impl From<TrainError> for LearnError {
    fn from(error: TrainError) -> Self {
        match error {
            TrainError::Stopped => Self::Stopped,
            other => Self::Failed(other.to_string()),
        }
    }
}

/// Makes a challenger from examples, and lets the gate judge it. The same input gives the same challenger.
pub trait Learner: Send + Sync + 'static {
    /// Finds and reads the recorded sets; returns their hash. Blocks.
    ///
    /// # Errors
    /// A sentence that says where it looked and what to do.
    fn corpus(&self) -> Result<String, String>;

    /// Everything else that decides the outcome, seed included, as JSON.
    fn config(&self) -> String;

    /// Learns. Blocks, for minutes. The examples are given away: they are the largest thing in memory. `champion` is the artifact to beat; `checkpoints` are those of this very run.
    ///
    /// `progress` answers whether to go on.
    ///
    /// # Errors
    /// [`LearnError::Stopped`] where `progress` answers `Break`; else [`LearnError::Failed`].
    fn learn(
        &self,
        examples: Vec<Example>,
        champion: Option<&[u8]>,
        checkpoints: &mut dyn Checkpoints,
        progress: &mut dyn FnMut(Step) -> ControlFlow<()>,
    ) -> Result<Challenger, LearnError>;
}
