//! What a class makes of units: which one an ambiguous name means, what converts, and what people read.

use std::borrow::Cow;

use super::DeviceClass;
use crate::unit::{Conversion, DisplayUnit, Quantity, Unit, spelled};

impl Unit {
    /// The unit of an entity. A bare `°` is a degree Celsius where it stands for a temperature, and `w` a watt where it stands for power.
    #[must_use]
    pub fn of(class: DeviceClass, name: &str) -> Option<Self> {
        Self::find(meant(class, &spelled(name)).unwrap_or(name))
    }

    /// Home Assistant's name of the unit that `name` spells otherwise (`Celsius`, `ºC`, `kwh`); none where it is that name
    /// already, or no unit of the table.
    #[must_use]
    pub fn canonical(class: DeviceClass, name: &str) -> Option<&'static str> {
        meant(class, &spelled(name)).or_else(|| Self::canonical_name(name))
    }
}

/// What a name that is two units means for a class.
fn meant(class: DeviceClass, spelled: &str) -> Option<&'static str> {
    match (class, spelled) {
        (DeviceClass::Temperature, "°") => Some("°C"),
        (DeviceClass::Power, "w") => Some("W"),
        _ => None,
    }
}

impl Conversion {
    /// From `from` to `to`, as an entity of `class` writes them; none when they measure different things or are not known.
    ///
    /// A temperature converts for the class of temperatures alone: a *difference* of 10 °F is not −12 °C, and an entity of
    /// another class may be one.
    #[must_use]
    pub fn between(class: DeviceClass, from: &str, to: &str) -> Option<Self> {
        let (from, to) = (Unit::of(class, from)?, Unit::of(class, to)?);
        let absolute = from.quantity != Quantity::Temperature || class == DeviceClass::Temperature || from == to;
        Self::from_to(from, to).filter(|_| absolute)
    }
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn convert(class: DeviceClass, value: f64, from: &str, to: &str) -> Option<f64> {
        Conversion::between(class, from, to).map(|way| way.apply(value))
    }

    #[test]
    fn known_values_convert() {
        for (value, from, to, expected) in [
            (70.0, "°F", "°C", 21.111_111),
            (-0.4, "°F", "°C", -18.0),
            (-18.0, "°C", "°F", -0.4),
            (0.0, "K", "°F", -459.67),
            (21.0, "℃", "C", 21.0),
            (70.0, "℉", "°", 21.111_111),
        ] {
            let found = convert(DeviceClass::Temperature, value, from, to).unwrap();
            assert!((found - expected).abs() < 1e-5, "{value} {from} is {found} {to}");
        }
        for (value, from, to, expected) in [
            (1.5, "kW", "W", 1500.0),
            (1.0, "MW", "mW", 1e9),
            (3412.142, "BTU/h", "W", 1000.0),
            (1.0, "kWh", "Wh", 1000.0),
            (1.0, "kWh", "MJ", 3.6),
            (1.0, "GJ", "kWh", 277.777_78),
            (1.0, "kcal", "J", 4184.0),
            (1.0, "m³", "L", 1000.0),
            (1.0, "m3", "mL", 1e6),
            (1.0, "ft³", "L", 28.316_847),
            (1.0, "CCF", "m³", 2.831_684_7),
            (1.0, "MCF", "CCF", 10.0),
            (1.0, "gal", "L", 3.785_411_8),
            (128.0, "fl. oz.", "gal", 1.0),
            (60.0, "L/h", "L/min", 1.0),
            (3.6, "m³/h", "L/s", 1.0),
            (1.0, "m³/s", "L/min", 60_000.0),
            (1.0, "ft³/min", "m³/h", 1.699_010_8),
            (1.0, "gal/min", "gal/h", 60.0),
            (1.0, "gal/h", "gal/d", 24.0),
            (230.0, "V", "mV", 230_000.0),
            (1.0, "kV", "μV", 1e9),
            (1500.0, "mA", "A", 1.5),
            (1013.25, "hPa", "kPa", 101.325),
            (1.0, "bar", "mbar", 1000.0),
            (1.0, "atm", "Pa", 101_325.0),
            (29.92, "inHg", "hPa", 1013.207),
            (760.0, "mmHg", "hPa", 1013.247),
            (14.5038, "psi", "bar", 1.0),
            (1.0, "inH₂O", "Pa", 249.088_91),
            (1.0, "ppm", "ppb", 1000.0),
            (1.0, "mg/m³", "µg/m³", 1000.0),
            (1.0, "GB", "MB", 1000.0),
            (1.0, "GiB", "MiB", 1024.0),
            (8.0, "Mbit", "MB", 1.0),
            (1.0, "MiB/s", "kB/s", 1048.576),
            (1.0, "in", "mm", 25.4),
            (36.0, "km/h", "m/s", 10.0),
            (1.0, "lb", "g", 453.592_37),
        ] {
            let found =
                convert(DeviceClass::GenericNumber, value, from, to).unwrap_or_else(|| panic!("{from} to {to}"));
            assert!((found / expected - 1.0).abs() < 1e-5, "{value} {from} is {found} {to}");
        }
    }

    #[test]
    fn words_lost_degrees_and_other_character_sets_are_spellings_of_the_same_unit() {
        for (written, unit) in [
            ("ºC", "°C"),
            ("Celsius", "°C"),
            ("Â°C", "°C"),
            ("øC", "°C"),
            ("&deg;C", "°C"),
            ("° C", "°C"),
            ("°c", "°C"),
            ("degree C", "°C"),
            ("degrees Celsius", "°C"),
            ("C", "°C"),
            ("Fahrenheit", "°F"),
            ("Watt", "W"),
            ("kilowatt", "kW"),
            ("kwh", "kWh"),
            ("Volts", "V"),
            ("Ampere", "A"),
            ("litres", "L"),
            ("cbm", "m³"),
            ("m^3", "m³"),
            ("percent", "%"),
            ("lux", "lx"),
        ] {
            assert_eq!(Unit::find(written), Unit::find(unit), "{written}");
            assert_eq!(Unit::canonical(DeviceClass::GenericNumber, written), Some(unit), "{written}");
        }
        assert_eq!(Unit::canonical(DeviceClass::Temperature, "Grad"), Some("°C"));
        assert_eq!(Unit::canonical(DeviceClass::GenericNumber, "Grad"), Some("°"));
        for own in ["°C", "m3", "μg/m³", "mbar", "furlong", ""] {
            assert_eq!(Unit::canonical(DeviceClass::Temperature, own), None, "{own}");
        }
    }

    #[test]
    fn other_quantities_and_unknown_units_do_not_convert() {
        for (from, to) in [("°C", "%"), ("kWh", "kW"), ("W", "VA"), ("L", "L/h"), ("ppm", "µg/m³"), ("furlong", "m")]
        {
            assert_eq!(convert(DeviceClass::GenericNumber, 1.0, from, to), None, "{from} to {to}");
        }
        assert_eq!(convert(DeviceClass::GenericNumber, 10.0, "°F", "°C"), None, "it may be a difference");
        assert_eq!(convert(DeviceClass::GenericNumber, 10.0, "℃", "°C"), Some(10.0));
    }

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
