//! A roof that makes power at night: its meter stands still, its clock is wrong, or it counts something else.

use crate::finding::AnomalyKind;
use crate::finding::Finding;

/// A roof makes power above this share of the most of its last weeks.
const SHARE: f32 = 0.05;
/// Watts below which nothing is made.
const WATTS_MIN: f32 = 20.0;
/// Days with power that must be known.
const DAYS_MIN: u32 = 7;
/// An hour without power on so many days that had some is an hour of the night: four weeks.
const NIGHT_DAYS: u8 = 28;
const HOURS: usize = 24;

/// Follows the hours at which one roof makes power. By the clock, which need not be the roof's: in a wrong time zone the sun shines past
/// midnight.
#[derive(Debug, Clone)]
pub(crate) struct Night {
    /// Days with power since some was made in each hour of the day.
    dark: [u8; HOURS],
    /// Whether it was made in each hour of today. What a day brings is held against the days before it.
    today: [bool; HOURS],
    /// Days with power.
    known: u32,
}

impl Night {
    pub(crate) fn new() -> Self {
        Self { dark: [NIGHT_DAYS; HOURS], today: [false; HOURS], known: 0 }
    }

    /// Takes a step's watts at this hour of the home's day, and the most of the last weeks.
    pub(crate) fn step(&mut self, watts: f32, hour: f32, most: f32) -> Option<Finding> {
        if watts < WATTS_MIN.max(SHARE * most) {
            return None;
        }
        let hour = hour as usize % HOURS;
        self.today[hour] = true;
        // Dawn comes sooner in spring, and clocks change: the hour before the first and after the last is still day.
        let near = [hour + HOURS - 1, hour, hour + 1].map(|hour| self.dark[hour % HOURS]);
        let is_night = self.known >= DAYS_MIN && near.iter().all(|days| *days >= NIGHT_DAYS);
        is_night.then_some(Finding { kind: AnomalyKind::Beyond, amount: watts, usual: 0.0 })
    }

    pub(crate) fn next_day(&mut self) {
        if !self.today.contains(&true) {
            // A roof that was off for weeks is not in the night when it is on again.
            return;
        }
        self.known = self.known.saturating_add(1);
        for (dark, today) in self.dark.iter_mut().zip(&mut self.today) {
            *dark = if std::mem::take(today) { 0 } else { dark.saturating_add(1) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first hour of a day at which power is found at night.
    fn day(night: &mut Night, watts: impl Fn(f32) -> f32) -> Option<f32> {
        let hours = (0..144).map(|step| step as f32 / 6.0);
        let found: Vec<f32> = hours.filter(|hour| night.step(watts(*hour), *hour, 4000.0).is_some()).collect();
        night.next_day();
        found.first().copied()
    }

    fn sun(hour: f32) -> f32 {
        4000.0 * (1.0 - ((hour - 13.0) / 6.0).powi(2)).max(0.0)
    }

    #[test]
    fn a_meter_that_stands_still_is_told_in_the_evening() {
        let mut night = Night::new();
        (0..7).for_each(|_| assert_eq!(day(&mut night, sun), None));
        assert_eq!(day(&mut night, |hour| if hour > 14.0 { 3900.0 } else { sun(hour) }), Some(20.0));
    }

    #[test]
    fn a_roof_that_was_off_for_weeks_is_not_in_the_night_at_noon() {
        let mut night = Night::new();
        (0..7).for_each(|_| assert_eq!(day(&mut night, sun), None));
        (0..60).for_each(|_| assert_eq!(day(&mut night, |_| 0.0), None));
        assert_eq!(day(&mut night, sun), None);
    }

    #[test]
    fn longer_days_and_a_changed_clock_are_no_night() {
        let mut night = Night::new();
        (0..7).for_each(|_| assert_eq!(day(&mut night, sun), None));
        assert_eq!(day(&mut night, |hour| sun(hour - 1.0)), None);
        assert_eq!(day(&mut night, |hour| sun(hour + 1.0)), None);
    }

    #[test]
    fn in_a_wrong_time_zone_the_day_may_pass_midnight() {
        let mut night = Night::new();
        let far = |hour: f32| sun((hour + 24.0 - 7.0) % 24.0);
        (0..30).for_each(|_| assert_eq!(day(&mut night, far), None));
        assert_eq!(day(&mut night, |hour| if (10.0..12.0).contains(&hour) { 900.0 } else { far(hour) }), Some(10.0));
    }
}
