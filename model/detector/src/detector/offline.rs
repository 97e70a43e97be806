//! Many entities that become unavailable together: a radio stick, a hub or a router that is gone takes all that hangs on it.
//!
//! One of them speaks for all, and none of them is called silent meanwhile.

use std::collections::VecDeque;

use crate::alarm::Evidence;
use crate::finding::AnomalyKind;
use crate::grid::STEP_SECONDS;
use crate::reading::{EntityInfo, Value};
use crate::rules::RULE_SCORE;

/// So many at least: a device of several sensors that is switched off is no stick.
const TOGETHER_MIN: usize = 5;
/// Each of them within so many seconds of the one before.
const APART_SECONDS_MAX: i64 = 120;
/// For so long at least, an hour: a stick that starts anew each night, a move of a kit, an update of Home Assistant are over by then.
const LASTING_SECONDS: i64 = 6 * STEP_SECONDS;
/// The sensors of one device, by their names, go together whenever it is unplugged for some hours: a day.
const DEVICE_LASTING_SECONDS: i64 = 144 * STEP_SECONDS;
/// And so many times longer than such an outage ever lasted in the last fortnight.
const LONGER_FACTOR: f64 = 1.5;
const REMEMBERED_SECONDS: i64 = 14 * 86_400;
const REMEMBERED_MAX: usize = 64;

/// Entities that became unavailable together.
#[derive(Debug, Clone, PartialEq)]
struct Outage {
    since: i64,
    members: Vec<u32>,
    /// How long it must last to be an alarm.
    patience: i64,
    /// Whether it has lasted for long enough to be an alarm.
    is_alarm: bool,
}

impl Outage {
    /// It lasts while half of those who went are gone, and those are enough for an outage.
    fn lasts(&self, since: &[Option<i64>]) -> bool {
        let gone = self.members.iter().filter(|entity| since.get(**entity as usize).copied().flatten().is_some());
        self.members.len() >= TOGETHER_MIN && 2 * gone.count() >= self.members.len()
    }
}

/// Follows which entities are unavailable since when.
#[derive(Debug, Clone, Default)]
pub(super) struct Offline {
    /// By entity; none while it has a value, or before the first.
    since: Vec<Option<i64>>,
    /// Entities that ever had a value: one that never had is no loss.
    known: Vec<bool>,
    lasting: Vec<Outage>,
    /// When outages ended and how long they had lasted, seconds.
    over: VecDeque<(i64, i64)>,
}

impl Offline {
    /// Takes a state.
    pub(super) fn take(&mut self, entity: u32, at: i64, value: Value) {
        let index = entity as usize;
        if self.since.len() <= index {
            self.since.resize(index + 1, None);
            self.known.resize(index + 1, false);
        }
        if value != Value::Gap {
            (self.since[index], self.known[index]) = (None, true);
        } else if self.known[index] {
            self.since[index].get_or_insert(at);
        }
    }

    /// An entity means something else from now on, or is no more: it is missed by nobody.
    pub(super) fn forget(&mut self, entity: u32) {
        let index = entity as usize;
        if index < self.since.len() {
            (self.since[index], self.known[index]) = (None, false);
        }
        self.lasting.iter_mut().for_each(|outage| outage.members.retain(|member| *member != entity));
    }

    /// A step ends at `at`; `entities` are the home's, by index.
    pub(super) fn step(&mut self, at: i64, entities: &[EntityInfo]) {
        self.over.retain(|(end, _)| at.saturating_sub(*end) <= REMEMBERED_SECONDS);
        let (lasting, ended): (Vec<Outage>, Vec<Outage>) =
            std::mem::take(&mut self.lasting).into_iter().partition(|outage| outage.lasts(&self.since));
        self.over.extend(ended.iter().map(|outage| (at, at.saturating_sub(outage.since))));
        while self.over.len() > REMEMBERED_MAX {
            self.over.pop_front();
        }
        self.lasting = lasting;
        self.lasting.extend(self.together(entities));
        let longest = self.over.iter().map(|(_, lasted)| *lasted).max().unwrap_or(0) as f64;
        for outage in &mut self.lasting {
            let lasted = at.saturating_sub(outage.since);
            outage.is_alarm |= lasted >= outage.patience && lasted as f64 > LONGER_FACTOR * longest;
        }
    }

    /// Groups of entities that went together and belong to no outage yet.
    fn together(&self, entities: &[EntityInfo]) -> Vec<Outage> {
        let taken = |entity: u32| self.lasting.iter().any(|outage| outage.members.contains(&entity));
        let mut gone: Vec<(i64, u32)> = (0u32..)
            .zip(&self.since)
            .filter_map(|(entity, since)| Some(((*since)?, entity)))
            .filter(|(_, entity)| !taken(*entity))
            .collect();
        gone.sort_unstable();
        gone.chunk_by(|one, next| next.0.saturating_sub(one.0) <= APART_SECONDS_MAX)
            .filter(|group| group.len() >= TOGETHER_MIN)
            .map(|group| {
                let mut members: Vec<u32> = group.iter().map(|(_, entity)| *entity).collect();
                members.sort_unstable();
                let word = |entity: &u32| entities.get(*entity as usize).map(|info| first_word(&info.entity_id));
                let one_device = members.iter().all(|entity| word(entity) == word(&members[0]));
                let patience = if one_device { DEVICE_LASTING_SECONDS } else { LASTING_SECONDS };
                Outage { since: group[0].0, members, patience, is_alarm: false }
            })
            .collect()
    }

    /// Writes into a step's evidence: the first of an outage's entities speaks for all, and the others are not silent by themselves.
    /// Danger stays what it is.
    pub(super) fn speak(&self, at: i64, evidence: &mut [Evidence]) {
        for outage in &self.lasting {
            let mut speaks = outage.is_alarm;
            let members = evidence.iter_mut().filter(|one| outage.members.binary_search(&one.entity).is_ok());
            for one in members.filter(|one| !one.kind.is_danger()) {
                if std::mem::take(&mut speaks) {
                    *one = Evidence {
                        score: Some(RULE_SCORE),
                        threshold: 0.0,
                        kind: AnomalyKind::Offline,
                        amount: outage.members.len() as f32,
                        usual: at.saturating_sub(outage.since) as f32 / 60.0,
                        observed: None,
                        band: None,
                        ..*one
                    };
                } else if one.kind.is_quiet() {
                    one.score = None;
                }
            }
        }
    }
}

/// The first word of an entity's name: the sensors of a device share it.
fn first_word(entity_id: &str) -> &str {
    let name = entity_id.split_once('.').map_or(entity_id, |(_, name)| name);
    name.split_once('_').map_or(name, |(word, _)| word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::class::DeviceClass;

    fn ten(id: impl Fn(u32) -> String) -> Vec<EntityInfo> {
        let info = |number| EntityInfo { entity_id: id(number), class: DeviceClass::Temperature, unit: "°C".into() };
        (0..10).map(info).collect()
    }

    fn rooms() -> Vec<EntityInfo> {
        ten(|number| format!("sensor.room{number}_temperature"))
    }

    fn evidence(entity: u32) -> Evidence {
        Evidence {
            entity,
            score: Some(9.0),
            threshold: 1.0,
            kind: AnomalyKind::Silent,
            amount: 5.0,
            usual: 1.0,
            observed: None,
            band: None,
        }
    }

    /// Steps from `from` to `until` in each of which `gone` of ten entities are unavailable; when they were called offline, and how many.
    fn steps(offline: &mut Offline, from: i64, until: i64, gone: u32) -> Option<(i64, f32)> {
        steps_of(&rooms(), offline, from, until, gone)
    }

    fn steps_of(ten: &[EntityInfo], offline: &mut Offline, from: i64, until: i64, gone: u32) -> Option<(i64, f32)> {
        let mut found = None;
        for at in (from..=until).step_by(600) {
            for entity in 0..10u32 {
                let value = if entity < gone { Value::Gap } else { Value::Number(20.0) };
                offline.take(entity, at - 300 + i64::from(entity), value);
            }
            offline.step(at, ten);
            let mut all: Vec<Evidence> = (0..10).map(evidence).collect();
            offline.speak(at, &mut all);
            let offline = all.iter().find(|one| one.kind == AnomalyKind::Offline);
            found = found.or(offline.map(|one| (at, one.amount)));
        }
        found
    }

    #[test]
    fn eight_that_go_together_are_told_once_by_one_of_them_after_an_hour_and_the_rest_is_not_called_silent() {
        let mut offline = Offline::default();
        assert_eq!(steps(&mut offline, 600, 6_000, 0), None);
        assert_eq!(steps(&mut offline, 6_600, 12_000, 8), Some((10_200, 8.0)));
        let mut all: Vec<Evidence> = (0..10).map(evidence).collect();
        offline.speak(12_000, &mut all);
        let scored: Vec<u32> = all.iter().filter(|one| one.score.is_some()).map(|one| one.entity).collect();
        assert_eq!(scored, [0, 8, 9]);
    }

    #[test]
    fn four_are_no_stick_and_fifty_minutes_are_an_update() {
        let mut offline = Offline::default();
        steps(&mut offline, 600, 6_000, 0);
        assert_eq!(steps(&mut offline, 6_600, 60_000, 4), None);
        steps(&mut offline, 60_600, 66_000, 0);
        assert_eq!(steps(&mut offline, 66_600, 69_600, 10), None);
        assert_eq!(steps(&mut offline, 70_200, 72_000, 0), None);
    }

    #[test]
    fn the_sensors_of_one_device_may_be_away_for_a_day() {
        let mut offline = Offline::default();
        let kit = ten(|number| format!("sensor.kit_{number}"));
        steps_of(&kit, &mut offline, 600, 6_000, 0);
        assert_eq!(steps_of(&kit, &mut offline, 6_600, 120_000, 8), Some((6_600 + 144 * 600, 8.0)));
    }

    #[test]
    fn an_outage_as_long_as_the_one_of_before_is_known_and_a_much_longer_one_is_not() {
        let mut offline = Offline::default();
        steps(&mut offline, 600, 6_000, 0);
        assert!(steps(&mut offline, 6_600, 13_200, 10).is_some());
        steps(&mut offline, 13_800, 86_400, 0);
        assert_eq!(steps(&mut offline, 87_000, 94_200, 10), None);
        assert!(steps(&mut offline, 94_800, 102_000, 10).is_some());
    }

    #[test]
    fn what_was_deleted_is_missed_by_nobody_and_a_danger_stays_one() {
        let mut offline = Offline::default();
        steps(&mut offline, 600, 6_000, 0);
        steps(&mut offline, 6_600, 6_600, 8);
        (0..4).for_each(|entity| offline.forget(entity));
        offline.step(12_000, &rooms());
        let mut all: Vec<Evidence> = (0..10).map(evidence).collect();
        offline.speak(12_000, &mut all);
        assert!(all.iter().all(|one| one.kind == AnomalyKind::Silent), "four are left");

        steps(&mut offline, 12_600, 18_000, 0);
        steps(&mut offline, 18_600, 40_000, 8);
        let mut all: Vec<Evidence> = (0..10).map(evidence).collect();
        all[0].kind = AnomalyKind::Alert;
        offline.speak(40_000, &mut all);
        assert_eq!((all[0].kind, all[1].kind), (AnomalyKind::Alert, AnomalyKind::Offline));
    }

    #[test]
    fn what_was_never_there_is_not_gone() {
        let mut offline = Offline::default();
        assert_eq!(steps(&mut offline, 600, 12_000, 10), None);
    }
}
