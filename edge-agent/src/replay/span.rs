//! The time that a recording can be of. A computer without a clock writes 1970, a broken one writes 2106.

use super::moment::{Moment, rfc3339};

/// 2005-01-01T00:00:00Z: before there was anything that keeps a home's states.
const FIRST: i64 = 1_104_537_600;
/// 2026-01-01T00:00:00Z: a clock that says less is wrong itself, and is not asked for the end.
const CLOCK_MIN: i64 = 1_767_225_600;
/// What a row may be ahead of this machine's clock, in seconds: a zone mistaken for another, no more.
const AHEAD_MAX: i64 = 86_400;

/// Seconds since 1970, both ends inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    first: i64,
    last: i64,
}

impl Span {
    /// From 2005 to a day after `now` (seconds since 1970). Where `now` itself cannot be, there is no end.
    #[must_use]
    pub fn until(now: i64) -> Self {
        Self { first: FIRST, last: if now < CLOCK_MIN { i64::MAX } else { now.saturating_add(AHEAD_MAX) } }
    }

    /// All of time.
    #[must_use]
    pub fn all() -> Self {
        Self { first: i64::MIN, last: i64::MAX }
    }

    /// Why a row of `at` is passed over; none when it is not.
    #[must_use]
    pub fn fault(self, at: Moment) -> Option<String> {
        let second = at.second();
        if second < self.first {
            Some(format!("the time {} lies before 2005; a clock that was not set wrote it", rfc3339(second)))
        } else if second > self.last {
            Some(format!("the time {} lies in the future; a wrong clock wrote it", rfc3339(second)))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_before_2005_and_more_than_a_day_ahead_are_of_a_wrong_clock() {
        let span = Span::until(1_767_225_600);
        let fault = |text: &str| span.fault(Moment::parse(text).unwrap());
        assert_eq!(
            fault("20").unwrap(),
            "the time 1970-01-01T00:00:20Z lies before 2005; a clock that was not set wrote it"
        );
        assert_eq!(
            fault("2026-01-02T00:00:01Z").unwrap(),
            "the time 2026-01-02T00:00:01Z lies in the future; a wrong clock wrote it"
        );
        assert_eq!(fault("2026-01-02T00:00:00Z"), None);
        assert_eq!(fault("2005-01-01T00:00:00Z"), None);
    }

    #[test]
    fn a_machine_whose_own_clock_is_not_set_judges_no_future() {
        assert_eq!(Span::until(20).fault(Moment::parse("2026-01-02T00:00:01Z").unwrap()), None);
    }
}
