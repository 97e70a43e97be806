//! What the store keeps of homes' earlier rounds: who was left out, who repeats others, and what to compare the next round with.

use hearthwatch_protocol::HomeId;

use super::StoreResult;
use crate::rounds::{RoundHomeRow, RoundRow};

/// What one home's deltas were like over the rounds.
#[derive(Debug, Clone, PartialEq)]
pub struct StandingRow {
    /// Whose it is.
    pub home: HomeId,
    /// Rounds in which its delta was judged.
    pub rounds: u32,
    /// Rounds of them in which it was left out for a reason that counts against it.
    pub left_out: u32,
    /// Rounds of them in which it sent the aggregate of the round before.
    pub copied: u32,
    /// The home whose deltas have the same direction over the rounds, and the cosine, in [0, 1].
    pub alike: Option<(String, f64)>,
    /// Share of bad rounds, later ones weighing more, in [0, 1].
    pub suspicion: f64,
    /// Number, among the rounds that were remembered, of its last one.
    pub latest: u64,
    /// Sketch of its deltas' common direction; zeros once it takes no part any more.
    pub way: Vec<u8>,
}

/// What all standings have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReputationRow {
    /// Secret that sketches are made with; the same for all of them.
    pub seed: [u8; 8],
    /// Rounds that were remembered.
    pub rounds: u64,
    /// Sketch of the aggregate of the last one.
    pub before: Option<Vec<u8>>,
}

/// What a round adds to what is remembered.
#[derive(Debug, Clone, PartialEq)]
pub struct Remembered {
    /// Written over what is there.
    pub reputation: ReputationRow,
    /// Homes of the round: new, or written over what is there.
    pub standings: Vec<StandingRow>,
    /// Homes that are not remembered any more.
    pub forgotten: Vec<HomeId>,
}

/// The part of the aggregator's memory that is about homes' earlier rounds. Like [`super::Store`], every method is one transaction.
pub trait StandingStore {
    /// What all standings have in common; none before the first remembered round.
    fn reputation(&self) -> StoreResult<Option<ReputationRow>>;
    /// Standings by home, at most `limit` (0 for all); only those of homes after `after` if given.
    fn standings(&self, after: Option<&HomeId>, limit: usize) -> StoreResult<Vec<StandingRow>>;
    /// Standings with a suspicion of at least `least`, the highest first, at most `limit` (0 for all).
    fn suspected(&self, least: f64, limit: usize) -> StoreResult<Vec<StandingRow>>;
    /// [`RoundStore::advance_round`](super::RoundStore::advance_round), and what the round adds to what is remembered, in one
    /// transaction: a step that is done again finds what was there before it.
    fn advance_round_and_remember(
        &self,
        row: &RoundRow,
        homes: &[RoundHomeRow],
        remembered: &Remembered,
    ) -> StoreResult<RoundRow>;
}
