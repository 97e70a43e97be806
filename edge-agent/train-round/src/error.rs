//! Why a job gave nothing to send: one line for the home's own log, without a value or a name from the history.

use std::io::ErrorKind;

use hearthwatch_protocol::round::DeclineReason;
use hearthwatch_training::TrainError;

/// Why a job gave nothing to send.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoundError {
    /// Standard input holds no job: agent and this program are of different versions.
    #[error(
        "the job cannot be read (line {line}, column {column}): the agent and hearthwatch-train-round must be of one version"
    )]
    Job {
        /// Line of the JSON, from 1; 0 where the input could not be read at all.
        line: usize,
        /// Column of the JSON, from 1.
        column: usize,
    },
    /// Too young a history.
    #[error("the history has {days} whole days, {needed} are needed: wait")]
    HistoryTooShort {
        /// Whole days that are known.
        days: u32,
        /// Days that are needed.
        needed: u32,
    },
    /// No sensor with a number on enough days.
    #[error("no sensor reported numbers on {needed} days: wait, or watch a sensor that reports numbers")]
    NoSensors {
        /// Days that are needed.
        needed: u32,
    },
    /// No window with a fault or none without could be drawn.
    #[error("the sensors gave no window to learn from: wait for more history")]
    NothingToLearn,
    /// A model that is not there, is other bytes than the plan's, or is no model.
    #[error("model {place} of the plan {cause}: it is fetched again in the next round")]
    Model {
        /// Its place in the plan, from 1.
        place: usize,
        /// What is wrong.
        cause: String,
    },
    /// The history cannot be read.
    #[error("the history cannot be read ({code}): see the agent's log")]
    History {
        /// SQLite's result code, or what stands for it.
        code: String,
    },
    /// The body cannot be written.
    #[error("the body cannot be written ({0}): free space on the disk")]
    Disk(ErrorKind),
    /// A body that no message may carry.
    #[error("the body has {bytes} bytes, {most} are allowed: this is a fault of this program, please report it")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// [`hearthwatch_protocol::limits::ROUND_BODY_BYTES_MAX`].
        most: usize,
    },
    /// The loss or what was trained is no number.
    #[error("training diverged: the round's step size or its weights are unfit, which the fleet's operator can change")]
    Diverged,
    /// The owner's limit of time.
    #[error("took longer than the {seconds} s that are allowed: raise the limit, or allow fewer sensors")]
    TooSlow {
        /// The limit.
        seconds: u32,
    },
    /// The owner's limit of memory.
    #[error("needed more than the {mebibytes} MiB that are allowed: raise the limit, or allow fewer sensors")]
    OutOfMemory {
        /// The limit.
        mebibytes: u32,
    },
    /// What has nothing to do with the job: no thread, no random numbers, no backend for the processor, counts that cannot be written.
    #[error("this machine cannot take part: {0}; if it happens again, please report it")]
    Machine(&'static str),
}

impl RoundError {
    /// The reason that is sent to the fleet.
    #[must_use]
    pub fn reason(&self) -> DeclineReason {
        match self {
            Self::HistoryTooShort { .. } | Self::NoSensors { .. } | Self::NothingToLearn => {
                DeclineReason::HistoryTooShort
            }
            Self::Model { .. } => DeclineReason::ModelUnavailable,
            Self::History { .. } | Self::Disk(_) => DeclineReason::Disk,
            Self::Diverged => DeclineReason::Diverged,
            Self::TooSlow { .. } => DeclineReason::TooSlow,
            Self::OutOfMemory { .. } => DeclineReason::OutOfMemory,
            Self::Job { .. } | Self::TooLong { .. } | Self::Machine(_) => DeclineReason::Other,
        }
    }
}

impl From<TrainError> for RoundError {
    fn from(error: TrainError) -> Self {
        match error {
            TrainError::NoFaults | TrainError::NoHomes { .. } => Self::NothingToLearn,
            TrainError::Device(_) => Self::Machine("the program was built without a backend for the processor"),
            // The start was sound: what does not read back as weights is what became of it.
            _ => Self::Diverged,
        }
    }
}
