//! When what happens, in virtual time: a pure plan that every home follows.

use hearthwatch_detector::grid::STEP_SECONDS;

/// Virtual midnight, Monday 2026-01-05 UTC, at which the world begins.
pub const EPOCH: i64 = 1_767_571_200;

/// A week in seconds.
pub const WEEK: i64 = 7 * 24 * 3600;

/// The plan of a run: history that agents know before they speak, then phases with a barrier after each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeline {
    /// Weeks of recorder history from which an agent warm-starts; nothing is raised in them.
    pub history_weeks: i64,
    /// Weeks of each phase; between two phases all homes wait and the aggregator retrains.
    pub phase_weeks: i64,
    /// Number of phases; the last one ends with the table.
    pub phases: usize,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { history_weeks: 2, phase_weeks: 3, phases: 3 }
    }
}

impl Timeline {
    /// End of the known history of a home that is there from the beginning, Unix seconds.
    #[must_use]
    pub fn history_end(&self) -> i64 {
        EPOCH + self.history_weeks * WEEK
    }

    /// When a home whose (moved) recording starts at `recording_start` moves in: with the world, or later.
    #[must_use]
    pub fn moves_in(&self, recording_start: i64) -> i64 {
        let step = recording_start - recording_start.rem_euclid(STEP_SECONDS);
        step.max(EPOCH)
    }

    /// From when on a home that moved in at `start` raises alarms.
    #[must_use]
    pub fn speaks_from(&self, start: i64) -> i64 {
        start + self.history_weeks * WEEK
    }

    /// Seconds to add to a recording that ends at `recording_end`, so that it covers the world's end: whole weeks, so hours
    /// and weekdays stay what they were. What lies before the epoch is the past, from which the aggregator may learn.
    #[must_use]
    pub fn shift(&self, recording_end: i64) -> i64 {
        (self.end() - recording_end).div_euclid(WEEK) * WEEK
            + if (self.end() - recording_end) % WEEK == 0 { 0 } else { WEEK }
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_moves_by_whole_weeks_and_covers_the_end() {
        let timeline = Timeline::default();
        for end in [timeline.end(), timeline.end() - 1, timeline.end() + 1, 1_501_484_400, 1_276_000_000] {
            let shift = timeline.shift(end);
            assert_eq!(shift % WEEK, 0);
            assert!((timeline.end()..timeline.end() + WEEK).contains(&(end + shift)));
        }
    }

    #[test]
    fn a_short_recording_moves_in_late_and_still_gets_its_history() {
        let timeline = Timeline::default();
        let start = timeline.moves_in(EPOCH + 5 * WEEK + 100);
        assert_eq!(start, EPOCH + 5 * WEEK);
        assert_eq!(timeline.speaks_from(start), start + 2 * WEEK);
    }

    #[test]
    fn phases_follow_one_another_without_a_gap() {
        let timeline = Timeline::default();
        assert_eq!(timeline.phase(0).0, timeline.history_end());
        assert_eq!(timeline.phase(0).1, timeline.phase(1).0);
        assert_eq!(timeline.phase(2).1, timeline.end());
    }
}
