//! What the store keeps of rollouts, assignments, manifests and excluded homes.

use hearthwatch_protocol::assignment::SignedAssignment;
use hearthwatch_protocol::manifest::SignedManifest;
use hearthwatch_protocol::{HomeId, ModelVersion};

use super::{Actor, StoreResult};
use crate::rows::words;

words! {
    /// Where a rollout is.
    RolloutState {
        /// Waves go out as the plan says.
        Running,
        /// A person stopped it for a while.
        Paused,
        /// The gate or a person stopped it for good; homes that have the release keep it.
        Halted,
        /// The homes that had the release were ordered back.
        RolledBack,
        /// Every home was assigned.
        Complete,
        /// A later release took its place.
        Superseded,
    }
}

impl RolloutState {
    /// Whether nothing more will come of it.
    #[must_use]
    pub fn over(self) -> bool {
        matches!(self, Self::Halted | Self::RolledBack | Self::Superseded)
    }
}

/// One release on its way. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutRow {
    /// Version of the model that goes out; a release has one rollout.
    pub model_version: ModelVersion,
    /// What the fleet ran before, where there was a release.
    pub previous: Option<ModelVersion>,
    /// The policy that it began with, as TOML.
    pub policy: String,
    /// Whether it goes on, waits, or is over.
    pub state: RolloutState,
    /// Whether a person opened every wave.
    pub forced: bool,
    /// When it began; waves are timed from here, pauses left out.
    pub started_at: i64,
    /// Since when it is paused.
    pub paused_at: Option<i64>,
    /// Seconds of earlier pauses.
    pub paused_seconds: i64,
    /// When it was complete, stopped or overtaken; none before that.
    pub ended_at: Option<i64>,
    /// Why it is where it is, where somebody or something stopped it.
    pub reason: String,
    /// Counts up with every change; a change names the one that it read. 0 in a row that is yet to be stored.
    pub row_version: u64,
}

/// One assignment that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignmentRow {
    /// The home that is to follow it.
    pub home: HomeId,
    /// Counts up for each home.
    pub generation: u64,
    /// Version that the home is ordered to run.
    pub model_version: ModelVersion,
    /// What the home's manifest must repeat.
    pub nonce: [u8; 16],
    /// When it was signed, Unix seconds.
    pub issued_at: i64,
    /// Until when it holds, Unix seconds.
    pub expires_at: i64,
    /// The bytes that were sent.
    pub signed: SignedAssignment,
}

/// What a home said that it runs, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestRow {
    /// Whose topic it came on.
    pub home: HomeId,
    /// The bytes that came.
    pub signed: SignedManifest,
    /// When it came, Unix seconds, by the aggregator's clock.
    pub heard_at: i64,
}

/// How a home answered on one day (UTC), by the time at which the answers were stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerDay {
    /// The home that answered.
    pub home: HomeId,
    /// Days since 1970-01-01, UTC.
    pub day: i64,
    /// Answers *confirmed* that were stored on that day.
    pub confirmed: u64,
    /// Answers *dismissed* that were stored on that day.
    pub dismissed: u64,
}

/// A home that is not learned from, or was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExclusionRow {
    /// The home whose answers stay out of data sets.
    pub home: HomeId,
    /// What the operator gave as the reason, or the program's finding.
    pub reason: String,
    /// The token's holder, or the program.
    pub by: Actor,
    /// Since when, Unix seconds; with `home` the key of lists.
    pub at: i64,
    /// Who lifted it, if anybody did.
    pub lifted: Option<(Actor, i64)>,
}

/// The part of the aggregator's memory that rollouts need. Like [`super::Store`], every method is one transaction.
pub trait RolloutStore {
    /// Writes a rollout: a new one where `row_version` is 0, else over the version that was read. Returns the row as it is then.
    ///
    /// [`StoreError::Conflict`](crate::StoreError::Conflict) when somebody else wrote since, or made the row.
    fn put_rollout(&self, row: &RolloutRow) -> StoreResult<RolloutRow>;
    /// The rollout of one release; none if nobody began it.
    fn rollout(&self, version: ModelVersion) -> StoreResult<Option<RolloutRow>>;
    /// Rollouts, newest version first, at most `limit`; only versions below `before` if given.
    fn rollouts(&self, before: Option<ModelVersion>, limit: usize) -> StoreResult<Vec<RolloutRow>>;
    /// Adds assignments of the rollout `under`, which must still be the row that was read: looked up in the same transaction.
    ///
    /// [`StoreError::Conflict`](crate::StoreError::Conflict) when it is not; [`StoreError::Corrupt`](crate::StoreError::Corrupt) when a
    /// home's generation does not rise: the director's memory is behind.
    fn add_assignments(&self, under: &RolloutRow, rows: &[AssignmentRow]) -> StoreResult<()>;
    /// The newest assignment of each home, by home.
    fn assignments(&self) -> StoreResult<Vec<AssignmentRow>>;
    /// The newest assignments of these homes.
    fn assignments_of(&self, homes: &[HomeId]) -> StoreResult<Vec<AssignmentRow>>;
    /// Whether a home's order may be handed to the broker: it is the home's newest, and its rollout is neither paused nor halted,
    /// or the broker had it before.
    fn may_deliver(&self, home: &HomeId, generation: u64) -> StoreResult<bool>;
    /// Remembers that the broker has these orders, by home and generation.
    fn delivered(&self, orders: &[(HomeId, u64)]) -> StoreResult<()>;
    /// Every assignment that was ever sent, by home and generation.
    fn assignment_history(&self) -> StoreResult<Vec<AssignmentRow>>;
    /// The newest manifest of each home, by home.
    fn manifests(&self) -> StoreResult<Vec<ManifestRow>>;
    /// The newest manifests of these homes.
    fn manifests_of(&self, homes: &[HomeId]) -> StoreResult<Vec<ManifestRow>>;
    /// How homes answered on each day since `since`, by home and day.
    fn answer_days(&self, since: i64) -> StoreResult<Vec<AnswerDay>>;
    /// Excludes a home; one that is excluded already stays so.
    fn exclude_home(&self, row: &ExclusionRow) -> StoreResult<()>;
    /// Lifts a home's exclusion; [`StoreError::NotFound`](crate::StoreError::NotFound) if it has none.
    fn lift_exclusion(&self, home: &HomeId, by: &Actor, at: i64) -> StoreResult<()>;
    /// Exclusions, newest first, at most `limit`; only those after this one, by its time and home, if given.
    fn exclusions(&self, after: Option<&(i64, HomeId)>, limit: usize) -> StoreResult<Vec<ExclusionRow>>;
    /// Exclusions that nobody lifted, newest first, at most `limit`.
    fn excluded(&self, limit: usize) -> StoreResult<Vec<ExclusionRow>>;
}
