//! Synthetic fault checks: faults put into copies of a home's own recent stream, to see whether a model still notices them.
//!
//! A budget fixes how often a model speaks, so a model of low recall speaks as often as any other, about the wrong
//! things. A check is a fault whose answer is known: yesterday is played once more in a copy of one entity, with a fault
//! in it that any model must notice; the rest of the home does what it did yesterday. Nothing of it touches the detector.

use crate::class::DeviceClass;
use crate::features::baseline::judge_number;
use crate::features::calendar::Clock;
use crate::features::entity::{Entity, HomeStep};
use crate::features::intake::Closed;
use crate::features::{FeatureExtractor, Normaliser};
use crate::finding::BaselineScore;
use crate::grid::{DAY_STEPS, Feature, STEP_SECONDS};
use crate::statistics::robust;

/// A window, and what the baseline detector says at its end.
#[derive(Debug, Clone, PartialEq)]
pub struct TrialWindow {
    /// Class of the entity that the copy is of.
    pub class: DeviceClass,
    /// `WINDOW_STEPS * FEATURES` numbers, oldest step first.
    pub values: Vec<f32>,
    /// The baseline detector's judgement of the newest step.
    pub baseline: BaselineScore,
}

/// Entities that are tried at a time. Eight copies of 33 KiB and 8 × 3 × 18 steps are some milliseconds of a small computer.
const ENTITIES_MAX: usize = 8;
/// How long a fault lasts: three hours.
pub const FAULT_STEPS: usize = 18;
/// As the features are cut.
const CLIP: f32 = 12.0;

/// What is done to the copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Three hours too high.
    Shift,
    /// Three hours of restlessness.
    Burst,
    /// One step far off.
    Spike,
    /// Ever higher.
    Drift,
}

impl Fault {
    /// What is added in the `step`-th step, as a share of the fault's size.
    fn share(self, step: usize) -> f32 {
        match self {
            Self::Shift => 1.0,
            Self::Burst if step.is_multiple_of(2) => 1.0,
            Self::Burst => -1.0,
            Self::Spike if step + 1 == FAULT_STEPS => 1.0,
            Self::Spike => 0.0,
            Self::Drift => (step + 1) as f32 / FAULT_STEPS as f32,
        }
    }
}

/// That any model must notice, in the entity's own robust scale. The fitted tails call 8 a matter of years; the features are cut at 12.
const LARGE: [(Fault, f32); 3] = [(Fault::Shift, 8.0), (Fault::Burst, 8.0), (Fault::Spike, 12.0)];
/// Smaller ones, of which one detector may notice what another does not; in scales, up and down …
const SMALL: [(Fault, f32); 6] = [
    (Fault::Shift, 3.0),
    (Fault::Shift, -3.0),
    (Fault::Burst, 3.0),
    (Fault::Drift, 5.0),
    (Fault::Drift, -5.0),
    (Fault::Spike, 5.0),
];
/// … times this, another time another: how large a fault must be that the one notices and the other does not is each entity's own.
const SIZES: [f32; 7] = [1.0, 2.0, 0.6, 1.6, 0.8, 2.5, 1.25];
/// Each entity is tried once in four days, no two neighbours in one step.
const TRIED_EVERY_STEPS: i64 = 4 * DAY_STEPS as i64;

impl FeatureExtractor {
    /// Feature windows with a small fault at their end, and the baseline detector's judgement on the last step, when it is this entity's
    /// turn; empty otherwise, and while it has no full window. All but the newest [`FAULT_STEPS`] rows are the entity's own.
    pub fn small_faults(&self, entity: usize) -> Vec<TrialWindow> {
        let Some(closed) = self.closed() else { return Vec::new() };
        if (closed / STEP_SECONDS + entity as i64 * 97).rem_euclid(TRIED_EVERY_STEPS) != 0 {
            return Vec::new();
        }
        let Some(one) = self.entities.get(entity).filter(|one| one.can_be_checked()) else { return Vec::new() };
        let size = SIZES[(closed / STEP_SECONDS / TRIED_EVERY_STEPS).rem_euclid(SIZES.len() as i64) as usize];
        SMALL
            .iter()
            .filter_map(|(fault, scales)| {
                let (values, baseline) = self.with_fault(entity, |step| fault.share(step) * scales * size, closed)?;
                Some(TrialWindow { class: one.info.class, values, baseline })
            })
            .collect()
    }

    /// Feature windows with a fault at their end, of up to eight entities that have a full window and two days of values;
    /// `turn` chooses which, so that all have theirs in time. Empty in a home that is too young. The baseline detector's judgement on the
    /// last step goes with each; it takes the rest of the home for what it was yesterday, so that no peer is blamed.
    pub(crate) fn synthetic_faults(&self, turn: u64) -> Vec<TrialWindow> {
        let Some(closed) = self.closed() else { return Vec::new() };
        let fit: Vec<usize> = (0..self.entities.len()).filter(|index| self.entities[*index].can_be_checked()).collect();
        if fit.is_empty() {
            return Vec::new();
        }
        let first = usize::try_from(turn % fit.len() as u64).unwrap_or(0);
        let chosen = fit.iter().cycle().skip(first).take(fit.len().min(ENTITIES_MAX));
        chosen
            .flat_map(|index| LARGE.map(|fault| (*index, fault)))
            .filter_map(|(index, (fault, scales))| {
                let (values, baseline) = self.with_fault(index, |step| fault.share(step) * scales, closed)?;
                Some(TrialWindow { class: self.entities[index].info.class, values, baseline })
            })
            .collect()
    }

    fn with_fault(&self, index: usize, fault: impl Fn(usize) -> f32, closed: i64) -> Option<(Vec<f32>, BaselineScore)> {
        let mut copy = self.entities[index].clone();
        let mut baseline = BaselineScore::calm();
        let mut scratch = Vec::new();
        for step in 0..FAULT_STEPS {
            let at = closed + STEP_SECONDS * (step as i64 + 1);
            let value = copy.yesterday_with(fault(step))?;
            let closed = Closed {
                value: Some(value),
                fresh: true,
                received: true,
                interval: Some(STEP_SECONDS),
                age: Some(0),
                ..Closed::default()
            };
            let draft = copy.advance(
                at,
                &closed,
                &HomeStep { clock: &Clock::at(at, self.timezone()), lights: &[], heats: false },
                &mut scratch,
            );
            let mut features = draft.features;
            let others = self.residuals_of_yesterday(step, index, draft.residual);
            features[Feature::ClassMedian.index()] = self.class_median(&others, index, draft.residual);
            let apart = copy.learnt.peers.as_ref().filter(|_| !draft.residual.is_nan());
            let apart = apart.map(|peers| (peers.residual(draft.residual, &others), &peers.tail));
            features[Feature::PeerResidual.index()] = apart.map_or(0.0, |(residual, _)| residual.clamp(-CLIP, CLIP));
            baseline = judge_number(copy.statistics(&draft).as_ref(), value, apart, &draft.rules);
            copy.keep_row(&features);
        }
        Some((copy.window()?, baseline))
    }

    /// What every entity's residual was at this time yesterday, but for the one that is tried.
    fn residuals_of_yesterday(&self, step: usize, tried: usize, residual: f32) -> Vec<f32> {
        let of = |(index, entity): (usize, &Entity)| match index == tried {
            true => residual,
            false => entity.residual_back(DAY_STEPS - 1 - step),
        };
        self.entities.iter().enumerate().map(of).collect()
    }

    fn class_median(&self, residuals: &[f32], index: usize, own: f32) -> f32 {
        let class = self.entities[index].info.class;
        let same = self.entities.iter().zip(residuals).filter(|(entity, _)| entity.info.class == class);
        let mut same: Vec<f32> = same.map(|(_, residual)| *residual).filter(|residual| !residual.is_nan()).collect();
        same.sort_unstable_by(f32::total_cmp);
        robust::median_without(&same, own).unwrap_or(0.0)
    }
}

impl Entity {
    /// Whether a fault in it would mean anything: a number with a full window and enough history.
    fn can_be_checked(&self) -> bool {
        self.switching().is_none() && self.is_settled() && self.window().is_some()
    }

    /// The value at this time yesterday, in the unit that is shown, `scales` higher; none where none is known.
    fn yesterday_with(&self, scales: f32) -> Option<f32> {
        let centre = self.value_back(DAY_STEPS - 1);
        let normal = Normaliser { centre, scale: self.learnt.scale, log: self.is_log() };
        Some(normal.value(scales)).filter(|value| value.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::grid::FEATURES;
    use crate::reading::{EntityInfo, Reading, Value};

    const START: i64 = 1_800_000_000 / 86_400 * 86_400;

    fn home(days: i64) -> FeatureExtractor {
        let mut extractor = FeatureExtractor::new(TimeZone::UTC);
        for (index, class) in [DeviceClass::Temperature, DeviceClass::Humidity, DeviceClass::Door].iter().enumerate() {
            let entity_id = format!("sensor.{index}");
            extractor.add_entity(EntityInfo { entity_id, class: *class, unit: String::new() });
        }
        for step in 1..=days * DAY_STEPS as i64 {
            let at = START + step * STEP_SECONDS;
            let wave = (step as f64 * 0.044).sin() + ((step * 7919) % 101) as f64 * 0.004;
            for entity in 0..2 {
                extractor.observe(&Reading { at: at - 5, entity, value: Value::Number(20.0 + wave) });
            }
            extractor.close_step(at);
        }
        extractor
    }

    #[test]
    fn a_young_home_has_no_synthetic_faults() {
        assert_eq!(home(1).synthetic_faults(0), vec![]);
    }

    #[test]
    fn each_number_gets_each_fault_and_the_detector_does_not_notice() {
        let mut extractor = home(4);
        let before = extractor.window(0);
        let faults = extractor.synthetic_faults(0);
        assert_eq!(faults.len(), 2 * LARGE.len(), "two numbers, and the door is none");
        assert_eq!(extractor.window(0), before);
        assert!(!extractor.close_step(START + 5 * 86_400).is_empty());
    }

    #[test]
    fn the_fault_stands_at_the_end_of_the_window_in_the_size_that_was_asked_for() {
        let faults = home(22).synthetic_faults(0);
        let last = |index: usize| faults[index].values[faults[index].values.len() - FEATURES];
        let clean = 5.0..11.0;
        assert!(clean.contains(&last(0)), "shift: {}", last(0));
        assert!(clean.contains(&-last(1)), "burst ends low: {}", last(1));
        assert!(last(2) > 9.0, "spike: {}", last(2));
        // Rarer than once in twenty years, by its own statistics.
        assert!(faults.iter().all(|fault| fault.baseline.score > 1_000f32.ln()), "{faults:?}");
    }

    #[test]
    fn another_turn_begins_with_another_entity() {
        let extractor = home(4);
        assert_eq!(extractor.synthetic_faults(0)[0].class, DeviceClass::Temperature);
        assert_eq!(extractor.synthetic_faults(1)[0].class, DeviceClass::Humidity);
    }

    #[test]
    fn each_number_is_tried_with_small_faults_once_in_four_days_and_no_two_in_one_step() {
        let mut extractor = home(8);
        let mut tried = Vec::new();
        for step in 8 * DAY_STEPS as i64 + 1..=12 * DAY_STEPS as i64 {
            for entity in 0..2 {
                let value = Value::Number(20.0 + (step as f64 * 0.044).sin());
                extractor.observe(&Reading { at: START + step * STEP_SECONDS - 5, entity, value });
            }
            extractor.close_step(START + step * STEP_SECONDS);
            let of_step: Vec<(usize, usize)> = (0..3)
                .map(|entity| (entity, extractor.small_faults(entity).len()))
                .filter(|(_, faults)| *faults > 0)
                .collect();
            assert!(of_step.len() < 2, "{of_step:?}");
            tried.extend(of_step);
        }
        tried.sort_unstable();
        assert_eq!(tried, [(0, SMALL.len()), (1, SMALL.len())], "two numbers, and the door is none");
    }
}
