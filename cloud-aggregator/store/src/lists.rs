//! Lists as people ask for them: filtered, in an order of choice, a page at a time.
//!
//! A page begins after a row and not at a number (keyset): a row that comes or goes meanwhile neither repeats nor hides another, and the
//! thousandth page costs what the first one does.

use std::collections::BTreeSet;

use hearthwatch_protocol::messages::{RefusalReason, Verdict};
use hearthwatch_protocol::{HomeId, ModelVersion, RecordKey};

use crate::rollouts::{RolloutRow, RolloutState};
use crate::rows::{FeedbackRow, HomeRow, ModelRow, ModelState, QuarantineRow, RunRow, RunState, RunTrigger, words};
use crate::run_requests::{RequestState, RunRequestRow};
use crate::store::StoreResult;

/// Most tags of one home.
pub const TAGS_MAX: usize = 20;

/// Longest tag, in bytes.
pub const TAG_LENGTH_MAX: usize = 64;

words! {
    /// How a home stands. Whether it is excluded from learning is another matter.
    HomeState {
        /// Online by its last word.
        Online,
        /// Offline since not long.
        Offline,
        /// Offline, and not heard for long.
        Late,
        /// Let in, and never heard.
        NeverSeen,
        /// Shut out.
        Revoked,
    }
}

words! {
    /// What homes can be in order of. Homes of the same value are in order of their names.
    HomeOrder {
        /// Their name.
        Home,
        /// When they were let in.
        EnrolledAt,
        /// When they were last heard; never heard comes first.
        HeardAt,
        /// Stored answers.
        Records,
        /// Records that wait for a receipt.
        Outbox,
        /// Entities that are watched.
        Entities,
        /// The model in charge.
        ModelVersion,
    }
}

/// Whether the smallest or the largest comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Smallest, oldest or first in the alphabet first.
    #[default]
    Up,
    /// Largest, newest or last in the alphabet first.
    Down,
}

/// Which homes, in which order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomeQuery {
    /// Only homes whose name has this in it.
    pub name: Option<String>,
    /// Only homes that stand so.
    pub state: Option<HomeState>,
    /// Only homes that are excluded from learning, or only those that are not.
    pub excluded: Option<bool>,
    /// Only homes whose last word was that this model is in charge.
    pub model_version: Option<ModelVersion>,
    /// Only homes whose agent has this version.
    pub agent_version: Option<String>,
    /// Only homes that have all of these tags.
    pub tags: Vec<String>,
    /// Only homes last heard before this time; never heard is before any.
    pub heard_before: Option<i64>,
    /// Homes that are offline and were last heard before this time are late.
    pub late_before: i64,
    /// In order of this.
    pub order: HomeOrder,
    /// Which way.
    pub direction: Direction,
    /// Only those after this one: its value of `order`, and its name. The value is not looked at where the order is that of names; with none
    /// it is the one that the home has now.
    pub after: Option<(Option<i64>, HomeId)>,
    /// At most so many; 0 for all of them.
    pub limit: usize,
}

impl Default for HomeQuery {
    fn default() -> Self {
        Self {
            name: None,
            state: None,
            excluded: None,
            model_version: None,
            agent_version: None,
            tags: Vec::new(),
            heard_before: None,
            late_before: 0,
            order: HomeOrder::Home,
            direction: Direction::Up,
            after: None,
            limit: 0,
        }
    }
}

/// A home as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedHome {
    /// Its row.
    pub row: HomeRow,
    /// How it stands.
    pub state: HomeState,
    /// Whether its answers are kept and not learnt from.
    pub excluded: bool,
    /// In order of the alphabet.
    pub tags: BTreeSet<String>,
    /// Its value of what the list is in order of: with its name where the next page begins. 0 where that is the name.
    pub value: i64,
}

/// Which answers. Newest first if `newest_first`, else in order of home and sequence.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FeedbackQuery {
    /// Only answers of this home.
    pub home: Option<HomeId>,
    /// Only answers with this verdict.
    pub verdict: Option<Verdict>,
    /// Only answers about entities of this device class.
    pub device_class: Option<String>,
    /// Only answers about alarms of this model.
    pub model_version: Option<ModelVersion>,
    /// Only answers to this: `alarm`, `probe` or `miss`.
    pub origin: Option<String>,
    /// Only answers stored at this time or later.
    pub since: Option<i64>,
    /// Only answers stored before this time.
    pub until: Option<i64>,
    /// Whether the newest come first, by the time at which they were stored.
    pub newest_first: bool,
    /// Only those after this one: when it was stored (not looked at unless `newest_first`; with none it is looked up), and its key.
    pub after: Option<(Option<i64>, RecordKey)>,
    /// At most so many; 0 for all of them.
    pub limit: usize,
}

/// Which runs, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunQuery {
    /// Only runs in this state.
    pub state: Option<RunState>,
    /// Only runs that this started.
    pub trigger: Option<RunTrigger>,
    /// Only runs that learned from this data set.
    pub snapshot: Option<String>,
    /// Only runs that come after the one of this id.
    pub after: Option<String>,
    /// At most so many; 0 for all of them.
    pub limit: usize,
}

/// Which requests for runs, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunRequestQuery {
    /// Only requests in this state.
    pub state: Option<RequestState>,
    /// Only requests of this person or program: `token:NAME`, `system`.
    pub by: Option<String>,
    /// Only requests that come after the one of this id.
    pub after: Option<String>,
    /// At most so many; 0 for all of them.
    pub limit: usize,
}

/// Which of what was refused, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QuarantineQuery {
    /// Only what this home sent.
    pub home: Option<HomeId>,
    /// Only what was refused for this reason.
    pub reason: Option<RefusalReason>,
    /// Only what is settled, or only what is not.
    pub settled: Option<bool>,
    /// Only rows below this id.
    pub before: Option<u64>,
    /// At most so many; 0 for all of them.
    pub limit: usize,
}

/// The part of the aggregator's memory that is listed by what people ask for. Like [`super::Store`], every method is one transaction.
pub trait ListStore {
    /// Homes.
    fn list_homes(&self, query: &HomeQuery) -> StoreResult<Vec<ListedHome>>;
    /// One home as lists show it; none if it never was let in.
    fn listed_home(&self, home: &HomeId, late_before: i64) -> StoreResult<Option<ListedHome>>;
    /// Stored answers.
    fn list_feedback(&self, query: &FeedbackQuery) -> StoreResult<Vec<FeedbackRow>>;
    /// Runs.
    fn list_runs(&self, query: &RunQuery) -> StoreResult<Vec<RunRow>>;
    /// Requests for runs.
    fn list_run_requests(&self, query: &RunRequestQuery) -> StoreResult<Vec<RunRequestRow>>;
    /// What was refused.
    fn list_quarantine(&self, query: &QuarantineQuery) -> StoreResult<Vec<QuarantineRow>>;
    /// One row of what was refused; none if there is none of this id.
    fn quarantined(&self, id: u64) -> StoreResult<Option<QuarantineRow>>;
    /// Models, newest version first, at most `limit`; only in `state` and below `before` if given.
    fn list_models(
        &self,
        state: Option<ModelState>,
        before: Option<ModelVersion>,
        limit: usize,
    ) -> StoreResult<Vec<ModelRow>>;
    /// Rollouts, newest version first, at most `limit`; only in `state` and below `before` if given.
    fn list_rollouts(
        &self,
        state: Option<RolloutState>,
        before: Option<ModelVersion>,
        limit: usize,
    ) -> StoreResult<Vec<RolloutRow>>;
    /// Every tag that a home has, with the number of homes, by tag.
    fn tags(&self) -> StoreResult<Vec<(String, u64)>>;
}
