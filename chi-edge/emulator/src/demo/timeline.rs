//! When what happens, in virtual time: a pure plan that every home follows.

use hearthwatch_model::grid::STEP_SECONDS;

/// Virtual midnight, Monday 2026-01-05 UTC, at which every recording begins. Recordings are moved by whole weeks, so
/// hours and weekdays stay what they were.
pub const EPOCH: i64 = 1_767_571_200;

/// A week in seconds.
pub const WEEK: i64 = 7 * 24 * 3600;

/// The plan of a run: history that is known before the agent starts, then phases with a barrier after each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeline {
    /// Weeks of recorder history from which the agents warm-start; nothing is raised in them.
    pub history_weeks: i64,
    /// Weeks of each phase; between two phases all homes wait and the aggregator retrains.
    pub phase_weeks: i64,
    /// Number of phases; the last one ends with the table.
    pub phases: usize,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { history_weeks: 3, phase_weeks: 4, phases: 3 }
    }
}

impl Timeline {
    /// End of the known history, Unix seconds.
    #[must_use]
    pub fn history_end(&self) -> i64 {
        EPOCH + self.history_weeks * WEEK
    }

    /// Steps of a phase, `(first, last]`, Unix seconds; phases count from 0.
    #[must_use]
    pub fn phase(&self, number: usize) -> (i64, i64) {
        let start = self.history_end() + self.phase_weeks * WEEK * i64::try_from(number).expect("a handful of phases");
        (start, start + self.phase_weeks * WEEK)
    }

    /// The end of everything, Unix seconds.
    #[must_use]
    pub fn end(&self) -> i64 {
        self.phase(self.phases - 1).1
    }

    /// All steps of one home, the history's included.
    #[must_use]
    pub fn steps(&self) -> u64 {
        u64::try_from((self.end() - EPOCH) / STEP_SECONDS).expect("the end lies after the epoch")
    }
}

/// Moves a recording so that the first Monday 00:00 UTC in it becomes [`EPOCH`]: returns the seconds to add.
#[must_use]
pub fn shift(recording_start: i64) -> i64 {
    // 1970-01-05 was a Monday.
    let monday = 4 * 24 * 3600;
    let first_monday = (recording_start - monday).div_euclid(WEEK) * WEEK + monday;
    let first_monday = if first_monday < recording_start { first_monday + WEEK } else { first_monday };
    EPOCH - first_monday
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_moves_by_whole_weeks() {
        for start in [0, 1_470_009_600, 1_273_363_200, 1_647_770_400] {
            assert_eq!(shift(start).rem_euclid(WEEK), shift(0).rem_euclid(WEEK));
            assert!((EPOCH..EPOCH + WEEK).contains(&(start + shift(start) + WEEK)));
        }
    }

    #[test]
    fn a_recording_that_starts_on_monday_midnight_loses_nothing() {
        let monday_2016_08_01 = 1_470_009_600;
        assert_eq!(monday_2016_08_01 + shift(monday_2016_08_01), EPOCH);
    }

    #[test]
    fn phases_follow_one_another_without_a_gap() {
        let timeline = Timeline::default();
        assert_eq!(timeline.phase(0).0, timeline.history_end());
        assert_eq!(timeline.phase(0).1, timeline.phase(1).0);
        assert_eq!(timeline.phase(2).1, timeline.end());
    }
}
