//! Notable happenings of the learning.

use hearthwatch_store::run_requests::RunRequestRow;
use hearthwatch_store::story::{QualityReport, RecallEstimate};
use hearthwatch_store::{RunRow, RunState};
use hearthwatch_telemetry::event::Event;
use hearthwatch_telemetry::metrics::{Metrics, begin, count};
use tracing::{error, info, warn};

use crate::dataset::quality;
use crate::training::Defences;

/// Begins every counter of the learning at 0, with all words that it may have.
pub fn begin_counters(metrics: &Metrics) {
    let ends = [RunState::Promoted, RunState::Held, RunState::Failed, RunState::Cancelled].map(RunState::as_str);
    begin(&metrics.runs, &ends);
    begin(&metrics.runs, &[REFUSED]);
}

/// The end of a run that never began.
const REFUSED: &str = "refused";

/// A run has learnt, and limited what it learnt from.
pub struct AnswersDefended<'a>(pub &'a Defences);

impl Event for AnswersDefended<'_> {
    fn emit(&self, metrics: &Metrics) {
        let Defences { doubted, capped, over_quota, .. } = self.0;
        metrics.homes_doubted.set(i64::try_from(doubted.len()).unwrap_or(i64::MAX));
        metrics.homes_capped.set(i64::try_from(capped.len()).unwrap_or(i64::MAX));
        let over_quota = over_quota.values().sum::<usize>();
        if doubted.len() + capped.len() + over_quota > 0 {
            info!(
                homes.doubted = doubted.len(),
                homes.capped = capped.len(),
                answers.over_quota = over_quota,
                "answers were limited before learning from them"
            );
        }
    }
}

/// A retraining began.
pub struct RunStarted<'a>(pub &'a RunRow);

impl Event for RunStarted<'_> {
    fn emit(&self, _: &Metrics) {
        let run = self.0;
        info!(run.id = run.id, run.trigger = run.trigger.as_str(), snapshot.id = run.snapshot, "retraining");
    }
}

/// A retraining ended.
pub struct RunEnded<'a>(pub &'a RunRow);

impl Event for RunEnded<'_> {
    fn emit(&self, metrics: &Metrics) {
        let run = self.0;
        count(&metrics.runs, run.state.as_str());
        let cause = run.failure.as_deref().unwrap_or("");
        info!(run.id = run.id, run.state = run.state.as_str(), cause, "retraining ended");
    }
}

/// Random questions say how much the current model finds.
pub struct RecallEstimated<'a>(pub &'a RecallEstimate);

impl Event for RecallEstimated<'_> {
    fn emit(&self, metrics: &Metrics) {
        let estimate = self.0;
        metrics.model_low_recall.set(i64::from(estimate.low_recall));
        metrics.audit_samples_answered.set(i64::try_from(estimate.audit_samples).unwrap_or(i64::MAX));
        // Of a model that has just come nothing is known yet: what was estimated of the one before it says nothing any more.
        metrics.recall_estimate.set(estimate.recall.unwrap_or(0.0));
        let Some(recall) = estimate.recall else { return };
        if estimate.low_recall {
            warn!(recall, probes = estimate.audit_samples, "the current model misses most of what residents see");
        } else {
            info!(recall, probes = estimate.audit_samples, "recall estimated from random questions");
        }
    }
}

/// A data set was taken and looked at.
pub struct DatasetTaken<'a> {
    /// Its id.
    pub snapshot: &'a str,
    /// What was found.
    pub quality: &'a QualityReport,
}

impl Event for DatasetTaken<'_> {
    fn emit(&self, metrics: &Metrics) {
        let QualityReport { windows, stability, findings, .. } = self.quality;
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        metrics.dataset_faulty_windows.set(gauge(quality::faulty(self.quality)));
        metrics.dataset_drifted_features.set(gauge(quality::drifted(self.quality).count()));
        metrics.dataset_findings.set(gauge(findings.len()));
        metrics.dataset_stability_index.set(stability.iter().copied().fold(0.0, f64::max));
        for finding in findings {
            warn!(dataset.id = self.snapshot, dataset.windows = windows, finding, "data set has a fault");
        }
    }
}

/// A request for a run has ended, or was cut off and is taken up at the next start.
pub struct RunRequestEnded<'a>(pub &'a RunRequestRow);

impl Event for RunRequestEnded<'_> {
    fn emit(&self, _: &Metrics) {
        let request = self.0;
        let (run, cause) = (request.run.as_deref().unwrap_or("-"), request.reason.as_deref().unwrap_or(""));
        if request.ended_at.is_none() {
            info!(request.id = request.id, "request for a retraining cut off; it is taken up at the next start");
            return;
        }
        info!(request.id = request.id, request.state = request.state.as_str(), run.id = run, cause, "request ended");
    }
}

/// A request for a run came to nothing.
pub struct RunRefused<'a> {
    /// One line.
    pub cause: &'a str,
}

impl Event for RunRefused<'_> {
    fn emit(&self, metrics: &Metrics) {
        count(&metrics.runs, REFUSED);
        warn!(cause = self.cause, "no retraining");
    }
}

/// A promoted model could not go out; it is tried again.
pub struct ReleaseFailed<'a> {
    /// The model's; 0 where it is not known which of those that wait.
    pub version: u64,
    /// One line.
    pub cause: &'a str,
}

impl Event for ReleaseFailed<'_> {
    fn emit(&self, metrics: &Metrics) {
        metrics.release_failures.inc();
        error!(model.version = self.version, cause = self.cause, "promoted, but not released");
    }
}

/// A promoted model waits for a second person's word; it is tried again.
pub struct ReleaseAwaits<'a> {
    /// What is to be done.
    pub cause: &'a str,
}

impl Event for ReleaseAwaits<'_> {
    fn emit(&self, metrics: &Metrics) {
        metrics.releases_awaiting.inc();
        info!(cause = self.cause, "promoted, and not signed yet");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_run_says_how_many_homes_it_left_out_and_cut() {
        let metrics = Metrics::new();
        let defences = Defences {
            doubted: vec!["a".to_owned(), "b".to_owned()],
            capped: [("c".to_owned(), 0.5)].into(),
            ..Defences::default()
        };
        AnswersDefended(&defences).emit(&metrics);
        assert_eq!((metrics.homes_doubted.get(), metrics.homes_capped.get()), (2, 1));
        AnswersDefended(&Defences::default()).emit(&metrics);
        assert_eq!((metrics.homes_doubted.get(), metrics.homes_capped.get()), (0, 0));
    }

    #[test]
    fn every_end_of_a_run_is_there_before_the_first() {
        let metrics = Metrics::new();
        begin_counters(&metrics);
        let text = metrics.render();
        for end in ["promoted", "held", "failed", "refused"] {
            assert!(text.contains(&format!("runs_total{{kind=\"{end}\"}} 0\n")), "{end} is missing:\n{text}");
        }
    }
}
