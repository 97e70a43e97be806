//! What the store keeps of retrainings that were asked for: each has an id and an end, one that fails before its run begins too.

use super::{RunTrigger, StoreResult};
use crate::rows::words;

/// Ended requests that are kept, the newest: a request an hour for six weeks.
pub const RUN_REQUESTS_KEPT: u64 = 1_000;

words! {
    /// Where a request for a run is.
    RequestState {
        /// It waits for the trainer.
        Queued,
        /// The trainer is at it.
        Running,
        /// It became a run that ended, with whatever verdict.
        Done,
        /// It came to nothing; the row says why.
        Failed,
        /// The process ended again and again while it ran.
        Interrupted,
        /// Somebody ended it before its time; the row says who.
        Cancelled,
    }
}

/// A retraining that was asked for. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRequestRow {
    /// Random, given before anything is done.
    pub id: String,
    /// Whether a person asked, or a rule of `[training]` did.
    pub trigger: RunTrigger,
    /// Who asked: `token:NAME`, or `system`.
    pub by: String,
    /// Whether it waits, works, or how it ended.
    pub state: RequestState,
    /// When it was asked for.
    pub asked_at: i64,
    /// When it was taken up, the last time.
    pub started_at: Option<i64>,
    /// When it ended; none before that.
    pub ended_at: Option<i64>,
    /// How often it was taken up: more than once when the process ended meanwhile.
    pub attempts: u32,
    /// The run that it became, once that is known.
    pub run: Option<String>,
    /// Why it ended as it did, where it is not *done*.
    pub reason: Option<String>,
}

impl RunRequestRow {
    /// One that nobody has taken up yet.
    #[must_use]
    pub fn queued(id: String, trigger: RunTrigger, by: String, asked_at: i64) -> Self {
        let state = RequestState::Queued;
        Self {
            id,
            trigger,
            by,
            state,
            asked_at,
            started_at: None,
            ended_at: None,
            attempts: 0,
            run: None,
            reason: None,
        }
    }
}

/// The part of the aggregator's memory that requests need. Like [`super::Store`], every method is one transaction.
pub trait RunRequestStore {
    /// Writes a request, replacing the row of the same id. Of those that have ended the newest [`RUN_REQUESTS_KEPT`] are kept.
    fn put_run_request(&self, row: &RunRequestRow) -> StoreResult<()>;
    /// The request of this id; none if there is none, or if it ended long ago.
    fn run_request(&self, id: &str) -> StoreResult<Option<RunRequestRow>>;
    /// Requests, newest first, at most `limit`.
    fn run_requests(&self, limit: usize) -> StoreResult<Vec<RunRequestRow>> {
        self.run_requests_after(None, limit)
    }
    /// The same, only those that come after the request of this id if given; none if there is no such request.
    fn run_requests_after(&self, after: Option<&str>, limit: usize) -> StoreResult<Vec<RunRequestRow>>;
    /// Requests that have not ended, oldest first.
    fn open_run_requests(&self) -> StoreResult<Vec<RunRequestRow>>;
}
