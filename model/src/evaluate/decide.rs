//! From scores to alarms on a trace: the deployed decision, whatever it was that scored.

use super::trace::HomeTrace;
use crate::alarm::{Alarm, AlarmEvent, Calibration, Decider, DeciderConfig, Evidence};
use crate::features::{AnomalyKind, RoutineScore};

/// A home's scores and the thresholds that they are held against.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'a> {
    /// One score for each step of each entity, NaN where there is none; without any the routine detector speaks alone.
    pub scores: Option<&'a [Vec<f32>]>,
    /// Thresholds of `scores`.
    pub calibration: &'a Calibration,
    /// Thresholds of the routine score, where its rules speak beside `scores` and it fills their gaps; none keeps it out.
    pub routine: Option<&'a Calibration>,
}

/// What a run over one home gave.
#[derive(Debug, Clone, Default)]
pub struct HomeRun {
    /// The alarms that were raised, in the order of time.
    pub alarms: Vec<Alarm>,
    /// The home's offset after each step.
    pub offsets: Vec<f32>,
}

/// Runs the deployed decision over a trace at a budget of alarms a week and home; quiet up to `home.from`.
///
/// With `offsets` given the home does not adapt by itself but follows them. With `near` given, only steps marked there are
/// judged.
#[must_use]
pub fn decide_home(
    home: &HomeTrace,
    judged: &Judged<'_>,
    budget_per_week: f64,
    offsets: Option<&[f32]>,
    near: Option<&[Vec<bool>]>,
) -> HomeRun {
    let salt = home.home.clone().into_bytes();
    let mut decider = Decider::new(DeciderConfig { budget_per_week, salt, adapt: offsets.is_none() });
    for info in &home.infos {
        decider.add_entity(info.clone());
    }
    let mut watched = Watched::new(home);
    let mut run = HomeRun::default();
    for index in 0..home.steps() {
        let share = watched.share(home, index, budget_per_week);
        let offset = offsets.and_then(|offsets| offsets.get(index)).copied().unwrap_or(0.0);
        let evidence: Vec<Evidence> = (0..home.entities.len())
            .map(|entity| {
                let mut evidence = weigh(home, entity, index, judged, share);
                evidence.threshold += offset;
                if near.is_some_and(|near| !near[entity][index]) {
                    evidence.score = None;
                }
                evidence
            })
            .collect();
        let at = home.at(index);
        for event in decider.decide(at, 0.0, &evidence, at > home.from).events {
            if let AlarmEvent::Raised(alarm) = event {
                run.alarms.push(alarm);
            }
        }
        run.offsets.push(decider.offset());
    }
    run
}

/// How far each step of each entity lies above its threshold at a budget; −∞ where nothing was judged.
#[must_use]
pub fn margins(home: &HomeTrace, judged: &Judged<'_>, budget_per_week: f64) -> Vec<Vec<f32>> {
    let mut watched = Watched::new(home);
    let mut margins = vec![Vec::with_capacity(home.steps()); home.entities.len()];
    for index in 0..home.steps() {
        let share = watched.share(home, index, budget_per_week);
        for (entity, margins) in margins.iter_mut().enumerate() {
            let evidence = weigh(home, entity, index, judged, share);
            let score = evidence.score.filter(|score| score.is_finite());
            margins.push(score.map_or(f32::NEG_INFINITY, |score| score - evidence.threshold));
        }
    }
    margins
}

/// The entities that have reported so far: they share the budget.
struct Watched(Vec<bool>);

impl Watched {
    fn new(home: &HomeTrace) -> Self {
        Self(vec![false; home.entities.len()])
    }

    /// An entity's share of the budget at a step, alarms a week. Steps must be asked for in their order.
    fn share(&mut self, home: &HomeTrace, index: usize, budget_per_week: f64) -> f32 {
        for (seen, entity) in self.0.iter_mut().zip(&home.entities) {
            *seen |= entity.observed[index].is_finite();
        }
        let watched = self.0.iter().filter(|seen| **seen).count().max(1);
        (budget_per_week / watched as f64) as f32
    }
}

/// One entity's evidence: as the deployed detector weighs it.
fn weigh(home: &HomeTrace, entity: usize, index: usize, judged: &Judged<'_>, share: f32) -> Evidence {
    let trace = &home.entities[entity];
    let (score, kind) = (trace.routine[index], trace.kind[index]);
    let spoken = trace.ready[index] || score > RoutineScore::FLOOR;
    let by_routine = Evidence {
        entity: trace.entity,
        score: (spoken && judged.routine.is_some()).then_some(score),
        threshold: judged.routine.unwrap_or(judged.calibration).threshold(trace.class, share),
        kind,
        amount: 0.0,
        usual: 0.0,
        observed: Some(trace.observed[index]).filter(|value| value.is_finite()),
        band: None,
    };
    let own = judged.scores.map(|scores| scores[entity][index]).filter(|score| score.is_finite());
    let Some(own) = own else { return by_routine };
    let threshold = judged.calibration.threshold(trace.class, share);
    let rule_speaks = by_routine.score.is_some() && kind.is_rule();
    if rule_speaks && score - by_routine.threshold >= own - threshold {
        return by_routine;
    }
    Evidence { score: Some(own), threshold, kind: AnomalyKind::Pattern, ..by_routine }
}
