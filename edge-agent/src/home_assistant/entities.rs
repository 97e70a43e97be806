//! From Home Assistant's compressed entity events to readings: pure, no socket.
//!
//! `subscribe_entities` sends `a` (an entity with all its attributes), `c` (what changed of it) and `r` (it is gone).
//! Only states that can be judged become numbers: `unavailable`, `unknown`, empty and text are gaps.

use std::collections::{BTreeMap, HashMap, HashSet};

use hearthwatch_model::class::DeviceClass;
use hearthwatch_model::reading::{EntityInfo, Value};
use serde::Deserialize;

/// Most entities watched in one home. An entity's histories and feature ring take about 50 kB, so 500 take 25 MB.
pub const WATCHED_MAX: usize = 500;

/// One event of `subscribe_entities`.
#[derive(Debug, Default, Deserialize)]
pub struct EntitiesEvent {
    /// New ones, in full; sorted, so that entities are numbered alike in every run.
    #[serde(default, rename = "a")]
    pub added: BTreeMap<String, CompressedState>,
    /// Changed ones.
    #[serde(default, rename = "c")]
    pub changed: BTreeMap<String, CompressedChange>,
    /// Gone ones.
    #[serde(default, rename = "r")]
    pub removed: Vec<String>,
}

/// A state in full, or the part of it that changed.
#[derive(Debug, Default, Deserialize)]
pub struct CompressedState {
    /// The state's text.
    #[serde(rename = "s")]
    pub state: Option<String>,
    /// The attributes that matter here.
    #[serde(default, rename = "a")]
    pub attributes: Option<Attributes>,
    /// Last changed, Unix seconds.
    #[serde(rename = "lc")]
    pub last_changed: Option<f64>,
    /// Last updated, Unix seconds; absent when equal to `lc`.
    #[serde(rename = "lu")]
    pub last_updated: Option<f64>,
}

/// What changed of a state.
#[derive(Debug, Default, Deserialize)]
pub struct CompressedChange {
    /// New and different parts.
    #[serde(default, rename = "+")]
    pub plus: CompressedState,
}

/// The attributes that say what a state means.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Attributes {
    /// Home Assistant's device class.
    pub device_class: Option<String>,
    /// The unit of the state.
    pub unit_of_measurement: Option<String>,
    /// What Home Assistant calls the entity.
    pub friendly_name: Option<String>,
}

impl Attributes {
    /// These, and of the older ones what these do not say: of a change Home Assistant tells only what is new.
    fn over(&self, older: &Self) -> Self {
        let of = |new: &Option<String>, old: &Option<String>| new.clone().or_else(|| old.clone());
        Self {
            device_class: of(&self.device_class, &older.device_class),
            unit_of_measurement: of(&self.unit_of_measurement, &older.unit_of_measurement),
            friendly_name: of(&self.friendly_name, &older.friendly_name),
        }
    }
}

/// What an event means to the agent, in the order in which it is to be told.
#[derive(Debug, Clone, PartialEq)]
pub enum EntityChange {
    /// An entity that can be watched, seen for the first time or under another unit or class.
    Found(EntityInfo),
    /// A state of an entity that is watched.
    Stated {
        /// Which.
        entity_id: String,
        /// Unix seconds.
        at: i64,
        /// The state.
        value: Value,
    },
}

/// Which entities are watched, and how their states read.
#[derive(Debug, Default)]
pub struct WatchedEntities {
    known: HashMap<String, Known>,
    ignored: HashSet<String>,
    refused: usize,
}

#[derive(Debug)]
struct Known {
    class: DeviceClass,
    attributes: Attributes,
}

impl WatchedEntities {
    /// Do not watch these and no others: the agent's own entities, and what the resident excludes. Tells which were
    /// watched until now.
    pub fn set_ignored(&mut self, entity_ids: HashSet<String>) -> Vec<String> {
        self.ignored = entity_ids;
        let (known, ignored) = (&mut self.known, &self.ignored);
        known.extract_if(|entity_id, _| ignored.contains(entity_id)).map(|(entity_id, _)| entity_id).collect()
    }

    /// Home Assistant calls a watched entity by another id from now on.
    pub fn rename(&mut self, from: &str, to: &str) {
        if let Some(known) = self.known.remove(from) {
            self.known.insert(to.to_owned(), known);
        }
    }

    /// An entity is no more.
    pub fn forget(&mut self, entity_id: &str) {
        self.known.remove(entity_id);
    }

    /// How many are watched.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is watched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// How many could have been watched, were it not for [`WATCHED_MAX`].
    #[must_use]
    pub fn refused(&self) -> usize {
        self.refused
    }

    /// The class of a watched entity.
    #[must_use]
    pub fn class(&self, entity_id: &str) -> Option<DeviceClass> {
        self.known.get(entity_id).map(|known| known.class)
    }

    /// Whether `event` brings an entity that would be taken in, or takes away one that is watched: then the registries
    /// say what it means.
    #[must_use]
    pub fn finds_in(&self, event: &EntitiesEvent) -> bool {
        let found = event.added.iter().any(|(entity_id, state)| {
            let class = state.attributes.as_ref().and_then(|attributes| class_of(entity_id, attributes));
            class.is_some() && !self.known.contains_key(entity_id) && !self.ignored.contains(entity_id)
        });
        found || event.removed.iter().any(|entity_id| self.known.contains_key(entity_id))
    }

    /// Takes an entity in, if it can be watched and is not yet, or not under this unit and class.
    pub fn consider(&mut self, entity_id: &str, attributes: &Attributes) -> Option<EntityInfo> {
        if self.ignored.contains(entity_id) {
            return None;
        }
        let before = self.known.get(entity_id);
        let attributes = before.map_or_else(|| attributes.clone(), |before| attributes.over(&before.attributes));
        let class = class_of(entity_id, &attributes)?;
        let unit = |attributes: &Attributes| {
            attributes.unit_of_measurement.clone().filter(|_| !class.is_binary()).unwrap_or_default()
        };
        let info = EntityInfo { entity_id: entity_id.to_owned(), class, unit: unit(&attributes) };
        if before.is_some_and(|before| before.class == class && unit(&before.attributes) == info.unit) {
            return None;
        }
        if before.is_none() && self.known.len() >= WATCHED_MAX {
            self.refused += 1;
            return None;
        }
        self.known.insert(entity_id.to_owned(), Known { class, attributes });
        Some(info)
    }

    /// What `event`, received at `now`, means.
    pub fn apply(&mut self, event: &EntitiesEvent, now: i64) -> Vec<EntityChange> {
        let changed = event.changed.iter().map(|(id, change)| (id, &change.plus));
        let mut changes = Vec::new();
        for (entity_id, state) in event.added.iter().chain(changed) {
            if let Some(info) = state.attributes.as_ref().and_then(|found| self.consider(entity_id, found)) {
                changes.push(EntityChange::Found(info));
            }
            if let (Some(class), Some(text)) = (self.class(entity_id), state.state.as_deref()) {
                let at = state.last_changed.or(state.last_updated).map_or(now, whole_seconds);
                changes.push(EntityChange::Stated {
                    entity_id: entity_id.clone(),
                    at,
                    value: parse_state(class, text),
                });
            }
        }
        for entity_id in event.removed.iter().filter(|id| self.known.contains_key(*id)) {
            changes.push(EntityChange::Stated { entity_id: entity_id.clone(), at: now, value: Value::Gap });
        }
        changes
    }
}

fn class_of(entity_id: &str, attributes: &Attributes) -> Option<DeviceClass> {
    let unit = attributes.unit_of_measurement.as_deref();
    DeviceClass::guess(entity_id, attributes.device_class.as_deref(), unit)
}

/// Reads a state's text as its class says; what is no value of the class is a gap.
#[must_use]
pub fn parse_state(class: DeviceClass, text: &str) -> Value {
    crate::state::value_of(class, text).unwrap_or(Value::Gap)
}

/// Rounded up: a step covers what came *after* its begin, so a state of 0.3 s past a step's end belongs to the next.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "Unix seconds of any plausible clock fit; `as` saturates")]
pub fn whole_seconds(seconds: f64) -> i64 {
    seconds.ceil() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(text: &str) -> EntitiesEvent {
        serde_json::from_str(text).unwrap()
    }

    fn stated(entity_id: &str, at: i64, value: Value) -> EntityChange {
        EntityChange::Stated { entity_id: entity_id.to_owned(), at, value }
    }

    const SNAPSHOT: &str = r#"{"a": {
        "sensor.kitchen_temperature": {"s": "20.5", "a": {"state_class": "measurement", "unit_of_measurement": "°C",
            "device_class": "temperature", "friendly_name": "Kitchen"}, "c": "01M7", "lc": 1795295617.15},
        "binary_sensor.kitchen_motion": {"s": "off", "a": {"device_class": "motion"}, "c": {"id": "1"}, "lc": 1795295600.0},
        "sensor.backup_next": {"s": "unknown", "a": {"device_class": "timestamp"}, "c": "01", "lc": 1.0}}}"#;

    #[test]
    fn a_snapshot_finds_what_can_be_watched_and_states_it() {
        let mut watched = WatchedEntities::default();
        let changes = watched.apply(&event(SNAPSHOT), 0);
        let motion = EntityInfo {
            entity_id: "binary_sensor.kitchen_motion".to_owned(),
            class: DeviceClass::Motion,
            unit: String::new(),
        };
        let temperature = EntityInfo {
            entity_id: "sensor.kitchen_temperature".to_owned(),
            class: DeviceClass::Temperature,
            unit: "°C".to_owned(),
        };
        assert_eq!(
            changes,
            [
                EntityChange::Found(motion),
                stated("binary_sensor.kitchen_motion", 1_795_295_600, Value::Binary(false)),
                EntityChange::Found(temperature),
                stated("sensor.kitchen_temperature", 1_795_295_618, Value::Number(20.5)),
            ]
        );
    }

    #[test]
    fn a_change_states_only_what_is_watched() {
        let mut watched = WatchedEntities::default();
        watched.apply(&event(SNAPSHOT), 0);
        let change = r#"{"c": {"sensor.kitchen_temperature": {"+": {"s": "21", "lc": 700.0, "c": "x"}},
            "sensor.backup_next": {"+": {"s": "2026", "lc": 700.0}}}}"#;
        let changes = watched.apply(&event(change), 0);
        assert_eq!(changes, [stated("sensor.kitchen_temperature", 700, Value::Number(21.0))]);
    }

    #[test]
    fn a_change_of_attributes_alone_is_not_a_reading() {
        let mut watched = WatchedEntities::default();
        watched.apply(&event(SNAPSHOT), 0);
        let change =
            r#"{"c": {"sensor.kitchen_temperature": {"+": {"lu": 700.0, "a": {"icon": "x"}}, "-": {"a": ["b"]}}}}"#;
        assert_eq!(watched.apply(&event(change), 0), []);
    }

    #[test]
    fn unavailable_unknown_text_and_removal_are_gaps() {
        for text in ["unavailable", "unknown", "", "idle", "NaN", "inf"] {
            assert_eq!(parse_state(DeviceClass::Temperature, text), Value::Gap, "{text}");
            assert_eq!(parse_state(DeviceClass::Motion, text), Value::Gap, "{text}");
        }
        let mut watched = WatchedEntities::default();
        watched.apply(&event(SNAPSHOT), 0);
        let removed = watched.apply(&event(r#"{"r": ["sensor.kitchen_temperature", "light.hall"]}"#), 800);
        assert_eq!(removed, [stated("sensor.kitchen_temperature", 800, Value::Gap)]);
    }

    #[test]
    fn only_an_entity_that_could_be_watched_is_a_find() {
        let mut watched = WatchedEntities::default();
        assert!(watched.finds_in(&event(SNAPSHOT)));
        watched.apply(&event(SNAPSHOT), 0);
        assert!(!watched.finds_in(&event(SNAPSHOT)), "known already, or of no class");
        assert!(watched.finds_in(&event(r#"{"r": ["sensor.kitchen_temperature"]}"#)), "renamed, perhaps");
    }

    #[test]
    fn an_ignored_entity_is_never_watched() {
        let mut watched = WatchedEntities::default();
        let ignored = ["binary_sensor.kitchen_motion", "sensor.kitchen_temperature"].map(str::to_owned);
        assert!(watched.set_ignored(ignored.into()).is_empty());
        assert_eq!(watched.apply(&event(SNAPSHOT), 0), []);
        watched.set_ignored(HashSet::new());
        assert_eq!(watched.apply(&event(SNAPSHOT), 0).len(), 4);
        assert_eq!(
            watched.set_ignored(["sensor.kitchen_temperature".to_owned()].into()),
            ["sensor.kitchen_temperature"]
        );
    }

    #[test]
    fn no_more_than_the_bound_is_watched_and_the_rest_is_counted() {
        let mut watched = WatchedEntities::default();
        let attributes = Attributes { device_class: Some("temperature".to_owned()), ..Attributes::default() };
        for number in 0..WATCHED_MAX + 3 {
            watched.consider(&format!("sensor.t{number}"), &attributes);
        }
        assert_eq!((watched.len(), watched.refused()), (WATCHED_MAX, 3));
    }

    #[test]
    fn a_change_of_the_unit_alone_is_another_meaning_of_the_same_entity() {
        let mut watched = WatchedEntities::default();
        let first: EntitiesEvent = serde_json::from_str(
            r#"{"a": {"sensor.t": {"s": "20", "a": {"device_class": "temperature", "unit_of_measurement": "°C"}, "lc": 1}}}"#,
        )
        .unwrap();
        assert_eq!(watched.apply(&first, 1).len(), 2);
        let other: EntitiesEvent = serde_json::from_str(
            r#"{"c": {"sensor.t": {"+": {"s": "68", "a": {"unit_of_measurement": "°F"}, "lc": 2}}}}"#,
        )
        .unwrap();
        let info = EntityInfo { entity_id: "sensor.t".into(), class: DeviceClass::Temperature, unit: "°F".into() };
        let stated = EntityChange::Stated { entity_id: "sensor.t".into(), at: 2, value: Value::Number(68.0) };
        assert_eq!(watched.apply(&other, 2), [EntityChange::Found(info), stated.clone()]);
        assert_eq!(watched.apply(&other, 2), [stated], "told once");
    }
}
