//! What a run says of itself while it goes on.

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
