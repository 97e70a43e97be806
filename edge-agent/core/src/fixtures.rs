//! An alarm made up for the unit tests of this crate and of those above it. No program uses it.

use hearthwatch_detector::alarm::{Alarm, Severity};
use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::finding::AnomalyKind;
use hearthwatch_detector::reading::EntityInfo;
use hearthwatch_protocol::ModelVersion;

use crate::alarm::StoredAlarm;
use crate::preferences::Place;

/// An entity of this class that reports in `unit`.
pub fn info(entity_id: &str, class: DeviceClass, unit: &str) -> EntityInfo {
    EntityInfo { entity_id: entity_id.to_owned(), class, unit: unit.to_owned() }
}

/// A temperature sensor in °C.
pub fn thermometer(entity_id: &str) -> EntityInfo {
    info(entity_id, DeviceClass::Temperature, "°C")
}

/// A level of 30 °C that lasts, where 20 °C is usual.
pub fn alarm(id: &str, raised_at: i64) -> Alarm {
    Alarm {
        id: id.to_owned(),
        entity: 0,
        start: raised_at - 600,
        end: None,
        raised_at,
        severity: Severity::Warning,
        score: 4.0,
        threshold: 3.0,
        observed: Some(30.0),
        band: None,
        kind: AnomalyKind::Level,
        amount: 0.0,
        usual: 0.0,
        reason: "30 °C, where 20 °C is usual.".to_owned(),
    }
}

/// An alarm that nobody has answered, of an entity without a name.
pub fn stored(alarm: Alarm, info: &EntityInfo) -> StoredAlarm {
    StoredAlarm::new(alarm, info, Place::default(), ModelVersion::ROUTINE)
}
