//! Whether a number counts or measures, learnt from its values where nobody says so.
//!
//! Home Assistant tells by the state class; a table of values does not, and many integrations leave it out. A counter only
//! rises, and starts again at nothing. What falls time and again to somewhere else is a measurement, whatever its unit.

use super::DeviceClass;
use crate::unit::{Quantity, Unit};

/// A counter is none after so many falls that lasted, …
const FALLS_MAX: u32 = 4;
/// … if there was one for every so many rises: a meter is corrected now and then.
const RISES_PER_FALL: u32 = 8;
/// A number is a counter after so many rises, …
const RISES_MIN: u32 = 8;
/// … over so long a time, …
const RISING_SECONDS: i64 = 2 * 86_400;
/// … with so many rises for each time that it started again.
const RISES_PER_RESET: u32 = 4;
/// What is left after a fall to below this share has started again.
const RESET_SHARE: f64 = 0.05;

/// The shape of one entity's values, as far as they were seen.
#[derive(Debug, Clone, Default)]
pub struct Shape {
    /// Whether there is anything to find out.
    open: bool,
    /// Whether it may still turn out to be a counter.
    may_count: bool,
    first_at: Option<i64>,
    /// The value before the newest one that was not a lone dip.
    last: Option<f64>,
    /// A value below the last: it counts as a fall once the next does not come straight back.
    low: Option<f64>,
    rises: u32,
    falls: u32,
    resets: u32,
}

impl Shape {
    /// Of an entity of which somebody has said what it is.
    #[must_use]
    pub fn settled() -> Self {
        Self::default()
    }

    /// Of an entity of which nobody has. `named` tells that it has a device class, and is a number for that reason.
    #[must_use]
    pub fn open(class: DeviceClass, named: bool, unit: &str) -> Self {
        let adds_up = |unit: Unit| {
            matches!(unit.quantity, Quantity::Volume | Quantity::Energy | Quantity::DataSize | Quantity::Length)
        };
        let may_count = class == DeviceClass::GenericNumber && !named && Unit::find(unit).is_none_or(adds_up);
        Self { open: class.counter() || may_count, may_count, ..Self::default() }
    }

    /// Whether an entity that is said to be `said` may have turned out to be `found`.
    #[must_use]
    pub fn may_be(&self, said: DeviceClass, found: DeviceClass) -> bool {
        let counts_not = said.counter() && found == DeviceClass::GenericNumber;
        let counts = self.may_count && found == DeviceClass::Count;
        self.open && said != found && (counts_not || counts)
    }

    /// Takes a value of an entity that is watched as `class`; tells as what it is to be watched from now on, if that is
    /// something else.
    pub fn see(&mut self, class: DeviceClass, at: i64, value: f64) -> Option<DeviceClass> {
        if !self.open || !value.is_finite() {
            return None;
        }
        let first_at = *self.first_at.get_or_insert(at);
        self.take(value);
        if class.counter() {
            let falls_too_often = self.falls >= FALLS_MAX && self.falls.saturating_mul(RISES_PER_FALL) >= self.rises;
            if falls_too_often {
                // Found out once and for all: what has fallen may rise for weeks.
                self.open = false;
                return Some(DeviceClass::GenericNumber);
            }
            return None;
        }
        let rises_only = self.may_count
            && self.falls == 0
            && self.rises >= RISES_MIN
            && self.rises >= self.resets.saturating_mul(RISES_PER_RESET)
            && at.saturating_sub(first_at) >= RISING_SECONDS;
        self.may_count &= self.falls == 0;
        self.open &= self.may_count;
        rises_only.then_some(DeviceClass::Count)
    }

    fn take(&mut self, value: f64) {
        let Some(last) = self.last else {
            self.last = Some(value);
            return;
        };
        match self.low.take() {
            None if value < last => {
                self.low = Some(value);
                return;
            }
            // Straight back: the dip was a slip of the device.
            Some(_) if value >= last => {}
            Some(low) => {
                if low.min(value) <= last * RESET_SHARE {
                    self.resets = self.resets.saturating_add(1);
                } else {
                    self.falls = self.falls.saturating_add(1);
                }
                self.last = Some(low);
                return self.take(value);
            }
            None => {}
        }
        self.rises = self.rises.saturating_add(u32::from(value > last));
        self.last = Some(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;

    /// What an entity that begins as `class` is watched as, value by value.
    fn watched(class: DeviceClass, unit: &str, values: impl IntoIterator<Item = f64>) -> DeviceClass {
        let mut shape = Shape::open(class, false, unit);
        let mut class = class;
        for (hour, value) in (0..).zip(values) {
            class = shape.see(class, hour * HOUR, value).unwrap_or(class);
        }
        class
    }

    #[test]
    fn what_only_rises_stays_a_counter_and_so_does_what_begins_again_each_night() {
        let total = (0..200).map(|hour| 1200.0 + 0.2 * f64::from(hour));
        assert_eq!(watched(DeviceClass::Count, "GB", total), DeviceClass::Count);
        let daily = (0..400).map(|hour| 0.4 * f64::from(hour % 24));
        assert_eq!(watched(DeviceClass::Energy, "kWh", daily), DeviceClass::Energy);
    }

    #[test]
    fn a_lone_dip_is_no_fall() {
        let zeros = (0..400).map(|hour| if hour % 7 == 3 { 0.0 } else { 5230.0 + f64::from(hour) });
        assert_eq!(watched(DeviceClass::Energy, "kWh", zeros), DeviceClass::Energy);
        let slips = (0..400).map(|hour| 5230.0 + f64::from(hour) - if hour % 5 == 3 { 1.5 } else { 0.0 });
        assert_eq!(watched(DeviceClass::Energy, "kWh", slips), DeviceClass::Energy);
    }

    #[test]
    fn what_falls_time_and_again_is_a_measurement_and_stays_one() {
        let tank = (0..100).map(|hour| 900.0 - 7.0 * f64::from(hour % 50));
        assert_eq!(watched(DeviceClass::Water, "L", tank), DeviceClass::GenericNumber);
        let disk = (0..400).map(|hour| 60.0 + f64::from(hour % 11) - f64::from(hour % 5));
        let then_rising = disk.chain((0..400).map(f64::from));
        assert_eq!(watched(DeviceClass::Count, "GB", then_rising), DeviceClass::GenericNumber);
    }

    #[test]
    fn a_number_without_a_name_that_only_rises_turns_out_to_count() {
        let cycles = (0..300).map(|hour| 340.0 + f64::from(hour / 20));
        assert_eq!(watched(DeviceClass::GenericNumber, "cycles", cycles.clone()), DeviceClass::Count);
        assert_eq!(watched(DeviceClass::GenericNumber, "%", cycles), DeviceClass::GenericNumber, "a level");
        let people = (0..300).map(|hour| f64::from(hour % 3));
        assert_eq!(watched(DeviceClass::GenericNumber, "people", people), DeviceClass::GenericNumber);
    }

    #[test]
    fn what_somebody_said_is_not_doubted() {
        let mut shape = Shape::settled();
        for hour in 0..400 {
            assert_eq!(shape.see(DeviceClass::Energy, hour * HOUR, (hour % 7) as f64), None);
        }
    }
}
