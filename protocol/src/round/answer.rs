//! What came of a home's work in a round, signed with the key of its certificate.

use serde::{Deserialize, Serialize};

use super::{MaskAnswer, RoundFile};
use crate::id::HomeId;
use crate::limits::ROUND_BODY_BYTES_MAX;
use crate::reason::reasons;
use crate::statement::{Signed, Statement};

reasons! {
    /// Why a home sends nothing in a round. One word each: it names the counter, the row and the log field.
    DeclineReason {
        /// Residents withdrew their consent after the plan was made.
        NoConsent,
        /// The history has too few days, or no sensor with enough of them.
        HistoryTooShort,
        /// The models that the plan names could not be had, or are other bytes.
        ModelUnavailable,
        /// The machine was never idle, cool or charged enough before the deadline.
        NoTime,
        /// Took longer than the owner allows.
        TooSlow,
        /// Needed more memory than the owner allows.
        OutOfMemory,
        /// The disk is full, or a file cannot be read or written.
        Disk,
        /// The loss was no number.
        Diverged,
        /// The process that trains ended by itself or was killed, again after a second try.
        Crashed,
        /// The group, or a message of it, could expose what the home sends under masks.
        Group,
        /// A word that only newer programs know.
        #[serde(other)]
        Other,
    }
}

/// What a home sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoundResult {
    /// What training changed: the bytes of a quantised delta.
    Delta(RoundFile),
    /// Counts of scores by class.
    Counts(RoundFile),
    /// What an exchange of a masked round asks for.
    Masks(MaskAnswer),
    /// Nothing, and why.
    Declined(DeclineReason),
}

impl RoundResult {
    /// The bytes that belong to it.
    #[must_use]
    pub fn file(&self) -> Option<&RoundFile> {
        match self {
            Self::Delta(file) | Self::Counts(file) => Some(file),
            Self::Masks(answer) => Some(&answer.file),
            Self::Declined(_) => None,
        }
    }
}

/// A home's answer to one plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundAnswer {
    /// Whose it is.
    pub home: HomeId,
    /// The plan's round.
    pub round: u64,
    /// The plan's nonce.
    #[serde(with = "crate::bytes::fixed_bytes")]
    pub nonce: [u8; 16],
    /// What came of it.
    pub result: RoundResult,
    /// When, by the home's clock, Unix seconds.
    pub at: i64,
}

/// An answer as it travels.
pub type SignedRoundAnswer = Signed<RoundAnswer>;

impl Statement for RoundAnswer {
    const CONTEXT: &'static [u8] = b"hearthwatch round answer 1";
    const NOUN: &'static str = "round answer";

    fn home(&self) -> &HomeId {
        &self.home
    }

    fn field_outside_limits(&self) -> Option<&'static str> {
        let length = self.result.file().map_or(1, |file| file.length);
        let fits = (1..=ROUND_BODY_BYTES_MAX as u64).contains(&length);
        (!fits).then_some("length")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::tests::same_word_everywhere;

    #[test]
    fn a_word_in_tables_is_the_word_on_the_wire_and_an_unknown_one_is_read_as_another() {
        same_word_everywhere::<DeclineReason>();
        let newer = serde_cbor::to_vec(&"thunderstorm").unwrap();
        assert_eq!(serde_cbor::from_slice::<DeclineReason>(&newer).unwrap(), DeclineReason::Other);
    }
}
