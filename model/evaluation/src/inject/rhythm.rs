//! On for a while, off for a while, by the clock.

use hearthwatch_detector::grid::STEP_SECONDS;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// A load's comings and goings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rhythm {
    /// Seconds from one switching on to the next.
    period: i64,
    /// Seconds that it is on.
    on: i64,
}

impl Rhythm {
    /// On for 20 to 60 minutes every 1.5 to 4 hours; of a slow reporter's pace where that is longer, or nobody could see it.
    pub(super) fn draw(rng: &mut ChaCha8Rng, interval: i64) -> Self {
        let step = STEP_SECONDS.max(interval);
        let on = rng.random_range(1200..3600_i64).max(step);
        let period = rng.random_range(5400..14_400_i64).max(3 * step);
        Self { period, on: on.min(period / 2) }
    }

    /// Whether it is on so many seconds after it first came on.
    pub(super) fn is_on(&self, since: i64) -> bool {
        since.rem_euclid(self.period) < self.on
    }

    /// Seconds that it was on from `start`, when it came on, to `until`.
    pub(super) fn seconds_on(&self, start: i64, until: i64) -> i64 {
        let passed = (until - start).max(0);
        passed / self.period * self.on + (passed % self.period).min(self.on)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seconds_on_are_those_at_which_it_is_on() {
        let rhythm = Rhythm { period: 100, on: 30 };
        for until in [0, 10, 30, 31, 99, 100, 250, 999] {
            let counted = (0..until).filter(|second| rhythm.is_on(*second)).count();
            assert_eq!(rhythm.seconds_on(0, until), counted as i64, "{until}");
        }
    }
}
