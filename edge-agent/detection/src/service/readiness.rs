//! What works already, and what is still being learnt: for each entity, and for the home in one line.

use std::sync::Arc;

use hearthwatch_detector::detector::Knowledge;
use hearthwatch_detector::finding::AnomalyKind;

use super::DetectorService;

/// Days of history that a routine is learnt from.
pub const LEARNING_DAYS: u8 = 14;

/// What a day may lack: after a start the memory of a fortnight begins some hours late.
const SHORT_SECONDS: i64 = 6 * 3_600;

/// Whole days in a history of so many seconds, as they are shown to people.
#[must_use]
pub fn whole_days(seconds: i64) -> i64 {
    (seconds + SHORT_SECONDS) / 86_400
}

/// How far an entity is learnt.
#[derive(Debug, Clone, PartialEq)]
pub struct EntityReadiness {
    /// Home Assistant's id.
    pub entity_id: String,
    /// The name that residents see.
    pub name: String,
    /// Whole days of history, up to [`LEARNING_DAYS`].
    pub days: u8,
    /// The kinds of anomaly that are looked for already.
    pub watching: Vec<AnomalyKind>,
}

/// How far the home is learnt.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Readiness {
    /// Every entity that ever had a reading, in the order of their numbers.
    pub entities: Vec<EntityReadiness>,
}

impl Readiness {
    /// Days of history of the entity in the middle: half of them have more.
    #[must_use]
    pub fn days(&self) -> u8 {
        let mut days: Vec<u8> = self.entities.iter().map(|entity| entity.days).collect();
        days.sort_unstable();
        days.get(days.len() / 2).copied().unwrap_or(0)
    }

    /// Entities whose routine is known in full.
    #[must_use]
    pub fn learnt(&self) -> usize {
        self.entities.iter().filter(|entity| entity.days >= LEARNING_DAYS).count()
    }

    /// For how many entities each manner is watched, the most first.
    #[must_use]
    pub fn watching(&self) -> Vec<(AnomalyKind, usize)> {
        let mut kinds: Vec<(AnomalyKind, usize)> = Vec::new();
        for kind in self.entities.iter().flat_map(|entity| &entity.watching) {
            match kinds.iter_mut().find(|(known, _)| known == kind) {
                Some((_, count)) => *count += 1,
                None => kinds.push((*kind, 1)),
            }
        }
        kinds.sort_by(|left, right| right.1.cmp(&left.1).then(left.0.cmp(&right.0)));
        kinds
    }
}

impl DetectorService {
    pub(super) fn readiness(&self) -> Arc<Readiness> {
        let known = self.judging.detector.entities().iter().zip(self.judging.detector.knowledge());
        let known = known.filter(|(info, _)| !self.registry.gone.contains(&info.entity_id));
        let entities = known.filter_map(|(info, knowledge): (_, Knowledge)| {
            let days = whole_days(knowledge.known_seconds?);
            Some(EntityReadiness {
                entity_id: info.entity_id.clone(),
                name: self.registry.places.get(&info.entity_id).cloned().unwrap_or_default().name_of(&info.entity_id),
                days: u8::try_from(days).unwrap_or(LEARNING_DAYS).min(LEARNING_DAYS),
                watching: knowledge.watching,
            })
        });
        Arc::new(Readiness { entities: entities.collect() })
    }
}
