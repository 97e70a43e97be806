//! What was answered to requests that may be sent again: a caller that heard nothing asks once more, and nothing is done twice.

use crate::rows::Digest;
use crate::store::StoreResult;

/// How long an answer is kept, in seconds: a caller that tries again does so within minutes; a script that an operator starts again,
/// within the day.
pub const KEPT_SECONDS: i64 = 86_400;

/// Most answers that are kept, the newest: one a second would fill it in three hours. Each has some kilobytes at most.
pub const KEPT_MAX: u64 = 10_000;

/// A request that named a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyedRequest {
    /// Who asks: keys of different callers have nothing to do with each other.
    pub caller: String,
    /// The key, as the caller chose it.
    pub key: String,
    /// SHA-256 of method, address and body.
    pub request: Digest,
    /// When it came, Unix seconds.
    pub at: i64,
}

/// An answer, as it is given again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// The HTTP status.
    pub status: u16,
    /// Headers that are part of the answer, as JSON.
    pub headers: String,
    /// The body.
    pub body: Vec<u8>,
}

/// What becomes of a request that names a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// It is new: do it, then say what was answered.
    New,
    /// It is being done, or the program ended while it was: what came of it is not known.
    Pending,
    /// The key was used for another request.
    Other,
    /// It was done, and this was answered.
    Answered(KeptAnswer),
}

/// The part of the aggregator's memory that such requests need. Like [`super::Store`], every method is one transaction.
pub trait IdempotencyStore {
    /// Takes a key for a request, or says what became of it before. Forgets answers older than [`KEPT_SECONDS`].
    fn claim_key(&self, request: &KeyedRequest) -> StoreResult<Claimed>;
    /// Keeps the answer to a request whose key was taken; with none the key is free again.
    fn keep_answer(&self, request: &KeyedRequest, answer: Option<&KeptAnswer>) -> StoreResult<()>;
}
