//! Time in steps of ten minutes, and what a step's row holds. A step is named by its end: step `t` covers `(t − 600, t]`.

mod feature;

pub use feature::Feature;

/// Length of a step, in seconds. Ten minutes was chosen by measurement: finer steps cost more and found no more.
pub const STEP_SECONDS: i64 = 600;
/// Steps in a feature window: 16 hours.
pub const WINDOW_STEPS: usize = 96;
/// Features of a step: the variants of [`Feature`].
pub const FEATURES: usize = 20;
/// Version of the features' meaning. Weights trained under another version are refused.
pub const FEATURE_SCHEMA: u32 = 1;
/// Steps in a day.
pub const DAY_STEPS: usize = 144;
/// Days of history that an entity keeps.
pub const HISTORY_DAYS: usize = 14;
/// Steps of history that an entity keeps: 14 days × 144.
pub const HISTORY_STEPS: usize = HISTORY_DAYS * DAY_STEPS;
/// Earliest and latest time that is taken seriously: the years 1970 to 9999, which calendars can name.
pub const AT_RANGE: std::ops::RangeInclusive<i64> = 0..=253_402_000_000;

/// The end of the step that the moment `at` (Unix seconds) lies in. `at` outside [`AT_RANGE`] is drawn to its edge.
#[must_use]
pub fn step_of(at: i64) -> i64 {
    let at = at.clamp(*AT_RANGE.start(), *AT_RANGE.end());
    (at + STEP_SECONDS - 1).div_euclid(STEP_SECONDS) * STEP_SECONDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_covers_the_ten_minutes_up_to_and_including_its_end() {
        assert_eq!(step_of(1), 600);
        assert_eq!(step_of(600), 600);
        assert_eq!(step_of(601), 1200);
    }

    #[test]
    fn absurd_times_do_not_overflow() {
        assert_eq!(step_of(i64::MIN), 0);
        assert!(step_of(i64::MAX) > 0);
    }
}
