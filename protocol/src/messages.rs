//! The five things that are said, one file each.

mod feedback;
mod outcome;
mod receipt;
mod release;
mod status;

pub use feedback::{FeatureWindow, FeedbackRecord, Origin, Verdict};
pub use outcome::{UpdateOutcome, UpdateResult};
pub use receipt::{Receipt, Refusal, RefusalReason};
pub use release::ReleaseNotice;
pub use status::AgentStatus;

/// Anything that may be the body of an envelope.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// A labelled record.
    Feedback(FeedbackRecord),
    /// What the aggregator has stored.
    Receipt(Receipt),
    /// What an agent is and runs.
    Status(AgentStatus),
    /// How an update ended.
    Outcome(UpdateOutcome),
    /// A model is to be had.
    Release(ReleaseNotice),
}

impl Message {
    /// The name of the kind on the wire.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Feedback(_) => "feedback",
            Self::Receipt(_) => "receipt",
            Self::Status(_) => "status",
            Self::Outcome(_) => "outcome",
            Self::Release(_) => "release",
        }
    }
}
