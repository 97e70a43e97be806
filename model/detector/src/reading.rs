//! What comes in: one state of one entity at one moment.

use serde::{Deserialize, Serialize};

use crate::class::DeviceClass;
use crate::unit::Conversion;

/// Largest magnitude that is kept as a number: a tenth of what an `f32` squares without overflow, and far above any
/// meter. What is larger is treated as a broken value.
pub const MAGNITUDE_MAX: f64 = 1e18;

/// An entity's state.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// A number in the entity's unit.
    Number(f64),
    /// On is `true`: open, wet, occupied, smoke seen.
    Binary(bool),
    /// Unavailable, unknown or empty.
    Gap,
}

/// One state of one entity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// When it was stated, in Unix seconds.
    pub at: i64,
    /// Index in the home's list of entities.
    pub entity: u32,
    /// The state.
    pub value: Value,
}

/// How large a difference must be for a resident to call it one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Noticeable {
    /// At least so much, in the unit that is shown, …
    pub least: f32,
    /// … and at least this share of the value.
    pub share: f32,
}

impl Noticeable {
    /// The smallest difference from `value`.
    #[must_use]
    pub fn from(self, value: f32) -> f32 {
        self.least.max(self.share * value.abs())
    }
}

/// What is known of an entity besides its states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityInfo {
    /// Home Assistant's id, such as `sensor.cellar_temperature`.
    pub entity_id: String,
    /// Decides how it is watched, and its index is an input of the network.
    pub class: DeviceClass,
    /// The unit of its numbers; empty for binary entities.
    pub unit: String,
}

impl EntityInfo {
    /// The limits of [`DeviceClass::physics`] in this entity's unit; none where the class has none.
    #[must_use]
    pub fn physics(&self) -> Option<(f64, f64)> {
        self.class.physics_in(&self.unit)
    }

    /// What can be measured, as people are told it. What is held for impossible ([`Self::physics`]) is a little wider: a sensor may be
    /// slightly off.
    #[must_use]
    pub fn possible(&self) -> Option<(f64, f64)> {
        match self.class {
            DeviceClass::Humidity | DeviceClass::Moisture | DeviceClass::Battery => Some((0.0, 100.0)),
            _ => self.physics(),
        }
    }

    /// Watts in one of the shown unit, for power, for the rate of an energy meter, and for a current at 230 V; none for others.
    #[must_use]
    pub fn watts(&self) -> Option<f32> {
        const VOLTS: f32 = 230.0;
        let factor = |to| Conversion::between(self.class, &self.unit, to).map(|way| way.apply(1.0) as f32);
        match self.class {
            DeviceClass::Power => Some(factor("W").or_else(|| factor("VA")).or_else(|| factor("var")).unwrap_or(1.0)),
            DeviceClass::Energy => factor("Wh"),
            DeviceClass::Current => Some(factor("A").unwrap_or(1.0) * VOLTS),
            _ => None,
        }
    }

    /// Litres an hour in one of the shown unit, for water meters and flows; none for others.
    #[must_use]
    pub fn litres_per_hour(&self) -> Option<f32> {
        let factor = |to| Conversion::between(self.class, &self.unit, to).map(|way| way.apply(1.0) as f32);
        match self.class {
            DeviceClass::Water => factor("L"),
            DeviceClass::VolumeFlowRate => factor("L/h"),
            _ => None,
        }
    }

    /// From this entity's temperatures to °C; none where it measures something else.
    #[must_use]
    pub fn to_celsius(&self) -> Option<Conversion> {
        Conversion::between(self.class, &self.unit, "°C").filter(|_| self.class == DeviceClass::Temperature)
    }

    /// The lowest that its shown values can be; minus infinity where nothing says so.
    #[must_use]
    pub fn lowest(&self) -> f32 {
        if self.class.counter() {
            return 0.0;
        }
        self.physics().map_or(f32::NEG_INFINITY, |(low, _)| low as f32)
    }

    /// The smallest difference that a resident would call one, in the shown unit.
    #[must_use]
    pub fn noticeable(&self) -> Noticeable {
        let of = |least: f32, share: f32| Noticeable { least, share };
        match self.class {
            // A difference of half a kelvin.
            DeviceClass::Temperature if self.unit.contains('F') || self.unit.contains('℉') => of(0.9, 0.0),
            DeviceClass::Temperature => of(0.5, 0.0),
            DeviceClass::Humidity | DeviceClass::SoundPressure | DeviceClass::Battery => of(3.0, 0.0),
            DeviceClass::CarbonDioxide => of(40.0, 0.05),
            DeviceClass::Illuminance => of(10.0, 0.1),
            DeviceClass::Pm25 | DeviceClass::Pm10 | DeviceClass::Pm1 => of(2.0, 0.1),
            DeviceClass::Power | DeviceClass::Energy | DeviceClass::Current => {
                of(15.0 / self.watts().unwrap_or(1.0), 0.05)
            }
            DeviceClass::Water | DeviceClass::VolumeFlowRate => of(3.0 / self.litres_per_hour().unwrap_or(3.0), 0.05),
            // Air pressure moves with the weather by less than this in half an hour, four thousandths of itself.
            DeviceClass::Pressure => of(0.0, 0.004),
            DeviceClass::Voltage => of(0.0, 0.01),
            _ => of(0.0, 0.0),
        }
    }

    /// The unit of what is watched, scored and shown: a meter's consumption per hour, a binary entity's share of the
    /// step that it was on, else the entity's own unit.
    #[must_use]
    pub fn shown_unit(&self) -> String {
        if self.class.counter() {
            format!("{}/h", self.unit)
        } else if self.class.is_binary() {
            String::new()
        } else {
            self.unit.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thermometer(unit: &str) -> EntityInfo {
        EntityInfo { entity_id: "sensor.cellar".into(), class: DeviceClass::Temperature, unit: unit.into() }
    }

    #[test]
    fn physical_limits_follow_the_unit() {
        assert_eq!(thermometer("°C").physics(), Some((-60.0, 150.0)));
        assert_eq!(thermometer("°F").physics(), Some((-76.0, 302.0)));
    }

    #[test]
    fn loads_and_flows_are_counted_in_watts_and_litres_an_hour() {
        let of = |class, unit: &str| EntityInfo { entity_id: "sensor.one".into(), class, unit: unit.into() };
        assert_eq!(of(DeviceClass::Power, "kW").watts(), Some(1000.0));
        assert_eq!(of(DeviceClass::Energy, "kWh").watts(), Some(1000.0));
        assert_eq!(of(DeviceClass::Current, "mA").watts(), Some(0.23));
        assert_eq!(of(DeviceClass::Water, "m³").litres_per_hour(), Some(1000.0));
        assert_eq!(of(DeviceClass::VolumeFlowRate, "L/min").litres_per_hour(), Some(60.0));
        assert_eq!(of(DeviceClass::Humidity, "%").watts(), None);
        assert_eq!(thermometer("°F").to_celsius().map(|way| way.apply(14.0)), Some(-10.0));
    }

    #[test]
    fn a_meter_is_shown_as_consumption_per_hour() {
        let meter = EntityInfo { entity_id: "sensor.water".into(), class: DeviceClass::Water, unit: "L".into() };
        assert_eq!(meter.shown_unit(), "L/h");
    }
}
