//! What readings were not used, and why: nothing is dropped in silence.

use std::fmt;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// Counts since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LeftOut {
    /// Stamped more than a day ahead.
    pub ahead: u64,
    /// Came after a newer one of the same entity, where order matters, or after their step was closed.
    pub late: u64,
    /// The same report twice.
    pub repeated: u64,
    /// No number, or infinite.
    pub not_numbers: u64,
    /// Values that the quantity cannot have.
    pub impossible: u64,
    /// More readings of one entity wait for their step than are kept.
    pub crowded: u64,
    /// Of an entity that was never added.
    pub unknown: u64,
    /// A meter that counted down: it was reset or exchanged.
    pub resets: u64,
}

impl LeftOut {
    /// Each count with its words.
    fn words(&self) -> [(u64, &'static str); 8] {
        [
            (self.ahead, "stamped more than a day ahead"),
            (self.late, "too late or out of order"),
            (self.repeated, "said twice"),
            (self.not_numbers, "no finite number"),
            (self.impossible, "impossible for their quantity"),
            (self.crowded, "more than can wait for their step"),
            (self.unknown, "of unknown entities"),
            (self.resets, "lower than the meter stood"),
        ]
    }

    /// How many readings in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.words().iter().fold(0, |sum, (count, _)| sum.saturating_add(*count))
    }
}

impl AddAssign for LeftOut {
    fn add_assign(&mut self, other: Self) {
        let Self { ahead, late, repeated, not_numbers, impossible, crowded, unknown, resets } = other;
        self.ahead += ahead;
        self.late += late;
        self.repeated += repeated;
        self.not_numbers += not_numbers;
        self.impossible += impossible;
        self.crowded += crowded;
        self.unknown += unknown;
        self.resets += resets;
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said: Vec<String> =
            self.words().iter().filter(|(count, _)| *count > 0).map(|(count, why)| format!("{count} {why}")).collect();
        if said.is_empty() {
            return write!(f, "no reading was left out");
        }
        write!(f, "{} readings were left out: {}", self.total(), said.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_many_and_why() {
        let left_out = LeftOut { ahead: 2, impossible: 1, ..LeftOut::default() };
        assert_eq!(
            left_out.to_string(),
            "3 readings were left out: 2 stamped more than a day ahead, 1 impossible for their quantity"
        );
        assert_eq!(LeftOut::default().to_string(), "no reading was left out");
    }
}
