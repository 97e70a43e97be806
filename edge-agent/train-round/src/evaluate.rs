//! Evaluation in a round: how models score on a home that did not train, as counts by class.

use std::collections::{BTreeMap, HashSet};

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::grid::STEP_SECONDS;
use hearthwatch_detector::network::Artifact;
use hearthwatch_edge_core::round_job::JobFigures;
use hearthwatch_evaluation::dataset::{Label, LabelOrigin};
use hearthwatch_evaluation::evaluate::{EntityTrace, HomeTrace, baseline_scores, blended};
use hearthwatch_federation::{ClassCounts, HomeCounts};
use hearthwatch_protocol::round::EvaluateWork;
use hearthwatch_training::{HomeVerdict, RetrainConfig};
use rand::Rng;

use crate::error::RoundError;
use crate::faults::{COPIES, clean, copy};
use crate::history::{DAY_SECONDS, LocalHome};
use crate::lasting::lasting;

/// Around a confirmed alarm, seconds from its begin: a fault, and so no part of a clean day. As in training.
const CONFIRMED_SECONDS: std::ops::RangeInclusive<i64> = -3600..=3 * 3600;

/// Steps before a fault whose scores are needed for the evidence of its first step.
const STEPS_BEFORE: usize = 2;

/// Counts, and gives the body with its figures. Scores are those that homes hold against thresholds: the network's with its share of the
/// baseline score, and in classes that it does not judge the baseline detector's. `noise` draws the noise of the counts: it must not be
/// predictable from outside.
///
/// # Errors
/// [`RoundError::Machine`] where counts cannot be written.
pub fn evaluate(
    home: &LocalHome,
    models: &[Artifact],
    work: &EvaluateWork,
    seed: u64,
    noise: &mut impl Rng,
) -> Result<(Vec<u8>, JobFigures), RoundError> {
    let counts = count(home, models, seed).noised(work.noise, noise);
    let body = counts.to_bytes().map_err(|_| RoundError::Machine("counts cannot be written"))?;
    Ok((body, JobFigures { noise: work.noise, ..home.figures() }))
}

/// The counts without noise. Beside the clean trace one faulty copy at a time is in memory.
fn count(home: &LocalHome, models: &[Artifact], seed: u64) -> HomeCounts {
    let twin = clean(home);
    let on_twin: Vec<Vec<Vec<f32>>> = models.iter().map(|model| evidence(model, &twin, None)).collect();
    let mut counts = HomeCounts { models: on_twin.iter().map(|scores| days(&twin, scores, home)).collect() };
    let faults = RetrainConfig::default().faults;
    for number in 0..COPIES {
        let copy = copy(home, faults.test_events_per_entity_week, &faults.test_families, seed, number);
        let wanted = inside_faults(&copy);
        for ((model, on_twin), counts) in models.iter().zip(&on_twin).zip(&mut counts.models) {
            add_faults(counts, &copy, &evidence(model, &copy, Some(&wanted)), on_twin);
        }
    }
    counts
}

/// By entity and step the highest threshold at which the step would raise an alarm; NaN where nothing is judged. A rule with a threshold
/// of its own is not counted: no budget buys its alarms.
fn evidence(model: &Artifact, home: &HomeTrace, wanted: Option<&[Vec<bool>]>) -> Vec<Vec<f32>> {
    let by_network = blended(&model.scorer(), model.blend(), home, wanted);
    let by_baseline = baseline_scores(home);
    let of = |((trace, network), mut baseline): ((&EntityTrace, Vec<f32>), Vec<f32>)| {
        if model.blend().judges(trace.class) {
            return lasting(&network);
        }
        for (score, kind) in baseline.iter_mut().zip(&trace.kind) {
            if kind.has_own_threshold() {
                *score = f32::NAN;
            }
        }
        lasting(&baseline)
    };
    home.entities.iter().zip(by_network).zip(by_baseline).map(of).collect()
}

/// The largest score of each day of each sensor, days counted from the end of the warm-up. Steps in which the agent did not run and
/// those around confirmed alarms are left out.
fn days(twin: &HomeTrace, scores: &[Vec<f32>], home: &LocalHome) -> BTreeMap<DeviceClass, ClassCounts> {
    let ran: HashSet<i64> = home.steps.iter().copied().collect();
    let faulty = |entity: u32, at: i64| {
        let near = |one: &HomeVerdict| one.confirmed && CONFIRMED_SECONDS.contains(&at.saturating_sub(one.at));
        home.verdicts.iter().any(|one| one.entity == entity && near(one))
    };
    let mut counts: BTreeMap<_, ClassCounts> = BTreeMap::new();
    for (trace, scores) in twin.entities.iter().zip(scores) {
        let mut largest: BTreeMap<i64, f32> = BTreeMap::new();
        for (index, score) in scores.iter().enumerate() {
            let at = trace.at(index);
            if at > twin.from && score.is_finite() && ran.contains(&at) && !faulty(trace.entity, at) {
                let day = largest.entry((at - twin.from - 1) / DAY_SECONDS).or_insert(f32::NEG_INFINITY);
                *day = day.max(*score);
            }
        }
        let counts = counts.entry(trace.class).or_default();
        largest.values().for_each(|score| counts.days.add(*score));
    }
    counts
}

/// Adds the largest score inside each injected fault. A fault is found where the score is higher than without it: where the clean twin
/// has as much there, the fault counts in the lowest bin, as one that no threshold finds.
fn add_faults(
    counts: &mut BTreeMap<DeviceClass, ClassCounts>,
    copy: &HomeTrace,
    scores: &[Vec<f32>],
    on_twin: &[Vec<f32>],
) {
    for label in copy.labels.iter().filter(|label| label.origin == LabelOrigin::Injected) {
        let Some(place) = usize::try_from(label.entity).ok().filter(|place| *place < copy.entities.len()) else {
            continue;
        };
        let trace = &copy.entities[place];
        let largest = |scores: &[Vec<f32>]| {
            let inside = scores.get(place).and_then(|scores| scores.get(steps(trace, label, 0)));
            inside.unwrap_or(&[]).iter().copied().filter(|score| score.is_finite()).fold(0.0_f32, f32::max)
        };
        let (with, without) = (largest(scores), largest(on_twin));
        counts.entry(trace.class).or_default().faults.add(if with > without { with } else { 0.0 });
    }
}

/// The steps that end while a fault lasts, and `before` more in front of them.
fn steps(trace: &EntityTrace, label: &Label, before: usize) -> std::ops::Range<usize> {
    let step = |at: i64| usize::try_from((at - trace.first).div_euclid(STEP_SECONDS)).unwrap_or(0);
    // A fault begins the second after a step's end: the first step that shows it is the next one.
    let (begin, end) = (step(label.start - 1) + 1, (step(label.end) + 1).min(trace.len()));
    begin.saturating_sub(before).min(end)..end
}

/// Of each entity the steps whose scores matter.
fn inside_faults(copy: &HomeTrace) -> Vec<Vec<bool>> {
    let mut wanted: Vec<Vec<bool>> = copy.entities.iter().map(|trace| vec![false; trace.len()]).collect();
    for label in &copy.labels {
        let place = usize::try_from(label.entity).unwrap_or(usize::MAX);
        if let (Some(wanted), Some(trace)) = (wanted.get_mut(place), copy.entities.get(place)) {
            wanted[steps(trace, label, STEPS_BEFORE)].fill(true);
        }
    }
    wanted
}

#[cfg(test)]
mod tests;
