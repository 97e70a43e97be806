//! Thresholds from calibration homes: how many alarms an entity of each class gives a week at each threshold.

use std::collections::BTreeMap;
use std::ops::Range;

use super::trace::{EntityTrace, HomeTrace};
use crate::alarm::{Calibration, CalibrationCurve, HOLD_MARGIN, MERGE_SECONDS, QUIET_SECONDS, Sustained};
use crate::class::DeviceClass;
use crate::grid::STEP_SECONDS;

/// Entity-weeks below which a class has no curve of its own: its rarest alarms could not be counted.
const ENTITY_WEEKS_MIN: f64 = 6.0;

/// Alarms of an entity in a week at the lowest threshold of a curve: one a day is far beyond any budget.
const RATE_MAX: f64 = 7.0;

/// What a curve answers when no score was ever seen: nothing is unusual enough.
const NOTHING_SEEN: f32 = 1e6;

/// After a labelled fault a recording settles for a while; nothing in it calibrates.
const SETTLING_SECONDS: i64 = 6 * 3600;

/// Consecutive steps of one entity that count.
struct Stretch<'a> {
    scores: &'a [f32],
    steps: Range<usize>,
}

/// Curves of episodes per entity-week against the threshold, from clean homes and one score for each of their entities'
/// steps (NaN or −∞ where there is none).
///
/// Episodes are those of the deployed decision. Labelled stretches of the recordings are left out. Classes with too
/// little of a record share the pooled curve.
#[must_use]
pub fn calibrate(homes: &[(&HomeTrace, &[Vec<f32>])]) -> Calibration {
    let mut classes: BTreeMap<DeviceClass, Vec<Stretch<'_>>> = BTreeMap::new();
    for (home, scores) in homes {
        for (entity, scores) in home.entities.iter().zip(*scores) {
            let stretches = unlabelled(home, entity).into_iter().map(|steps| Stretch { scores, steps });
            classes.entry(entity.class).or_default().extend(stretches);
        }
    }
    let all: Vec<&Stretch<'_>> = classes.values().flatten().collect();
    let fallback = curve(&all);
    let curves = classes
        .iter()
        .map(|(class, stretches)| (*class, stretches.iter().collect::<Vec<_>>()))
        .filter(|(_, stretches)| weeks(stretches) >= ENTITY_WEEKS_MIN)
        .map(|(class, stretches)| (class, curve(&stretches)))
        .filter(|(_, curve)| curve.points.len() > 1)
        .collect();
    Calibration { classes: curves, fallback }
}

/// The measured steps of an entity, less the recording's own labelled faults and a while after them.
fn unlabelled(home: &HomeTrace, entity: &EntityTrace) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut begin = None;
    for index in 0..=entity.len() {
        let at = entity.at(index);
        let labelled = home.labels.iter().any(|label| {
            label.entity == entity.entity && label.start <= at && at <= label.end + SETTLING_SECONDS
        });
        let counts = index < entity.len() && at > home.from && !labelled;
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

fn weeks(stretches: &[&Stretch<'_>]) -> f64 {
    let steps: usize = stretches.iter().map(|stretch| stretch.steps.len()).sum();
    steps as f64 * STEP_SECONDS as f64 / 604_800.0
}

fn curve(stretches: &[&Stretch<'_>]) -> CalibrationCurve {
    let weeks = weeks(stretches);
    let mut peaks: Vec<f32> = stretches
        .iter()
        .flat_map(|stretch| stretch.steps.clone().skip(1).map(|index| sustained(stretch.scores, index)))
        .filter(|score| score.is_finite())
        .collect();
    peaks.sort_by(|left, right| right.total_cmp(left));
    let mut points: Vec<(f32, f32)> = Vec::new();
    let mut rank = 0;
    while rank < peaks.len() && weeks > 0.0 {
        let threshold = peaks[rank];
        let count: usize = stretches.iter().map(|stretch| episodes(stretch, threshold)).sum();
        let rate = (count as f64 / weeks) as f32;
        let rises = points.last().is_none_or(|(before, lowest)| rate > *before && threshold < *lowest);
        if rises && count > 0 {
            points.push((rate, threshold));
        }
        if f64::from(rate) > RATE_MAX {
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

/// The highest threshold at which a step would raise an alarm: what it and one of the two steps before it reach.
fn sustained(scores: &[f32], index: usize) -> f32 {
    let of = |index: usize| if scores[index].is_nan() { f32::NEG_INFINITY } else { scores[index] };
    let before = (1..3).filter_map(|back| index.checked_sub(back)).map(of).fold(f32::NEG_INFINITY, f32::max);
    of(index).min(before)
}

/// Alarms of one entity at a threshold, as [`crate::alarm::Decider`] raises them: lasting evidence, held a little below
/// the threshold, merged within six hours.
fn episodes(stretch: &Stretch<'_>, threshold: f32) -> usize {
    let mut count = 0;
    let mut recent = Sustained::default();
    let mut lasting = false;
    let mut last_over: Option<i64> = None;
    for index in stretch.steps.clone() {
        let at = index as i64 * STEP_SECONDS;
        let score = stretch.scores[index];
        let margin = if score.is_finite() { score - threshold } else { f32::NEG_INFINITY };
        let since = recent.step(at, margin);
        let quiet = last_over.map_or(i64::MAX, |last| at - last);
        if lasting {
            if margin >= -HOLD_MARGIN && quiet <= MERGE_SECONDS {
                last_over = Some(at);
            } else if quiet >= QUIET_SECONDS {
                lasting = false;
            }
        } else if since.is_some() {
            count += usize::from(quiet > MERGE_SECONDS);
            lasting = true;
            last_over = Some(at);
        }
    }
    count
}

#[cfg(test)]
mod tests;
