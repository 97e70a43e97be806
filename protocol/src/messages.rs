//! The things that are said, one file each; the signed ones live in [`crate::assignment`], [`crate::manifest`] and [`crate::round`].

mod announcement;
mod contribution;
mod feedback;
mod outcome;
mod receipt;
mod release;
mod round;
mod status;
mod withdrawal;

use crate::assignment::SignedAssignment;
use crate::manifest::SignedManifest;
use crate::round::{SignedRoundOffer, SignedRoundPlan};

pub use announcement::Announcement;
pub use contribution::Contribution;
pub use feedback::{FeatureWindow, FeedbackRecord, Origin, Verdict};
pub use outcome::{UpdateOutcome, UpdateResult, UpdateStage};
pub use receipt::{PAYLOAD_DIGEST_BYTES, PayloadDigest, Receipt, Refusal, RefusalReason, Said};
pub use release::ReleaseNotice;
pub use round::{RoundPart, RoundReceipt, RoundRefusal, RoundRequest, RoundState};
pub use status::AgentStatus;
pub use withdrawal::{Withdrawal, WithdrawalReceipt, WithdrawalScope};

/// Anything that may be the body of an envelope.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// A labelled record.
    Feedback(FeedbackRecord),
    /// An alarm that nobody has answered yet.
    Announcement(Announcement),
    /// What the aggregator has stored.
    Receipt(Receipt),
    /// What an agent is and runs.
    Status(AgentStatus),
    /// How an update ended.
    Outcome(UpdateOutcome),
    /// A model is to be had.
    Release(ReleaseNotice),
    /// A home takes back what it shared.
    Withdrawal(Withdrawal),
    /// What became of that.
    WithdrawalReceipt(WithdrawalReceipt),
    /// What a home's answers did.
    Contribution(Contribution),
    /// Which release a home is to run; signed, not verified yet.
    Assignment(SignedAssignment),
    /// What a home runs; signed, not verified yet.
    Manifest(SignedManifest),
    /// Whether a home takes part in rounds; signed, not verified yet.
    RoundOffer(SignedRoundOffer),
    /// What a home is asked for in a round; signed, not verified yet.
    RoundPlan(SignedRoundPlan),
    /// A part of what a home answers.
    RoundPart(RoundPart),
    /// What the aggregator has of that answer.
    RoundReceipt(RoundReceipt),
    /// What a home of a group is asked for in an exchange of a masked round.
    RoundRequest(RoundRequest),
}

impl Message {
    /// The name of the kind on the wire.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Feedback(_) => "feedback",
            Self::Announcement(_) => "announcement",
            Self::Receipt(_) => "receipt",
            Self::Status(_) => "status",
            Self::Outcome(_) => "outcome",
            Self::Release(_) => "release",
            Self::Withdrawal(_) => "withdrawal",
            Self::WithdrawalReceipt(_) => "withdrawal_receipt",
            Self::Contribution(_) => "contribution",
            Self::Assignment(_) => "assignment",
            Self::Manifest(_) => "manifest",
            Self::RoundOffer(_) => "round_offer",
            Self::RoundPlan(_) => "round_plan",
            Self::RoundPart(_) => "round_part",
            Self::RoundReceipt(_) => "round_receipt",
            Self::RoundRequest(_) => "round_request",
        }
    }
}
