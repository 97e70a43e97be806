//! Bytes ↔ messages: the only file that touches CBOR.
//!
//! An envelope is `{v, kind, body}`, where `body` is the message's own CBOR in a byte string. So version and kind are
//! judged before the body is read, and whoever signs or hashes a message does so over the very bytes that travelled.
//! Order of checks: size, envelope, version, kind, body, meaning. Each has its own error.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::assignment::SignedAssignment;
use crate::id::RecordKey;
use crate::limits::{
    PAYLOAD_BYTES_MAX, RECEIPT_DIGESTS_MAX, REFUSALS_MAX, ROUND_REQUEST_BYTES_MAX, SEALED_BYTES_MAX, TEXT_BYTES_MAX,
};
use crate::manifest::SignedManifest;
use crate::messages::{Message, UpdateResult};
use crate::round::{SignedRoundOffer, SignedRoundPlan};

/// The version of every message kind in this crate. A change of meaning gets a new number and a module named for it.
pub const SCHEMA_VERSION: u16 = 1;

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// More than [`PAYLOAD_BYTES_MAX`]; not parsed at all.
    #[error("payload of {found} bytes, at most {PAYLOAD_BYTES_MAX} are read")]
    TooLarge {
        /// The payload's length.
        found: usize,
    },
    /// Not CBOR, or not an envelope.
    #[error("not an envelope: {0}")]
    Envelope(String),
    /// A version from the future, or zero.
    #[error("schema version {0} is not read here (this is version {SCHEMA_VERSION})")]
    UnknownSchema(u16),
    /// A kind that this version does not have.
    #[error("unknown message kind {0:?}")]
    UnknownKind(String),
    /// The body is not what the kind promises.
    #[error("{kind} body: {cause}")]
    Body {
        /// The kind that the envelope named.
        kind: &'static str,
        /// The decoder's words.
        cause: String,
    },
    /// NaN or an infinity where a number is meant.
    #[error("a number is not finite")]
    NotFinite,
    /// Steps or features outside the limits.
    #[error("window of {steps} steps × {features} features is outside the limits")]
    WindowShape {
        /// Claimed steps.
        steps: usize,
        /// Claimed features.
        features: usize,
    },
    /// The values do not fill the claimed shape.
    #[error("window holds {found} values, its shape asks for {expected}")]
    WindowLength {
        /// steps × features.
        expected: usize,
        /// Values present.
        found: usize,
    },
    /// A probability outside (0, 1].
    #[error("a propensity lies in (0, 1]")]
    Propensity,
    /// A text field above its limit.
    #[error("{field} is longer than {TEXT_BYTES_MAX} bytes")]
    TextTooLong {
        /// Its name in the message.
        field: &'static str,
    },
    /// A signed statement above its limit.
    #[error("a signed statement of {found} bytes, at most {SEALED_BYTES_MAX} are read")]
    SealedTooLarge {
        /// Bytes.
        found: usize,
    },
    /// A part of a round's answer that is none of as many, or has other bytes than a part has.
    #[error("part {part} of {parts} with {bytes} bytes")]
    RoundPart {
        /// Which part, from 0.
        part: u16,
        /// How many there are.
        parts: u16,
        /// Bytes of the part.
        bytes: usize,
    },
    /// A request of a masked round with a longer body than any group needs.
    #[error("a request with {bytes} bytes, at most {ROUND_REQUEST_BYTES_MAX} are read")]
    RoundRequest {
        /// Bytes of the body.
        bytes: usize,
    },
    /// A list above its limit.
    #[error("{field} has more than {max} entries")]
    ListTooLong {
        /// Its name in the message.
        field: &'static str,
        /// Entries that are read at most.
        max: usize,
    },
}

/// Why a message cannot be sent: it would be refused by [`decode`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the message would be refused: {0}")]
pub struct EncodeError(#[from] DecodeError);

#[derive(Serialize, Deserialize)]
struct Envelope {
    v: u16,
    kind: String,
    #[serde(with = "crate::bytes::byte_string")]
    body: Vec<u8>,
}

/// Writes a message, after holding it against the same rules that its reader will.
///
/// # Errors
/// [`EncodeError`] when the reader would refuse the result.
pub fn encode(message: &Message) -> Result<Vec<u8>, EncodeError> {
    validate(message)?;
    let body = match message {
        Message::Feedback(body) => serde_cbor::to_vec(body),
        Message::Announcement(body) => serde_cbor::to_vec(body),
        Message::Receipt(body) => serde_cbor::to_vec(body),
        Message::Status(body) => serde_cbor::to_vec(body),
        Message::Outcome(body) => serde_cbor::to_vec(body),
        Message::Release(body) => serde_cbor::to_vec(body),
        Message::Withdrawal(body) => serde_cbor::to_vec(body),
        Message::WithdrawalReceipt(body) => serde_cbor::to_vec(body),
        Message::Contribution(body) => serde_cbor::to_vec(body),
        // Signed bytes travel as they were signed.
        Message::Assignment(signed) => Ok(signed.as_bytes().to_vec()),
        Message::Manifest(signed) => Ok(signed.as_bytes().to_vec()),
        Message::RoundOffer(signed) => Ok(signed.as_bytes().to_vec()),
        Message::RoundPlan(signed) => Ok(signed.as_bytes().to_vec()),
        Message::RoundPart(body) => serde_cbor::to_vec(body),
        Message::RoundReceipt(body) => serde_cbor::to_vec(body),
        Message::RoundRequest(body) => serde_cbor::to_vec(body),
    };
    let bytes = body
        .and_then(|body| serde_cbor::to_vec(&Envelope { v: SCHEMA_VERSION, kind: message.kind().to_owned(), body }))
        .map_err(|error| DecodeError::Envelope(error.to_string()))?;
    if bytes.len() > PAYLOAD_BYTES_MAX {
        return Err(DecodeError::TooLarge { found: bytes.len() }.into());
    }
    Ok(bytes)
}

/// Reads a message that came from outside.
///
/// # Errors
/// [`DecodeError`], one variant for each way to be wrong. Never panics, whatever the bytes.
pub fn decode(bytes: &[u8]) -> Result<Message, DecodeError> {
    if bytes.len() > PAYLOAD_BYTES_MAX {
        return Err(DecodeError::TooLarge { found: bytes.len() });
    }
    let envelope: Envelope = serde_cbor::from_slice(bytes).map_err(|error| DecodeError::Envelope(error.to_string()))?;
    if envelope.v != SCHEMA_VERSION {
        return Err(DecodeError::UnknownSchema(envelope.v));
    }
    let message = match envelope.kind.as_str() {
        "feedback" => Message::Feedback(body("feedback", &envelope.body)?),
        "announcement" => Message::Announcement(body("announcement", &envelope.body)?),
        "receipt" => Message::Receipt(body("receipt", &envelope.body)?),
        "status" => Message::Status(body("status", &envelope.body)?),
        "outcome" => Message::Outcome(body("outcome", &envelope.body)?),
        "release" => Message::Release(body("release", &envelope.body)?),
        "withdrawal" => Message::Withdrawal(body("withdrawal", &envelope.body)?),
        "withdrawal_receipt" => Message::WithdrawalReceipt(body("withdrawal_receipt", &envelope.body)?),
        "contribution" => Message::Contribution(body("contribution", &envelope.body)?),
        "assignment" => Message::Assignment(SignedAssignment::from_bytes(envelope.body)),
        "manifest" => Message::Manifest(SignedManifest::from_bytes(envelope.body)),
        "round_offer" => Message::RoundOffer(SignedRoundOffer::from_bytes(envelope.body)),
        "round_plan" => Message::RoundPlan(SignedRoundPlan::from_bytes(envelope.body)),
        "round_part" => Message::RoundPart(body("round_part", &envelope.body)?),
        "round_receipt" => Message::RoundReceipt(body("round_receipt", &envelope.body)?),
        "round_request" => Message::RoundRequest(body("round_request", &envelope.body)?),
        other => return Err(DecodeError::UnknownKind(other.chars().take(32).collect())),
    };
    validate(&message)?;
    Ok(message)
}

/// The key of a feedback record or an announcement that [`decode`] refuses, where it can still be read: so that a receipt can name it, and
/// its home stops sending it.
#[must_use]
pub fn peek_key(bytes: &[u8]) -> Option<RecordKey> {
    if bytes.len() > PAYLOAD_BYTES_MAX {
        return None;
    }
    let envelope: Envelope = serde_cbor::from_slice(bytes).ok()?;
    let numbered = matches!(envelope.kind.as_str(), "feedback" | "announcement");
    if numbered { serde_cbor::from_slice(&envelope.body).ok() } else { None }
}

fn body<T: DeserializeOwned>(kind: &'static str, bytes: &[u8]) -> Result<T, DecodeError> {
    serde_cbor::from_slice(bytes).map_err(|error| DecodeError::Body { kind, cause: error.to_string() })
}

fn validate(message: &Message) -> Result<(), DecodeError> {
    let short = |field: &'static str, text: &str| {
        if text.len() > TEXT_BYTES_MAX { Err(DecodeError::TextTooLong { field }) } else { Ok(()) }
    };
    match message {
        Message::Feedback(record) => record.validate(),
        Message::Receipt(receipt) if receipt.refused.len() > REFUSALS_MAX => {
            Err(DecodeError::ListTooLong { field: "refused", max: REFUSALS_MAX })
        }
        Message::Receipt(receipt) if receipt.digests.len() > RECEIPT_DIGESTS_MAX => {
            Err(DecodeError::ListTooLong { field: "digests", max: RECEIPT_DIGESTS_MAX })
        }
        Message::Receipt(_) | Message::Announcement(_) => Ok(()),
        Message::Status(status) => short("agent_version", &status.agent_version),
        Message::Outcome(outcome) => match &outcome.result {
            UpdateResult::Installed => Ok(()),
            UpdateResult::Refused { reason } | UpdateResult::RolledBack { reason, .. } => short("reason", reason),
        },
        Message::Release(notice) => short("target", &notice.target),
        Message::Withdrawal(withdrawal) => withdrawal.validate(),
        Message::WithdrawalReceipt(receipt) => receipt.validate(),
        Message::Contribution(contribution) => short("snapshot", &contribution.snapshot),
        Message::Assignment(signed) => sealed_size(signed.as_bytes()),
        Message::Manifest(signed) => sealed_size(signed.as_bytes()),
        Message::RoundOffer(signed) => sealed_size(signed.as_bytes()),
        Message::RoundPlan(signed) => sealed_size(signed.as_bytes()),
        Message::RoundPart(part) => sealed_size(part.answer.as_bytes()).and_then(|()| part.validate()),
        Message::RoundReceipt(_) => Ok(()),
        Message::RoundRequest(request) => sealed_size(request.signed.as_bytes()).and_then(|()| request.validate()),
    }
}

fn sealed_size(bytes: &[u8]) -> Result<(), DecodeError> {
    if bytes.len() > SEALED_BYTES_MAX { Err(DecodeError::SealedTooLarge { found: bytes.len() }) } else { Ok(()) }
}

pub(crate) mod payload_digests {
    //! [`PayloadDigest`]s, one behind the other in one byte string.
    use serde::de::{Deserializer, Error};
    use serde::ser::Serializer;

    use crate::messages::{PAYLOAD_DIGEST_BYTES, PayloadDigest};

    pub fn serialize<S: Serializer>(digests: &[PayloadDigest], serializer: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = digests.iter().flat_map(|digest| digest.0).collect();
        serializer.serialize_bytes(&bytes)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PayloadDigest>, D::Error> {
        let bytes = crate::bytes::byte_string::deserialize(deserializer)?;
        let (chunks, rest) = bytes.as_chunks::<PAYLOAD_DIGEST_BYTES>();
        if !rest.is_empty() {
            return Err(D::Error::custom(format_args!("length is not a multiple of {PAYLOAD_DIGEST_BYTES}")));
        }
        Ok(chunks.iter().map(|chunk| PayloadDigest(*chunk)).collect())
    }
}

pub(crate) mod f32_bytes {
    //! `Vec<f32>` as little-endian binary32 in one byte string: a quarter smaller than CBOR's own array of floats.
    use serde::de::{Deserializer, Error};
    use serde::ser::Serializer;

    pub fn serialize<S: Serializer>(values: &[f32], serializer: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        serializer.serialize_bytes(&bytes)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f32>, D::Error> {
        let bytes = crate::bytes::byte_string::deserialize(deserializer)?;
        let (chunks, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(D::Error::custom("length is not a multiple of 4"));
        }
        Ok(chunks.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect())
    }
}

#[cfg(test)]
mod tests;
