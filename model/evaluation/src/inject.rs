//! Seeded faults in copies of recordings: what the detector is trained against and measured with.
//!
//! Real labelled faults are rare, so most are made: a plan says how many and of which families, and [`inject`] gives a
//! copy of the home with the faults in it and a [`Label`] for each. The original stays the *clean twin* that false alarms
//! are counted on. Sizes are relative to each entity's own robust residual scale ([`scale_of`]), so that a fault is about
//! as visible in a quiet cellar as in a busy kitchen. The same plan on the same home gives the same copy; an entity's
//! faults depend on the seed, the home's name and the entity's id alone.

mod binary;
mod family;
mod joint;
mod meter;
mod number;
mod rhythm;
mod scale;
mod schedule;

use std::collections::BTreeMap;

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::reading::{EntityInfo, Reading, Value};
use hearthwatch_detector::unit::Conversion;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use crate::dataset::{Label, LabelOrigin, RecordedHome};
pub use family::Family;
pub use scale::{Scale, scale_of};
use schedule::Slot;

/// What to put in, and how often.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct InjectionPlan {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// Expected number of faults of each entity in a week.
    pub events_per_entity_week: f64,
    /// Kinds of faults to draw from; those that do not fit an entity are passed over.
    pub families: Vec<Family>,
}

/// One entity's readings with their time, while faults are written into them.
pub(crate) type Series = Vec<(i64, Value)>;

/// A copy of `home` with faults after `from` (Unix seconds), labelled as injected. Labels of the recording are kept, and
/// no fault is put within a day of them.
#[must_use]
pub fn inject(home: &RecordedHome, plan: &InjectionPlan, from: i64) -> RecordedHome {
    let Some((first, last)) = home.span() else { return home.clone() };
    let from = from.max(first);
    let mut series: Vec<Series> = vec![Vec::new(); home.entities.len()];
    for reading in &home.readings {
        if let Some(series) = series.get_mut(reading.entity as usize) {
            series.push((reading.at, reading.value));
        }
    }
    let outdoor = outdoors(home, &series, DeviceClass::Temperature);
    let original = if plan.families.iter().any(|family| family.is_joint()) { series.clone() } else { Vec::new() };
    let mut labels = home.labels.clone();
    let mut joint = Vec::new();
    for (entity, info) in home.entities.iter().enumerate() {
        let mut rng = entity_rng(plan.seed, &home.full_name(), &info.entity_id);
        let Some(scale) = scale_of(&series[entity], info.class) else { continue };
        let families: Vec<Family> =
            plan.families.iter().copied().filter(|family| family.fits(&info.entity_id, info.class)).collect();
        let taken: Vec<(i64, i64)> = home
            .labels
            .iter()
            .filter(|label| label.entity as usize == entity)
            .map(|label| (label.start, label.end))
            .collect();
        for slot in schedule::draw(&mut rng, &families, plan.events_per_entity_week, (from, last), &scale, &taken) {
            let done = if slot.family == Family::SensorSwap {
                joint::take_values(home, &original, &mut series[entity], entity, &slot, &scale)
            } else {
                apply(&mut series[entity], &slot, info, &scale, &outdoor, &mut rng)
            };
            if done {
                labels.push(label(entity, &slot));
                if slot.family.is_joint() {
                    joint.push((entity, slot));
                }
            }
        }
    }
    for (entity, slot) in joint {
        joint::follow(home, &original, &mut series, &mut labels, entity, &slot);
    }
    labels.sort_by_key(|label| (label.start, label.entity));
    let mut readings: Vec<Reading> = series
        .into_iter()
        .enumerate()
        .flat_map(|(entity, series)| {
            series.into_iter().map(move |(at, value)| Reading { at, entity: entity as u32, value })
        })
        .collect();
    readings.sort_by_key(|reading| (reading.at, reading.entity));
    RecordedHome { readings, labels, ..home.clone() }
}

fn label(entity: usize, slot: &Slot) -> Label {
    Label {
        entity: entity as u32,
        start: slot.start,
        end: slot.end,
        family: slot.family.as_str().to_owned(),
        origin: LabelOrigin::Injected,
    }
}

/// Writes one fault; says whether anything that can be seen was changed.
fn apply(
    series: &mut Series,
    slot: &Slot,
    info: &EntityInfo,
    scale: &Scale,
    outdoor: &BTreeMap<i64, f64>,
    rng: &mut ChaCha8Rng,
) -> bool {
    let class = info.class;
    if class.is_binary() {
        binary::apply(series, slot, rng)
    } else if class.counter() {
        let litre = Conversion::between(class, "L", &info.unit).map(|way| way.apply(1.0));
        meter::apply(series, slot, scale, litre, rng)
    } else {
        number::apply(series, slot, (class, scale), outdoor, rng)
    }
}

/// What the home's first outdoor entity of a class reports, by hour, for windows that are left open.
fn outdoors(home: &RecordedHome, series: &[Series], class: DeviceClass) -> BTreeMap<i64, f64> {
    let outdoor = home.entities.iter().position(|info| info.class == class && family::is_outdoor(&info.entity_id));
    let Some(outdoor) = outdoor else { return BTreeMap::new() };
    series[outdoor]
        .iter()
        .filter_map(|(at, value)| match value {
            Value::Number(value) => Some((at.div_euclid(3600), *value)),
            _ => None,
        })
        .collect()
}

/// A generator that depends on the names and not on their order, so that leaving an entity out changes no other's faults.
fn entity_rng(seed: u64, home: &str, entity: &str) -> ChaCha8Rng {
    let mut hasher = Sha256::new();
    hasher.update(seed.to_le_bytes());
    hasher.update(home.as_bytes());
    hasher.update([0]);
    hasher.update(entity.as_bytes());
    ChaCha8Rng::from_seed(hasher.finalize().into())
}

#[cfg(test)]
mod tests;
