//! Learning from the answers: when, from what, and what the gate says.

mod cancel;
mod card;
mod config;
pub mod corpus;
mod job;
mod learner;
pub mod limits;
pub mod mlflow;
mod model_learner;
mod pace;
pub mod record;
pub mod recordings;
pub mod requests;
pub mod run_folder;
mod run_log;
mod trainer;
pub mod trigger;

pub use cancel::Cancellations;
pub use card::card;
pub use config::{SCHEDULE_HOURS_DEFAULT, SEED_DEFAULT, TRIGGER_COUNT_DEFAULT, TrainingConfig};
pub use job::{Finished, Job, run_id, take_snapshot};
pub use learner::{Challenger, Defences, LearnError, Learner, Step};
pub use model_learner::{Corpora, ModelLearner};
pub use requests::{RunRequest, TrainingHandle, new_id};
pub use run_log::RunLog;
pub use trainer::Trainer;

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
        /// Its id; empty where the run had no row yet.
        run: String,
        /// One line: the learner's words, or those of its panic.
        cause: String,
    },
    /// Somebody ended it before its time.
    #[error("cancelled by {by}")]
    Cancelled {
        /// The run; empty where there was none yet.
        run: String,
        /// Who: `token:NAME`.
        by: String,
    },
    /// The store did not take it.
    #[error("{0}")]
    Store(String),
}
