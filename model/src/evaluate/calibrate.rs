//! Thresholds from calibration homes: how many alarms an entity of each class gives a week at each threshold.

use std::collections::BTreeMap;

use super::episodes::{Thresholds, episodes, sustained};
use super::judge::Judged;
use super::trace::{EntityTrace, HomeTrace};
use crate::alarm::{Calibration, CalibrationCurve};
use crate::class::DeviceClass;

/// Entity-weeks below which a class has no curve of its own: its rarest alarms could not be counted.
const ENTITY_WEEKS_MIN: f64 = 6.0;

/// Alarms counted at the lowest threshold of a curve: one a day is far beyond any budget.
const RATE_MAX: f64 = 7.0;

/// What a curve answers when no score was ever seen: nothing is unusual enough.
const NOTHING_SEEN: f32 = 1e6;

/// One entity's judged steps, and which of them count.
struct Sample<'a> {
    entity: &'a EntityTrace,
    judged: &'a Judged,
    steps: std::ops::Range<usize>,
}

/// Curves of episodes per entity-week against the threshold on the detector's own score, from clean homes.
///
/// Labelled stretches of the recordings are left out. Classes with too little of a record share the pooled curve.
#[must_use]
pub fn calibrate(homes: &[(&HomeTrace, &[Judged])]) -> Calibration {
    let mut classes: BTreeMap<DeviceClass, Vec<Sample<'_>>> = BTreeMap::new();
    for (home, judged) in homes {
        for (entity, judged) in home.entities.iter().zip(*judged) {
            for steps in unlabelled(home, entity) {
                classes.entry(entity.class).or_default().push(Sample { entity, judged, steps });
            }
        }
    }
    let fallback = curve(classes.values().flatten());
    let curves = classes
        .iter()
        .filter(|(_, samples)| weeks(samples.iter()) >= ENTITY_WEEKS_MIN)
        .map(|(class, samples)| (*class, curve(samples.iter())))
        .filter(|(_, curve)| curve.points.len() > 1)
        .collect();
    Calibration { classes: curves, fallback }
}

/// The measured steps of an entity, less the recording's own labelled faults with six hours after them.
fn unlabelled(home: &HomeTrace, entity: &EntityTrace) -> Vec<std::ops::Range<usize>> {
    const AFTER_SECONDS: i64 = 6 * 3600;
    let mut ranges = Vec::new();
    let mut begin = None;
    for index in 0..=entity.len() {
        let at = entity.at(index);
        let counts = index < entity.len()
            && at > home.from
            && !home.labels.iter().any(|label| {
                label.entity == entity.entity && label.start <= at && at <= label.end + AFTER_SECONDS
            });
        match (counts, begin) {
            (true, None) => begin = Some(index),
            (false, Some(start)) => {
                ranges.push(start..index);
                begin = None;
            }
            _ => {}
        }
    }
    ranges
}

fn weeks<'a>(samples: impl Iterator<Item = &'a Sample<'a>>) -> f64 {
    samples.map(|sample| sample.steps.len() as f64).sum::<f64>() / 1008.0
}

fn curve<'a>(samples: impl Iterator<Item = &'a Sample<'a>> + Clone) -> CalibrationCurve {
    let weeks = weeks(samples.clone());
    let mut peaks: Vec<f32> = samples
        .clone()
        .flat_map(|sample| sample.steps.clone().map(|index| sustained(sample.judged, index)))
        .filter(|score| score.is_finite())
        .collect();
    if peaks.is_empty() || weeks <= 0.0 {
        return CalibrationCurve { points: vec![(1.0, NOTHING_SEEN)] };
    }
    peaks.sort_by(|left, right| right.total_cmp(left));
    let mut points: Vec<(f32, f32)> = Vec::new();
    let mut rank = 0;
    while rank < peaks.len() {
        let threshold = peaks[rank];
        let count: usize = samples
            .clone()
            .map(|sample| {
                let thresholds = Thresholds { own: threshold, routine: f32::INFINITY };
                debug_assert_eq!(sample.judged.score.len(), sample.entity.len());
                episodes(sample.judged, sample.steps.clone(), thresholds).len()
            })
            .sum();
        let rate = count as f64 / weeks;
        let rises = points.last().is_none_or(|(before, lowest)| rate as f32 > *before && threshold < *lowest);
        if rises && count > 0 {
            points.push((rate as f32, threshold));
        }
        if rate > RATE_MAX {
            break;
        }
        // Ranks grow by a fifth: some fifty thresholds from the loudest step to one alarm a day.
        rank += 1 + rank / 5;
    }
    if points.is_empty() {
        points.push((1.0, NOTHING_SEEN));
    }
    CalibrationCurve { points }
}

#[cfg(test)]
mod tests;
