//! The report of a federated round: one line while it runs, and its figures under the table.

use std::fmt;

use anyhow::Context as _;
use hearthwatch_evaluation::evaluate::Interval;
use hearthwatch_rounds::judge::RoundReport;
use hearthwatch_store::rounds::{RoundDuty, RoundHomeRow, RoundHomeState, RoundOutcome, RoundRow};
use serde::{Deserialize, Serialize};

/// A federated round, as it ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FederatedRound {
    /// Counts from 1.
    pub number: u64,
    /// Homes that were asked to train.
    pub asked: usize,
    /// Homes whose delta is part of what came of it.
    pub used: usize,
    /// Homes whose delta is not, each with the reason.
    pub left_out: Vec<String>,
    /// Homes that were asked and sent no delta that could be used, each with the reason.
    pub silent: Vec<String>,
    /// Euclidean norms of the deltas that came, rising.
    pub norms: Vec<f64>,
    /// Homes that evaluated.
    pub evaluated: usize,
    /// `promoted`, `held`, or why there was nothing to judge.
    pub outcome: String,
    /// Every reason of the gate; empty where it promoted.
    pub reason: String,
    /// What evaluators found; none where there was nothing to judge.
    pub figures: Option<Figures>,
    /// The version that it became, if it became one.
    pub released: Option<u64>,
}

/// What homes that did not train found, all models held to the same false alarms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Recall and area under precision and recall of the candidate.
    pub candidate: (f64, f64),
    /// Of replay alone, for as many steps.
    pub control: (f64, f64),
    /// Of the model in use.
    pub champion: (f64, f64),
    /// Recall of the candidate less that of replay alone.
    pub less_control: Interval,
    /// Recall of the candidate less that of the model in use.
    pub less_champion: Interval,
}

impl FederatedRound {
    /// Of a round that has ended and the homes that were asked.
    ///
    /// # Errors
    /// When the round's report cannot be read.
    pub fn of(row: &RoundRow, homes: &[RoundHomeRow]) -> anyhow::Result<Self> {
        let trained: Vec<&RoundHomeRow> = homes.iter().filter(|home| home.duty == RoundDuty::Train).collect();
        let of = |state: RoundHomeState| trained.iter().filter(move |home| home.state == state);
        let named = |home: &RoundHomeRow| {
            let why = if home.reason.is_empty() { home.state.as_str() } else { &home.reason };
            format!("{}: {why}", home.home)
        };
        let counts = [RoundHomeState::Taken, RoundHomeState::LeftOut];
        let mut norms: Vec<f64> = trained.iter().filter_map(|home| home.norm).collect();
        norms.sort_by(f64::total_cmp);
        let taken = |home: &&RoundHomeRow| home.duty == RoundDuty::Evaluate && home.state == RoundHomeState::Taken;
        let report = row.report.as_deref().map(serde_json::from_str::<RoundReport>).transpose();
        Ok(Self {
            number: row.number,
            asked: trained.len(),
            used: of(RoundHomeState::Taken).count(),
            left_out: of(RoundHomeState::LeftOut).map(|home| named(home)).collect(),
            silent: trained.iter().filter(|home| !counts.contains(&home.state)).map(|home| named(home)).collect(),
            norms,
            evaluated: homes.iter().filter(taken).count(),
            outcome: row.outcome.map_or("open", RoundOutcome::as_str).to_owned(),
            reason: row.reason.clone(),
            figures: report.context("a round's report")?.map(|report| Figures::of(&report)),
            released: None,
        })
    }

    /// It in one line, with the first reason of the gate.
    #[must_use]
    pub fn line(&self) -> String {
        let mut parts = vec![self.homes()];
        if let Some(figures) = self.figures {
            let [control, champion] = [figures.less_control, figures.less_champion].map(short);
            parts.push(format!(
                "{} evaluated: recall against replay alone {control}, against the model in use {champion}",
                self.evaluated
            ));
        }
        // Only the gate gives several reasons.
        let limit = if self.figures.is_some() { usize::MAX } else { 1 };
        let mut reasons = self.reason.splitn(limit, "; ").filter(|reason| !reason.is_empty());
        // The interval of a reason stands in the line already, or under the table.
        let first = reasons.next().and_then(|reason| reason.split(", interval").next());
        let first = first.map(|reason| format!(": {reason}")).unwrap_or_default();
        let more = match reasons.count() {
            0 => String::new(),
            1 => "; 1 more reason".to_owned(),
            more => format!("; {more} more reasons"),
        };
        format!("round {}: {}; {}{first}{more}", self.number, parts.join("; "), self.outcome.replace('_', " "))
    }

    fn homes(&self) -> String {
        let norms = match (self.norms.first(), self.norms.last()) {
            (Some(least), Some(most)) => format!(", norms {least:.2} to {most:.2}"),
            _ => String::new(),
        };
        let left_out = match self.left_out.len() {
            0 => "none left out".to_owned(),
            count => format!("{count} left out"),
        };
        let silent = match self.silent.len() {
            0 => String::new(),
            count => format!(", {count} silent"),
        };
        format!("{} of {} homes used, {left_out}{silent}{norms}", self.used, self.asked)
    }
}

impl Figures {
    fn of(report: &RoundReport) -> Self {
        let homes = &report.homes;
        let figures = [&homes.candidate, &homes.control, &homes.champion];
        let [candidate, control, champion] = figures.map(|model| (model.recall, model.auc_pr));
        let (less_control, less_champion) = (homes.less_control, homes.less_champion);
        Self { candidate, control, champion, less_control, less_champion }
    }
}

impl fmt::Display for FederatedRound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = self.outcome.replace('_', " ");
        let reason = if self.reason.is_empty() { String::new() } else { format!(": {}", self.reason) };
        writeln!(f, "Federated round {}: {outcome}{reason}", self.number)?;
        writeln!(f, "  {}; {} homes evaluated", self.homes(), self.evaluated)?;
        for home in self.left_out.iter().chain(&self.silent) {
            writeln!(f, "  {home}")?;
        }
        let Some(figures) = self.figures else { return Ok(()) };
        let models =
            [("candidate", figures.candidate), ("replay alone", figures.control), ("model in use", figures.champion)];
        for (name, (recall, area)) in models {
            writeln!(f, "  {name:<16}  recall {recall:.3}, area under precision and recall {area:.3}")?;
        }
        for (name, less) in [("replay alone", figures.less_control), ("the model in use", figures.less_champion)] {
            writeln!(f, "  recall against {name}: {}", long(less))?;
        }
        Ok(())
    }
}

fn short(interval: Interval) -> String {
    format!("{:+.3} ({:+.3} to {:+.3})", interval.point, interval.low, interval.high)
}

fn long(interval: Interval) -> String {
    format!("{:+.3}, interval {:+.3} to {:+.3}", interval.point, interval.low, interval.high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round() -> FederatedRound {
        let interval = |point: f64| Interval { low: point - 0.02, point, high: point + 0.02 };
        FederatedRound {
            number: 2,
            asked: 8,
            used: 6,
            left_out: vec!["home-03: nothing changed".to_owned()],
            silent: vec!["home-04: history_too_short".to_owned()],
            norms: vec![0.61, 0.9, 1.204],
            evaluated: 12,
            outcome: "held".to_owned(),
            reason: "what replay alone explains: recall against it is +0.003, interval -0.017 to +0.023, not above zero; another".to_owned(),
            figures: Some(Figures {
                candidate: (0.41, 0.5),
                control: (0.407, 0.5),
                champion: (0.4, 0.49),
                less_control: interval(0.003),
                less_champion: interval(0.01),
            }),
            released: None,
        }
    }

    #[test]
    fn a_line_has_reporters_norms_the_difference_in_recall_and_the_gates_first_reason() {
        assert_eq!(
            round().line(),
            "round 2: 6 of 8 homes used, 1 left out, 1 silent, norms 0.61 to 1.20; 12 evaluated: recall against replay alone +0.003 (-0.017 to \
             +0.023), against the model in use +0.010 (-0.010 to +0.030); held: what replay alone explains: recall against it is +0.003; \
             1 more reason"
        );
    }

    #[test]
    fn a_round_without_a_candidate_says_so_in_its_line() {
        let round = FederatedRound {
            used: 0,
            left_out: Vec::new(),
            silent: Vec::new(),
            norms: Vec::new(),
            figures: None,
            outcome: "too_few".to_owned(),
            reason: "0 of 8 homes sent a delta; 4 are needed".to_owned(),
            ..round()
        };
        assert_eq!(
            round.line(),
            "round 2: 0 of 8 homes used, none left out; too few: 0 of 8 homes sent a delta; 4 are needed"
        );
    }

    #[test]
    fn its_figures_name_every_home_that_was_not_used() {
        let text = round().to_string();
        assert!(text.starts_with("Federated round 2: held: what replay alone explains"), "{text}");
        assert!(text.contains("home-03: nothing changed") && text.contains("home-04: history_too_short"), "{text}");
        assert!(text.contains("replay alone      recall 0.407"), "{text}");
    }
}
