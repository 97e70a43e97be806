//! How the detector's thread is doing, in atomics: written by the thread, read by whoever asks.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use hearthwatch_detector::grid::STEP_SECONDS;
use hearthwatch_supervision::{Condition, Progress};

use super::counts::DetectorCounts;

/// The longest that one command takes: a first look at a fortnight of a large home's memory is a minute on a small computer.
const BUSY_MAX: Duration = Duration::from_secs(15 * 60);
/// Steps end every ten minutes. So long after the last one, three are late.
const STANDING_SECONDS_MAX: i64 = 4 * STEP_SECONDS;

/// What the detector's thread has done last.
#[derive(Debug, Default)]
pub struct DetectorHealth {
    /// What has been heard, judged and answered since the start.
    pub counts: DetectorCounts,
    commands: Progress,
    /// Comes on with each step that is closed, rests while nothing is judged.
    steps: Progress,
    closed: AtomicI64,
    forgets: AtomicBool,
}

impl DetectorHealth {
    pub(super) fn begins(&self) {
        self.commands.begin();
    }

    /// It is obeyed; `closed` is the end of the last closed step.
    pub(super) fn obeyed(&self, closed: Option<i64>, listening: bool, forgets: bool) {
        self.commands.done();
        let closed = closed.unwrap_or(0);
        let moved = self.closed.swap(closed, Ordering::Relaxed) != closed;
        if !listening {
            self.steps.rest();
        } else if moved || self.steps.since_last().is_none() {
            self.steps.advance();
        }
        self.forgets.store(forgets, Ordering::Relaxed);
    }

    /// The end of the last closed step, Unix seconds; 0 before the first.
    #[must_use]
    pub fn closed(&self) -> i64 {
        self.closed.load(Ordering::Relaxed)
    }

    /// Whether the newest step could be kept on disk.
    #[must_use]
    pub fn remembers(&self) -> bool {
        !self.forgets.load(Ordering::Relaxed)
    }

    /// Whether the thread answers and closes steps, at the time `now` in Unix seconds.
    #[must_use]
    pub fn condition(&self, now: i64) -> Condition {
        condition(self.commands.busy_for(), self.steps.since_last(), now.saturating_sub(self.closed()))
    }
}

/// `standing`: since when no step was closed though there is something to judge, by the monotonic clock; `late`: how old the last
/// step's end is, by the wall clock. Only both together count: a clock that is set forward, or a machine that wakes, makes the last step
/// look old at once; one that is set back keeps steps from ending for as long as it was set back, which no restart changes.
fn condition(busy: Option<Duration>, standing: Option<Duration>, late: i64) -> Condition {
    let limit = Duration::from_secs(STANDING_SECONDS_MAX.unsigned_abs());
    let stands = standing.is_some_and(|standing| standing > limit) && late > STANDING_SECONDS_MAX;
    if stands || busy.is_some_and(|busy| busy > BUSY_MAX) { Condition::Stuck } else { Condition::Able }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Option<Duration> = Some(Duration::from_secs(3_600));
    const SOON: Option<Duration> = Some(Duration::from_secs(5));

    #[test]
    fn a_detector_that_closes_no_step_while_there_is_something_to_judge_is_stuck() {
        assert_eq!(condition(None, HOUR, 3_600), Condition::Stuck);
        assert_eq!(condition(None, SOON, 600), Condition::Able);
        assert_eq!(condition(None, None, 86_400), Condition::Able, "nothing is judged while Home Assistant is away");
    }

    #[test]
    fn a_clock_that_is_set_is_no_detector_that_stands_still() {
        assert_eq!(condition(None, SOON, 86_400), Condition::Able, "forward by a day, or a machine that slept");
        assert_eq!(
            condition(None, HOUR, -7_200),
            Condition::Able,
            "back by hours: no step can end before it has begun"
        );
    }

    #[test]
    fn a_command_that_never_ends_is_seen() {
        assert_eq!(condition(HOUR, None, 0), Condition::Stuck);
        assert_eq!(condition(SOON, None, 0), Condition::Able);
    }

    #[test]
    fn what_is_not_judged_is_not_late_and_a_full_disk_is_told() {
        let health = DetectorHealth::default();
        health.obeyed(Some(600), true, false);
        assert!(health.steps.since_last().is_some() && health.remembers());
        health.obeyed(Some(600), false, true);
        assert!(health.steps.since_last().is_none() && !health.remembers());
        assert_eq!(health.closed(), 600);
    }
}
