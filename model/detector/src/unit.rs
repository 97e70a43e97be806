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

pub(crate) use spelling::spelled;

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
    /// already, or no unit of the table. `name` must not mean different units for different classes.
    pub(crate) fn canonical_name(name: &str) -> Option<&'static str> {
        let spelled = spelled(name);
        if spelled.is_empty() {
            return None;
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
}

/// The way from one unit to another of the same quantity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conversion {
    from: Unit,
    to: Unit,
}

impl Conversion {
    /// From `from` to `to`; none when they measure different things.
    pub(crate) fn from_to(from: Unit, to: Unit) -> Option<Self> {
        (from.quantity == to.quantity).then_some(Self { from, to })
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

    #[test]
    fn case_is_forgiven_where_it_distinguishes_nothing() {
        assert_eq!(Unit::find("KWH"), Unit::find("kWh"));
        assert_eq!(Unit::find("l"), Unit::find("L"));
        assert_eq!(Unit::find("MW").map(|unit| unit.times), Some(1e6));
        assert_eq!(Unit::find("Mw"), None, "milli or mega?");
    }
}
