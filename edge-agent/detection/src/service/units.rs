//! Thermometers whose values fit another unit than the one that they report, found by the usual range of each.

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::reading::{EntityInfo, Value};
use hearthwatch_edge_core::unit_doubt::{Thermometer, UnitDoubt, doubts};

use super::DetectorService;

impl DetectorService {
    /// Looks at what is usual of each thermometer, and logs what was not doubted before.
    pub(super) fn weigh_units(&mut self) {
        let thermometers: Vec<Thermometer> =
            self.steps.last_scores.iter().filter_map(|score| self.thermometer(score.entity, score.band?)).collect();
        let found = doubts(&thermometers);
        for doubt in found.iter().filter(|doubt| !self.is_unit_doubted(&doubt.entity_id)) {
            // Without the value, which the page shows: readings do not stand in the log.
            tracing::warn!(
                entity_id = doubt.entity_id,
                unit = doubt.said,
                "a thermometer's values look like {}: correct its unit in Home Assistant",
                doubt.looks_like
            );
        }
        self.registry.unit_doubts = found;
    }

    fn thermometer(&self, entity: u32, band: hearthwatch_detector::finding::Band) -> Option<Thermometer> {
        let info = self.judging.detector.entities().get(entity as usize)?;
        if info.class != DeviceClass::Temperature {
            return None;
        }
        let now = match self.steps.newest.get(entity as usize).copied().flatten() {
            Some((_, Value::Number(number))) => Some(number),
            _ => None,
        };
        let usual = (f64::from(band.low), f64::from(band.expected), f64::from(band.high));
        Some(Thermometer { info: info.clone(), name: self.name_of(entity), now, usual })
    }

    pub(super) fn is_unit_doubted(&self, entity_id: &str) -> bool {
        self.registry.unit_doubts.iter().any(|doubt| doubt.entity_id == entity_id)
    }

    /// Whether an entity now reports the unit that its values fitted.
    pub(super) fn is_put_right(&self, info: &EntityInfo) -> bool {
        let is_it = |doubt: &UnitDoubt| doubt.entity_id == info.entity_id && doubt.looks_like == info.unit;
        self.registry.unit_doubts.iter().any(is_it)
    }
}
