//! What comes in: one state of one entity at one moment.

use serde::{Deserialize, Serialize};

use crate::class::DeviceClass;

/// Largest magnitude that is kept as a number: a tenth of what an `f32` squares without overflow, and far above any
/// meter. What is larger is treated as a broken value.
pub const MAGNITUDE_MAX: f64 = 1e18;

/// An entity's state.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// A number in the entity's unit.
    Number(f64),
    /// On or off.
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

/// What is known of an entity besides its states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityInfo {
    /// Home Assistant's id, such as `sensor.cellar_temperature`.
    pub entity_id: String,
    /// What it measures.
    pub class: DeviceClass,
    /// The unit of its numbers; empty for binary entities.
    pub unit: String,
}

impl EntityInfo {
    /// The limits of [`DeviceClass::physics`] in this entity's unit; none where the class has none or the unit is not
    /// known to convert.
    #[must_use]
    pub fn physics(&self) -> Option<(f64, f64)> {
        let (low, high) = self.class.physics()?;
        let (factor, offset) = match (self.class, self.unit.as_str()) {
            (DeviceClass::Temperature, "°F" | "F") => (1.8, 32.0),
            (DeviceClass::Temperature, "K") => (1.0, 273.15),
            (DeviceClass::Power, "kW") | (DeviceClass::Voltage, "kV") => (1e-3, 0.0),
            (DeviceClass::Power | DeviceClass::Voltage | DeviceClass::Current, "mW" | "mV" | "mA") => (1e3, 0.0),
            _ => (1.0, 0.0),
        };
        Some((low * factor + offset, high * factor + offset))
    }

    /// Watts in one of the shown unit, for power, for the rate of an energy meter, and for a current at 230 V; none for others.
    #[must_use]
    pub fn watts(&self) -> Option<f32> {
        match (self.class, self.unit.as_str()) {
            (DeviceClass::Power, "kW" | "kVA" | "kvar") => Some(1e3),
            (DeviceClass::Power, "MW") => Some(1e6),
            (DeviceClass::Power, "mW") => Some(1e-3),
            (DeviceClass::Power, _) | (DeviceClass::Energy, "Wh") => Some(1.0),
            (DeviceClass::Energy, "kWh") => Some(1e3),
            (DeviceClass::Energy, "MWh") => Some(1e6),
            (DeviceClass::Current, "mA") => Some(0.23),
            (DeviceClass::Current, _) => Some(230.0),
            _ => None,
        }
    }

    /// Litres an hour in one of the shown unit, for water meters and flows of water; none for others.
    #[must_use]
    pub fn litres_per_hour(&self) -> Option<f32> {
        match (self.class, self.unit.as_str()) {
            (DeviceClass::Water, "L" | "l" | "") => Some(1.0),
            (DeviceClass::Water, "m³" | "m3") | (DeviceClass::VolumeFlowRate, "m³/h" | "m3/h") => Some(1e3),
            (DeviceClass::Water, "gal") | (DeviceClass::VolumeFlowRate, "gal/h") => Some(3.785_41),
            (DeviceClass::Water, "ft³" | "ft3") => Some(28.316_8),
            (DeviceClass::Water, "CCF") => Some(2831.68),
            (DeviceClass::VolumeFlowRate, "L/min" | "l/min") => Some(60.0),
            (DeviceClass::VolumeFlowRate, "gal/min") => Some(227.125),
            (DeviceClass::VolumeFlowRate, "L/h" | "l/h") => Some(1.0),
            _ => None,
        }
    }

    /// The smallest difference from `value` (in the shown unit) that a resident would call one; 0 where the class says nothing.
    #[must_use]
    pub fn noticeable(&self, value: f32) -> f32 {
        let relative = |share: f32| share * value.abs();
        match self.class {
            DeviceClass::Temperature if matches!(self.unit.as_str(), "°F" | "F") => 0.9,
            DeviceClass::Temperature => 0.5,
            DeviceClass::Humidity | DeviceClass::SoundPressure | DeviceClass::Battery => 3.0,
            DeviceClass::CarbonDioxide => relative(0.05).max(40.0),
            DeviceClass::Illuminance => relative(0.1).max(10.0),
            DeviceClass::Pm25 | DeviceClass::Pm10 | DeviceClass::Pm1 => relative(0.1).max(2.0),
            DeviceClass::Power | DeviceClass::Energy | DeviceClass::Current => {
                let watts = self.watts().unwrap_or(1.0);
                relative(0.05).max(15.0 / watts)
            }
            DeviceClass::Water | DeviceClass::VolumeFlowRate => {
                relative(0.05).max(3.0 / self.litres_per_hour().unwrap_or(3.0))
            }
            DeviceClass::Voltage => relative(0.01),
            _ => 0.0,
        }
    }

    /// A temperature of this entity in °C.
    #[must_use]
    pub fn celsius(&self, value: f32) -> f32 {
        match self.unit.as_str() {
            "°F" | "F" => (value - 32.0) / 1.8,
            "K" => value - 273.15,
            _ => value,
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
    fn a_meter_is_shown_as_consumption_per_hour() {
        let meter = EntityInfo { entity_id: "sensor.water".into(), class: DeviceClass::Water, unit: "L".into() };
        assert_eq!(meter.shown_unit(), "L/h");
    }
}
