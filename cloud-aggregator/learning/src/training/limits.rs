//! When a trigger may not start a run, and how fresh the model is to be. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// Limits on runs that nobody asked for. A person's wish is not held back by them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Limits {
    /// Times of the day in which no run starts.
    pub quiet: Vec<Quiet>,
    /// Most hours that runs may take within seven days; none for any.
    pub hours_per_week: Option<u32>,
    /// Most energy that runs may take within seven days, watt-hours; none for any.
    pub watt_hours_per_week: Option<u32>,
    /// What the machine takes while it trains, watts; energy is time times this.
    pub watts: u32,
}

/// A time of the day, UTC, from one minute up to another; over midnight where the second is earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quiet {
    from: u32,
    until: u32,
}

/// A text that is no time of the day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not like \"22:00-06:00\"")]
pub struct QuietError(String);

impl FromStr for Quiet {
    type Err = QuietError;

    fn from_str(text: &str) -> Result<Self, QuietError> {
        let minute = |text: &str| {
            let (hour, minute) = text.split_once(':')?;
            let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
            (minute < 60 && hour * 60 + minute <= 24 * 60).then_some(hour.checked_mul(60)? + minute)
        };
        let read = || {
            let (from, until) = text.split_once('-')?;
            Some(Self { from: minute(from.trim())?, until: minute(until.trim())? })
        };
        read().filter(|quiet| quiet.from != quiet.until).ok_or_else(|| QuietError(text.to_owned()))
    }
}

impl fmt::Display for Quiet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, until } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, until / 60, until % 60)
    }
}

impl Quiet {
    /// Whether `now`, Unix seconds, is within it.
    #[must_use]
    pub fn holds(self, now: i64) -> bool {
        let minute = u32::try_from(now.rem_euclid(DAY) / 60).unwrap_or_default();
        if self.from < self.until {
            (self.from..self.until).contains(&minute)
        } else {
            minute >= self.from || minute < self.until
        }
    }
}

/// Why a run that a trigger wants does not start now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Withheld {
    /// It is a quiet time of the day.
    Quiet,
    /// Runs of the last seven days took all their hours.
    Hours,
    /// Runs of the last seven days took all their energy.
    Energy,
}

impl Limits {
    /// Whether a run may start at `now`, when those of the last seven days took `spent` seconds.
    ///
    /// # Errors
    /// Why not.
    pub fn allow(&self, spent: i64, now: i64) -> Result<(), Withheld> {
        if self.quiet.iter().any(|quiet| quiet.holds(now)) {
            return Err(Withheld::Quiet);
        }
        if self.hours_per_week.is_some_and(|hours| spent >= i64::from(hours) * 3_600) {
            return Err(Withheld::Hours);
        }
        let energy = self.watt_hours_per_week;
        if energy.is_some_and(|most| spent.saturating_mul(self.watts.into()) >= i64::from(most) * 3_600) {
            return Err(Withheld::Energy);
        }
        Ok(())
    }

    /// Whether what runs took matters at all.
    #[must_use]
    pub fn count(&self) -> bool {
        self.hours_per_week.is_some() || self.watt_hours_per_week.is_some()
    }
}

/// A class whose answers wait longer than they are to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overdue {
    /// The device class.
    pub class: String,
    /// Hours for which its oldest answer has waited to be learned from.
    pub waited_hours: i64,
    /// Hours after which it is to be.
    pub goal_hours: u32,
}

/// The class that is furthest beyond its goal. `goals` are hours by class; `oldest` says since when the first answer of a class waits.
#[must_use]
pub fn overdue(goals: &BTreeMap<String, u32>, oldest: &BTreeMap<String, i64>, now: i64) -> Option<Overdue> {
    let waits = goals.iter().filter_map(|(class, goal)| {
        let waited = now.saturating_sub(*oldest.get(class)?);
        let beyond = waited.saturating_sub(i64::from(*goal) * 3_600);
        let (class, waited_hours, goal_hours) = (class.clone(), waited / 3_600, *goal);
        (beyond >= 0).then_some((beyond, Overdue { class, waited_hours, goal_hours }))
    });
    waits.max_by_key(|(beyond, _)| *beyond).map(|(_, overdue)| overdue)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600;

    #[test]
    fn a_quiet_time_may_go_over_midnight() {
        let night: Quiet = "22:00-06:30".parse().unwrap();
        let at = |hour: i64, minute: i64| night.holds(20_000 * DAY + hour * HOUR + minute * 60);
        assert_eq!([at(21, 59), at(22, 0), at(3, 0), at(6, 29), at(6, 30)], [false, true, true, true, false]);
        assert_eq!(night.to_string(), "22:00-06:30");
        let day: Quiet = "08:00-24:00".parse().unwrap();
        assert!(day.holds(23 * HOUR + 3_599) && !day.holds(7 * HOUR));
        for bad in ["22-6", "25:00-26:00", "08:00-08:00", "08:60-09:00", ""] {
            assert_eq!(bad.parse::<Quiet>(), Err(QuietError(bad.to_owned())), "{bad}");
        }
    }

    #[test]
    fn budgets_of_time_and_energy_hold_runs_back() {
        let limits =
            Limits { hours_per_week: Some(2), watt_hours_per_week: Some(100), watts: 200, ..Limits::default() };
        assert_eq!(limits.allow(HOUR / 2 - 1, 0), Ok(()));
        assert_eq!(limits.allow(HOUR / 2, 0), Err(Withheld::Energy));
        assert_eq!(limits.allow(2 * HOUR, 0), Err(Withheld::Hours));
        assert_eq!(Limits::default().allow(i64::MAX, 0), Ok(()));
    }

    #[test]
    fn the_class_that_is_furthest_beyond_its_goal_is_overdue() {
        let goals = BTreeMap::from([("smoke".to_owned(), 24), ("door".to_owned(), 100), ("power".to_owned(), 1)]);
        let oldest = BTreeMap::from([("smoke".to_owned(), 0), ("door".to_owned(), 0), ("lock".to_owned(), 0)]);
        assert_eq!(overdue(&goals, &oldest, 24 * HOUR - 1), None);
        let found = overdue(&goals, &oldest, 30 * HOUR).unwrap();
        assert_eq!((found.class.as_str(), found.waited_hours, found.goal_hours), ("smoke", 30, 24));
    }
}
