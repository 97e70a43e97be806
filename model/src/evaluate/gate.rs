//! The gate: whether a candidate may speak in homes, decided from figures alone and explained in sentences.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::bootstrap::{Interval, bootstrap};
use super::summary::{Sampling, Share, Summary, pooled};

/// What the gate asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GateConfig {
    /// False alarms a home accepts in a week.
    pub budget_per_week: f64,
    /// Confidence of the intervals.
    pub confidence: f64,
    /// Bootstrap draws.
    pub resamples: usize,
    /// Seed of the bootstrap.
    pub seed: u64,
    /// Fewest injected faults that a decision may rest on.
    pub events_min: u32,
    /// Fewest test homes.
    pub homes_min: u32,
    /// How far below the champion (or its control) the lower end of the difference may lie. The candidate must be better
    /// on average; demanding certainty from a handful of homes would hold every improvement.
    pub champion_margin: f64,
    /// Most false alarms as deployed, as a multiple of the budget.
    pub realised_max: f64,
    /// Most that a family of faults may lose in recall against who speaks today.
    pub family_loss_max: f64,
    /// Fewest faults of a family before its loss counts.
    pub family_events_min: u32,
}

impl Default for GateConfig {
    fn default() -> Self {
        Self {
            budget_per_week: 1.0,
            confidence: 0.9,
            resamples: 1000,
            seed: 1,
            events_min: 30,
            homes_min: 3,
            champion_margin: 0.02,
            realised_max: 2.0,
            family_loss_max: 0.25,
            family_events_min: 10,
        }
    }
}

impl GateConfig {
    pub(super) fn sampling(&self) -> Sampling {
        Sampling {
            budget_per_week: self.budget_per_week,
            resamples: self.resamples,
            confidence: self.confidence,
            seed: self.seed,
        }
    }
}

/// The decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum GateVerdict {
    /// The candidate may be signed and released.
    Promote,
    /// It may not, and these sentences say why.
    Hold {
        /// One sentence for each unmet demand, with numbers.
        reasons: Vec<String>,
    },
}

/// The candidate against one rival: difference of recall at the matched false-alarm rate, paired by home.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// `routine`, `champion` or `replay_control`.
    pub against: String,
    /// Candidate less rival.
    pub difference: Interval,
}

/// Everything the decision rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateReport {
    /// The decision.
    pub verdict: GateVerdict,
    /// The candidate's figures.
    pub candidate: Summary,
    /// The model that is deployed today, when there is one.
    pub champion: Option<Summary>,
    /// The routine detector on the same homes.
    pub routine: Summary,
    /// As many training steps from the same start without the feedback, when feedback was used.
    pub replay_control: Option<Summary>,
    /// The paired differences.
    pub comparisons: Vec<Comparison>,
    /// What was asked for.
    pub config: GateConfig,
}

/// Decides from the summaries of the same test homes.
///
/// Promote takes: enough homes and faults; more found than the routine detector with the difference's lower end above
/// zero; more than the champion and than the replay control on average, with the lower end above −margin; false alarms as
/// deployed within bounds; no family of faults given up.
#[must_use]
pub fn decide(
    candidate: Summary,
    routine: Summary,
    champion: Option<Summary>,
    replay_control: Option<Summary>,
    config: &GateConfig,
) -> GateReport {
    let mut reasons = Vec::new();
    let mut comparisons = Vec::new();
    let events: u32 = candidate.matched_by_home.values().map(|share| share.of).sum();
    if candidate.homes < config.homes_min || events < config.events_min {
        reasons.push(format!(
            "Only {events} faults in {} test homes; a decision needs {} in {}.",
            candidate.homes, config.events_min, config.homes_min
        ));
    }
    let against_routine = difference(&candidate, &routine, config);
    if against_routine.low <= 0.0 {
        reasons.push(format!(
            "It does not surely beat the routine detector: at {} false alarms per home-week it finds {:.1} % of the \
             faults against {:.1} % ({}).",
            config.budget_per_week,
            100.0 * candidate.matched_recall.value,
            100.0 * routine.matched_recall.value,
            points(&against_routine, config)
        ));
    }
    comparisons.push(Comparison { against: "routine".to_owned(), difference: against_routine });
    for (name, title, rival) in [
        ("champion", "the deployed model", &champion),
        ("replay_control", "as much training without the answers", &replay_control),
    ] {
        let Some(rival) = rival else { continue };
        let against = difference(&candidate, rival, config);
        if against.value <= 0.0 || against.low < -config.champion_margin {
            reasons.push(format!(
                "It is not better than {title}: {:.1} % of the faults against {:.1} % ({}).",
                100.0 * candidate.matched_recall.value,
                100.0 * rival.matched_recall.value,
                points(&against, config)
            ));
        }
        comparisons.push(Comparison { against: name.to_owned(), difference: against });
    }
    let today = champion.as_ref().unwrap_or(&routine);
    reasons.extend(too_noisy(&candidate, today, config));
    reasons.extend(families_given_up(&candidate, today, config));
    let verdict = if reasons.is_empty() { GateVerdict::Promote } else { GateVerdict::Hold { reasons } };
    GateReport { verdict, candidate, champion, routine, replay_control, comparisons, config: config.clone() }
}

fn difference(candidate: &Summary, rival: &Summary, config: &GateConfig) -> Interval {
    let homes: Vec<&String> = candidate.matched_by_home.keys().collect();
    let of = |summary: &Summary| -> Vec<Share> {
        homes.iter().map(|home| summary.matched_by_home.get(*home).copied().unwrap_or_default()).collect()
    };
    let (left, right) = (of(candidate), of(rival));
    bootstrap(homes.len(), config.resamples, config.confidence, config.seed, |drawn| {
        Some(pooled(&left, drawn)? - pooled(&right, drawn)?)
    })
}

fn too_noisy(candidate: &Summary, today: &Summary, config: &GateConfig) -> Option<String> {
    let allowed = (config.realised_max * config.budget_per_week).max(today.false_alarms_per_week.value);
    let realised = candidate.false_alarms_per_week.value;
    (realised > allowed).then(|| {
        format!(
            "As deployed it gives {realised:.2} false alarms per home-week for a budget of {}; {allowed:.2} are allowed.",
            config.budget_per_week
        )
    })
}

fn families_given_up(candidate: &Summary, today: &Summary, config: &GateConfig) -> Vec<String> {
    let mut reasons = Vec::new();
    for (family, before) in &today.families {
        let after = candidate.families.get(family).copied().unwrap_or_default();
        let (Some(was), Some(is)) = (before.ratio(), after.ratio()) else { continue };
        if before.of >= config.family_events_min && was - is > config.family_loss_max {
            reasons.push(format!(
                "It gives up {}: {} of {} found where {} of {} are found today.",
                family.replace('_', " "),
                after.found,
                after.of,
                before.found,
                before.of
            ));
        }
    }
    reasons
}

fn points(interval: &Interval, config: &GateConfig) -> String {
    format!(
        "difference {:+.1} points, {:.0} % interval {:+.1} to {:+.1}",
        100.0 * interval.value,
        100.0 * config.confidence,
        100.0 * interval.low,
        100.0 * interval.high
    )
}

impl fmt::Display for GateReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows: Vec<(&str, &Summary)> = vec![("candidate", &self.candidate)];
        rows.extend(self.champion.iter().map(|summary| ("champion", summary)));
        rows.extend(self.replay_control.iter().map(|summary| ("replay control", summary)));
        rows.push(("routine", &self.routine));
        writeln!(f, "{:<15} {:>22} {:>20} {:>14} {:>6}", "", "recall at the budget", "recall deployed", "false/week", "real")?;
        for (name, summary) in rows {
            writeln!(
                f,
                "{name:<15} {:>22} {:>20} {:>14} {:>6}",
                percent(&summary.matched_recall),
                percent(&summary.recall),
                format!("{:.2}", summary.false_alarms_per_week.value),
                format!("{}/{}", summary.real.found, summary.real.of)
            )?;
        }
        match &self.verdict {
            GateVerdict::Promote => write!(f, "verdict: promote"),
            GateVerdict::Hold { reasons } => write!(f, "verdict: hold\n- {}", reasons.join("\n- ")),
        }
    }
}

fn percent(interval: &Interval) -> String {
    format!("{:.1} % ({:.0} to {:.0})", 100.0 * interval.value, 100.0 * interval.low, 100.0 * interval.high)
}

#[cfg(test)]
mod tests;
