//! From scores to alarms on a trace: the deployed decision, whatever it was that scored.

use hearthwatch_detector::alarm::{Adapts, Alarm, AlarmEvent, Calibration, Decider, DeciderConfig, Evidence, doubt};
use hearthwatch_detector::detector::{NetworkRecord, gain};
use hearthwatch_detector::finding::{AnomalyKind, BaselineScore};
use hearthwatch_detector::rules::RULE_THRESHOLD;

use super::trace::{EntityTrace, HomeTrace};

const DAY_SECONDS: i64 = 86_400;

/// A home's scores and the thresholds that they are held against.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'a> {
    /// One score for each step of each entity, NaN where there is none; without any the baseline detector speaks alone.
    pub scores: Option<&'a [Vec<f32>]>,
    /// Thresholds of `scores`.
    pub calibration: &'a Calibration,
    /// Thresholds of the baseline score, where its rules speak beside `scores` and it fills their gaps; none keeps it out.
    pub baseline: Option<&'a Calibration>,
    /// Where `scores` must first prove themselves on each entity, as homes ask of a network: by entity, the score at the end of each
    /// small fault that was put into a copy of it. What follows a twin needs none. None where the scores speak from the start.
    pub fault_checks: Option<&'a [Vec<f32>]>,
}

/// What a run over one home gave.
#[derive(Debug, Clone, Default)]
pub struct HomeRun {
    /// The alarms that were raised, in the order of time.
    pub alarms: Vec<Alarm>,
    /// The home's offset after each step.
    pub offsets: Vec<f32>,
    /// How much more than the fleet's threshold the network had to say at each step, by entity; none while it was not asked.
    pub lifts: Vec<Vec<Option<f32>>>,
}

/// What a faulty copy follows of its clean twin, so that what was injected changes neither.
#[derive(Debug, Clone, Copy)]
pub struct Twin<'a> {
    /// The home's offset after each step.
    pub offsets: &'a [f32],
    /// The lifts; empty where none apply.
    pub lifts: &'a [Vec<Option<f32>>],
}

impl HomeRun {
    /// What a faulty copy follows of this run.
    #[must_use]
    pub fn twin(&self) -> Twin<'_> {
        Twin { offsets: &self.offsets, lifts: &self.lifts }
    }
}

/// Runs the deployed decision over a trace at a budget of alarms a week and home; quiet up to `home.from`.
///
/// With `twin` given the home does not adapt by itself but follows it. With `near` given, only steps marked there are
/// judged.
#[must_use]
pub fn decide_home(
    home: &HomeTrace,
    judged: &Judged<'_>,
    budget_per_week: f64,
    twin: Option<Twin<'_>>,
    near: Option<&[Vec<bool>]>,
) -> HomeRun {
    let salt = home.home.clone().into_bytes();
    let adapts = if twin.is_none() { Adapts::Fully } else { Adapts::Never };
    let mut decider = Decider::new(DeciderConfig { budget_per_week, salt, adapts });
    for info in &home.infos {
        decider.add_entity(info.clone());
    }
    let mut watched = Watched::new(home);
    let mut run = HomeRun::default();
    let mut records = vec![NetworkRecord::new(); home.entities.len()];
    for index in 0..home.steps() {
        let share = watched.share(home, index, budget_per_week);
        let offset = twin.and_then(|twin| twin.offsets.get(index)).copied().unwrap_or(0.0);
        let lifts: Vec<Option<f32>> = match twin {
            _ if judged.fault_checks.is_none() => vec![Some(0.0); home.entities.len()],
            Some(twin) => twin.lifts.get(index).cloned().unwrap_or_else(|| vec![None; home.entities.len()]),
            None => note(home, index, judged, share, &mut records),
        };
        let evidence: Vec<Evidence> = (0..home.entities.len())
            .map(|entity| {
                let mut evidence = weigh(home, entity, index, judged, share, lifts[entity]);
                evidence.threshold += if evidence.kind.has_own_threshold() { 0.0 } else { offset };
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
        if judged.fault_checks.is_some() {
            run.lifts.push(lifts);
        }
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
            let evidence = weigh(home, entity, index, judged, share, Some(0.0));
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

/// Keeps what the network says of each entity, and gives what it must say more than the fleet's threshold: as the deployed detector
/// does, which counts a day from the step after its midnight.
fn note(
    home: &HomeTrace,
    index: usize,
    judged: &Judged<'_>,
    share: f32,
    records: &mut [NetworkRecord],
) -> Vec<Option<f32>> {
    for (entity, record) in records.iter_mut().enumerate() {
        let score = judged.scores.map(|scores| scores[entity][index]).filter(|score| score.is_finite());
        if let Some(score) = score {
            record.note(score - judged.calibration.threshold(home.entities[entity].class, share));
        }
        if home.at(index) % DAY_SECONDS == 0 {
            record.next_day();
        }
        let trace = &home.entities[entity];
        let due =
            trace.fault_checks.iter().zip(judged.fault_checks.map_or(&[][..], |fault_checks| &fault_checks[entity]));
        let gains: Vec<i8> = due
            .filter(|(one, score)| one.step == index && score.is_finite())
            .map(|(one, score)| {
                let BaselineScore { score: baseline, kind, .. } = one.baseline;
                let baseline = baseline - baseline_threshold(judged, trace, kind, share);
                gain(kind, baseline, score - judged.calibration.threshold(trace.class, share), record.lift_so_far())
            })
            .collect();
        if !gains.is_empty() {
            record.add_check(gains.iter().sum());
        }
    }
    records.iter().map(NetworkRecord::lift).collect()
}

fn baseline_threshold(judged: &Judged<'_>, trace: &EntityTrace, kind: AnomalyKind, share: f32) -> f32 {
    if kind.has_own_threshold() {
        RULE_THRESHOLD
    } else {
        judged.baseline.unwrap_or(judged.calibration).threshold(trace.class, share)
    }
}

/// One entity's evidence: as the deployed detector weighs it. `lift` is what the network must say more than the fleet's threshold;
/// none where it is not asked.
fn weigh(
    home: &HomeTrace,
    entity: usize,
    index: usize,
    judged: &Judged<'_>,
    share: f32,
    lift: Option<f32>,
) -> Evidence {
    let trace = &home.entities[entity];
    let (score, kind) = (trace.baseline[index], trace.kind[index]);
    let spoken = trace.ready[index] || score > BaselineScore::FLOOR;
    let by_baseline = Evidence {
        entity: trace.entity,
        score: (spoken && judged.baseline.is_some()).then_some(score),
        threshold: baseline_threshold(judged, trace, kind, share),
        kind,
        amount: 0.0,
        usual: 0.0,
        observed: Some(trace.observed[index]).filter(|value| value.is_finite()),
        band: None,
    };
    let own = judged.scores.map(|scores| scores[entity][index]).filter(|score| score.is_finite());
    let (Some(own), Some(lift)) = (own, lift) else { return by_baseline };
    let threshold = judged.calibration.threshold(trace.class, share) + lift;
    // Both take part, as homes run a network; a detector that is measured by itself leaves only the rules their say.
    let speaks = by_baseline.score.is_some() && (judged.fault_checks.is_some() || kind.is_rule());
    let found = kind.has_own_threshold() && score >= by_baseline.threshold;
    if speaks && (found || score - by_baseline.threshold >= own - threshold) {
        let doubt = if judged.fault_checks.is_some() && !found { doubt(kind, own - threshold + lift) } else { 0.0 };
        return Evidence { threshold: by_baseline.threshold + doubt, ..by_baseline };
    }
    Evidence { score: Some(own), threshold, kind: AnomalyKind::Pattern, ..by_baseline }
}
