//! The gate: whether a candidate may be released to homes. In doubt it holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::bootstrap::{Interval, paired_difference, paired_false_alarms};
use super::outcome::{Evaluation, Share, Summary};

/// What the gate asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GatePolicy {
    /// False alarms a home-week that residents asked for.
    pub budget_per_week: f64,
    /// Most false alarms, as a multiple of the budget. 1.4 is the goal's upper end.
    pub budget_ratio_max: f64,
    /// Coverage of the intervals.
    pub coverage: f64,
    /// Resamples of homes for each interval; more only make its ends steadier.
    pub resamples: usize,
    /// Seed of the bootstrap.
    pub seed: u64,
    /// Fewest events on which anything is judged.
    pub events_min: u32,
    /// Fewest events of a class or family on which a loss counts; below it the figure is noise.
    pub slice_events_min: u32,
    /// Largest loss of recall in any class or family against the best of the others.
    pub slice_loss_max: f64,
}

impl Default for GatePolicy {
    fn default() -> Self {
        Self {
            budget_per_week: 1.0,
            budget_ratio_max: 1.4,
            coverage: 0.9,
            resamples: 2000,
            seed: 1,
            events_min: 40,
            slice_events_min: 12,
            slice_loss_max: 0.15,
        }
    }
}

/// Whether a candidate may be released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[must_use]
pub enum GateVerdict {
    /// The candidate may be released.
    Promote,
    /// It may not be released, for at least one reason.
    Hold {
        /// Why: whole sentences with figures.
        reasons: Vec<String>,
    },
}

/// The candidate held against one other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// `routine detector` (the baseline detector, as stored reports call it), `champion` or `replay without feedback`.
    pub against: String,
    /// Strict recall of the candidate minus the other's.
    pub recall: Interval,
    /// False alarms a home-week of the candidate minus the other's; none in reports from before they were compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub false_alarms: Option<Interval>,
}

/// What a candidate owes one home: leave-one-out influence (Cook 1977), with homes for observations and held-out recall
/// for the figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Influence {
    /// Its id as the answers carry it.
    pub home: String,
    /// Its share of the weight of all answers that were learnt from.
    pub weight_share: f64,
    /// Strict recall of the candidate minus that of the same training without the home, on homes held out.
    pub recall: Interval,
    /// What the gate would say of the training without the home; nothing when it would let it through.
    pub held_without: Vec<String>,
}

/// All that the gate looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateReport {
    /// Follows from the comparisons and influences below.
    pub verdict: GateVerdict,
    /// Measured on the test homes under its own thresholds.
    pub candidate: Summary,
    /// The baseline detector on the same homes.
    #[serde(rename = "routine")]
    pub baseline: Summary,
    /// The champion's, if there is one.
    pub champion: Option<Summary>,
    /// Those of the same training without feedback, if that was run.
    pub control: Option<Summary>,
    /// Against the baseline detector first, then the champion, then the training without answers; those there are.
    pub comparisons: Vec<Comparison>,
    /// What the candidate owes the homes whose answers weigh most; measured only where it would be let through.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub influences: Vec<Influence>,
    /// What was asked for.
    pub policy: GatePolicy,
}

/// Judges a candidate on homes held out from training; all evaluations are of the same homes in the same order.
///
/// It must beat the baseline detector, the champion, and (when feedback was used) the same training without feedback, each
/// with a paired interval above zero; raise no more false alarms than any of them, by the same interval; keep the
/// false-alarm budget; and lose in no class and no family of some size.
pub fn judge(
    candidate: &Evaluation,
    baseline: &Evaluation,
    champion: Option<&Evaluation>,
    control: Option<&Evaluation>,
    policy: &GatePolicy,
) -> GateReport {
    let summary = candidate.summary();
    let mut reasons = Vec::new();
    if summary.recall.all < policy.events_min {
        let (all, min) = (summary.recall.all, policy.events_min);
        reasons.push(format!("only {all} events on held-out homes; at least {min} are needed to judge"));
    }
    let limit = policy.budget_per_week * policy.budget_ratio_max;
    if summary.false_alarms_per_week > limit {
        let rate = summary.false_alarms_per_week;
        reasons.push(format!("{rate:.2} false alarms a home-week on held-out homes; at most {limit:.2} are allowed"));
    }
    let references =
        [("routine detector", Some(baseline)), ("champion", champion), ("replay without feedback", control)];
    let mut comparisons = Vec::new();
    for (name, reference) in references {
        let Some(reference) = reference else { continue };
        let recall = paired_difference(candidate, reference, policy.coverage, policy.resamples, policy.seed);
        if recall.low <= 0.0 {
            let Interval { low, point, high } = recall;
            reasons.push(format!(
                "recall against the {name} is {point:+.3}, interval {low:+.3} to {high:+.3}: not above zero"
            ));
        }
        let false_alarms = paired_false_alarms(candidate, reference, policy.coverage, policy.resamples, policy.seed);
        if false_alarms.low > 0.0 {
            let Interval { low, point, high } = false_alarms;
            reasons.push(format!(
                "it raises {point:+.2} false alarms a home-week against the {name}, interval {low:+.2} to {high:+.2}: more than before"
            ));
        }
        let other = reference.summary();
        slices("class", name, &summary.by_class, &other.by_class, policy, &mut reasons);
        slices("family", name, &summary.by_family, &other.by_family, policy, &mut reasons);
        comparisons.push(Comparison { against: name.to_owned(), recall, false_alarms: Some(false_alarms) });
    }
    GateReport {
        verdict: if reasons.is_empty() { GateVerdict::Promote } else { GateVerdict::Hold { reasons } },
        candidate: summary,
        baseline: baseline.summary(),
        champion: champion.map(Evaluation::summary),
        control: control.map(Evaluation::summary),
        comparisons,
        influences: Vec::new(),
        policy: policy.clone(),
    }
}

/// A gain on average must not be paid for by one kind of sensor or fault.
fn slices(
    what: &str,
    reference: &str,
    candidate: &BTreeMap<String, Share>,
    other: &BTreeMap<String, Share>,
    policy: &GatePolicy,
    reasons: &mut Vec<String>,
) {
    for (slice, share) in candidate {
        let before = other.get(slice).copied().unwrap_or_default();
        let loss = before.ratio() - share.ratio();
        if share.all >= policy.slice_events_min && loss > policy.slice_loss_max {
            reasons.push(format!(
                "{what} {slice}: recall {:.2} against {:.2} of the {reference}, on {} events",
                share.ratio(),
                before.ratio(),
                share.all
            ));
        }
    }
}

#[cfg(test)]
mod tests;
