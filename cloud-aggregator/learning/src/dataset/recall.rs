//! How much of what is really off the current model finds, from questions drawn at random below its threshold.
//!
//! A confirmed alarm is an entity's day with something off that was found; a confirmed probe stands for 1/propensity
//! entity-days with something off that was missed (Horvitz and Thompson 1952). People also confirm by mistake, and a
//! mistaken answer to a probe weighs as much as a right one: the share of confirmed probes is corrected for the share of
//! wrong answers that must be reckoned with (Rogan and Gladen 1978). Alarms and probes are taken to be answered equally
//! often.

use hearthwatch_protocol::messages::{Origin, Verdict};
use hearthwatch_store::story::RecallEstimate;

/// Answers that are the opposite of the truth: what residents' simulations reckon with.
const WRONG_SHARE: f64 = 0.1;
/// Answered probes below which nothing is said.
const AUDIT_SAMPLES_MIN: u64 = 20;
/// A model whose recall lies below this even at the upper end of the interval is deaf.
const LOW_RECALL_BELOW: f64 = 0.5;
/// Two-sided 90 %.
const NORMAL_90: f64 = 1.645;

/// The answers to one model's alarms and probes, added up.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Heard {
    alarms_confirmed: u64,
    audit_samples: u64,
    audit_samples_confirmed: u64,
    /// Σ 1/propensity over all probes, over those confirmed, and Σ 1/propensity² over all.
    weight: f64,
    weight_confirmed: f64,
    weight_squared: f64,
}

impl Heard {
    /// Adds an answer to an alarm or a probe of the current model.
    pub(super) fn add(&mut self, origin: Origin, verdict: Verdict) {
        match (origin, verdict) {
            (_, Verdict::Expected) => {}
            (Origin::Alarm | Origin::Miss, verdict) => {
                // A reported miss was not found: it is no sample, and tells nothing of a share.
                let found = origin == Origin::Alarm && verdict == Verdict::Confirmed;
                self.alarms_confirmed += u64::from(found);
            }
            (Origin::AuditSample { propensity }, verdict) => {
                let weight = 1.0 / f64::from(propensity);
                self.audit_samples += 1;
                self.weight += weight;
                self.weight_squared += weight * weight;
                if verdict == Verdict::Confirmed {
                    self.audit_samples_confirmed += 1;
                    self.weight_confirmed += weight;
                }
            }
        }
    }

    /// The estimate.
    pub(super) fn estimate(&self) -> RecallEstimate {
        let counts = RecallEstimate {
            alarms_confirmed: self.alarms_confirmed,
            audit_samples: self.audit_samples,
            audit_samples_confirmed: self.audit_samples_confirmed,
            ..RecallEstimate::default()
        };
        if self.audit_samples < AUDIT_SAMPLES_MIN || self.weight <= 0.0 {
            return counts;
        }
        let share = self.weight_confirmed / self.weight;
        // Kish's effective sample size: unequal weights tell less.
        let effective = self.weight * self.weight / self.weight_squared;
        let (low, high) = wilson(share, effective);
        let recall = |share: f64| {
            let missed = self.weight * ((share - WRONG_SHARE) / (1.0 - 2.0 * WRONG_SHARE)).clamp(0.0, 1.0);
            let found = self.alarms_confirmed as f64;
            if found + missed > 0.0 { found / (found + missed) } else { 1.0 }
        };
        RecallEstimate {
            recall: Some(recall(share)),
            low: Some(recall(high)),
            high: Some(recall(low)),
            low_recall: recall(low) < LOW_RECALL_BELOW,
            ..counts
        }
    }
}

/// Wilson's interval of a share (1927).
fn wilson(share: f64, count: f64) -> (f64, f64) {
    let z2 = NORMAL_90 * NORMAL_90;
    let centre = (share + z2 / (2.0 * count)) / (1.0 + z2 / count);
    let half = NORMAL_90 / (1.0 + z2 / count) * (share * (1.0 - share) / count + z2 / (4.0 * count * count)).sqrt();
    ((centre - half).max(0.0), (centre + half).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(alarms: u64, audit_samples: u64, confirmed: u64) -> RecallEstimate {
        let mut heard = Heard::default();
        (0..alarms).for_each(|_| heard.add(Origin::Alarm, Verdict::Confirmed));
        for number in 0..audit_samples {
            let verdict = if number < confirmed { Verdict::Confirmed } else { Verdict::Dismissed };
            heard.add(Origin::AuditSample { propensity: 0.05 }, verdict);
        }
        heard.estimate()
    }

    #[test]
    fn a_few_probes_say_nothing() {
        let estimate = heard(5, 19, 19);
        assert_eq!((estimate.recall, estimate.low_recall, estimate.audit_samples_confirmed), (None, false, 19));
    }

    #[test]
    fn confirmed_probes_count_for_those_that_were_not_drawn() {
        // 40 probes stand for 800 entity-days; 18 of 40 are confirmed: (.45 − .1) / .8 of 800 = 350 missed.
        let estimate = heard(150, 40, 18);
        assert!((estimate.recall.unwrap() - 150.0 / 500.0).abs() < 1e-6, "{estimate:?}");
        assert!(estimate.low < estimate.recall && estimate.recall < estimate.high);
    }

    #[test]
    fn a_model_that_says_nothing_while_something_is_off_is_deaf() {
        assert!(heard(3, 100, 60).low_recall);
        assert!(!heard(3, 100, 0).low_recall);
    }

    #[test]
    fn as_many_confirmed_probes_as_wrong_answers_explain_accuse_nobody() {
        let estimate = heard(3, 100, 10);
        assert!(!estimate.low_recall);
        assert_eq!(estimate.high, Some(1.0));
    }

    #[test]
    fn expected_and_reported_misses_are_no_sample() {
        let mut heard = Heard::default();
        heard.add(Origin::Alarm, Verdict::Expected);
        heard.add(Origin::Miss, Verdict::Confirmed);
        assert_eq!(heard.estimate(), RecallEstimate::default());
    }
}
