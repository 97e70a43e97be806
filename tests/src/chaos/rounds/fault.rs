//! What can go wrong while a federated round goes on.

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoundFault {
    /// `kill -9` of the program that trains, or of the home while it trains.
    KillTraining,
    /// `kill -9` of the aggregator when some deltas of the open round are taken and others are not.
    KillBetweenDeltas,
    /// `kill -9` of the aggregator while it aggregates, waits for evaluators, or judges.
    KillEvaluation,
}

impl RoundFault {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::KillTraining, Self::KillBetweenDeltas, Self::KillEvaluation];

    /// Its name in the tally.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::KillTraining => "kill -9 training",
            Self::KillBetweenDeltas => "kill -9 between deltas",
            Self::KillEvaluation => "kill -9 evaluation",
        }
    }
}
