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

/// How far above the loudest step a threshold is put when even that is too often.
const ABOVE_ALL: f32 = 0.5;

/// What a curve answers when no score was ever seen: nothing is unusual enough.
const NOTHING_SEEN: f32 = 1e6;

/// After a labelled fault a recording settles for a while; nothing in it calibrates.
const SETTLING_SECONDS: i64 = 6 * 3600;

/// Rates at which thresholds are sought: from one alarm in the whole record to one a day, a factor of about 1.3 apart.
const RATES: usize = 24;

/// What a home's entities are judged by: scores to be calibrated, and rules that speak beside them.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// The clean home.
    pub home: &'a HomeTrace,
    /// One score for each step of each entity; NaN where there is none.
    pub scores: &'a [Vec<f32>],
}

/// Consecutive steps of one entity that count.
struct Stretch<'a> {
    entity: &'a EntityTrace,
    scores: &'a [f32],
    steps: Range<usize>,
}

/// Thresholds on a score by the rate of alarms they give on clean homes, one curve a device class.
///
/// Episodes are those of the deployed decision. Where the scores are a network's, `rules` gives the thresholds of the
/// routine detector: its rules go on speaking beside a network, and their alarms count towards the rate, so that what is
/// asked for is what both together give. Labelled stretches of the recordings are left out. Classes with too little of a
/// record share the pooled curve.
#[must_use]
pub fn calibrate(records: &[Record<'_>], rules: Option<&Calibration>) -> Calibration {
    let mut classes: BTreeMap<DeviceClass, Vec<Stretch<'_>>> = BTreeMap::new();
    for Record { home, scores } in records {
        for (entity, scores) in home.entities.iter().zip(*scores) {
            let stretches = unlabelled(home, entity).into_iter().map(|steps| Stretch { entity, scores, steps });
            classes.entry(entity.class).or_default().extend(stretches);
        }
    }
    let all: Vec<&Stretch<'_>> = classes.values().flatten().collect();
    let fallback = curve(&all, rules);
    let curves = classes
        .iter()
        .map(|(class, stretches)| (*class, stretches.iter().collect::<Vec<_>>()))
        .filter(|(_, stretches)| weeks(stretches) >= ENTITY_WEEKS_MIN)
        .map(|(class, stretches)| (class, curve(&stretches, rules)))
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
        let labelled = home
            .labels
            .iter()
            .any(|label| label.entity == entity.entity && label.start <= at && at <= label.end + SETTLING_SECONDS);
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

fn curve(stretches: &[&Stretch<'_>], rules: Option<&Calibration>) -> CalibrationCurve {
    let weeks = weeks(stretches);
    let mut peaks: Vec<f32> = stretches
        .iter()
        .flat_map(|stretch| stretch.steps.clone().skip(1).map(|index| sustained(stretch.scores, index)))
        .filter(|score| score.is_finite())
        .collect();
    peaks.sort_by(|left, right| right.total_cmp(left));
    let mut points: Vec<(f32, f32)> = Vec::new();
    if weeks > 0.0 && !peaks.is_empty() {
        let (lowest, highest) = ((1.0 / weeks).min(RATE_MAX / 2.0).ln(), RATE_MAX.ln());
        for step in 0..RATES {
            let wanted = (lowest + (highest - lowest) * step as f64 / (RATES - 1) as f64).exp();
            let threshold = threshold_for(wanted, weeks, &peaks, stretches, rules);
            if points.last().is_none_or(|(_, before)| threshold < *before) {
                points.push((wanted as f32, threshold));
            }
        }
    }
    if points.is_empty() {
        points.push((1.0, NOTHING_SEEN));
    }
    CalibrationCurve { points }
}

/// The lowest of the record's own scores at which alarms come no more often than wanted; a little above the highest when
/// even that is too often.
fn threshold_for(
    wanted: f64,
    weeks: f64,
    peaks: &[f32],
    stretches: &[&Stretch<'_>],
    rules: Option<&Calibration>,
) -> f32 {
    let rate = |threshold: f32| {
        let count: usize = stretches
            .iter()
            .map(|stretch| {
                let rule = rules.map(|rules| rules.threshold(stretch.entity.class, wanted as f32));
                episodes(stretch, threshold, rule)
            })
            .sum();
        count as f64 / weeks
    };
    if rate(peaks[0]) > wanted {
        return peaks[0] + ABOVE_ALL;
    }
    // From the loudest step down, not by halving the whole: far below, alarms merge into one that never ends and are few
    // again. Of ranks in falling order of score `enough` is rare enough and `many` is not.
    let (mut enough, mut many) = (0, 1);
    while many < peaks.len() && rate(peaks[many]) <= wanted {
        enough = many;
        many += 1 + many / 4;
    }
    many = many.min(peaks.len());
    while many - enough > 1 {
        let middle = usize::midpoint(enough, many);
        if rate(peaks[middle]) <= wanted { enough = middle } else { many = middle }
    }
    peaks[enough]
}

/// The highest threshold at which a step would raise an alarm: what it and one of the two steps before it reach.
fn sustained(scores: &[f32], index: usize) -> f32 {
    let of = |index: usize| if scores[index].is_nan() { f32::NEG_INFINITY } else { scores[index] };
    let before = (1..3).filter_map(|back| index.checked_sub(back)).map(of).fold(f32::NEG_INFINITY, f32::max);
    of(index).min(before)
}

/// Alarms of one entity at a threshold, as [`crate::alarm::Decider`] raises them: lasting evidence, held a little below
/// the threshold, merged within six hours. With `rule` given, the routine detector's rules speak beside the score.
fn episodes(stretch: &Stretch<'_>, threshold: f32, rule: Option<f32>) -> usize {
    let mut count = 0;
    let mut recent = Sustained::default();
    let mut lasting = false;
    let mut last_over: Option<i64> = None;
    for index in stretch.steps.clone() {
        let at = index as i64 * STEP_SECONDS;
        let score = stretch.scores[index];
        let mut margin = if score.is_finite() { score - threshold } else { f32::NEG_INFINITY };
        if let Some(rule) = rule
            && (score.is_nan() || stretch.entity.kind[index].is_rule())
        {
            margin = margin.max(stretch.entity.routine[index] - rule);
        }
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
