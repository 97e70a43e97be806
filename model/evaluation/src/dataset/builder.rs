//! Collects one home's readings in any order and hands them out sorted.

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::reading::{EntityInfo, Reading, Value};

use super::home::{Label, LabelOrigin, RecordedHome};

/// A home under construction.
pub(super) struct HomeBuilder {
    home: RecordedHome,
}

impl HomeBuilder {
    pub fn new(set: &str, name: &str, timezone: &str) -> Self {
        Self {
            home: RecordedHome {
                name: name.to_owned(),
                set: set.to_owned(),
                timezone: timezone.to_owned(),
                entities: Vec::new(),
                readings: Vec::new(),
                labels: Vec::new(),
            },
        }
    }

    /// Adds an entity; its index is what the other methods want.
    pub fn entity(&mut self, entity_id: &str, class: DeviceClass, unit: &str) -> u32 {
        self.home.entities.push(EntityInfo { entity_id: entity_id.to_owned(), class, unit: unit.to_owned() });
        (self.home.entities.len() - 1) as u32
    }

    /// Adds a number; `None` is a gap.
    pub fn number(&mut self, entity: u32, at: i64, value: Option<f64>) {
        let value = value.filter(|value| value.is_finite()).map_or(Value::Gap, Value::Number);
        self.home.readings.push(Reading { at, entity, value });
    }

    /// Adds an on/off state.
    pub fn binary(&mut self, entity: u32, at: i64, state: bool) {
        self.home.readings.push(Reading { at, entity, value: Value::Binary(state) });
    }

    /// Notes a fault that the recording's authors labelled.
    pub fn label(&mut self, entity: u32, start: i64, end: i64, family: &str) {
        self.home.labels.push(Label { entity, start, end, family: family.to_owned(), origin: LabelOrigin::Real });
    }

    /// The home with its readings sorted; of several readings of an entity in the same second the last given stays.
    pub fn finish(mut self) -> RecordedHome {
        self.home.readings.reverse();
        self.home.readings.sort_by_key(|reading| (reading.at, reading.entity));
        self.home.readings.dedup_by_key(|reading| (reading.at, reading.entity));
        self.home.labels.sort_by_key(|label| (label.start, label.entity));
        self.home
    }
}
