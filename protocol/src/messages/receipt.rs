//! The aggregator's word that records are safe: the only thing that lets an agent forget them.

use serde::{Deserialize, Serialize};

use crate::id::Sequence;

/// Sent after records are durably stored, and whenever a home asks by resending an old one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Every record up to and including this one is stored, quarantined or refused: none need be sent again.
    pub through: Sequence,
    /// Those among them that were not taken, and why.
    pub refused: Vec<Refusal>,
}

/// One record that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Which one.
    pub sequence: Sequence,
    /// Why.
    pub reason: RefusalReason,
}

/// Why a payload was not admitted. One word each: it names the counter, the quarantine row and the log field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalReason {
    /// Larger than the payload limit.
    TooLarge,
    /// Not an envelope, or not the message that the topic promises.
    Malformed,
    /// A schema version that this aggregator does not read.
    UnknownSchema,
    /// NaN or infinite numbers.
    NotFinite,
    /// Shape of the window differs from the feature schema's.
    WindowShape,
    /// A home that is not enrolled, or is revoked.
    UnknownHome,
    /// The record names another home than the topic does.
    WrongHome,
    /// Not a topic that records come on.
    WrongTopic,
    /// The same key was stored before, with other bytes.
    ReplayedSequence,
    /// A device class that no model knows.
    UnknownClass,
    /// A model version that was never released.
    UnknownModel,
    /// Times in the future, or answered before raised.
    ImplausibleTime,
    /// More records in a day than a home may send.
    QuotaExceeded,
    /// The home took it back.
    Withdrawn,
    /// An answer to an alarm that the home had not announced, or had announced otherwise. Said only to homes that
    /// announce: agents from before there were announcements do not know the word.
    NotAnnounced,
}

impl RefusalReason {
    /// The word on the wire, in metrics and in logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::UnknownSchema => "unknown_schema",
            Self::NotFinite => "not_finite",
            Self::WindowShape => "window_shape",
            Self::UnknownHome => "unknown_home",
            Self::WrongHome => "wrong_home",
            Self::WrongTopic => "wrong_topic",
            Self::ReplayedSequence => "replayed_sequence",
            Self::UnknownClass => "unknown_class",
            Self::UnknownModel => "unknown_model",
            Self::ImplausibleTime => "implausible_time",
            Self::QuotaExceeded => "quota_exceeded",
            Self::Withdrawn => "withdrawn",
            Self::NotAnnounced => "not_announced",
        }
    }
}
