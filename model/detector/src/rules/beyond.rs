//! More than ever: a plug or a roof whose reading lies far beyond the most of its own last weeks. Its meter counts in another unit, or
//! something else hangs on it.
//!
//! Statistics by the hour say nothing of what rests most of the time; that it never drew nearly so much is plain.

use crate::finding::AnomalyKind;
use crate::finding::Finding;
use crate::statistics::daily_max::DailyMax;

/// Times the most of the last four weeks …
const TIMES: f32 = 1.5;
/// … and at least so many watts more: what draws little may draw a little more.
const WATTS_MORE: f32 = 30.0;
/// Days that must be known: a fortnight, since much is used once a week.
const DAYS_MIN: usize = 14;

/// Holds a load's watts against the most of its last weeks.
#[derive(Debug, Clone)]
pub(crate) struct Beyond {
    highest: DailyMax,
}

impl Beyond {
    pub(crate) fn new() -> Self {
        Self { highest: DailyMax::new() }
    }

    /// Takes a step's watts, none while they are not known. What a day brings is held against the days before it, so it is told for a day
    /// at most and is known from then on.
    pub(crate) fn step(&mut self, watts: Option<f32>) -> Option<Finding> {
        let watts = watts?.abs();
        self.highest.take(watts);
        let before = || self.highest.before_today().flatten();
        let most = before().reduce(f32::max).filter(|_| before().count() >= DAYS_MIN)?;
        (watts > TIMES * most + WATTS_MORE).then_some(Finding { kind: AnomalyKind::Beyond, amount: watts, usual: most })
    }

    pub(crate) fn next_day(&mut self) {
        self.highest.next_day();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Days of a washer of 2,000 W; the last value is told or not.
    fn after(days: usize, watts: f32) -> bool {
        let mut beyond = Beyond::new();
        for _ in 0..days {
            assert_eq!(beyond.step(Some(2000.0)), None);
            assert_eq!(beyond.step(None), None);
            beyond.next_day();
        }
        beyond.step(Some(watts)).is_some()
    }

    #[test]
    fn what_draws_half_as_much_again_as_ever_is_told_after_a_fortnight() {
        assert!(after(14, 3100.0));
        assert!(!after(14, 2900.0));
        assert!(!after(13, 3100.0));
    }

    #[test]
    fn the_next_day_it_is_known() {
        let mut beyond = Beyond::new();
        for _ in 0..14 {
            beyond.step(Some(1.0));
            beyond.next_day();
        }
        assert!(beyond.step(Some(900.0)).is_some());
        beyond.next_day();
        assert_eq!(beyond.step(Some(900.0)), None);
    }
}
