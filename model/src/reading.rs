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
    /// The limits of [`DeviceClass::physics`] in this entity's unit; none where the class has none.
    #[must_use]
    pub fn physics(&self) -> Option<(f64, f64)> {
        self.class.physics_in(&self.unit)
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
