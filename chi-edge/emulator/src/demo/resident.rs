//! The people of a simulated home: they answer late, sometimes wrongly, sometimes not at all.
//!
//! Each answer is drawn from a generator seeded by (world seed, home, alarm id), so it depends neither on the order in
//! which homes run nor on how many alarms came before.

use hearthwatch_detector::alarm::Verdict;
use rand::{Rng, RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// How a household treats questions. The default is the middle case of the published simulation settings:
/// 60 % answered, 10 % of the answers wrong, delay exponential with a median of 7 hours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Habits {
    /// Probability that an alarm is answered at all.
    pub answers: f64,
    /// Probability that an answer is the opposite of the truth.
    pub wrong: f64,
    /// Probability that a false alarm is answered "expected" instead of "false alarm".
    pub expected: f64,
    /// Median of the exponential delay, hours.
    pub delay_median_hours: f64,
}

impl Default for Habits {
    fn default() -> Self {
        Self { answers: 0.6, wrong: 0.1, expected: 0.1, delay_median_hours: 7.0 }
    }
}

/// One answer to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// When the resident taps, Unix seconds.
    pub at: i64,
    /// What they tap.
    pub verdict: Verdict,
}

/// Decides whether, when and how the household answers the alarm `alarm_id`, raised at `raised_at`, which is `really`
/// something or not. `None`: nobody ever answers.
#[must_use]
pub fn answer(habits: &Habits, seed: u64, home: &str, alarm_id: &str, raised_at: i64, really: bool) -> Option<Answer> {
    let mut rng = generator(seed, home, alarm_id);
    if !rng.random_bool(habits.answers) {
        return None;
    }
    let delay_hours = exponential(&mut rng, habits.delay_median_hours);
    let told = if rng.random_bool(habits.wrong) { !really } else { really };
    let verdict = match told {
        true => Verdict::Confirmed,
        false if rng.random_bool(habits.expected) => Verdict::Expected,
        false => Verdict::Dismissed,
    };
    // One step is the least: nobody answers before the notification has arrived.
    let delay = ((delay_hours * 3600.0) as i64).max(hearthwatch_detector::grid::STEP_SECONDS);
    Some(Answer { at: raised_at + delay, verdict })
}

fn generator(seed: u64, home: &str, alarm_id: &str) -> ChaCha8Rng {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(home.as_bytes());
    hash.update([0]);
    hash.update(alarm_id.as_bytes());
    ChaCha8Rng::from_seed(hash.finalize().into())
}

/// Inverse transform sampling; the median of an exponential is ln 2 times its mean.
fn exponential(rng: &mut impl Rng, median: f64) -> f64 {
    let uniform: f64 = rng.random_range(f64::EPSILON..1.0);
    -uniform.ln() * median / std::f64::consts::LN_2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn many(habits: &Habits, really: bool) -> Vec<Option<Answer>> {
        (0..2000).map(|number| answer(habits, 7, "home-1", &format!("alarm-{number}"), 0, really)).collect()
    }

    #[test]
    fn the_same_alarm_always_gets_the_same_answer() {
        let habits = Habits::default();
        assert_eq!(many(&habits, true), many(&habits, true));
    }

    #[test]
    fn about_the_stated_share_is_answered_and_about_the_stated_share_wrongly() {
        let answers = many(&Habits::default(), true);
        let given: Vec<_> = answers.iter().flatten().collect();
        let wrong = given.iter().filter(|answer| answer.verdict != Verdict::Confirmed).count();
        assert!((1100..1300).contains(&given.len()), "{} of 2000 answered", given.len());
        assert!((80..170).contains(&wrong), "{wrong} of {} wrong", given.len());
    }

    #[test]
    fn half_of_the_answers_come_within_the_median_delay() {
        let answers = many(&Habits::default(), false);
        let delays: Vec<i64> = answers.iter().flatten().map(|answer| answer.at).collect();
        let early = delays.iter().filter(|delay| **delay <= 7 * 3600).count();
        assert!((delays.len() * 45 / 100..delays.len() * 55 / 100).contains(&early));
    }

    #[test]
    fn a_household_that_never_answers_stays_silent() {
        let habits = Habits { answers: 0.0, ..Habits::default() };
        assert!(many(&habits, true).iter().all(Option::is_none));
    }
}
