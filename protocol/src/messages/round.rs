//! A home's answer to a round's plan, in parts, and what the aggregator says of it.

use serde::{Deserialize, Serialize};

use crate::codec::DecodeError;
use crate::limits::{ROUND_BODY_BYTES_MAX, ROUND_PART_BYTES_MAX, ROUND_REQUEST_BYTES_MAX};
use crate::reason::reasons;
use crate::round::{MaskExchange, SignedGroupRequest, SignedRoundAnswer};

/// One part of an answer. Each carries the whole signed answer, so that each can be refused by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundPart {
    /// The signed answer; not verified yet.
    #[serde(with = "sealed")]
    pub answer: SignedRoundAnswer,
    /// Which part, from 0.
    pub part: u16,
    /// How many there are; at least 1, also for an answer without bytes.
    pub parts: u16,
    /// This part of the bytes that the answer names: [`ROUND_PART_BYTES_MAX`] of them, fewer in the last part.
    #[serde(with = "crate::bytes::byte_string")]
    pub bytes: Vec<u8>,
}

impl RoundPart {
    /// An answer with `body`, cut into the parts that are sent; one part for an empty body.
    #[must_use]
    pub fn cut(answer: &SignedRoundAnswer, body: &[u8]) -> Vec<Self> {
        let mut pieces: Vec<&[u8]> = body.chunks(ROUND_PART_BYTES_MAX).collect();
        if pieces.is_empty() {
            pieces.push(&[]);
        }
        let parts = u16::try_from(pieces.len()).unwrap_or(u16::MAX);
        (0..parts)
            .zip(pieces)
            .map(|(part, bytes)| Self { answer: answer.clone(), part, parts, bytes: bytes.to_vec() })
            .collect()
    }

    /// Checks what the types alone do not.
    pub(crate) fn validate(&self) -> Result<(), DecodeError> {
        let parts = usize::from(self.parts);
        let last = self.part.checked_add(1) == Some(self.parts);
        let full = self.bytes.len() == ROUND_PART_BYTES_MAX;
        let fits = self.bytes.len() <= ROUND_PART_BYTES_MAX && (last || full);
        if self.part >= self.parts || parts > ROUND_BODY_BYTES_MAX.div_ceil(ROUND_PART_BYTES_MAX) || !fits {
            return Err(DecodeError::RoundPart { part: self.part, parts: self.parts, bytes: self.bytes.len() });
        }
        Ok(())
    }
}

reasons! {
    /// Why an answer is not used. One word each: it names the counter, the row and the log field.
    RoundRefusal {
        /// No such round, or the home has no plan in it.
        NotInCohort,
        /// Not signed by a key that was certified for the home, or not an answer at all.
        Signature,
        /// Answers another plan than the one that the home was given: other weights, an older try.
        Base,
        /// The round takes no more answers.
        Late,
        /// Another answer of this home was taken before.
        Duplicate,
        /// More bytes than an answer may have.
        TooLarge,
        /// The bytes are not those that the answer names.
        Digest,
        /// Not the form of a delta or of counts.
        Malformed,
        /// As many values as another network has.
        Shape,
        /// NaN or infinite numbers.
        NotFinite,
        /// The norm is above the plan's clip.
        Norm,
        /// An operator excluded the home from rounds.
        Excluded,
        /// A word that only newer programs know.
        #[serde(other)]
        Other,
    }
}

/// How an answer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoundState {
    /// The parts before this one are stored; it and those after it are wanted.
    Wanted(u16),
    /// Stored whole, and used if the round comes about.
    Taken,
    /// An exchange's answer of a masked round is stored whole: the request of the next exchange is to be waited for.
    Received(MaskExchange),
    /// Not used; not to be sent again.
    Refused(RoundRefusal),
}

/// Sent after what came is durably stored, whenever a part comes again, and for what was taken at each connection of the aggregator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundReceipt {
    /// The answer's round.
    pub round: u64,
    /// How it stands.
    pub state: RoundState,
}

/// What the director asks of a home of a group, with the bytes that it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundRequest {
    /// The signed request; not verified yet.
    #[serde(with = "sealed")]
    pub signed: SignedGroupRequest,
    /// The bytes that it names, at most [`ROUND_REQUEST_BYTES_MAX`].
    #[serde(with = "crate::bytes::byte_string")]
    pub body: Vec<u8>,
}

impl RoundRequest {
    /// Checks what the types alone do not.
    pub(crate) fn validate(&self) -> Result<(), DecodeError> {
        if self.body.len() > ROUND_REQUEST_BYTES_MAX {
            return Err(DecodeError::RoundRequest { bytes: self.body.len() });
        }
        Ok(())
    }
}

mod sealed {
    //! A signed statement as a byte string.
    use serde::de::Deserializer;
    use serde::ser::Serializer;

    use crate::bytes::byte_string;
    use crate::statement::{Signed, Statement};

    pub fn serialize<T: Statement, S: Serializer>(signed: &Signed<T>, serializer: S) -> Result<S::Ok, S::Error> {
        byte_string::serialize(signed.as_bytes(), serializer)
    }

    pub fn deserialize<'de, T: Statement, D: Deserializer<'de>>(deserializer: D) -> Result<Signed<T>, D::Error> {
        byte_string::deserialize(deserializer).map(Signed::from_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::tests::same_word_everywhere;

    #[test]
    fn a_body_is_cut_into_full_parts_and_a_rest_and_an_empty_one_into_one() {
        let answer = SignedRoundAnswer::from_bytes(vec![1]);
        let body: Vec<u8> = (0..30_000u32).map(|value| value as u8).collect();
        let parts = RoundPart::cut(&answer, &body);
        assert_eq!(parts.len(), 3);
        assert!(parts.iter().all(|part| part.validate().is_ok()));
        assert_eq!(parts.into_iter().flat_map(|part| part.bytes).collect::<Vec<u8>>(), body);
        assert_eq!(RoundPart::cut(&answer, &[]).len(), 1);
    }

    #[test]
    fn a_part_beyond_the_last_or_short_in_the_middle_is_refused() {
        let answer = SignedRoundAnswer::from_bytes(vec![1]);
        let part = |part, parts, length| RoundPart { answer: answer.clone(), part, parts, bytes: vec![0; length] };
        for (bad, length) in [((2, 2), 5), ((0, 2), 5), ((0, 0), 5), ((0, 1), ROUND_PART_BYTES_MAX + 1), ((0, 99), 5)] {
            let (number, parts) = bad;
            let refused = DecodeError::RoundPart { part: number, parts, bytes: length };
            assert_eq!(part(number, parts, length).validate(), Err(refused));
        }
    }

    #[test]
    fn a_request_with_a_longer_body_than_any_group_needs_is_refused() {
        let signed = SignedGroupRequest::from_bytes(vec![1]);
        let request = |length| RoundRequest { signed: signed.clone(), body: vec![0; length] };
        assert_eq!(request(ROUND_REQUEST_BYTES_MAX).validate(), Ok(()));
        let bytes = ROUND_REQUEST_BYTES_MAX + 1;
        assert_eq!(request(bytes).validate(), Err(DecodeError::RoundRequest { bytes }));
    }

    #[test]
    fn a_word_in_tables_is_the_word_on_the_wire_and_an_unknown_one_is_read_as_another() {
        same_word_everywhere::<RoundRefusal>();
        let newer = serde_cbor::to_vec(&"thunderstorm").unwrap();
        assert_eq!(serde_cbor::from_slice::<RoundRefusal>(&newer).unwrap(), RoundRefusal::Other);
    }
}
