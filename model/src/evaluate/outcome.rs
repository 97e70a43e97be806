//! Which faults were found, how late, and how often the alarm was false.

use std::collections::BTreeMap;

use super::episodes::{Episode, Thresholds, episodes};
use super::fan_out::fan_out;
use super::judge::{Detector, Judged};
use super::trace::{EntityTrace, HomePair, HomeTrace};
use crate::alarm::Calibration;
use crate::class::DeviceClass;
use crate::dataset::{Label, LabelOrigin};

/// After a labelled real fault a recording settles for a while; alarms in it are neither hits nor false.
const SETTLING_SECONDS: i64 = 6 * 3600;

/// A home pair with one detector's judgement of both twins.
#[derive(Debug, Clone)]
pub struct JudgedPair<'a> {
    /// The twins.
    pub pair: &'a HomePair,
    /// Judgement of the clean twin, one for each entity.
    pub clean: Vec<Judged>,
    /// Judgement of the faulty twin.
    pub faulty: Vec<Judged>,
}

/// One fault and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct EventOutcome {
    /// Kind of fault.
    pub family: String,
    /// What the entity measures.
    pub class: DeviceClass,
    /// Labelled by the authors or injected.
    pub origin: LabelOrigin,
    /// Seconds from the fault's start to the alarm; `None` when it was missed.
    pub delay_seconds: Option<i64>,
}

/// One home's faults and false alarms.
#[derive(Debug, Clone, PartialEq)]
pub struct HomeOutcome {
    /// Set and name.
    pub home: String,
    /// Measured weeks of the clean twin.
    pub weeks: f64,
    /// Every labelled fault in the measured span.
    pub events: Vec<EventOutcome>,
    /// False alarms on the clean twin, by class.
    pub false_alarms: BTreeMap<DeviceClass, u32>,
}

impl HomeOutcome {
    /// False alarms of all classes.
    #[must_use]
    pub fn false_alarm_count(&self) -> u32 {
        self.false_alarms.values().sum()
    }
}

impl<'a> JudgedPair<'a> {
    /// Lets a detector judge every pair, on a few threads.
    #[must_use]
    pub fn judge_all(
        pairs: &'a [HomePair],
        detector: Detector<'_>,
        threads: usize,
        done: impl FnMut(usize),
    ) -> Vec<JudgedPair<'a>> {
        let judged =
            fan_out(pairs, threads, |pair| (detector.judge(&pair.clean), detector.judge(&pair.faulty)), done);
        pairs.iter().zip(judged).map(|(pair, (clean, faulty))| JudgedPair { pair, clean, faulty }).collect()
    }
}

/// Counts hits and false alarms when every home asks for `budget_per_week` alarms a week.
#[must_use]
pub fn measure(
    pairs: &[JudgedPair<'_>],
    calibration: &Calibration,
    routine: &Calibration,
    budget_per_week: f64,
) -> Vec<HomeOutcome> {
    pairs.iter().map(|judged| measure_home(judged, calibration, routine, budget_per_week)).collect()
}

fn measure_home(
    judged: &JudgedPair<'_>,
    calibration: &Calibration,
    routine: &Calibration,
    budget_per_week: f64,
) -> HomeOutcome {
    let (clean, faulty) = (&judged.pair.clean, &judged.pair.faulty);
    let rate = (budget_per_week / clean.entities.len().max(1) as f64) as f32;
    let mut events = Vec::new();
    let mut false_alarms = BTreeMap::new();
    for (index, entity) in clean.entities.iter().enumerate() {
        let thresholds = Thresholds {
            own: calibration.threshold(entity.class, rate),
            routine: routine.threshold(entity.class, rate),
        };
        let on_clean = measured_episodes(clean, entity, &judged.clean[index], thresholds);
        let on_faulty = measured_episodes(faulty, &faulty.entities[index], &judged.faulty[index], thresholds);
        let real: Vec<&Label> = clean.labels.iter().filter(|label| label.entity == entity.entity).collect();
        let count = on_clean.iter().filter(|episode| is_false(entity, episode, &real)).count() as u32;
        if count > 0 {
            *false_alarms.entry(entity.class).or_insert(0) += count;
        }
        for label in &real {
            events.extend(outcome(label, entity, &on_clean, None));
        }
        let injected = faulty
            .labels
            .iter()
            .filter(|label| label.entity == entity.entity && label.origin == LabelOrigin::Injected);
        for label in injected {
            if label.start > faulty.from {
                events.extend(outcome(label, entity, &on_faulty, Some(&on_clean)));
            }
        }
    }
    HomeOutcome { home: clean.home.clone(), weeks: clean.weeks(), events, false_alarms }
}

fn measured_episodes(
    home: &HomeTrace,
    entity: &EntityTrace,
    judged: &Judged,
    thresholds: Thresholds,
) -> Vec<Episode> {
    let begin = (0..entity.len()).find(|index| entity.at(*index) > home.from).unwrap_or(entity.len());
    episodes(judged, begin..entity.len(), thresholds)
}

fn is_false(entity: &EntityTrace, episode: &Episode, real: &[&Label]) -> bool {
    let (raised, last) = (entity.at(episode.raised), entity.at(episode.last));
    !real.iter().any(|label| raised <= label.end + SETTLING_SECONDS && label.start <= last)
}

/// A fault is found by the first alarm raised within it, unless the clean twin raises one there too.
fn outcome(
    label: &Label,
    entity: &EntityTrace,
    alarms: &[Episode],
    clean: Option<&[Episode]>,
) -> Option<EventOutcome> {
    if entity.is_empty() || label.end > entity.at(entity.len() - 1) {
        return None;
    }
    let within = |episode: &&Episode| {
        let raised = entity.at(episode.raised);
        label.start <= raised && raised <= label.end
    };
    let anyhow = clean.is_some_and(|clean| clean.iter().any(|episode| within(&episode)));
    let first = alarms.iter().find(within).filter(|_| !anyhow);
    Some(EventOutcome {
        family: label.family.clone(),
        class: entity.class,
        origin: label.origin,
        delay_seconds: first.map(|episode| entity.at(episode.raised) - label.start + 1),
    })
}

#[cfg(test)]
mod tests;
