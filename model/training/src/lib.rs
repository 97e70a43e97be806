//! Learning: from recorded homes (and residents' answers) to an artifact with the gate's report.
//!
//! Behind the feature `train`, which agents never turn on. A run is a pure function of its corpus, feedback, champion and
//! configuration: the same inputs give the same artifact bytes on the same machine. Homes are split by a hash of their
//! name; test homes are measured in weeks after those that were trained on.

mod blending;
mod checkpoint;
mod class_gating;
mod config;
mod corpus;
mod defence;
mod feedback;
mod fit;
mod fold;
mod fold_trainer;
mod loss;
mod prepare;
mod release;
mod retrain;
mod sampler;
mod train_step_bench;

pub use checkpoint::{Checkpoints, NoCheckpoints};
pub use config::{RetrainConfig, RoutineThresholds};
pub use corpus::Corpus;
pub use defence::{DefencePolicy, Defended, HomeAnswer, WithoutHome, defend};
pub use feedback::FeedbackExample;
pub use fit::EpochRecord;
pub use fold::{CROSS_FIT_PARTS, cross_fit, leave_set_out};
pub use fold_trainer::FoldTrainer;
pub use prepare::{Prepared, prepare, prepare_test};
pub use release::{Release, release};
pub use retrain::{Candidate, RetrainRequest};
pub use train_step_bench::TrainStepBench;

use hearthwatch_detector::network::{ArtifactError, DeviceError};

/// What a run is doing; for bars and logs.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// Recordings are run through the feature extractor.
    Preparing {
        /// Recordings finished.
        done: usize,
        /// Recordings in all.
        total: usize,
    },
    /// The network is trained.
    Training {
        /// Current epoch, from 1.
        epoch: usize,
        /// Most epochs there will be.
        epochs: usize,
        /// Optimizer step within the epoch, from 1.
        step: usize,
        /// Steps of an epoch.
        steps: usize,
        /// Mean training loss of the epoch so far.
        loss: f32,
    },
    /// Detectors are measured on the test homes.
    Evaluating {
        /// Measurements finished.
        done: usize,
        /// Measurements in all.
        total: usize,
    },
}

/// Why a run gave no candidate.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum TrainError {
    /// A part of the corpus has no home that could be used.
    #[error("no usable home to {part} with: recordings must be longer than the warm-up of {warm_up_days} days")]
    NoHomes {
        /// `train`, `calibrate` or `test`.
        part: &'static str,
        /// The configured warm-up.
        warm_up_days: i64,
    },
    /// The training homes hold no fault to learn from.
    #[error("no injected or labelled fault fell into the training homes; more homes, weeks or events are needed")]
    NoFaults,
    /// A feedback window of another size.
    #[error("feedback example {index} has a window of {length} values, not {expected}")]
    FeedbackShape {
        /// Position in the list.
        index: usize,
        /// Its number of values.
        length: usize,
        /// What it must be.
        expected: usize,
    },
    /// The champion or the result is no usable artifact.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The configured device cannot be used.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A checkpoint of this very run whose optimizer state does not read; it has to be taken away.
    #[error("the checkpoint's optimizer state is damaged: remove the run's checkpoints to begin anew")]
    Checkpoint,
    /// The loss stopped being a number.
    #[error("training diverged in epoch {epoch}: the loss is not finite")]
    Diverged {
        /// The epoch, from 1.
        epoch: usize,
    },
}
