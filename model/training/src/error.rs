//! Why a run gave no candidate.

use hearthwatch_detector::network::{ArtifactError, DeviceError};

/// Why a run gave no candidate.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum TrainError {
    /// A part of the corpus has no home that could be used.
    #[error("no usable home to {part} with: recordings must be longer than the warm-up of {warm_up_days} days")]
    NoHomes {
        /// `train`, `calibrate` or `test`.
        part: &'static str,
        /// [`Days::warm_up_days`](crate::Days::warm_up_days).
        warm_up_days: i64,
    },
    /// The training homes hold no fault to learn from.
    #[error("no injected or labelled fault fell into the training homes; more homes, weeks or events are needed")]
    NoFaults,
    /// A feedback window of another size.
    #[error("feedback example {index} has a window of {length} values, not {expected}: leave it out")]
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
    /// Whoever receives the progress asked for it.
    #[error("the run was stopped")]
    Stopped,
    /// The loss stopped being a number; a round counts as one epoch.
    #[error("training diverged in epoch {epoch}: the loss is not finite; lower the learning rate")]
    Diverged {
        /// The epoch, from 1.
        epoch: usize,
    },
}
