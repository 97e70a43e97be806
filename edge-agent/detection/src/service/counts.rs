//! What the detector has heard, judged and said since the start, for `/metrics`. No label names an entity.

use std::time::Duration;

use hearthwatch_detector::alarm::Verdict;
use hearthwatch_detector::finding::AnomalyKind;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use strum::VariantArray as _;

use super::view::verdict_name;

/// Buckets of the step histogram: 1 ms × 4^0 … 4^7 = 16 s. A step of 100 entities takes tens of milliseconds on a small computer.
const STEP_BUCKETS: u16 = 8;

/// A counter for each word of a fixed list.
type ByWord = Family<[(&'static str, &'static str); 1], Counter>;

/// Counters that the detector's thread moves, and whoever has a copy reads.
#[derive(Debug, Clone)]
pub struct DetectorCounts {
    readings: Counter,
    /// Time of the newest reading, Unix seconds.
    newest: Gauge,
    steps: Counter,
    scores: Counter,
    step_seconds: Histogram,
    alarms: ByWord,
    notices: Counter,
    answers: ByWord,
}

impl Default for DetectorCounts {
    /// Every word is there from the start, at 0.
    fn default() -> Self {
        let counts = Self {
            readings: Counter::default(),
            newest: Gauge::default(),
            steps: Counter::default(),
            scores: Counter::default(),
            step_seconds: Histogram::new(exponential_buckets(0.001, 4.0, STEP_BUCKETS)),
            alarms: Family::default(),
            notices: Counter::default(),
            answers: Family::default(),
        };
        for kind in AnomalyKind::VARIANTS {
            drop(counts.alarms.get_or_create(&[("kind", kind.as_str())]));
        }
        for verdict in [Verdict::Confirmed, Verdict::Dismissed, Verdict::Expected] {
            drop(counts.answers.get_or_create(&[("verdict", verdict_name(verdict))]));
        }
        counts
    }
}

impl DetectorCounts {
    /// Adds all of them to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("readings", "Readings taken from Home Assistant", self.readings.clone());
        registry.register("last_reading_seconds", "Time of the newest reading, Unix seconds", self.newest.clone());
        registry.register("steps", "Steps of ten minutes that were judged", self.steps.clone());
        registry.register("scores", "Entities judged, once each step", self.scores.clone());
        registry.register("step_seconds", "Time to judge all entities of a step", self.step_seconds.clone());
        registry.register("alarms", "Alarms raised, by kind", self.alarms.clone());
        registry.register("notices", "Alarms of which residents were notified", self.notices.clone());
        registry.register("answers", "Residents' answers, by verdict", self.answers.clone());
    }

    /// A reading of now came, at `at` in Unix seconds.
    pub(super) fn heard(&self, at: i64) {
        self.readings.inc();
        if at > self.newest.get() {
            self.newest.set(at);
        }
    }

    /// A step was judged, with so many scores.
    pub(super) fn judged(&self, scores: usize, took: Duration) {
        self.steps.inc();
        self.scores.inc_by(scores as u64);
        self.step_seconds.observe(took.as_secs_f64());
    }

    pub(super) fn raised(&self, kind: AnomalyKind) {
        self.alarms.get_or_create(&[("kind", kind.as_str())]).inc();
    }

    pub(super) fn notified(&self) {
        self.notices.inc();
    }

    pub(super) fn answered(&self, verdict: Verdict) {
        self.answers.get_or_create(&[("verdict", verdict_name(verdict))]).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_reading_is_the_latest_by_its_time_and_not_the_last_to_come() {
        let counts = DetectorCounts::default();
        for at in [600, 900, 700] {
            counts.heard(at);
        }
        assert_eq!((counts.readings.get(), counts.newest.get()), (3, 900));
    }

    #[test]
    fn every_kind_and_verdict_is_there_before_the_first_alarm() {
        let mut registry = Registry::default();
        DetectorCounts::default().register(&mut registry);
        let text = hearthwatch_metrics::render(&registry);
        let zeros = |start: &str| text.lines().filter(|line| line.starts_with(start) && line.ends_with(" 0")).count();
        assert_eq!((zeros("alarms_total{kind="), zeros("answers_total{verdict=")), (AnomalyKind::VARIANTS.len(), 3));
    }
}
