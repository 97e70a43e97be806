//! Quiet hours and the daily brief: times of the home's day.

use hearthwatch_detector::alarm::Severity;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

/// A time of day, to the minute; written `22:30`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DailyTime(u16);

/// A text that is not a time of day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a time of day such as \"22:30\"")]
pub struct DailyTimeError(String);

impl DailyTime {
    /// Reads `22:30`.
    ///
    /// # Errors
    /// [`DailyTimeError`].
    pub fn parse(text: &str) -> Result<Self, DailyTimeError> {
        let minutes = text.split_once(':').and_then(|(hour, minute)| {
            let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
            (hour < 24 && minute < 60 && text.len() <= 5).then_some(hour * 60 + minute)
        });
        minutes.map(Self).ok_or_else(|| DailyTimeError(text.chars().take(20).collect()))
    }

    fn of(time: Time) -> Self {
        Self(u16::from(time.hour().unsigned_abs()) * 60 + u16::from(time.minute().unsigned_abs()))
    }

    fn civil(self) -> Time {
        let (hour, minute) = (self.0 / 60, self.0 % 60);
        Time::midnight().checked_add((i64::from(hour) * 60 + i64::from(minute)).minutes()).unwrap_or(Time::midnight())
    }
}

impl std::fmt::Display for DailyTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl TryFrom<String> for DailyTime {
    type Error = DailyTimeError;
    fn try_from(text: String) -> Result<Self, DailyTimeError> {
        Self::parse(&text)
    }
}

impl From<DailyTime> for String {
    fn from(time: DailyTime) -> Self {
        time.to_string()
    }
}

/// Hours in which residents are notified only of what matters enough; the rest waits until they are over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuietHours {
    /// Begin; may be later in the day than the end.
    pub from: DailyTime,
    /// … and end, on the next day where this is earlier.
    pub until: DailyTime,
    /// Alarms of this severity or a higher one are notified of even so.
    pub let_through: Severity,
}

impl QuietHours {
    /// When the quiet that holds at `now` is over; none outside quiet hours.
    #[must_use]
    pub fn end(&self, now: i64, timezone: &TimeZone) -> Option<i64> {
        let time = DailyTime::of(Timestamp::from_second(now).ok()?.to_zoned(timezone.clone()).time());
        let quiet = if self.from < self.until {
            self.from <= time && time < self.until
        } else {
            time >= self.from || time < self.until
        };
        if quiet { next_daily(self.until, now, timezone) } else { None }
    }
}

/// The next moment after `now` at which the home's clocks show `time`. Where a change of the clocks leaves that time
/// out, the moment after it.
#[must_use]
pub fn next_daily(time: DailyTime, now: i64, timezone: &TimeZone) -> Option<i64> {
    let today = Timestamp::from_second(now).ok()?.to_zoned(timezone.clone()).date();
    [today, today.tomorrow().ok()?]
        .into_iter()
        .filter_map(|date| {
            Some(date.to_datetime(time.civil()).to_zoned(timezone.clone()).ok()?.timestamp().as_second())
        })
        .find(|at| *at > now)
}
