//! The households of an operation: who answers, when, and how they are mistaken; when they are on holiday. Pure.
//!
//! Everything is drawn from (seed, home) or (seed, home, alarm), so a run that was stopped goes on with the same people.

use hearthwatch_detector::alarm::Verdict;
use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use crate::demo::{Habits, answer};

const DAY: i64 = 86_400;

/// Every so many days on average a household is away for longer.
const HOLIDAY_EVERY_DAYS: i64 = 45;
/// Shortest and longest holiday, days.
const HOLIDAY_DAYS: (i64, i64) = (4, 12);
/// Hours of the day, in the home's time, in which people answer; what falls outside waits for the morning.
const AWAKE: (i64, i64) = (7, 23);
/// Share of households that rather dismiss: they take more of what is true for nothing.
const DISMISSIVE: f64 = 0.2;
/// How often those dismiss what is true.
const DISMISSIVE_WRONG: f64 = 0.4;

/// One household.
#[derive(Debug, Clone, PartialEq)]
pub struct Household {
    /// How it treats questions.
    pub habits: Habits,
    /// Whether it rather dismisses.
    pub dismissive: bool,
    /// When it is away, Unix seconds.
    pub holidays: Vec<(i64, i64)>,
}

/// When and what a household answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// Unix seconds.
    pub at: i64,
    /// What they tap.
    pub verdict: Verdict,
}

impl Household {
    /// Draws the household of `home` for an operation between `begin` and `end`, Unix seconds.
    #[must_use]
    pub fn draw(seed: u64, home: &str, (begin, end): (i64, i64)) -> Self {
        let mut rng = generator(seed, home, "household");
        let habits = Habits {
            answers: rng.random_range(0.3..0.9),
            wrong: rng.random_range(0.02..0.18),
            delay_median_hours: rng.random_range(1.0..14.0),
            ..Habits::default()
        };
        let dismissive = rng.random_bool(DISMISSIVE);
        let mut holidays = Vec::new();
        let mut from = begin + rng.random_range(0..HOLIDAY_EVERY_DAYS) * DAY;
        while from < end {
            let until = from + rng.random_range(HOLIDAY_DAYS.0..=HOLIDAY_DAYS.1) * DAY;
            holidays.push((from, until));
            from = until + rng.random_range(HOLIDAY_EVERY_DAYS / 2..HOLIDAY_EVERY_DAYS * 3 / 2) * DAY;
        }
        Self { habits, dismissive, holidays }
    }

    /// Whether, when and how it answers an alarm that was raised at `raised_at` and is `really` something or not. A household that is
    /// `hostile` answers every alarm, and the opposite of the truth.
    #[must_use]
    pub fn reply(
        &self,
        seed: u64,
        home: &str,
        alarm: &str,
        raised_at: i64,
        really: bool,
        hostile: bool,
    ) -> Option<Reply> {
        if hostile {
            let verdict = if really { Verdict::Dismissed } else { Verdict::Confirmed };
            return Some(Reply { at: raised_at + 1_800, verdict });
        }
        let habits = match self.dismissive && really {
            true => Habits { wrong: DISMISSIVE_WRONG, ..self.habits },
            false => self.habits,
        };
        let drawn = answer(&habits, seed, home, alarm, raised_at, really)?;
        Some(Reply { at: self.at_home(awake(drawn.at)), verdict: drawn.verdict })
    }

    /// The first moment from `at` on at which somebody is there.
    fn at_home(&self, at: i64) -> i64 {
        match self.holidays.iter().find(|(from, until)| (*from..*until).contains(&at)) {
            Some((_, until)) => awake(*until),
            None => at,
        }
    }
}

/// The first moment from `at` on that is neither early nor late.
fn awake(at: i64) -> i64 {
    let (day, hour) = (at.div_euclid(DAY) * DAY, at.rem_euclid(DAY) / 3_600);
    match hour {
        hour if hour < AWAKE.0 => day + AWAKE.0 * 3_600 + at.rem_euclid(3_600),
        hour if hour >= AWAKE.1 => day + DAY + AWAKE.0 * 3_600 + at.rem_euclid(3_600),
        _ => at,
    }
}

fn generator(seed: u64, home: &str, what: &str) -> ChaCha8Rng {
    let hash = Sha256::digest([&seed.to_le_bytes()[..], home.as_bytes(), &[0], what.as_bytes()].concat());
    ChaCha8Rng::from_seed(hash.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: (i64, i64) = (0, 60 * DAY);

    #[test]
    fn the_same_seed_gives_the_same_households_and_another_gives_others() {
        assert_eq!(Household::draw(1, "home-1", SPAN), Household::draw(1, "home-1", SPAN));
        assert_ne!(Household::draw(1, "home-1", SPAN), Household::draw(2, "home-1", SPAN));
    }

    #[test]
    fn nobody_answers_at_night_or_on_holiday() {
        for number in 0..300 {
            let home = format!("home-{number}");
            let household = Household::draw(7, &home, SPAN);
            for alarm in 0..20 {
                let reply = household.reply(7, &home, &alarm.to_string(), alarm * DAY, alarm % 2 == 0, false);
                let Some(reply) = reply else { continue };
                assert!((AWAKE.0..AWAKE.1).contains(&(reply.at.rem_euclid(DAY) / 3_600)), "{reply:?}");
                assert!(
                    !household.holidays.iter().any(|(from, until)| (*from..*until).contains(&reply.at)),
                    "{reply:?}"
                );
                assert!(reply.at > alarm * DAY);
            }
        }
    }

    #[test]
    fn a_hostile_household_answers_everything_and_the_opposite() {
        let household = Household::draw(7, "home-1", SPAN);
        for (really, verdict) in [(true, Verdict::Dismissed), (false, Verdict::Confirmed)] {
            assert_eq!(household.reply(7, "home-1", "a", 100, really, true).unwrap().verdict, verdict);
        }
    }

    #[test]
    fn a_fifth_of_the_households_rather_dismisses_what_is_true() {
        let all: Vec<Household> = (0..1000).map(|number| Household::draw(7, &format!("home-{number}"), SPAN)).collect();
        let share = all.iter().filter(|household| household.dismissive).count();
        assert!((150..250).contains(&share), "{share} of 1000");
    }
}
