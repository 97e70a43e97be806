//! Notable happenings of rounds.

use hearthwatch_protocol::HomeId;
use hearthwatch_protocol::messages::RoundRefusal;
use hearthwatch_protocol::round::{MaskExchange, RoundResult};
use hearthwatch_store::rounds::{RoundHomeRow, RoundOutcome, RoundRow};
use hearthwatch_telemetry::event::Event;
use hearthwatch_telemetry::metrics::{Metrics, begin, count};
use strum::{VariantArray as _, VariantNames as _};
use tracing::{error, info, warn};

/// What comes of a home in a round.
const ANSWERS: [&str; 8] = ["delta", "counts", "declined", "keys", "shares", "masked", "opened", "group_ended"];

/// Begins every counter of rounds at 0, with all words that it may have.
pub fn begin_counters(metrics: &Metrics) {
    begin(&metrics.round_consents, &["given", "withdrawn"]);
    begin(&metrics.round_answers, &ANSWERS);
    begin(&metrics.round_refusals, RoundRefusal::VARIANTS);
    let outcomes: Vec<&str> = RoundOutcome::VARIANTS.iter().map(|outcome| outcome.as_str()).collect();
    begin(&metrics.rounds, &outcomes);
}

/// A home changed its mind on whether it takes part.
pub struct ConsentChanged<'a> {
    /// Whose residents decided.
    pub home: &'a HomeId,
    /// Whether it takes part from now on.
    pub willing: bool,
    /// The open round that it was taken out of.
    pub left: Option<u64>,
}

impl Event for ConsentChanged<'_> {
    fn emit(&self, metrics: &Metrics) {
        count(&metrics.round_consents, if self.willing { "given" } else { "withdrawn" });
        info!(home = self.home.as_str(), willing = self.willing, round.left = self.left, "consent to rounds changed");
    }
}

/// Homes were asked to train.
pub struct RoundOpened<'a> {
    /// The round as it was stored.
    pub round: &'a RoundRow,
    /// Homes that were asked.
    pub cohort: usize,
    /// Homes that may evaluate.
    pub evaluators: usize,
}

impl Event for RoundOpened<'_> {
    fn emit(&self, metrics: &Metrics) {
        metrics.rounds_opened.inc();
        metrics.round_cohort.set(i64::try_from(self.cohort).unwrap_or(i64::MAX));
        info!(
            round = self.round.number,
            round.series = self.round.series,
            round.place = self.round.place,
            base = self.round.base,
            homes = self.cohort,
            homes.judging = self.evaluators,
            "round opened"
        );
    }
}

/// A home's answer is here, whole and sound.
pub struct AnswerTaken<'a> {
    /// The home's part in the round.
    pub row: &'a RoundHomeRow,
    /// What it sent.
    pub result: &'a RoundResult,
}

impl Event for AnswerTaken<'_> {
    fn emit(&self, metrics: &Metrics) {
        let Self { row, result } = self;
        let kind = match result {
            RoundResult::Delta(_) => "delta",
            RoundResult::Counts(_) => "counts",
            RoundResult::Declined(_) => "declined",
            RoundResult::Masks(answer) => match answer.exchange {
                MaskExchange::Keys => "keys",
                MaskExchange::Shares => "shares",
                MaskExchange::Masked => "masked",
                MaskExchange::Opened => "opened",
            },
        };
        count(&metrics.round_answers, kind);
        info!(home = row.home.as_str(), round = row.round, bytes = row.bytes, norm = row.norm, "{kind} taken");
    }
}

/// A home sends nothing in a round.
pub struct AnswerDeclined<'a> {
    /// Which home.
    pub home: &'a HomeId,
    /// In which round.
    pub round: u64,
    /// Its reason, as counters name it.
    pub reason: &'a str,
}

impl Event for AnswerDeclined<'_> {
    fn emit(&self, metrics: &Metrics) {
        count(&metrics.round_answers, "declined");
        info!(home = self.home.as_str(), round = self.round, reason = self.reason, "home declined");
    }
}

/// What a home sent in a round is not used.
pub struct AnswerRefused<'a> {
    /// Which home.
    pub home: &'a HomeId,
    /// In which round; 0 where nothing is known of it.
    pub round: u64,
    /// Our reason, as counters name it.
    pub reason: &'a str,
}

impl Event for AnswerRefused<'_> {
    fn emit(&self, metrics: &Metrics) {
        count(&metrics.round_refusals, self.reason);
        warn!(home = self.home.as_str(), round = self.round, reason = self.reason, "answer refused");
    }
}

/// Deltas became one.
pub struct RoundAggregated<'a> {
    /// Number of the round.
    pub round: u64,
    /// The strategy's name.
    pub strategy: &'a str,
    /// Homes whose delta is part of it.
    pub used: usize,
    /// Homes whose delta is not.
    pub left_out: usize,
    /// Median norm of the deltas that came.
    pub median_norm: f64,
    /// Norm of what they became.
    pub norm: f64,
}

impl Event for RoundAggregated<'_> {
    fn emit(&self, metrics: &Metrics) {
        metrics.round_left_out.inc_by(self.left_out as u64);
        metrics.round_reporters.set(i64::try_from(self.used).unwrap_or(i64::MAX));
        info!(
            round = self.round,
            strategy = self.strategy,
            homes = self.used,
            homes.left_out = self.left_out,
            norm.median = self.median_norm,
            norm = self.norm,
            "deltas aggregated"
        );
    }
}

/// A group of a masked round ended without a sum.
pub struct GroupEnded<'a> {
    /// Number of the round.
    pub round: u64,
    /// Number of the group.
    pub group: u32,
    /// Why, with the names of homes that are at fault.
    pub reason: &'a str,
}

impl Event for GroupEnded<'_> {
    fn emit(&self, metrics: &Metrics) {
        count(&metrics.round_answers, "group_ended");
        warn!(round = self.round, group = self.group, reason = self.reason, "a group ended without a sum");
    }
}

/// Nothing more comes of a round.
pub struct RoundEnded<'a>(pub &'a RoundRow);

impl Event for RoundEnded<'_> {
    fn emit(&self, metrics: &Metrics) {
        let Self(row) = self;
        let outcome = row.outcome.map_or("", |outcome| outcome.as_str());
        count(&metrics.rounds, outcome);
        info!(round = row.number, outcome, kept = row.kept, reason = row.reason, "round ended");
    }
}

/// A step of a round could not be done, and is tried again.
pub struct RoundWaits<'a> {
    /// What is missing.
    pub cause: &'a str,
}

impl Event for RoundWaits<'_> {
    fn emit(&self, metrics: &Metrics) {
        metrics.round_retries.inc();
        error!(cause = self.cause, "a round cannot go on; it is tried again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_there_before_the_first_round() {
        let metrics = Metrics::new();
        begin_counters(&metrics);
        let text = metrics.render();
        for sample in [
            "rounds_total{kind=\"too_few\"}",
            "round_answers_total{kind=\"group_ended\"}",
            "round_refusals_total{kind=\"late\"}",
        ] {
            assert!(text.contains(&format!("\nhearthwatch_cloud_{sample} 0\n")), "{sample} is missing:\n{text}");
        }
    }
}
