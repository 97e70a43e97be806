//! The time that a recording is of. A computer without a clock writes 1970, a broken one 2036 or 2106.

use std::collections::BTreeMap;

use super::moment::{Moment, rfc3339};

/// 2005-01-01T00:00:00Z: before there was anything that keeps a home's states.
const FIRST: i64 = 1_104_537_600;
/// 2100-01-01T00:00:00Z.
const LAST: i64 = 4_102_444_800;
/// Rows that lie further than this from all others are of another clock: a home may stand empty for a year.
pub const HOLE_DAYS_MAX: i64 = 400;
/// Rows that no clock's slip makes: a clock is set within minutes of its start.
const RECORDING_ROWS: u64 = 500;
const DAY: i64 = 86_400;

/// Seconds since 1970, both ends inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    first: i64,
    last: i64,
}

impl Span {
    /// From 2005 to 2100. The machine's own clock is not asked: the same file gives the same result on any day.
    #[must_use]
    pub fn possible() -> Self {
        Self { first: FIRST, last: LAST }
    }

    /// Every time.
    #[must_use]
    pub fn all() -> Self {
        Self { first: i64::MIN, last: i64::MAX }
    }

    /// Why a row of `at` is passed over; none when it is not.
    #[must_use]
    pub fn fault(self, at: Moment) -> Option<String> {
        let second = at.second();
        if second < self.first {
            let since = if self.first > FIRST { "long before the rest" } else { "before 2005" };
            Some(format!("the time {} lies {since}; a clock that was not set wrote it", rfc3339(second)))
        } else if second > self.last {
            let until = if self.last < LAST { "long after the rest" } else { "after 2100" };
            Some(format!("the time {} lies {until}; a wrong clock wrote it", rfc3339(second)))
        } else {
            None
        }
    }
}

/// How many rows there are of each day, to find the stretch that is the recording.
#[derive(Debug, Default)]
pub struct Days {
    rows: BTreeMap<i64, DayRows>,
}

#[derive(Debug, Clone, Copy)]
struct DayRows {
    rows: u64,
    first: Moment,
    line: u64,
}

/// Rows of one day that belong to another clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StrayRows {
    /// Number of rows that are passed over.
    pub rows: u64,
    /// Line of the first of them.
    pub line: u64,
    /// The reason, as a part of a sentence.
    pub what: String,
    /// Whether they are a recording of their own rather than slips of a clock.
    pub recording: bool,
}

impl Days {
    /// Counts a row.
    pub fn push(&mut self, at: Moment, line: u64) {
        let of = self.rows.entry(at.second().div_euclid(DAY)).or_insert(DayRows { rows: 0, first: at, line });
        of.rows += 1;
    }

    /// The stretch without a hole of over [`HOLE_DAYS_MAX`] that has most rows, the later one of two, and the days that lie
    /// outside of it.
    #[must_use]
    pub fn recording(&self) -> (Span, Vec<StrayRows>) {
        let days: Vec<(&i64, &DayRows)> = self.rows.iter().collect();
        let rows_of = |stretch: &[(&i64, &DayRows)]| stretch.iter().map(|(_, of)| of.rows).sum::<u64>();
        let stretches: Vec<_> = days.chunk_by(|(day, _), (next, _)| **next - **day < HOLE_DAYS_MAX).collect();
        let most = stretches.iter().max_by_key(|stretch| rows_of(stretch));
        let Some(([(first, _), ..], [.., (last, _)])) = most.map(|stretch| (*stretch, *stretch)) else {
            return (Span::possible(), Vec::new());
        };
        let (first, last) = (**first, **last);
        let span = Span { first: first * DAY, last: last * DAY + DAY - 1 };
        let mut strays = Vec::new();
        for stretch in &stretches {
            let rows = rows_of(stretch);
            if let ([(day, of), ..], [.., (end, _)]) = (*stretch, *stretch)
                && span.fault(of.first).is_some()
                && rows >= RECORDING_ROWS
            {
                let date = |day: i64| rfc3339(day * DAY)[..10].to_owned();
                let what = format!(
                    "{} to {} lies years away from {} to {}, of which there is more; replay it by itself",
                    date(**day),
                    date(**end),
                    date(first),
                    date(last)
                );
                strays.push(StrayRows { rows, line: of.line, what, recording: true });
                continue;
            }
            strays.extend(stretch.iter().filter_map(|(_, of)| {
                Some(StrayRows { rows: of.rows, line: of.line, what: span.fault(of.first)?, recording: false })
            }));
        }
        (span, strays)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> Moment {
        Moment::parse(text).unwrap()
    }

    #[test]
    fn rows_before_2005_and_after_2100_are_of_a_wrong_clock() {
        let fault = |text: &str| Span::possible().fault(moment(text));
        assert_eq!(
            fault("20").unwrap(),
            "the time 1970-01-01T00:00:20Z lies before 2005; a clock that was not set wrote it"
        );
        assert_eq!(
            fault("2106-02-07T06:28:15Z").unwrap(),
            "the time 2106-02-07T06:28:15Z lies after 2100; a wrong clock wrote it"
        );
        assert_eq!(fault("2099-01-02T00:00:00Z"), None);
        assert_eq!(fault("2005-01-01T00:00:00Z"), None);
    }

    #[test]
    fn a_few_rows_years_away_from_the_rest_are_of_a_wrong_clock_and_the_rest_is_the_recording() {
        let mut days = Days::default();
        for line in 2..50 {
            days.push(moment(&format!("2026-01-{:02}T08:00:00Z", line / 2 + 1)), line);
        }
        days.push(moment("2036-02-07T06:28:15Z"), 50);
        days.push(moment("2013-01-01T00:00:00Z"), 51);
        let (span, stray) = days.recording();
        assert_eq!(span.fault(moment("2026-01-25T23:59:59Z")), None);
        let what: Vec<_> = stray.iter().map(|one| (one.rows, one.line, one.what.as_str())).collect();
        assert_eq!(
            what,
            [
                (1, 51, "the time 2013-01-01T00:00:00Z lies long before the rest; a clock that was not set wrote it"),
                (1, 50, "the time 2036-02-07T06:28:15Z lies long after the rest; a wrong clock wrote it"),
            ]
        );
    }

    #[test]
    fn two_exports_years_apart_are_two_recordings() {
        let mut days = Days::default();
        for row in 0..1200 {
            let year = if row < 500 { 2023 } else { 2026 };
            days.push(moment(&format!("{year}-01-0{}T08:00:00Z", row % 9 + 1)), row);
        }
        let (_, stray) = days.recording();
        let what = "2023-01-01 to 2023-01-09 lies years away from 2026-01-01 to 2026-01-09, of which there is more; replay it by \
                    itself";
        assert_eq!(stray, [StrayRows { rows: 500, line: 0, what: what.to_owned(), recording: true }]);
    }

    #[test]
    fn a_house_that_stood_empty_for_a_year_is_one_recording() {
        let mut days = Days::default();
        days.push(moment("2024-12-01T00:00:00Z"), 2);
        days.push(moment("2025-12-01T00:00:00Z"), 3);
        assert_eq!(days.recording().1, []);
    }
}
