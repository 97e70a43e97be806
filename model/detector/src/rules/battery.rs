//! A battery that will be empty within a week.

use crate::finding::AnomalyKind;
use crate::finding::Finding;
use crate::statistics::daily_max::DailyMax;

/// At this charge, %, there is nothing to calculate.
const LOW: f32 = 10.0;
/// Days that a fall is measured over.
const FALL_DAYS: usize = 3;
/// A slower fall than this, % a day, is ordinary use.
const FALL_MIN: f32 = 2.0;
/// Told when it lasts no longer than this at that rate, days.
const DAYS_LEFT: f32 = 7.0;
/// A battery that rose by more than this within the days that are remembered, %, is charged now and then: a phone, a vacuum cleaner.
const CHARGED: f32 = 5.0;

/// Extrapolates a charge in % to the day on which it is empty.
#[derive(Debug, Clone)]
pub(crate) struct Battery {
    /// The charge with its sign turned: a day's lowest is the largest.
    lowest: DailyMax,
    highest: DailyMax,
}

impl Battery {
    pub(crate) fn new() -> Self {
        Self { lowest: DailyMax::new(), highest: DailyMax::new() }
    }

    /// Takes a step's charge, %; none while it is not known.
    pub(crate) fn step(&mut self, charge: Option<f32>) -> Option<Finding> {
        let charge = charge?;
        self.lowest.take(-charge);
        self.highest.take(charge);
        if self.is_charged() {
            return None;
        }
        let before = self.lowest.before_today().take(FALL_DAYS).last().flatten().map(|negative| -negative);
        let fall = before.map_or(0.0, |before| (before - charge) / FALL_DAYS as f32);
        let days_left = if fall >= FALL_MIN { charge.max(0.0) / fall } else { f32::INFINITY };
        // What began to fall fast yesterday does not fall as slowly as three days together: the date that is told is the nearer one.
        let yesterday = self.lowest.before_today().next().flatten().map(|negative| -negative);
        let fall_lately = yesterday.map_or(0.0, |before| before - charge).max(fall);
        let low = charge <= LOW && self.lowest.known() > 1;
        (low || days_left <= DAYS_LEFT).then_some(Finding {
            kind: AnomalyKind::Battery,
            amount: charge,
            usual: if days_left.is_finite() { charge.max(0.0) / fall_lately } else { 0.0 },
        })
    }

    /// Whether it is charged now and then: some day's highest lies above an earlier day's lowest.
    fn is_charged(&self) -> bool {
        let mut highest_since = self.highest.today().unwrap_or(f32::NEG_INFINITY);
        for (high, low) in self.highest.before_today().zip(self.lowest.before_today()) {
            if let (Some(high), Some(low)) = (high, low) {
                if highest_since > -low + CHARGED {
                    return true;
                }
                highest_since = highest_since.max(high);
            }
        }
        false
    }

    pub(crate) fn next_day(&mut self) {
        self.lowest.next_day();
        self.highest.next_day();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told_at(charge_of_day: impl Fn(usize) -> f32) -> Option<usize> {
        let mut battery = Battery::new();
        (0..60).find(|day| {
            let found = battery.step(Some(charge_of_day(*day))).is_some();
            battery.next_day();
            found
        })
    }

    #[test]
    fn a_battery_that_falls_six_percent_a_day_is_told_a_week_before_it_is_empty() {
        let day = told_at(|day| 90.0 - 6.0 * day as f32).unwrap();
        assert_eq!(day, 8);
    }

    #[test]
    fn a_fall_that_began_yesterday_tells_the_nearer_date() {
        let mut battery = Battery::new();
        for charge in [90.0, 90.0, 90.0, 70.0] {
            battery.step(Some(charge));
            battery.next_day();
        }
        let found = battery.step(Some(45.0)).expect("it falls by 15 % a day over three days, by 25 since yesterday");
        assert!((found.usual - 45.0 / 25.0).abs() < 1e-3, "{found:?}");
    }

    #[test]
    fn a_battery_that_lasts_a_year_says_nothing_until_it_is_low() {
        assert_eq!(told_at(|day| 60.0 - 0.3 * day as f32), None);
        assert_eq!(told_at(|day| 12.0 - 0.3 * day as f32), Some(7));
    }

    #[test]
    fn a_phone_that_is_charged_every_day_says_nothing() {
        assert_eq!(told_at(|day| if day.is_multiple_of(2) { 95.0 } else { 8.0 }).filter(|day| *day > 2), None);
    }
}
