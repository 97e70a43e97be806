//! What each arm found, and how it compares with the control.

use std::fmt;

use hearthwatch_evaluation::evaluate::{Contender, Evaluation, HomePair, paired_difference, replay};

use super::arms::{Arm, Detector};

/// Alarms a home-week that are asked for.
const BUDGET: f64 = 1.0;
const COVERAGE: f64 = 0.9;
const RESAMPLES: usize = 2000;

/// An arm's evaluation of some homes.
pub(super) type Scored = Evaluation;

/// Runs the detector over the homes at the budget.
pub(super) fn score(detector: &Detector, homes: &[&HomePair], threads: usize) -> Scored {
    let pairs: Vec<HomePair> = homes.iter().map(|pair| (*pair).clone()).collect();
    let run = |contender, budget| replay(&pairs, contender, budget, threads, |_| {});
    let baseline = Contender::Baseline(&detector.baseline);
    match &detector.network {
        None => run(baseline, BUDGET),
        Some((scorer, calibration, blend)) => {
            let network = Contender::Network { scorer, calibration, blend, baseline: &detector.baseline };
            if detector.fused {
                either(run(network, BUDGET / 2.0), &run(baseline, BUDGET / 2.0))
            } else {
                run(network, BUDGET)
            }
        }
    }
}

/// Both at once: found is what either found, a false alarm is what either raised.
fn either(mut one: Evaluation, other: &Evaluation) -> Evaluation {
    for (home, beside) in one.homes.iter_mut().zip(&other.homes) {
        home.false_alarms += beside.false_alarms;
        for (event, again) in home.events.iter_mut().zip(&beside.events) {
            event.found |= again.found;
            event.delay_s = event.delay_s.into_iter().chain(again.delay_s).min();
        }
    }
    one
}

/// A table: one line an arm, homes of all folds and seeds together.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    lines: Vec<(Arm, Evaluation, usize)>,
}

impl Sheet {
    /// Adds one fold's figures of an arm.
    pub(super) fn add(&mut self, arm: &Arm, scored: Scored, answers: usize) {
        match self.lines.iter_mut().find(|(known, ..)| known.name == arm.name) {
            Some((_, all, count)) => {
                all.extend(scored);
                *count += answers;
            }
            None => self.lines.push((*arm, scored, answers)),
        }
    }
}

impl fmt::Display for Sheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |name: &str| self.lines.iter().find(|(arm, ..)| arm.name == name).map(|(_, evaluation, _)| evaluation);
        writeln!(
            f,
            "{:<37} {:>8} {:>16} {:>12} {:>26}  verdict",
            "arm", "answers", "found", "false/week", "recall less its control"
        )?;
        for (arm, evaluation, answers) in &self.lines {
            let name = arm.name;
            let summary = evaluation.summary();
            let difference = of(arm.control())
                .filter(|_| arm.control() != name)
                .map(|control| paired_difference(evaluation, control, COVERAGE, RESAMPLES, 1));
            let (text, verdict) = difference.map_or(("-".to_owned(), "-"), |interval| {
                let text = format!("{:+.3} ({:+.3}..{:+.3})", interval.point, interval.low, interval.high);
                (text, if interval.low > 0.0 { "above" } else { "hold" })
            });
            writeln!(
                f,
                "{name:<37} {answers:>8} {:>16} {:>12.2} {text:>26}  {verdict}",
                format!("{:.3} ({}/{})", summary.recall.ratio(), summary.recall.found, summary.recall.all),
                summary.false_alarms_per_week
            )?;
        }
        for (title, slices) in [
            ("class", |one: &Evaluation| one.summary().by_class),
            ("family", |one: &Evaluation| one.summary().by_family),
        ]
            as [(&str, fn(&Evaluation) -> std::collections::BTreeMap<String, hearthwatch_evaluation::evaluate::Share>);
                2]
        {
            for (arm, evaluation, _) in self.lines.iter().filter(|(arm, ..)| arm.name.contains("answered")) {
                let base = of(arm.control()).map(slices).unwrap_or_default();
                write!(f, "by {title}, {}:", arm.name)?;
                for (slice, share) in slices(evaluation) {
                    let other = base.get(&slice).copied().unwrap_or_default();
                    write!(f, " {slice} {}→{}/{}", other.found, share.found, share.all)?;
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }
}
