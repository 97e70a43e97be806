//! What the rest of the agent sees of rounds: one line for the page.

use crate::machine::Waits;

/// What this home does about rounds now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Doing {
    /// Residents chose another level: it takes part in none.
    #[default]
    Nothing,
    /// The program that trains is not installed.
    NoProgram,
    /// It takes part, and none asks for it now.
    Idle,
    /// A round is in hand and waits, until this time at the latest, Unix seconds.
    Waiting(Waits, i64),
    /// The models that a plan names are downloaded.
    Fetching,
    /// The program that trains runs.
    Training,
}

/// Why the newest plan was not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedPlan {
    /// One word: `clock`, `expired`, `older_round`, `round_reused`, `no_consent` or `signature`.
    pub word: &'static str,
    /// One line, for the log and for residents.
    pub detail: String,
    /// Unix seconds.
    pub at: i64,
}

/// How rounds stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoundsView {
    /// What is done now.
    pub doing: Doing,
    /// The newest plan that was not followed, since the start.
    pub refused: Option<RefusedPlan>,
    /// Rounds in which this home took part since the start: the aggregator has its whole answer.
    pub taken: u64,
}
