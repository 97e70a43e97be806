//! Entities come under other names, and go: what was learnt follows the registry's own key, not the name.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use hearthwatch_detector::alarm::DeciderMemory;
use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::reading::{EntityInfo, Reading, Value};
use hearthwatch_detector::unit::Conversion;
use hearthwatch_edge_core::preferences::Place;
use hearthwatch_edge_core::unit_doubt::UnitDoubt;
use serde::de::DeserializeOwned;

use super::{DECIDER_NOTE, DetectorService, NoticeKind};

/// Name of the note that holds which entity each key of the registry meant.
const REGISTER_NOTE: &str = "register";

/// Name of the note that holds under which class and unit each entity's values are remembered.
const UNITS_NOTE: &str = "units";

/// What the registries have changed since they were last read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moves {
    /// Old and new entity id.
    pub renamed: Vec<(String, String)>,
    /// Entity ids that the registry has no more.
    pub gone: Vec<String>,
}

impl Moves {
    /// From what was known to what is. An entity whose key is gone is gone, unless another one has its name now.
    fn between(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Self {
        let present: BTreeSet<&String> = now.values().collect();
        let mut moves = Self::default();
        for (key, from) in before {
            match now.get(key) {
                Some(to) if to != from => moves.renamed.push((from.clone(), to.clone())),
                None if !present.contains(from) => moves.gone.push(from.clone()),
                _ => {}
            }
        }
        moves
    }
}

/// What is known of the entities beside their numbers in the detector.
#[derive(Debug, Default)]
pub(super) struct Registry {
    /// How each entity's values become what is remembered of it, by number; none where they are.
    pub(super) conversions: Vec<Option<Conversion>>,
    /// What people call the entities, by id.
    pub(super) places: HashMap<String, Place>,
    /// Entities that Home Assistant has no more, or that a resident excludes; what was learnt of them is kept, should they be back.
    pub(super) gone: BTreeSet<String>,
    /// Thermometers whose values fit another unit than the one that they report.
    pub(super) unit_doubts: Vec<UnitDoubt>,
}

impl DetectorService {
    /// Takes the registries of Home Assistant: names and places by entity id, entity ids by the registry's keys.
    /// What was learnt of a renamed entity goes with it; what was learnt of one that is no more is forgotten.
    pub fn register(&mut self, places: HashMap<String, Place>, ids: &BTreeMap<String, String>, now: i64) -> Moves {
        let before = self.known_ids();
        // An empty registry is one that is not read yet, not a home in which everything was thrown away.
        let moves = if ids.is_empty() { Moves::default() } else { Moves::between(&before, ids) };
        // Two that change names with one another are found before either has its new one.
        let numbers: Vec<Option<u32>> = moves.renamed.iter().map(|(from, _)| self.number_of(from)).collect();
        for ((from, to), number) in moves.renamed.iter().zip(numbers) {
            tracing::info!(from, to, "an entity is called otherwise; what was learnt of it goes on");
            self.rename(from, to, number);
        }
        for entity_id in &moves.gone {
            tracing::info!(entity_id, "an entity is no more; what was learnt of it is forgotten");
            self.forget(entity_id, now);
        }
        if !moves.gone.is_empty() {
            self.relearn();
        }
        if *ids != before && !ids.is_empty() {
            self.memory.keep_note(
                REGISTER_NOTE,
                ids,
                "a rename while the agent is stopped would lose an entity's history",
            );
        }
        self.set_places(places);
        moves
    }

    /// Takes entities from the page and its count that Home Assistant has no more: at once, and until they are back. What was learnt of
    /// them is kept: a template that is loaded again is gone for a second.
    pub fn depart(&mut self, entity_ids: Vec<String>) {
        for entity_id in &entity_ids {
            tracing::info!(entity_id, "an entity is not in Home Assistant any more; it is not watched");
            self.leave_to_itself(entity_id);
        }
        self.registry.gone.extend(entity_ids);
        let readiness = self.readiness();
        self.delivery.view.send_modify(|view| view.readiness = readiness);
        self.show(None);
    }

    fn leave_to_itself(&mut self, entity_id: &str) {
        let number = self.judging.detector.entities().iter().position(|info| info.entity_id == entity_id);
        if let Some(number) = number.and_then(|number| u32::try_from(number).ok()) {
            self.judging.detector.depart(number);
        }
    }

    fn known_ids(&self) -> BTreeMap<String, String> {
        self.read_note(REGISTER_NOTE, "the entities of before are not read")
    }

    /// The entities in the units in which they are remembered, where what they report converts: 68 °F after 20 °C is the
    /// same warmth. Second, for each the way there.
    pub(super) fn in_known_units(&self, infos: Vec<EntityInfo>) -> Vec<(EntityInfo, Option<Conversion>)> {
        let known = self.known_units();
        let kept = infos.into_iter().map(|info| {
            let before = known.get(&info.entity_id).filter(|(class, unit)| *class == info.class && *unit != info.unit);
            // A unit that was wrong is put right: the values stay what they are, and what they meant before was nonsense.
            let before = before.filter(|_| !self.is_put_right(&info));
            let way = before.and_then(|(class, unit)| Some((unit, Conversion::between(*class, &info.unit, unit)?)));
            match way {
                Some((unit, way)) => {
                    tracing::info!(
                        entity_id = info.entity_id,
                        from = info.unit,
                        to = unit,
                        "an entity has another unit; its values are converted"
                    );
                    (EntityInfo { unit: unit.clone(), ..info }, Some(way))
                }
                None => (info, None),
            }
        });
        kept.collect()
    }

    /// A reading in the unit in which its entity is remembered.
    pub(super) fn converted(&self, reading: &Reading) -> Reading {
        let way = self.registry.conversions.get(reading.entity as usize).copied().flatten();
        let value = match (way, reading.value) {
            (Some(way), Value::Number(number)) => Value::Number(way.apply(number)),
            (_, value) => value,
        };
        Reading { value, ..*reading }
    }

    /// The device class under which each entity is stored, by entity id.
    #[must_use]
    pub fn known_classes(&self) -> HashMap<String, DeviceClass> {
        self.known_units().into_iter().map(|(entity_id, (class, _))| (entity_id, class)).collect()
    }

    /// Forgets what is remembered of entities under another unit or class than they have now.
    pub(super) fn forget_other_units(&mut self, infos: &[EntityInfo]) {
        let mut units = self.known_units();
        let before = units.clone();
        for info in infos {
            let now = (info.class, info.unit.clone());
            let other = units.insert(info.entity_id.clone(), now.clone()).filter(|before| *before != now);
            if other.is_some() {
                tracing::info!(
                    entity_id = info.entity_id,
                    unit = info.unit,
                    "an entity means something else than before; it is learnt anew"
                );
                if let Err(error) = self.memory.history.forget(&info.entity_id) {
                    tracing::warn!(error = %error, entity_id = info.entity_id, "values in two units are mixed");
                }
            }
        }
        if units != before {
            self.keep_units(&units);
        }
    }

    fn known_units(&self) -> BTreeMap<String, (DeviceClass, String)> {
        self.read_note(UNITS_NOTE, "the units of before are not read")
    }

    /// The content of a note; the default where it cannot be parsed.
    fn read_note<T: Default + DeserializeOwned>(&self, name: &str, lost: &str) -> T {
        let note = self.memory.note(name).unwrap_or_else(|error| {
            tracing::warn!(error = %error, "{lost}");
            None
        });
        note.unwrap_or_default()
    }

    fn keep_units(&mut self, units: &BTreeMap<String, (DeviceClass, String)>) {
        let lost = "a unit that changes while the agent is stopped would go unnoticed";
        self.memory.keep_note(UNITS_NOTE, units, lost);
    }

    fn number_of(&self, entity_id: &str) -> Option<u32> {
        let number = self.judging.detector.entities().iter().position(|info| info.entity_id == entity_id)?;
        u32::try_from(number).ok()
    }

    /// `number` is the entity's in the detector, where it is known there.
    fn rename(&mut self, from: &str, to: &str, number: Option<u32>) {
        if let Err(error) = self.memory.history.rename(from, to) {
            tracing::warn!(error = %error, from, to, "a renamed entity begins anew");
            return;
        }
        for alarm in self.alarms.rename(from, to) {
            self.memory.save_alarm(&alarm, None);
        }
        let mut units = self.known_units();
        if let Some(unit) = units.remove(from) {
            units.insert(to.to_owned(), unit);
            self.keep_units(&units);
        }
        self.residents.preferences.rename_entity(from, to);
        self.keep_preferences();
        if let Some(number) = number {
            self.judging.detector.rename_entity(number, to);
        }
        if self.relearning.restored {
            self.keep_decider();
        } else if let Ok(Some(text)) = self.memory.history.note(DECIDER_NOTE)
            && let Ok(mut memory) = serde_json::from_str::<DeciderMemory>(&text)
        {
            memory.entity_ids.iter_mut().filter(|id| *id == from).for_each(|id| to.clone_into(id));
            let kept = serde_json::to_string(&memory).map(|text| self.memory.history.set_note(DECIDER_NOTE, &text));
            if !matches!(kept, Ok(Ok(()))) {
                tracing::warn!(from, to, "what answers taught of a renamed entity is lost");
            }
        }
    }

    fn forget(&mut self, entity_id: &str, now: i64) {
        if let Err(error) = self.memory.history.forget(entity_id) {
            tracing::warn!(error = %error, entity_id, "the values of an entity that is no more stay for five weeks");
        }
        self.leave_to_itself(entity_id);
        self.registry.gone.insert(entity_id.to_owned());
        self.residents.preferences.forget_entity(entity_id);
        self.keep_preferences();
        for alarm in self.alarms.end_of(entity_id, now) {
            self.memory.save_alarm(&alarm, None);
            self.delivery.notify(NoticeKind::Ended, alarm);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(list: &[(&str, &str)]) -> BTreeMap<String, String> {
        list.iter().map(|(key, id)| ((*key).to_owned(), (*id).to_owned())).collect()
    }

    #[test]
    fn a_key_with_another_name_is_a_rename_and_a_key_that_is_missing_is_an_end() {
        let before = ids(&[("1", "sensor.a"), ("2", "sensor.b"), ("3", "sensor.c"), ("4", "sensor.d")]);
        // `sensor.d` was thrown away and taken in again: it has its old name under a new key.
        let now = ids(&[("1", "sensor.a"), ("2", "sensor.bb"), ("5", "sensor.d"), ("6", "sensor.new")]);
        let moves = Moves::between(&before, &now);
        assert_eq!(moves.renamed, [("sensor.b".to_owned(), "sensor.bb".to_owned())]);
        assert_eq!(moves.gone, ["sensor.c"]);
    }
}
