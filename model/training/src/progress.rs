//! What a run reports while it goes on, and how it is asked to stop.
//!
//! Who receives a report answers whether the run goes on: on `Break` it ends at once with [`TrainError::Stopped`](crate::TrainError::Stopped).

use std::ops::ControlFlow;

use super::error::TrainError;

/// Reports, and ends the run where the answer is to stop.
pub(super) fn report_progress(
    receiver: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    progress: Progress,
) -> Result<(), TrainError> {
    if receiver(progress).is_break() { Err(TrainError::Stopped) } else { Ok(()) }
}

/// A receiver that never stops the run.
pub fn never_stops(mut receiver: impl FnMut(Progress)) -> impl FnMut(Progress) -> ControlFlow<()> {
    move |progress| {
        receiver(progress);
        ControlFlow::Continue(())
    }
}

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
