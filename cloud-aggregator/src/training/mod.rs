//! Learning from the answers: when, from what, and what the gate says.

mod card;
pub mod corpus;
pub mod experiment;
mod job;
mod learner;
pub mod measure;
mod model_learner;
pub mod offline;
mod pace;
pub mod record;
pub mod recordings;
mod trainer;
pub mod trigger;

use tokio::sync::{mpsc, oneshot, watch};

pub use card::card;
pub use job::{Finished, Job, take_snapshot};
pub use learner::{Challenger, Learner, Step};
pub use model_learner::{Corpora, ModelLearner};
pub use trainer::Trainer;

use crate::store::{RunRow, RunTrigger};

/// Requests that may wait for the trainer; a run answers all that came before it, so more would say nothing new.
pub const REQUESTS_MAX: usize = 16;

/// What the trainer is doing, for pages and bars.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TrainingStatus {
    /// The run in hand.
    pub run: Option<String>,
    /// What it is at: `idle`, `snapshot`, `preparing`, `training`, `evaluating`, `releasing`.
    pub phase: &'static str,
    /// Units done in this phase.
    pub done: u64,
    /// Units in this phase; 0 if unknown.
    pub total: u64,
    /// The last training loss.
    pub loss: Option<f32>,
    /// Seconds that this phase still takes, once there is a pace.
    pub remaining_s: Option<u64>,
}

/// Why a run could not be had.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TrainingError {
    /// The trainer is gone: the program is shutting down.
    #[error("the trainer has stopped")]
    Stopped,
    /// Requests are waiting already.
    #[error("{REQUESTS_MAX} requests wait already")]
    Busy,
    /// Nothing to learn from, or nothing to judge by.
    #[error("{0}")]
    Unready(String),
    /// The run failed; its row says so too.
    #[error("run {run} failed: {cause}")]
    Failed {
        /// Which run.
        run: String,
        /// Why.
        cause: String,
    },
    /// The store did not take it.
    #[error("{0}")]
    Store(String),
}

/// A request to the trainer.
#[derive(Debug)]
pub struct RunRequest {
    /// What made it start.
    pub trigger: RunTrigger,
    /// Where the finished run is wanted.
    pub reply: oneshot::Sender<Result<RunRow, TrainingError>>,
}

/// Starts runs and shows their progress. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct TrainingHandle {
    pub(crate) requests: mpsc::Sender<RunRequest>,
    pub(crate) status: watch::Receiver<TrainingStatus>,
}

impl TrainingHandle {
    /// A handle, and the trainer's ends of it.
    #[must_use]
    pub fn channel() -> (Self, mpsc::Receiver<RunRequest>, watch::Sender<TrainingStatus>) {
        let (requests, inbox) = mpsc::channel(REQUESTS_MAX);
        let (sender, status) = watch::channel(TrainingStatus { phase: "idle", ..TrainingStatus::default() });
        (Self { requests, status }, inbox, sender)
    }

    /// Asks for a run; the receiver gets its row when it has ended.
    ///
    /// # Errors
    /// [`TrainingError::Busy`] or [`TrainingError::Stopped`].
    pub fn start(
        &self,
        trigger: RunTrigger,
    ) -> Result<oneshot::Receiver<Result<RunRow, TrainingError>>, TrainingError> {
        let (reply, answer) = oneshot::channel();
        self.requests.try_send(RunRequest { trigger, reply }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => TrainingError::Busy,
            mpsc::error::TrySendError::Closed(_) => TrainingError::Stopped,
        })?;
        Ok(answer)
    }

    /// Asks for a run and waits for its end.
    ///
    /// # Errors
    /// [`TrainingError`].
    pub async fn run(&self, trigger: RunTrigger) -> Result<RunRow, TrainingError> {
        self.start(trigger)?.await.map_err(|_| TrainingError::Stopped)?
    }

    /// What the trainer is doing, now and from now on.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<TrainingStatus> {
        self.status.clone()
    }
}
