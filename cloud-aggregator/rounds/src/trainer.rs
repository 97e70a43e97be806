//! What a round asks of whoever has the recordings: replay, thresholds, and the gate on homes held out.

use hearthwatch_detector::network::{Artifact, Weights};
use hearthwatch_evaluation::evaluate::GateReport;
use hearthwatch_federation::Rise;
use serde::{Deserialize, Serialize};

/// How the server trains on recordings in a round.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReplayStep {
    /// Steps of the optimizer.
    pub steps: u32,
    /// Windows of a step.
    pub batch: u32,
    /// Highest step size.
    pub learning_rate: f64,
    /// Seed of the batches: the candidate and replay alone see the same ones.
    pub seed: u64,
}

/// Why the recordings were of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrainerError {
    /// Something that may be there at the next try: recordings that were not fetched, a device that is busy.
    #[error("{0}")]
    Unready(String),
    /// The same again will fail as well.
    #[error("{0}")]
    Failed(String),
}

/// Trains and judges on recordings. Calls block, for minutes.
pub trait RoundTrainer: Send + Sync + 'static {
    /// Trains from `start` on the recordings that may be learnt from.
    ///
    /// # Errors
    /// [`TrainerError`].
    fn replay(&self, start: &Weights, step: &ReplayStep) -> Result<Weights, TrainerError>;

    /// By how much a delta raises the loss on the recordings when it is added to `start`: on windows drawn by `seed`.
    ///
    /// # Errors
    /// [`TrainerError`].
    fn rise(&self, start: &Weights, seed: u64) -> Result<Rise, TrainerError>;

    /// A whole artifact around `weights`: with thresholds and the classes that it earned. `champion` is the fleet's; `training` goes
    /// into the manifest. The same again gives the same bytes.
    ///
    /// # Errors
    /// [`TrainerError`].
    fn artifact(
        &self,
        weights: Weights,
        champion: &Artifact,
        training: serde_json::Value,
    ) -> Result<Artifact, TrainerError>;

    /// The gate's report of the candidate on recordings held out, against the fleet's model and replay alone.
    ///
    /// # Errors
    /// [`TrainerError`].
    fn judge(&self, candidate: &Artifact, control: &Artifact, champion: &Artifact) -> Result<GateReport, TrainerError>;

    /// Nothing more is asked for now: what was kept in memory for the next call may go.
    fn rest(&self) {}
}
