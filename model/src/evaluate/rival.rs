//! The rival that every Home Assistant has: a threshold on the distance from the mean (the threshold and statistics helpers).
//!
//! For each entity the mean and the standard deviation of its warm-up; an alarm when |value − mean| exceeds `z` standard
//! deviations for two steps in a row, episodes merged within six hours as ours are. One `z` for all, set on calibration homes so that they
//! get the asked number of false alarms: the same right that our own detectors have.

use super::outcome::Evaluation;
use super::watch::{TestHome, evaluate_with};
use crate::alarm::{Alarm, Severity, alarm_id};
use crate::dataset::RecordedHome;
use crate::features::{AnomalyKind, FeatureExtractor};
use crate::grid::STEP_SECONDS;

/// Alarms of one entity closer than this are one, seconds.
const MERGE_SECONDS: i64 = 6 * 3600;

/// Halvings of the search for `z`: 2⁻²⁰ of the range is finer than any score's noise.
const SEARCH_STEPS: usize = 20;

/// Largest `z` looked at; beyond it nothing ever speaks.
const Z_MAX: f64 = 200.0;

/// A calibrated rival.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StaticZ {
    /// Standard deviations.
    pub z: f64,
}

impl StaticZ {
    /// Finds the `z` at which the clean calibration homes raise `budget_per_week` alarms a home-week (or the next higher `z`).
    #[must_use]
    pub fn calibrate(homes: &[TestHome], budget_per_week: f64) -> Self {
        let traces: Vec<(Vec<Trace>, f64)> = homes
            .iter()
            .map(|home| {
                let end = home.clean.span().map_or(home.from, |(_, end)| end);
                (traces(&home.clean, home.from), (end - home.from).max(0) as f64 / 604_800.0)
            })
            .collect();
        let weeks: f64 = traces.iter().map(|(_, weeks)| weeks).sum();
        let rate = |z: f64| {
            let alarms: usize = traces.iter().flat_map(|(traces, _)| traces).map(|trace| trace.episodes(z).len()).sum();
            alarms as f64 / weeks.max(f64::EPSILON)
        };
        let (mut low, mut high) = (0.0, Z_MAX);
        for _ in 0..SEARCH_STEPS {
            let middle = f64::midpoint(low, high);
            if rate(middle) > budget_per_week { low = middle } else { high = middle }
        }
        Self { z: high }
    }
}

/// Evaluates the rival as [`evaluate`](super::evaluate) does a model.
#[must_use]
pub fn evaluate_static_z(homes: &[TestHome], rival: StaticZ) -> Evaluation {
    evaluate_with(homes, &|home, from| {
        let mut alarms: Vec<Alarm> = traces(home, from)
            .iter()
            .flat_map(|trace| trace.episodes(rival.z).into_iter().map(|raised_at| alarm(home, trace.entity, raised_at)))
            .collect();
        alarms.sort_by_key(|alarm| (alarm.raised_at, alarm.entity));
        alarms
    })
}

/// One entity's distance from its mean, in standard deviations, at each judged step.
struct Trace {
    entity: u32,
    scores: Vec<(i64, f64)>,
}

impl Trace {
    /// When an alarm is raised: the second step in a row above `z`, not within the merge time of the last such step.
    fn episodes(&self, z: f64) -> Vec<i64> {
        let mut raised = Vec::new();
        let mut last_above = i64::MIN / 2;
        let mut above = 0;
        for (at, score) in &self.scores {
            above = if *score > z { above + 1 } else { 0 };
            if above >= 2 {
                if at - last_above > MERGE_SECONDS {
                    raised.push(*at);
                }
                last_above = *at;
            }
        }
        raised
    }
}

fn traces(home: &RecordedHome, from: i64) -> Vec<Trace> {
    let Some((start, end)) = home.span() else { return Vec::new() };
    let mut extractor = FeatureExtractor::new(jiff::tz::TimeZone::UTC);
    for entity in &home.entities {
        extractor.add_entity(entity.clone());
    }
    let mut before: Vec<Vec<f64>> = vec![Vec::new(); home.entities.len()];
    let mut after: Vec<Vec<(i64, f64)>> = vec![Vec::new(); home.entities.len()];
    let mut readings = home.readings.iter().peekable();
    let mut step = start - start.rem_euclid(STEP_SECONDS);
    while step < end {
        step += STEP_SECONDS;
        while let Some(reading) = readings.next_if(|reading| reading.at <= step) {
            extractor.observe(reading);
        }
        for (index, entity) in extractor.close_step(step).iter().enumerate() {
            let Some(value) = entity.observed.map(f64::from) else { continue };
            if step <= from { before[index].push(value) } else { after[index].push((step, value)) }
        }
    }
    let entities = before.iter().zip(after).enumerate();
    entities
        .map(|(index, (before, after))| {
            let count = before.len().max(1) as f64;
            let mean = before.iter().sum::<f64>() / count;
            let variance = before.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
            let deviation = variance.sqrt().max(1e-9);
            let scores = after.into_iter().map(|(at, value)| (at, (value - mean).abs() / deviation)).collect();
            Trace { entity: u32::try_from(index).unwrap_or(u32::MAX), scores }
        })
        .collect()
}

fn alarm(home: &RecordedHome, entity: u32, raised_at: i64) -> Alarm {
    Alarm {
        id: alarm_id(b"static-z", &entity.to_string(), raised_at),
        entity,
        start: raised_at - STEP_SECONDS,
        end: None,
        raised_at,
        severity: Severity::Warning,
        score: 0.0,
        threshold: 0.0,
        observed: None,
        band: None,
        kind: AnomalyKind::Level,
        reason: format!("static z on {}", home.full_name()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(above: &[i64]) -> Trace {
        let scores = (0..200).map(|step| (step * 600, if above.contains(&step) { 5.0 } else { 0.0 })).collect();
        Trace { entity: 0, scores }
    }

    #[test]
    fn one_step_above_is_no_alarm_and_two_are() {
        assert_eq!(trace(&[10]).episodes(4.0), Vec::<i64>::new());
        assert_eq!(trace(&[10, 11]).episodes(4.0), [11 * 600]);
    }

    #[test]
    fn alarms_within_six_hours_are_one() {
        assert_eq!(trace(&[10, 11, 40, 41]).episodes(4.0).len(), 1);
        assert_eq!(trace(&[10, 11, 60, 61]).episodes(4.0).len(), 2);
    }
}
