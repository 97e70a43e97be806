//! The unit that people read: litres an hour where a meter counts cubic metres, kWh a day where it counts kWh.

use std::borrow::Cow;

use crate::class::DeviceClass;

/// A unit as people read it, and how many of it one of the unit that is scored makes.
#[derive(Debug, Clone, PartialEq)]
pub struct DisplayUnit {
    /// Times the scored number.
    pub factor: f32,
    /// Its name; empty where there is none.
    pub name: Cow<'static, str>,
}

impl DisplayUnit {
    /// What people read for the numbers of an entity of `class` that are scored in `unit`
    /// ([`EntityInfo::shown_unit`](crate::reading::EntityInfo::shown_unit)). Of what is not counted by the hour, `unit` itself.
    #[must_use]
    pub fn of(class: DeviceClass, unit: &str) -> Self {
        let own = || Self { factor: 1.0, name: Cow::Owned(unit.to_owned()) };
        let Some(counted) = unit.strip_suffix("/h") else { return own() };
        if !class.counter() {
            return own();
        }
        let of = |factor: f32, name: &'static str| Self { factor, name: Cow::Borrowed(name) };
        match (class, counted) {
            (DeviceClass::Water, "m³" | "m3") => of(1_000.0, "L/h"),
            (DeviceClass::Water, "CCF") => of(100.0, "ft³/h"),
            (DeviceClass::Water, "MCF") => of(1_000.0, "ft³/h"),
            (DeviceClass::Water | DeviceClass::Count, _) => own(),
            // What is burnt and what is drawn is read by the day.
            (_, counted) => Self { factor: 24.0, name: Cow::Owned(format!("{counted}/day")) },
        }
    }

    /// `value` in this unit.
    #[must_use]
    pub fn convert(&self, value: f32) -> f32 {
        value * self.factor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_in_the_units_of_bills_and_taps_and_everything_else_in_its_own() {
        let read = |class, unit: &str, value| {
            let display = DisplayUnit::of(class, unit);
            (display.convert(value), display.name.into_owned())
        };
        assert_eq!(read(DeviceClass::Water, "m³/h", 0.02), (20.0, "L/h".to_owned()));
        assert_eq!(read(DeviceClass::Water, "gal/h", 3.0), (3.0, "gal/h".to_owned()));
        assert_eq!(read(DeviceClass::Water, "CCF/h", 0.5), (50.0, "ft³/h".to_owned()));
        assert_eq!(read(DeviceClass::Energy, "kWh/h", 0.5), (12.0, "kWh/day".to_owned()));
        assert_eq!(read(DeviceClass::Gas, "m³/h", 0.25), (6.0, "m³/day".to_owned()));
        assert_eq!(read(DeviceClass::GenericNumber, "km/h", 30.0), (30.0, "km/h".to_owned()));
        assert_eq!(read(DeviceClass::Temperature, "°C", 21.0), (21.0, "°C".to_owned()));
    }
}
