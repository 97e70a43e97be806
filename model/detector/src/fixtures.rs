//! Readings made up for the unit tests of this crate and of those above it: a rhythm, some noise, no story. No program uses them.

use crate::class::DeviceClass;
use crate::reading::{EntityInfo, Reading, Value};

/// A home with a temperature, a power and a humidity every ten minutes for so many days from 2026-01-01 on; another
/// `variant` is another home.
pub fn made_home(variant: u64, days: i64) -> (Vec<EntityInfo>, Vec<Reading>) {
    const START: i64 = 1_767_225_600;
    let entity =
        |entity_id: &str, class, unit: &str| EntityInfo { entity_id: entity_id.into(), class, unit: unit.into() };
    let entities = vec![
        entity("sensor.room_temperature", DeviceClass::Temperature, "°C"),
        entity("sensor.power", DeviceClass::Power, "W"),
        entity("sensor.room_humidity", DeviceClass::Humidity, "%"),
    ];
    let mut state = variant.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    // A linear congruential generator (Knuth's constants): test data needs no better one.
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from((state >> 40) as u32) / f64::from(1_u32 << 24) - 0.5
    };
    let mut readings = Vec::new();
    let mut slow = 0.0;
    for step in 1..=days * 144 {
        let phase = step as f64 * std::f64::consts::TAU / 144.0;
        slow = 0.97 * slow + 0.2 * noise();
        for (entity, value) in [
            21.0 + phase.sin() + slow,
            (250.0 + 150.0 * phase.cos() + 120.0 * noise()).max(0.0),
            50.0 + 4.0 * phase.cos() - 3.0 * slow + noise(),
        ]
        .into_iter()
        .enumerate()
        {
            readings.push(Reading { at: START + step * 600, entity: entity as u32, value: Value::Number(value) });
        }
    }
    (entities, readings)
}
