//! From Home Assistant's compressed entity events to readings: pure, no socket.
//!
//! `subscribe_entities` sends `a` (an entity with all its attributes), `c` (what changed of it) and `r` (it is gone).
//! Only states that can be judged become numbers: `unavailable`, `unknown`, empty and text are gaps.

use std::collections::{BTreeMap, HashMap, HashSet};

use hearthwatch_detector::class::{Described, DeviceClass, Shape};
use hearthwatch_detector::reading::{EntityInfo, Value};
use serde::{Deserialize, Deserializer};

/// Most entities watched in one home. An entity's histories and feature ring take about 50 kB, so 500 take 25 MB.
pub const WATCHED_MAX: usize = 500;

/// Home Assistant's clock and this machine's may be so far apart, in seconds, as may be late what it tells.
const CLOCKS_APART_MAX: i64 = 600;

/// One event of the subscription `subscribe_entities`, as Home Assistant compresses it.
#[derive(Debug, Default, Deserialize)]
pub struct EntitiesEvent {
    /// New ones, in full; sorted, so that entities are numbered alike in every run.
    #[serde(default, rename = "a")]
    pub added: BTreeMap<String, CompressedState>,
    /// By entity id.
    #[serde(default, rename = "c")]
    pub changed: BTreeMap<String, CompressedChange>,
    /// Entity ids.
    #[serde(default, rename = "r")]
    pub removed: Vec<String>,
}

/// A state in full, or the part of it that changed.
#[derive(Debug, Default, Deserialize)]
pub struct CompressedState {
    /// Home Assistant's text, for example `20.5`, `on` or `unavailable`; none where it did not change.
    #[serde(rename = "s")]
    pub state: Option<String>,
    /// None where they did not change.
    #[serde(default, rename = "a")]
    pub attributes: Option<Attributes>,
    /// Unix seconds with a fraction.
    #[serde(rename = "lc")]
    pub last_changed: Option<f64>,
    /// Last updated, Unix seconds; absent when equal to `lc`.
    #[serde(rename = "lu")]
    pub last_updated: Option<f64>,
}

/// The difference to the state before.
#[derive(Debug, Default, Deserialize)]
pub struct CompressedChange {
    /// New values.
    #[serde(default, rename = "+")]
    pub plus: CompressedState,
}

/// The attributes that decide how a state is read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Attributes {
    /// For example `temperature`.
    #[serde(default, deserialize_with = "text_or_nothing")]
    pub device_class: Option<String>,
    /// For example `measurement` or `total_increasing`.
    #[serde(default, deserialize_with = "text_or_nothing")]
    pub state_class: Option<String>,
    /// For example `°C`.
    #[serde(default, deserialize_with = "text_or_nothing")]
    pub unit_of_measurement: Option<String>,
    /// The name that Home Assistant shows.
    #[serde(default, deserialize_with = "text_or_nothing")]
    pub friendly_name: Option<String>,
}

/// Any integration may write anything into its attributes: what is no text is ignored.
fn text_or_nothing<'de, D: Deserializer<'de>>(source: D) -> Result<Option<String>, D::Error> {
    Ok(match serde_json::Value::deserialize(source)? {
        serde_json::Value::String(text) => Some(text),
        _ => None,
    })
}

impl Attributes {
    /// These, completed by the older ones: of a change, Home Assistant sends only what is new.
    fn over(&self, older: &Self) -> Self {
        let of = |new: &Option<String>, old: &Option<String>| new.clone().or_else(|| old.clone());
        Self {
            device_class: of(&self.device_class, &older.device_class),
            state_class: of(&self.state_class, &older.state_class),
            unit_of_measurement: of(&self.unit_of_measurement, &older.unit_of_measurement),
            friendly_name: of(&self.friendly_name, &older.friendly_name),
        }
    }
}

/// What an event means to the agent; to be applied in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum EntityChange {
    /// An entity that can be watched, seen for the first time or under another unit or class.
    Found(EntityInfo),
    /// A state of an entity that is watched.
    Stated {
        /// Home Assistant's id.
        entity_id: String,
        /// When the state was reported, Unix seconds.
        at: i64,
        /// A number or a gap, in the entity's unit.
        value: Value,
    },
}

/// Which entities are watched, and how their states read.
#[derive(Debug, Default)]
pub struct WatchedEntities {
    known: HashMap<String, Known>,
    ignored: HashSet<String>,
    refused: usize,
    /// What entities without a state class turned out to be before the last stop.
    found_out: HashMap<String, DeviceClass>,
    /// States whose time lay far from this machine's.
    strange_times: u64,
}

#[derive(Debug)]
struct Known {
    /// The class from its attributes.
    stated: DeviceClass,
    /// The class as which it is watched: from its attributes, or from its values.
    class: DeviceClass,
    attributes: Attributes,
    shape: Shape,
}

impl Known {
    fn info(&self, entity_id: &str) -> EntityInfo {
        EntityInfo { entity_id: entity_id.to_owned(), class: self.class, unit: unit_of(self.class, &self.attributes) }
    }
}

fn unit_of(class: DeviceClass, attributes: &Attributes) -> String {
    attributes.unit_of_measurement.clone().filter(|_| !class.is_binary()).unwrap_or_default()
}

impl WatchedEntities {
    /// Do not watch these and no others: the agent's own entities, and what the resident excludes. Returns those that were
    /// watched until now.
    pub fn set_ignored(&mut self, entity_ids: HashSet<String>) -> Vec<String> {
        self.ignored = entity_ids;
        let (known, ignored) = (&mut self.known, &self.ignored);
        known.extract_if(|entity_id, _| ignored.contains(entity_id)).map(|(entity_id, _)| entity_id).collect()
    }

    /// A watched entity has another id from now on.
    pub fn rename(&mut self, from: &str, to: &str) {
        if let Some(known) = self.known.remove(from) {
            self.known.insert(to.to_owned(), known);
        }
    }

    /// The entity was removed from Home Assistant.
    pub fn forget(&mut self, entity_id: &str) {
        self.known.remove(entity_id);
    }

    /// Those that are watched and are not among `present`, in order; they are no more watched.
    pub fn missing_from(&mut self, present: &HashSet<&str>) -> Vec<String> {
        let missing = self.known.extract_if(|entity_id, _| !present.contains(entity_id.as_str()));
        let mut missing: Vec<String> = missing.map(|(entity_id, _)| entity_id).collect();
        missing.sort();
        missing
    }

    /// Number of watched entities.
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

    /// None where it is not watched.
    #[must_use]
    pub fn class(&self, entity_id: &str) -> Option<DeviceClass> {
        self.known.get(entity_id).map(|known| known.class)
    }

    /// Class and unit of a watched entity; the unit is the one in which Home Assistant reports it now.
    #[must_use]
    pub fn info(&self, entity_id: &str) -> Option<EntityInfo> {
        self.known.get(entity_id).map(|known| known.info(entity_id))
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
        let stated = class_of(entity_id, &attributes)?;
        let unit = unit_of(stated, &attributes);
        if before.is_some_and(|before| before.stated == stated && unit_of(stated, &before.attributes) == unit) {
            return None;
        }
        if before.is_none() && self.known.len() >= WATCHED_MAX {
            self.refused += 1;
            return None;
        }
        let described = describe(entity_id, &attributes);
        let mut shape = described.shape(stated);
        let found_out = self.found_out.get(entity_id).filter(|class| shape.may_be(stated, **class));
        let class = found_out.copied().unwrap_or(stated);
        if class != stated {
            shape = Shape::settled();
        }
        let known = Known { stated, class, attributes, shape };
        let info = known.info(entity_id);
        self.known.insert(entity_id.to_owned(), known);
        Some(info)
    }

    /// Tells as what each entity was watched before the last stop: what its values showed need not be found out again.
    pub fn remember(&mut self, classes: HashMap<String, DeviceClass>) {
        self.found_out = classes;
    }

    /// Takes a value; returns the entity where the value shows that it is something else than was assumed.
    fn find_out(&mut self, entity_id: &str, at: i64, value: Value) -> Option<EntityInfo> {
        let known = self.known.get_mut(entity_id)?;
        let Value::Number(number) = value else { return None };
        known.class = known.shape.see(known.class, at, number)?;
        self.found_out.insert(entity_id.to_owned(), known.class);
        Some(known.info(entity_id))
    }

    /// How many states had a time that cannot be, and were taken for new.
    #[must_use]
    pub fn strange_times(&self) -> u64 {
        self.strange_times
    }

    /// When a state was reported. A change that Home Assistant sends happened just now: where its time differs, its clock
    /// and this machine's differ, and only one of them can order what is received here. No state is from the future.
    fn stated_at(&mut self, stated: Option<f64>, changed: bool, now: i64) -> i64 {
        let Some(at) = stated.map(whole_seconds) else { return now };
        let strange =
            at.saturating_sub(now) > CLOCKS_APART_MAX || (changed && now.saturating_sub(at) > CLOCKS_APART_MAX);
        if strange {
            self.strange_times = self.strange_times.saturating_add(1);
            return now;
        }
        at
    }

    /// The changes that `event` means for the detector; `now`, in Unix seconds, is when it was received.
    pub fn apply(&mut self, event: &EntitiesEvent, now: i64) -> Vec<EntityChange> {
        let added = event.added.iter().map(|(id, state)| (id, state, false));
        let changed = event.changed.iter().map(|(id, change)| (id, &change.plus, true));
        let mut changes = Vec::new();
        for (entity_id, state, changed) in added.chain(changed) {
            if let Some(info) = state.attributes.as_ref().and_then(|found| self.consider(entity_id, found)) {
                changes.push(EntityChange::Found(info));
            }
            if let (Some(class), Some(text)) = (self.class(entity_id), state.state.as_deref()) {
                let at = self.stated_at(state.last_changed.or(state.last_updated), changed, now);
                let value = parse_state(class, text);
                changes.extend(self.find_out(entity_id, at, value).map(EntityChange::Found));
                changes.push(EntityChange::Stated { entity_id: entity_id.clone(), at, value });
            }
        }
        for entity_id in event.removed.iter().filter(|id| self.known.contains_key(*id)) {
            changes.push(EntityChange::Stated { entity_id: entity_id.clone(), at: now, value: Value::Gap });
        }
        changes
    }
}

fn class_of(entity_id: &str, attributes: &Attributes) -> Option<DeviceClass> {
    DeviceClass::of(&describe(entity_id, attributes))
}

fn describe<'a>(entity_id: &'a str, attributes: &'a Attributes) -> Described<'a> {
    Described {
        entity_id,
        device_class: attributes.device_class.as_deref(),
        state_class: attributes.state_class.as_deref(),
        unit: attributes.unit_of_measurement.as_deref(),
    }
}

/// Reads a state's text as its class says; what is no value of the class is a gap.
#[must_use]
pub fn parse_state(class: DeviceClass, text: &str) -> Value {
    hearthwatch_edge_core::state::value_of(class, text).unwrap_or(Value::Gap)
}

/// Rounded up: a step covers what came *after* its begin, so a state of 0.3 s past a step's end belongs to the next.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "Unix seconds of any plausible clock fit; `as` saturates")]
pub fn whole_seconds(seconds: f64) -> i64 {
    seconds.ceil() as i64
}

#[cfg(test)]
mod tests;
