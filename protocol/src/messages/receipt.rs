//! The aggregator's word that records are safe: the only thing that lets an agent forget them.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::id::Sequence;
use crate::reason::reasons;

/// Bytes by which a receipt names a payload. That other bytes have the same happens once in 2^64.
pub const PAYLOAD_DIGEST_BYTES: usize = 8;

/// Sent after records are durably stored, and whenever a home asks by resending an old one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Every record up to and including this one is stored, quarantined or refused: none need be sent again.
    pub through: Sequence,
    /// Those among them that were not taken, and why.
    pub refused: Vec<Refusal>,
    /// The payloads under the last numbers, `through` the last of them: a home that counts from 1 again sees by them whether the receipt
    /// speaks of what it said, or of what it said in a life that it does not remember. None from an aggregator of before.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "crate::codec::payload_digests")]
    pub digests: Vec<PayloadDigest>,
}

impl Receipt {
    /// What it says of the record that holds `payload` under `sequence`.
    #[must_use]
    pub fn says_of(&self, sequence: Sequence, payload: &[u8]) -> Said {
        let back = self.through.0.checked_sub(sequence.0).and_then(|back| usize::try_from(back).ok());
        match back.and_then(|back| self.digests.iter().rev().nth(back)) {
            None | Some(&PayloadDigest::UNSEEN) => Said::Nothing,
            Some(&PayloadDigest::MISSING) => Said::Missing,
            Some(digest) if *digest == PayloadDigest::of(payload) => Said::Judged,
            Some(_) => Said::OtherBytes,
        }
    }
}

/// What a receipt says of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// These very bytes were stored, quarantined or refused.
    Judged,
    /// Other bytes stand under this number, for good.
    OtherBytes,
    /// Nothing has come under this number, and it is not waited for any more; what comes still is taken.
    Missing,
    /// It does not tell: the number alone counts.
    Nothing,
}

/// The first bytes of a payload's SHA-256, or a word that no payload hashes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayloadDigest(pub [u8; PAYLOAD_DIGEST_BYTES]);

impl PayloadDigest {
    /// Of a number that was taken back before its record came: none is taken under it.
    pub const UNSEEN: Self = Self([0; PAYLOAD_DIGEST_BYTES]);

    /// Of a number under which nothing came, and which was given up.
    pub const MISSING: Self = Self([0xff; PAYLOAD_DIGEST_BYTES]);

    /// Of these bytes.
    #[must_use]
    pub fn of(payload: &[u8]) -> Self {
        Self::from_sha256(&Sha256::digest(payload).into())
    }

    /// Of the payload with this SHA-256.
    #[must_use]
    pub fn from_sha256(sha256: &[u8; 32]) -> Self {
        let (first, _) = sha256.as_chunks();
        Self(first[0])
    }
}

/// One record that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The record's own number.
    pub sequence: Sequence,
    /// Also names the counter and the row in quarantine.
    pub reason: RefusalReason,
}

reasons! {
    /// Why a payload was not admitted. One word each: it names the counter, the quarantine row and the log field.
    RefusalReason {
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
        /// A number so far beyond what was handled of its home that the home cannot have counted to it. Never said in a receipt: such a
        /// number is not covered by one.
        SequenceAhead,
        /// Well-formed, and the aggregator failed at storing it, alone and again. A receipt says [`Malformed`](Self::Malformed)
        /// instead, which every agent knows.
        Unstorable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::Verdict;
    use crate::reason::tests::same_word_everywhere;

    #[test]
    fn a_word_in_tables_and_metrics_is_the_word_on_the_wire() {
        same_word_everywhere::<RefusalReason>();
        same_word_everywhere::<Verdict>();
    }

    #[test]
    fn a_receipt_tells_the_bytes_that_it_speaks_of_from_others_by_number() {
        let digests =
            vec![PayloadDigest::of(b"two"), PayloadDigest::MISSING, PayloadDigest::UNSEEN, PayloadDigest::of(b"five")];
        let receipt = Receipt { through: Sequence(5), refused: vec![], digests };
        let said = |sequence, payload: &[u8]| receipt.says_of(Sequence(sequence), payload);
        assert_eq!([said(2, b"two"), said(5, b"five")], [Said::Judged; 2]);
        assert_eq!([said(2, b"five"), said(5, b"two")], [Said::OtherBytes; 2]);
        assert_eq!([said(3, b"two"), said(4, b"two")], [Said::Missing, Said::Nothing]);
        assert_eq!([said(1, b"two"), said(6, b"five")], [Said::Nothing; 2], "before the first and after the last");
    }
}
