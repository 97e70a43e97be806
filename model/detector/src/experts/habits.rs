//! A broken routine: B usually follows A, and did not, several times on end.
//!
//! When A turns on, it is a trial for every other binary entity: does it turn on within half an hour? Shares are shrunk
//! and fade like the other counts. Evidence is the chance of so many misses in a row, Σ −ln(1 − share), against how often
//! a week there is an occasion; and no more than the longest run of misses in the last weeks allows, for misses come in
//! afternoons: a room in which nobody was for a day misses all of its occasions at once.

use crate::experts::longest;
use crate::experts::time_in_state::DAILY_FADE;

/// Binary entities of a home that take part: 64² pairs at 16 bytes are 64 KiB. The others are judged by the other rules.
const MEMBERS_MAX: usize = 64;
/// Steps within which B follows: half an hour.
const FOLLOW_STEPS: u8 = 3;
/// Trials before a pair means anything, …
const TRIALS_MIN: f32 = 12.0;
/// … and the share of them that must have been followed.
const SHARE_MIN: f32 = 0.6;
/// Weight of "nothing follows anything", in trials.
const PRIOR: f32 = 3.0;
/// No habit is surer than this: a miss is never worth more than 3 nats.
const SHARE_MAX: f32 = 0.95;
const STEPS_PER_WEEK: f32 = 1008.0;
/// Steps, fading like the counts, before anything is judged: eleven days.
const WATCHED_MIN: f32 = 1400.0;

#[derive(Debug, Clone, Copy, Default)]
struct Pair {
    trials: f32,
    followed: f32,
    /// Since B turned on last: what the misses add up to, and how many they were.
    surprise: f32,
    misses: f32,
    /// The most surprise that a run of misses brought before B came again; fades like the counts.
    most: f32,
}

impl Pair {
    fn share(&self) -> f32 {
        (self.followed / (self.trials + PRIOR)).min(SHARE_MAX)
    }

    fn judges(&self) -> bool {
        self.trials >= TRIALS_MIN && self.share() >= SHARE_MIN
    }
}

/// A habit that broke.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Broken {
    /// −ln of how often a week this is expected.
    pub(crate) evidence: f32,
    /// Misses in a row.
    pub(crate) misses: f32,
    /// Share of the occasions on which it used to follow.
    pub(crate) share: f32,
}

/// Learns and judges which binary entities of a home follow which.
#[derive(Debug, Clone, Default)]
pub(crate) struct Habits {
    /// By entity of the home: its place among those that take part.
    places: Vec<Option<u8>>,
    members: usize,
    /// By place of A, then of B.
    pairs: Vec<Pair>,
    /// Of each A: steps left of a trial that is on, and who turned on in it.
    trials: Vec<(u8, u64)>,
    watched: f32,
}

impl Habits {
    /// Adds the home's next entity.
    pub(crate) fn add(&mut self, binary: bool) {
        let place = (binary && self.members < MEMBERS_MAX).then_some(self.members as u8);
        self.places.push(place);
        if place.is_some() {
            self.members += 1;
            self.trials.push((0, 0));
            if self.pairs.is_empty() {
                self.pairs = vec![Pair::default(); MEMBERS_MAX * MEMBERS_MAX];
            }
        }
    }

    /// Takes a step: by entity, whether it turned on.
    pub(crate) fn step(&mut self, turned_on: impl Iterator<Item = bool>) {
        self.watched += 1.0;
        let mut active = 0u64;
        for (place, on) in self.places.iter().zip(turned_on) {
            if let (Some(place), true) = (place, on) {
                active |= 1 << place;
            }
        }
        for a in 0..self.members {
            let row = &mut self.pairs[a * MEMBERS_MAX..a * MEMBERS_MAX + self.members];
            for (b, pair) in row.iter_mut().enumerate() {
                if active & (1 << b) != 0 {
                    pair.most = pair.most.max(pair.surprise);
                    (pair.surprise, pair.misses) = (0.0, 0.0);
                }
            }
            let (left, seen) = &mut self.trials[a];
            if *left > 0 {
                *seen |= active;
                *left -= 1;
                if *left == 0 {
                    Self::end_trial(row, a, *seen);
                }
            } else if active & (1 << a) != 0 {
                // What turned on in the same step has followed already.
                (*left, *seen) = (FOLLOW_STEPS, active);
            }
        }
    }

    fn end_trial(row: &mut [Pair], a: usize, seen: u64) {
        for (b, pair) in row.iter_mut().enumerate().filter(|(b, _)| *b != a) {
            let followed = seen & (1 << b) != 0;
            if !followed && pair.judges() {
                pair.surprise -= (1.0 - pair.share()).ln();
                pair.misses += 1.0;
            }
            pair.trials += 1.0;
            pair.followed += f32::from(u8::from(followed));
        }
    }

    /// The habit of an entity that is broken worst, if one is.
    pub(crate) fn broken(&self, entity: usize) -> Option<Broken> {
        let b = usize::from((*self.places.get(entity)?)?);
        if self.watched < WATCHED_MIN {
            return None;
        }
        let occasions = |pair: &Pair| (pair.trials / self.watched.max(1.0) * STEPS_PER_WEEK).max(1.0).ln();
        (0..self.members)
            .map(|a| &self.pairs[a * MEMBERS_MAX + b])
            .filter(|pair| pair.misses > 0.0)
            .map(|pair| {
                let evidence = (pair.surprise - occasions(pair)).min(longest::evidence(pair.surprise / pair.most));
                Broken { evidence, misses: pair.misses, share: pair.share() }
            })
            .max_by(|one, other| one.evidence.total_cmp(&other.evidence))
    }

    /// Steps passed that nobody saw: no trial goes on, no miss counts.
    pub(crate) fn skip(&mut self) {
        self.trials.iter_mut().for_each(|trial| *trial = (0, 0));
        self.pairs.iter_mut().for_each(|pair| (pair.surprise, pair.misses) = (0.0, 0.0));
    }

    pub(crate) fn next_day(&mut self) {
        self.watched *= DAILY_FADE;
        for pair in &mut self.pairs {
            pair.trials *= DAILY_FADE;
            pair.followed *= DAILY_FADE;
            pair.most *= DAILY_FADE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A turns on every two hours; B ten minutes later, except while `broken`.
    fn live(habits: &mut Habits, steps: usize, broken: bool) {
        for step in 0..steps {
            habits.step([step % 12 == 0, step % 12 == 1 && !broken].into_iter());
        }
    }

    fn pair() -> Habits {
        let mut habits = Habits::default();
        habits.add(true);
        habits.add(true);
        live(&mut habits, 14 * 144, false);
        habits
    }

    #[test]
    fn a_habit_that_is_kept_is_not_remarked() {
        assert_eq!(pair().broken(1), None);
    }

    #[test]
    fn a_follower_that_stays_away_is_noticed_within_the_day_and_forgiven_when_it_comes() {
        let mut habits = pair();
        live(&mut habits, 72, true);
        let broken = habits.broken(1).unwrap();
        assert!(broken.evidence > 3.0 && broken.misses >= 5.0, "{broken:?}");
        assert_eq!(habits.broken(0), None, "who goes first has not broken a habit");
        live(&mut habits, 12, false);
        assert_eq!(habits.broken(1), None);
    }

    #[test]
    fn what_never_followed_breaks_nothing() {
        let mut habits = Habits::default();
        habits.add(true);
        habits.add(true);
        live(&mut habits, 14 * 144, true);
        assert_eq!(habits.broken(1), None);
    }

    #[test]
    fn a_home_with_hundreds_of_switches_stays_bounded() {
        let mut habits = Habits::default();
        (0..500).for_each(|_| habits.add(true));
        habits.step((0..500).map(|entity| entity % 3 == 0));
        assert_eq!(habits.pairs.len(), MEMBERS_MAX * MEMBERS_MAX);
        assert_eq!(habits.broken(400), None);
    }
}
