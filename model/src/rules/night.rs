//! A roof that makes power at night: its meter stands still, its clock is wrong, or it counts something else.

use super::Finding;
use super::daily::DailyMax;
use crate::features::AnomalyKind;

/// A roof makes power above this share of the most of its last weeks.
const SHARE: f32 = 0.05;
/// Watts below which nothing is made.
const WATTS_MIN: f32 = 20.0;
/// Hours before the earliest and after the latest of the last weeks that are still day: dawn comes sooner in spring, and clocks change.
const HOURS_MORE: f32 = 1.5;
/// Days with power that must be known.
const DAYS_MIN: usize = 7;

/// Follows the hours at which one roof makes power.
#[derive(Debug, Clone)]
pub(crate) struct Night {
    /// Of each day, the last hour with power, and the first one with its sign changed.
    latest: DailyMax,
    earliest: DailyMax,
}

impl Night {
    pub(crate) fn new() -> Self {
        Self { latest: DailyMax::new(), earliest: DailyMax::new() }
    }

    /// Takes a step's watts at this hour of the home's day, and the most of the last weeks.
    pub(crate) fn step(&mut self, watts: f32, hour: f32, most: f32) -> Option<Finding> {
        if watts < WATTS_MIN.max(SHARE * most) {
            return None;
        }
        let latest = self.latest.before_today().flatten().reduce(f32::max);
        let earliest = self.earliest.before_today().flatten().reduce(f32::max);
        let known = self.latest.before_today().flatten().count();
        let day = latest.zip(earliest).filter(|_| known >= DAYS_MIN);
        let is_night =
            day.is_some_and(|(latest, earliest)| hour > latest + HOURS_MORE || -hour > earliest + HOURS_MORE);
        if !is_night {
            self.latest.take(hour);
            self.earliest.take(-hour);
        }
        is_night.then_some(Finding { kind: AnomalyKind::Beyond, amount: watts, usual: 0.0 })
    }

    pub(crate) fn next_day(&mut self) {
        self.latest.next_day();
        self.earliest.next_day();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(night: &mut Night, watts: impl Fn(f32) -> f32) -> Option<f32> {
        let told =
            (0..144).map(|step| step as f32 / 6.0).filter(|hour| night.step(watts(*hour), *hour, 4000.0).is_some());
        let first = told.collect::<Vec<_>>().first().copied();
        night.next_day();
        first
    }

    fn sun(hour: f32) -> f32 {
        4000.0 * (1.0 - ((hour - 13.0) / 6.0).powi(2)).max(0.0)
    }

    #[test]
    fn a_meter_that_stands_still_is_told_in_the_evening() {
        let mut night = Night::new();
        (0..7).for_each(|_| assert_eq!(day(&mut night, sun), None));
        let told = day(&mut night, |hour| if hour > 14.0 { 3900.0 } else { sun(hour) }).expect("it is told");
        assert!((20.0..20.6).contains(&told), "{told}");
    }

    #[test]
    fn longer_days_and_a_changed_clock_are_no_night() {
        let mut night = Night::new();
        (0..7).for_each(|_| assert_eq!(day(&mut night, sun), None));
        assert_eq!(day(&mut night, |hour| sun(hour - 1.0)), None);
        assert_eq!(day(&mut night, |hour| sun(hour + 1.0)), None);
    }
}
