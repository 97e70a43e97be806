//! Units of measurement, by Home Assistant's names and the usual other spellings, and conversion within a quantity.
//!
//! A sensor that reported °F and reports °C from now on measures what it did before. What is not in the table converts into
//! nothing but itself.

mod display;
mod number;
mod spelling;
mod table;

pub use display::DisplayUnit;
pub use number::{number, numbers};

use crate::class::DeviceClass;
use spelling::spelled;

/// What a unit measures. Two units convert into one another when they share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// A direction or a turn.
    Angle,
    /// An area.
    Area,
    /// Electric power with its reactive part.
    ApparentPower,
    /// Electric conductivity of water or soil.
    Conductivity,
    /// Electric current.
    Current,
    /// Data per time.
    DataRate,
    /// An amount of data.
    DataSize,
    /// Mass per volume.
    Density,
    /// Energy.
    Energy,
    /// Events per time.
    Frequency,
    /// Light on a surface.
    Illuminance,
    /// Radiant power on a surface.
    Irradiance,
    /// A length, or a depth of rain.
    Length,
    /// A mass.
    Mass,
    /// Power.
    Power,
    /// Pressure.
    Pressure,
    /// Radioactive decays per volume.
    Radiation,
    /// A share of a whole.
    Ratio,
    /// Reactive energy.
    ReactiveEnergy,
    /// Reactive power.
    ReactivePower,
    /// Noise, in decibels of whatever reference.
    Sound,
    /// Length per time, rain per time included.
    Speed,
    /// Temperature.
    Temperature,
    /// A span of time.
    Time,
    /// Electric potential.
    Voltage,
    /// Volume.
    Volume,
    /// Volume per time.
    VolumeFlow,
}

/// A unit: base = (value − zero) · times / over. Two factors, so that 9/5 stays exact.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unit {
    /// What it measures.
    pub quantity: Quantity,
    zero: f64,
    times: f64,
    over: f64,
}

impl Unit {
    /// The unit that a text names; none when it is not in the table. Spellings differ: `m3` is m³, `μ` and `µ` are the same,
    /// and where only one unit is meant, so are `kwh` and `kWh`.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        let name = spelled(name);
        if name.is_empty() {
            return None;
        }
        let of = |row: &table::Row| Self { quantity: row.quantity, zero: row.zero, times: row.times, over: row.over };
        if let Some(row) = table::rows().find(|row| row.name == name) {
            return Some(of(&row));
        }
        let mut alike = table::rows().filter(|row| row.name.eq_ignore_ascii_case(&name)).map(|row| of(&row));
        let found = alike.next()?;
        alike.all(|other| other == found).then_some(found)
    }

    /// Home Assistant's name of the unit that `name` spells otherwise (`Celsius`, `ºC`, `kwh`); none where it is that name
    /// already, or no unit of the table.
    #[must_use]
    pub fn canonical(class: DeviceClass, name: &str) -> Option<&'static str> {
        let spelled = spelled(name);
        if spelled.is_empty() {
            return None;
        }
        if let Some(unit) = meant(class, &spelled) {
            return Some(unit);
        }
        let exact = table::rows().find(|row| row.name == spelled);
        let row = match exact {
            Some(row) => row,
            None => {
                Self::find(name)?;
                table::rows().find(|row| row.name.eq_ignore_ascii_case(&spelled))?
            }
        };
        let usual = spelling::usual(row.name);
        // `m3` and the two letters for micro are as good as the name itself.
        (usual != name.trim() && usual != spelling::ascii(name.trim())).then_some(usual)
    }

    /// The unit of an entity. A bare `°` is a degree Celsius where it stands for a temperature, and `w` a watt where it stands for power.
    #[must_use]
    pub fn of(class: DeviceClass, name: &str) -> Option<Self> {
        Self::find(meant(class, &spelled(name)).unwrap_or(name))
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

/// The way from one unit to another of the same quantity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conversion {
    from: Unit,
    to: Unit,
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
        (from.quantity == to.quantity && absolute).then_some(Self { from, to })
    }

    /// A value in the other unit.
    #[must_use]
    pub fn apply(self, value: f64) -> f64 {
        if self.from == self.to {
            return value;
        }
        (value - self.from.zero) * (self.from.times * self.to.over) / (self.from.over * self.to.times) + self.to.zero
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
    fn case_is_forgiven_where_it_distinguishes_nothing() {
        assert_eq!(Unit::find("KWH"), Unit::find("kWh"));
        assert_eq!(Unit::find("l"), Unit::find("L"));
        assert_eq!(Unit::find("MW").map(|unit| unit.times), Some(1e6));
        assert_eq!(Unit::find("Mw"), None, "milli or mega?");
    }
}
