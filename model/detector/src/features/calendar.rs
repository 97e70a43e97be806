//! The home's time of day.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::grid::{HISTORY_DAYS, STEP_SECONDS};

/// Where a step lies in the home's day and week.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct LocalTime {
    /// Share of the day that has passed, in [0, 1).
    pub(crate) day_share: f32,
    /// Hours since Monday 00:00, 0 to 167.
    pub(crate) hour_of_week: usize,
    /// By the home's own calendar.
    pub(crate) weekend: bool,
}

/// A step's local time, and how it lies to the days before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Clock {
    pub(crate) local: LocalTime,
    /// By how many steps the home's clock was set forward since, for each day back.
    pub(crate) shifts: [i8; HISTORY_DAYS],
}

impl Clock {
    pub(crate) fn at(at: i64, timezone: &TimeZone) -> Self {
        Self { local: LocalTime::at(at, timezone), shifts: LocalTime::shifts(at, timezone) }
    }
}

impl LocalTime {
    /// The local time at `at` (Unix seconds). Outside the calendar's range the zone counts as UTC.
    pub(crate) fn at(at: i64, timezone: &TimeZone) -> Self {
        const DAY: i64 = 86_400;
        /// 1970-01-01 was a Thursday.
        const EPOCH_WEEKDAY: i64 = 3;
        let offset = Timestamp::from_second(at).map_or(0, |stamp| i64::from(timezone.to_offset(stamp).seconds()));
        let local = at.saturating_add(offset);
        let second = local.rem_euclid(DAY);
        let weekday = (local.div_euclid(DAY) + EPOCH_WEEKDAY).rem_euclid(7);
        Self {
            day_share: second as f32 / DAY as f32,
            hour_of_week: usize::try_from(weekday * 24 + second / 3600).unwrap_or(0),
            weekend: weekday >= 5,
        }
    }

    /// By how many steps of ten minutes the home's clock was set forward between each of the last days, one day back first, and `at`.
    pub(crate) fn shifts(at: i64, timezone: &TimeZone) -> [i8; HISTORY_DAYS] {
        let offset = |at: i64| Timestamp::from_second(at).map_or(0, |stamp| timezone.to_offset(stamp).seconds());
        let now = offset(at);
        std::array::from_fn(|day| {
            let then = offset(at.saturating_sub(86_400 * (day as i64 + 1)));
            i8::try_from((now - then) / STEP_SECONDS as i32).unwrap_or(0)
        })
    }

    /// Hours since local midnight, in [0, 24).
    pub(crate) fn hour_of_day(self) -> f32 {
        self.day_share * 24.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hour_of_the_week_follows_the_zone() {
        // 2026-01-05 was a Monday; 00:30 UTC is 01:30 in Brussels and still Sunday in New York.
        let at = "2026-01-05T00:30:00Z".parse::<Timestamp>().unwrap().as_second();
        assert_eq!(LocalTime::at(at, &TimeZone::UTC).hour_of_week, 0);
        assert_eq!(LocalTime::at(at, &TimeZone::get("Europe/Brussels").unwrap()).hour_of_week, 1);
        let new_york = LocalTime::at(at, &TimeZone::get("America/New_York").unwrap());
        assert_eq!((new_york.hour_of_week, new_york.weekend, new_york.hour_of_day()), (6 * 24 + 19, true, 19.5));
    }
}
