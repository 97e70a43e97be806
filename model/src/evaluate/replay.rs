//! Models tried on traces: the deployed decision on scores that are computed once.

use super::fan_out::fan_out;
use super::matching::{Outline, compare};
use super::outcome::{Evaluation, HomeResult};
use super::scores::logits;
use super::trace::{HomePair, HomeTrace};
use crate::alarm::{Alarm, AlarmEvent, Calibration, Decider, DeciderConfig, Evidence, MERGE_SECONDS, QUIET_SECONDS};
use crate::dataset::{Label, LabelOrigin};
use crate::features::RoutineScore;
use crate::grid::STEP_SECONDS;
use crate::network::Scorer;

/// What is tried.
#[derive(Debug, Clone, Copy)]
pub enum Contender<'a> {
    /// The routine detector with these thresholds.
    Routine(&'a Calibration),
    /// The network, with the routine detector where the network has no word.
    Network {
        /// The network.
        scorer: &'a Scorer,
        /// Thresholds of its logit.
        calibration: &'a Calibration,
        /// Thresholds of the routine score.
        routine: &'a Calibration,
    },
}

/// Runs a contender over every pair at a budget of alarms a week and home, on a few threads; `done` counts homes.
///
/// The home's slow offset follows the alarms of the clean twin, and the faulty copy is judged under the same offsets: how
/// many faults were injected must not change what the home is deaf to.
#[must_use]
pub fn replay(
    pairs: &[HomePair],
    contender: Contender<'_>,
    budget_per_week: f64,
    threads: usize,
    done: impl FnMut(usize),
) -> Evaluation {
    let homes = fan_out(pairs, threads, |pair| replay_home(pair, contender, budget_per_week), done);
    Evaluation { homes }
}

fn replay_home(pair: &HomePair, contender: Contender<'_>, budget_per_week: f64) -> HomeResult {
    let clean = &pair.clean;
    let (on_clean, offsets) = alarms(clean, contender, budget_per_week, None);
    let outline = Outline { home: &clean.home, entities: &clean.infos, from: clean.from, until: clean.until };
    // The recording's own faults are in every copy and count once: on the clean twin.
    let mut result = compare(&outline, (&clean.labels, &on_clean), (&clean.labels, &on_clean));
    for copy in &pair.faulty {
        let (on_faulty, _) = alarms(copy, contender, budget_per_week, Some(&offsets));
        let injected: Vec<Label> =
            copy.labels.iter().filter(|label| label.origin == LabelOrigin::Injected).cloned().collect();
        result.events.extend(compare(&outline, (&injected, &on_faulty), (&clean.labels, &on_clean)).events);
    }
    result
}

/// The steps of a faulty copy that can matter: within an entity's faults, and before them for as long as an alarm that is
/// open may swallow one that follows. What is said elsewhere on the copy is not looked at, so it is not computed.
fn near_faults(home: &HomeTrace) -> Vec<Vec<bool>> {
    let mut near: Vec<Vec<bool>> = home.entities.iter().map(|entity| vec![false; entity.len()]).collect();
    for label in &home.labels {
        let Some(near) = near.get_mut(label.entity as usize) else { continue };
        let step = |at: i64| ((at - home.at(0)).max(0) / STEP_SECONDS) as usize;
        let (begin, end) = (step(label.start - SWALLOW_SECONDS), (step(label.end) + 1).min(near.len()));
        near[begin.min(end)..end].fill(true);
    }
    near
}

/// An alarm merges with one that ended six hours before, and ends an hour after its last evidence.
const SWALLOW_SECONDS: i64 = MERGE_SECONDS + QUIET_SECONDS;

/// The alarms of one trace, and the home's offset at each of its steps. With `offsets` given the home does not adapt by
/// itself but follows them, and only steps near faults are judged.
fn alarms(
    home: &HomeTrace,
    contender: Contender<'_>,
    budget_per_week: f64,
    offsets: Option<&[f32]>,
) -> (Vec<Alarm>, Vec<f32>) {
    let near = offsets.map(|_| near_faults(home));
    let logits = match contender {
        Contender::Routine(_) => None,
        Contender::Network { scorer, .. } => Some(logits(scorer, home, near.as_deref())),
    };
    let mut decider =
        Decider::new(DeciderConfig { budget_per_week, salt: home.home.clone().into_bytes(), adapt: offsets.is_none() });
    for info in &home.infos {
        decider.add_entity(info.clone());
    }
    let mut seen = vec![false; home.entities.len()];
    let mut raised = Vec::new();
    let mut followed = Vec::new();
    for index in 0..home.steps() {
        for (seen, entity) in seen.iter_mut().zip(&home.entities) {
            *seen |= entity.observed[index].is_finite();
        }
        let watched = seen.iter().filter(|seen| **seen).count().max(1);
        let share = (budget_per_week / watched as f64) as f32;
        let offset = offsets.and_then(|offsets| offsets.get(index)).copied().unwrap_or(0.0);
        let evidence: Vec<Evidence> = (0..home.entities.len())
            .map(|entity| {
                let logit = logits.as_ref().map(|logits| logits[entity][index]).filter(|logit| logit.is_finite());
                let mut evidence = weigh(home, entity, index, logit, contender, share);
                evidence.threshold += offset;
                if near.as_ref().is_some_and(|near| !near[entity][index]) {
                    evidence.score = None;
                }
                evidence
            })
            .collect();
        let at = home.at(index);
        let live = at > home.from;
        for event in decider.decide(at, 0.0, &evidence, live).events {
            if let AlarmEvent::Raised(alarm) = event {
                raised.push(alarm);
            }
        }
        followed.push(decider.offset());
    }
    (raised, followed)
}

/// One entity's evidence: as the deployed detector weighs it.
fn weigh(
    home: &HomeTrace,
    entity: usize,
    index: usize,
    logit: Option<f32>,
    contender: Contender<'_>,
    share: f32,
) -> Evidence {
    let trace = &home.entities[entity];
    let (score, kind) = (trace.routine[index], trace.kind[index]);
    let routine = match contender {
        Contender::Routine(calibration) => calibration,
        Contender::Network { routine, .. } => routine,
    };
    let judged = trace.ready[index] || score > RoutineScore::FLOOR;
    let observed = Some(trace.observed[index]).filter(|value| value.is_finite());
    let by_routine = Evidence {
        entity: trace.entity,
        score: judged.then_some(score),
        threshold: routine.threshold(trace.class, share),
        kind,
        amount: 0.0,
        usual: 0.0,
        observed,
        band: None,
    };
    let (Contender::Network { calibration, .. }, Some(logit)) = (contender, logit) else { return by_routine };
    let threshold = calibration.threshold(trace.class, share);
    if kind.is_rule() && score - by_routine.threshold >= logit - threshold {
        return by_routine;
    }
    Evidence { score: Some(logit), threshold, kind: crate::features::AnomalyKind::Pattern, ..by_routine }
}

#[cfg(test)]
mod tests;
