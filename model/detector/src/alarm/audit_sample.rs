//! Questions drawn at random from below the threshold: without them nobody knows what is missed.
//!
//! On a day in so many, drawn from the home's secret and the date, one moment of the day is drawn; at that moment one
//! stratum (how far below its threshold an entity lies) and one entity of it. The unit that is sampled is an entity's
//! day, and its probability goes with the answer. Pure: the same home asks the same on the same day.

use sha2::{Digest, Sha256};

use crate::grid::DAY_STEPS;

/// Share of all questions that are drawn at random.
const AUDIT_SHARE: f64 = 0.1;
/// Edges of the strata, as score less threshold: just below, well below, and everyday. A few lie near the threshold and
/// most far from it; each stratum is drawn as often, so that the few are seen at all.
const STRATA: [f32; 2] = [-2.0, -5.0];

/// An entity that could be asked about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Index in the home's list.
    pub entity: u32,
    /// Its score less its threshold; below zero.
    pub margin: f32,
}

/// A question that was drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AuditSample {
    /// Index in the home's list.
    pub entity: u32,
    /// The probability with which this entity's day was drawn, in (0, 1].
    pub propensity: f32,
}

/// The question of the step that is the `step`th of its day (from 0), if there is one.
#[must_use]
pub fn draw(salt: &[u8], day: i64, step: usize, budget_per_week: f64, candidates: &[Candidate]) -> Option<AuditSample> {
    let chance = chance(budget_per_week);
    let dice = Dice::of(salt, day);
    if dice.share(0) >= chance || (dice.share(1) * DAY_STEPS as f64) as usize != step {
        return None;
    }
    let mut strata: [Vec<u32>; STRATA.len() + 1] = Default::default();
    for candidate in candidates.iter().filter(|candidate| candidate.margin < 0.0) {
        let stratum = STRATA.iter().take_while(|edge| candidate.margin < **edge).count();
        strata[stratum].push(candidate.entity);
    }
    let filled: Vec<&Vec<u32>> = strata.iter().filter(|stratum| !stratum.is_empty()).collect();
    let pick = |share: f64, among: usize| ((share * among as f64) as usize).min(among.saturating_sub(1));
    let stratum = *filled.get(pick(dice.share(2), filled.len()))?;
    let entity = stratum[pick(dice.share(3), stratum.len())];
    let propensity = chance / (filled.len() * stratum.len()) as f64;
    Some(AuditSample { entity, propensity: (propensity as f32).clamp(f32::MIN_POSITIVE, 1.0) })
}

/// Probability that a day has a question: so many that they are [`AUDIT_SHARE`] of all, alarms at budget included.
fn chance(budget_per_week: f64) -> f64 {
    let budget = if budget_per_week.is_finite() { budget_per_week.max(0.0) } else { 0.0 };
    (AUDIT_SHARE / (1.0 - AUDIT_SHARE) * budget / 7.0).min(1.0)
}

/// Four independent shares in [0, 1) of one day.
struct Dice([u8; 32]);

impl Dice {
    fn of(salt: &[u8], day: i64) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"probe|");
        hash.update(salt);
        hash.update(day.to_be_bytes());
        Self(hash.finalize().into())
    }

    fn share(&self, number: usize) -> f64 {
        let bytes: [u8; 4] = std::array::from_fn(|byte| self.0[number * 8 + byte]);
        f64::from(u32::from_be_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(salt: &[u8], day: i64, candidates: &[Candidate]) -> Vec<AuditSample> {
        (0..DAY_STEPS).filter_map(|step| draw(salt, day, step, 7.0, candidates)).collect()
    }

    /// One near the threshold, nineteen far from it.
    fn home() -> Vec<Candidate> {
        (0..20).map(|entity| Candidate { entity, margin: if entity == 0 { -1.0 } else { -8.0 } }).collect()
    }

    #[test]
    fn a_tenth_of_the_questions_is_drawn_and_a_day_has_at_most_one() {
        let asked: Vec<usize> = (0..9000).map(|number| day(b"salt", number, &home()).len()).collect();
        assert!(asked.iter().all(|count| *count <= 1));
        // An alarm a day; one question in ten is a draw: 1,000 in 9,000 days.
        let total: usize = asked.iter().sum();
        assert!((900..1100).contains(&total), "{total}");
    }

    #[test]
    fn inverse_propensities_add_up_to_the_days_that_there_were() {
        // The Horvitz–Thompson estimate of 20 entities over 9,000 days.
        let sum: f64 = (0..9000)
            .flat_map(|number| day(b"salt", number, &home()))
            .map(|sample| 1.0 / f64::from(sample.propensity))
            .sum();
        assert!((sum / 180_000.0 - 1.0).abs() < 0.12, "{sum}");
    }

    #[test]
    fn the_few_near_the_threshold_are_drawn_as_often_as_all_the_others() {
        let samples: Vec<AuditSample> = (0..9000).flat_map(|number| day(b"salt", number, &home())).collect();
        let near = samples.iter().filter(|sample| sample.entity == 0).count();
        assert!((near as f64 / samples.len() as f64 - 0.5).abs() < 0.06, "{near} of {}", samples.len());
    }

    #[test]
    fn the_same_day_asks_the_same_and_another_home_something_else() {
        let asked = |salt: &[u8]| (0..900).map(|number| day(salt, number, &home())).collect::<Vec<_>>();
        assert_eq!(asked(b"salt"), asked(b"salt"));
        assert_ne!(asked(b"salt"), asked(b"other"));
    }

    #[test]
    fn who_wants_no_alarms_is_asked_nothing_and_alarms_are_no_candidates() {
        let loud = [Candidate { entity: 0, margin: 1.0 }];
        assert!((0..900).all(|number| day(b"salt", number, &loud).is_empty()));
        let silent = |number| (0..DAY_STEPS).all(|step| draw(b"salt", number, step, 0.0, &home()).is_none());
        assert!((0..900).all(silent));
    }
}
