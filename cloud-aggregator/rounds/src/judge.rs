//! Whether a round's candidate becomes a model: homes that did not train evaluate it by counts, the recordings held out guard against
//! forgetting. Pure.
//!
//! All models are held to the same false alarms: thresholds by class come from the evaluators' own clean days. The candidate must find more
//! than the fleet's model, and more than replay alone for as many steps, which is what the homes' training is worth.

mod pooled;
mod recordings;

use std::collections::BTreeMap;

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_evaluation::evaluate::{GateReport, GateVerdict, Interval, bootstrap};
use hearthwatch_federation::{ClassCounts, HomeCounts};
use hearthwatch_protocol::HomeId;
use hearthwatch_protocol::limits::ROUND_ENTITIES_MAX;
use serde::{Deserialize, Serialize};

use self::pooled::{Pooled, Threshold};

/// Place of the candidate in a home's counts.
const CANDIDATE: usize = 0;
/// Place of replay alone.
const CONTROL: usize = 1;
/// Place of the fleet's model.
const CHAMPION: usize = 2;

/// Evaluators below which an interval says nothing: five that all agree do so by chance once in 32.
const EVALUATORS_MIN: usize = 5;

/// Most that one home's counts weigh, as a multiple of the median home's.
const WEIGHT_MAX: f64 = 2.0;

/// Largest standard deviation of false alarms that noise may cause, as a share of those that are allowed: two of them keep the budget within
/// .7 to 1.3 of what is asked.
const ALARM_NOISE_MAX: f64 = 0.15;

/// What a verdict asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct JudgePolicy {
    /// Homes that must have evaluated.
    pub least: usize,
    /// False alarms a home-week to which every model is held.
    pub budget_per_week: f64,
    /// Coverage of the intervals.
    pub coverage: f64,
    /// Resamples of homes for each interval.
    pub resamples: usize,
    /// Seed of the bootstrap.
    pub seed: u64,
    /// Scale of the Laplace noise that homes added to each count; 0 for none.
    pub count_noise: f64,
    /// Fewest faults of a class on which a loss counts.
    pub slice_faults_min: f64,
    /// Largest loss of recall in a class against the fleet's model.
    pub slice_loss_max: f64,
}

impl JudgePolicy {
    /// The usual one with another least number of homes.
    #[must_use]
    pub fn with_least(least: usize) -> Self {
        Self {
            least,
            budget_per_week: 1.0,
            coverage: 0.9,
            resamples: 2_000,
            seed: 1,
            count_noise: 0.0,
            slice_faults_min: 12.0,
            slice_loss_max: 0.15,
        }
    }
}

/// What one home counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluator {
    /// Who counted.
    pub home: HomeId,
    /// For the candidate, replay alone and the fleet's model, in this order.
    pub counts: HomeCounts,
    /// Sensors in its offer.
    pub sensors: u32,
}

/// Recall in one class.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ClassFigures {
    /// Faults that were put into copies; a home that weighs less counts less.
    pub faults: f64,
    /// Share of them that were found.
    pub recall: f64,
}

/// One model's figures over all evaluators.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ModelFigures {
    /// Share of faults that were found at the budget.
    pub recall: f64,
    /// Area under the curve of precision over recall, classes weighted by faults.
    pub auc_pr: f64,
    /// By class.
    pub by_class: BTreeMap<String, ClassFigures>,
}

/// What the evaluators found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HomesReport {
    /// Homes whose counts were used.
    pub homes: usize,
    /// Home-weeks that they evaluated; a home that weighs less counts less.
    pub home_weeks: f64,
    /// False alarms that the budget allows in them.
    #[serde(default)]
    pub alarms: f64,
    /// Standard deviation of the false alarms, of which the noise on counts is the cause; the largest of the three models'.
    #[serde(default)]
    pub alarm_noise: f64,
    /// The candidate.
    pub candidate: ModelFigures,
    /// Replay alone.
    pub control: ModelFigures,
    /// The fleet's model.
    pub champion: ModelFigures,
    /// Recall of the candidate minus that of replay alone.
    pub less_control: Interval,
    /// Recall of the candidate minus that of the fleet's model.
    pub less_champion: Interval,
}

/// All that the verdict rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoundReport {
    /// What homes that did not train found.
    pub homes: HomesReport,
    /// What the recordings held out show.
    pub recordings: GateReport,
}

/// What comes of a candidate.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct RoundVerdict {
    /// Why it is held back; none where it becomes a model.
    pub reasons: Vec<String>,
    /// Whether the next round goes on from it: not where it is worse than replay alone, or forgets.
    pub kept: bool,
    /// What was found. The gate's report in it has this verdict.
    pub report: RoundReport,
}

impl RoundVerdict {
    /// Whether the candidate becomes a model.
    #[must_use]
    pub fn promotes(&self) -> bool {
        self.reasons.is_empty()
    }
}

/// Judges a candidate from the `evaluators` of homes that did not train, and from the gate's report on `recordings`.
pub fn judge(evaluators: &[Evaluator], recordings: GateReport, policy: &JudgePolicy) -> RoundVerdict {
    let homes = weigh(evaluators, policy);
    let forgets = recordings::reasons(&recordings);
    let mut reasons = Vec::new();
    if homes.homes < policy.least {
        reasons.push(format!("too few homes evaluated: {} of the {} that are needed", homes.homes, policy.least));
    }
    let (allowed, noise) = (homes.alarms, homes.alarm_noise);
    if noise > ALARM_NOISE_MAX * allowed {
        reasons.push(format!(
            "noise on counts hides the budget: {allowed:.0} false alarms are allowed, and noise alone is {noise:.0}; lower count_noise, or ask more homes"
        ));
    }
    let (control, champion) = (homes.less_control, homes.less_champion);
    if control.low <= 0.0 {
        reasons.push(format!("what replay alone explains: recall against it is {}, not above zero", text(&control)));
    }
    if champion.low <= 0.0 {
        reasons.push(format!("recall against the model in use is {}, not above zero", text(&champion)));
    }
    let (mine, theirs) = (homes.candidate.auc_pr, homes.control.auc_pr);
    if mine < theirs {
        reasons.push(format!("area under precision and recall {mine:.3} against {theirs:.3} of replay alone"));
    }
    let lost = classes_lost(&homes, policy);
    let kept = control.high >= 0.0 && lost.is_empty() && forgets.is_empty();
    reasons.extend(lost);
    reasons.extend(forgets);
    let verdict =
        if reasons.is_empty() { GateVerdict::Promote } else { GateVerdict::Hold { reasons: reasons.clone() } };
    let recordings = GateReport { verdict, ..recordings };
    RoundVerdict { reasons, kept, report: RoundReport { homes, recordings } }
}

fn text(interval: &Interval) -> String {
    let Interval { low, point, high } = interval;
    format!("{point:+.3}, interval {low:+.3} to {high:+.3}")
}

/// A gain on average must not be paid for by one kind of sensor.
fn classes_lost(homes: &HomesReport, policy: &JudgePolicy) -> Vec<String> {
    let lost = |(class, mine): (&String, &ClassFigures)| {
        let before = homes.champion.by_class.get(class)?.recall;
        let loses = mine.faults >= policy.slice_faults_min && before - mine.recall > policy.slice_loss_max;
        let (recall, faults) = (mine.recall, mine.faults);
        loses.then(|| {
            format!(
                "forgets {class}: recall {recall:.2} against {before:.2} of the model in use, on {faults:.0} faults"
            )
        })
    };
    homes.candidate.by_class.iter().filter_map(lost).collect()
}

/// One home's faults and how many of them each model finds.
struct Found {
    all: f64,
    by_model: [f64; 3],
}

fn weigh(evaluators: &[Evaluator], policy: &JudgePolicy) -> HomesReport {
    // Without noise no count is below zero, whatever a home sends.
    let evaluators: Vec<Evaluator> =
        if policy.count_noise > 0.0 { evaluators.to_vec() } else { evaluators.iter().map(at_least_zero).collect() };
    let usable: Vec<&Evaluator> = evaluators.iter().filter(|evaluator| days(evaluator) > 0.0).collect();
    let sizes: Vec<f64> = usable.iter().map(|evaluator| size(evaluator)).collect();
    let most = WEIGHT_MAX * median(&sizes);
    let weighted: Vec<(&Evaluator, f64)> =
        usable.iter().zip(&sizes).map(|(evaluator, size)| (*evaluator, (most / size).min(1.0))).collect();
    let week_of = |(evaluator, weight): &(&Evaluator, f64)| {
        weight * days(evaluator) / (7.0 * f64::from(evaluator.sensors.clamp(1, ROUND_ENTITIES_MAX as u32)))
    };
    let home_weeks: f64 = weighted.iter().map(week_of).sum();
    let pooled = [CANDIDATE, CONTROL, CHAMPION].map(|model| Pooled::of(&weighted, model));
    let alarms = policy.budget_per_week * home_weeks;
    let thresholds = pooled.each_ref().map(|pooled| pooled.thresholds(alarms));
    let noise_of =
        |(pooled, thresholds): (&Pooled, _)| pooled.noise_of_alarms(&weighted, thresholds, policy.count_noise);
    let alarm_noise = pooled.iter().zip(&thresholds).map(noise_of).fold(0.0, f64::max);
    let found: Vec<Found> = weighted.iter().map(|(evaluator, weight)| found(evaluator, *weight, &thresholds)).collect();
    let difference = |other: usize| {
        let figure = |homes: &[&Found]| {
            let all: f64 = homes.iter().map(|home| home.all).sum();
            let more: f64 = homes.iter().map(|home| home.by_model[CANDIDATE] - home.by_model[other]).sum();
            if all > 0.0 { more / all } else { 0.0 }
        };
        let interval = bootstrap(&found, policy.coverage, policy.resamples, policy.seed, &figure);
        // The bootstrap of a few homes is as narrow as they happen to agree.
        if found.len() < EVALUATORS_MIN { Interval { low: -1.0, high: 1.0, ..interval } } else { interval }
    };
    let figures = |model: usize| pooled[model].figures(&thresholds[model]);
    HomesReport {
        homes: weighted.len(),
        home_weeks,
        alarms,
        alarm_noise,
        candidate: figures(CANDIDATE),
        control: figures(CONTROL),
        champion: figures(CHAMPION),
        less_control: difference(CONTROL),
        less_champion: difference(CHAMPION),
    }
}

/// Sensor-days that a home judged; noise may make them a few more or less.
fn days(evaluator: &Evaluator) -> f64 {
    let classes = evaluator.counts.models.first().into_iter().flat_map(BTreeMap::values);
    classes.map(|counts| counts.days.counts().iter().map(|count| f64::from(*count)).sum::<f64>()).sum::<f64>().max(0.0)
}

/// What a home's counts could weigh, at most: also where counts below zero make its days few.
fn size(evaluator: &Evaluator) -> f64 {
    let of = |classes: &BTreeMap<DeviceClass, ClassCounts>| -> f64 {
        let counts = classes.values().flat_map(|counts| [&counts.days, &counts.faults]);
        counts.flat_map(|histogram| histogram.counts()).map(|count| f64::from(*count).abs()).sum()
    };
    evaluator.counts.models.iter().map(of).fold(0.0, f64::max)
}

fn at_least_zero(evaluator: &Evaluator) -> Evaluator {
    Evaluator { counts: evaluator.counts.at_least_zero(), ..evaluator.clone() }
}

fn found(evaluator: &Evaluator, weight: f64, thresholds: &[BTreeMap<DeviceClass, Threshold>; 3]) -> Found {
    let mut found = Found { all: 0.0, by_model: [0.0; 3] };
    for (model, thresholds) in thresholds.iter().enumerate() {
        let Some(classes) = evaluator.counts.models.get(model) else { continue };
        for (class, counts) in classes {
            // Noise falls on both sides of nothing: cut at zero, it would be faults that nobody put in.
            let faults = counts.faults.counts().map(|count| weight * f64::from(count));
            if model == CANDIDATE {
                found.all += faults.iter().sum::<f64>();
            }
            found.by_model[model] += thresholds.get(class).map_or(0.0, |threshold| threshold.above(&faults));
        }
    }
    found
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests;
