//! A door open for too long: the hazard of leaving a state, by how long it has lasted and by hour of the week.
//!
//! Each step spent in a state is a trial; leaving is its outcome. The hazard is learnt in ten buckets of elapsed time
//! (doubling), times a factor of the hour of the week that is shrunk towards 1. Surprise is the hazard that was survived,
//! Σ −ln(1 − h), which is −ln P(lasting this long). Counts fade with a half-life of about three weeks. Hazards of a day are not
//! independent (an empty room stays empty), so a stay also has to be longer than any of four weeks.

use crate::experts::longest;
use crate::statistics::daily_max::DailyMax;

/// Buckets of elapsed steps: 0, 1, 2–3, 4–7, … 256 and more (43 hours).
const BUCKETS: usize = 10;
/// Weight of what is already believed, in steps, when a bucket has few of its own.
const BUCKET_PRIOR: f32 = 3.0;
/// Where a bucket has not been reached, leaving is taken to become rarer: people do go on holiday.
const BEYOND_FACTOR: f32 = 0.8;
/// Weight of "this hour is like any other", in expected leavings.
const HOUR_PRIOR: f32 = 3.0;
/// What a day's counts keep of their weight overnight.
pub(crate) const DAILY_FADE: f32 = 0.97;
/// Leavings that must have been seen of a state before its length can mean anything.
const LEAVINGS_MIN: f32 = 5.0;
/// The longest stay that is taken in whole, in steps: a fortnight.
const STAY_STEPS_MAX: u32 = 2016;
const STEPS_PER_WEEK: f32 = 1008.0;

/// What is learnt of one of the two states.
#[derive(Debug, Clone)]
struct State {
    trials: [f32; BUCKETS],
    leavings: [f32; BUCKETS],
    hour_expected: Box<[f32; 168]>,
    hour_leavings: Box<[f32; 168]>,
}

/// Learns and judges how long a binary entity stays on or off.
#[derive(Debug, Clone)]
pub(crate) struct TimeInState {
    states: [State; 2],
    current: Option<bool>,
    elapsed: u32,
    survived: f32,
    /// Steps watched, fading like the counts.
    watched: f32,
    /// The longest stay in each state that came to its end, in steps.
    longest: [DailyMax; 2],
}

impl TimeInState {
    pub(crate) fn new() -> Self {
        let state = || State {
            trials: [0.0; BUCKETS],
            leavings: [0.0; BUCKETS],
            hour_expected: Box::new([0.0; 168]),
            hour_leavings: Box::new([0.0; 168]),
        };
        Self {
            states: [state(), state()],
            current: None,
            elapsed: 0,
            survived: 0.0,
            watched: 0.0,
            longest: [DailyMax::new(), DailyMax::new()],
        }
    }

    /// Takes a step: the state at its end and how often it switched; `None` while it is not known.
    pub(crate) fn step(&mut self, state: Option<bool>, switches: u32, hour_of_week: usize) {
        let Some(now) = state else {
            self.current = None;
            return;
        };
        let hour = hour_of_week.min(167);
        if let Some(before) = self.current {
            self.watched += 1.0;
            let left = switches > 0 || before != now;
            if !left {
                let hazard = self.states[usize::from(before)].hazard(bucket(self.elapsed), hour);
                self.survived += -(1.0 - hazard).ln();
                self.elapsed = self.elapsed.saturating_add(1);
                return;
            }
            self.states[usize::from(before)].learn(self.elapsed, hour);
            self.longest[usize::from(before)].take(self.elapsed as f32 + 1.0);
            if switches >= 2 {
                // There and back within the step: a short stay in the other state.
                self.states[usize::from(!before)].learn(0, hour);
            }
        }
        self.current = Some(now);
        self.elapsed = 0;
        self.survived = 0.0;
    }

    /// Steps in the current state.
    pub(crate) fn elapsed(&self) -> u32 {
        self.elapsed
    }

    /// The state now; none while it is not known.
    pub(crate) fn current(&self) -> Option<bool> {
        self.current
    }

    /// How often a state was left lately, with the weight that is left of it.
    pub(crate) fn times(&self, state: bool) -> f32 {
        self.states[usize::from(state)].leavings.iter().sum()
    }

    /// Evidence: −ln of how often a week a stay as long as this is expected.
    pub(crate) fn evidence(&self) -> f32 {
        let Some(current) = self.current else { return f32::NEG_INFINITY };
        let leavings = self.times(current);
        if leavings < LEAVINGS_MIN || self.watched < 1.0 {
            return f32::NEG_INFINITY;
        }
        let stays_per_week = leavings / self.watched * STEPS_PER_WEEK;
        (self.survived - stays_per_week.max(1.0).ln()).min(self.longest_evidence())
    }

    /// Evidence of a stay that is longer than any of four weeks; none while the state is not known.
    pub(crate) fn longest_evidence(&self) -> f32 {
        let Some(current) = self.current else { return f32::NEG_INFINITY };
        let longest = self.longest[usize::from(current)].largest().unwrap_or(0.0);
        longest::evidence((self.elapsed as f32 + 1.0) / longest.max(1.0))
    }

    /// Whether one of its states was left often enough to be judged.
    pub(crate) fn is_learnt(&self) -> bool {
        [false, true].into_iter().any(|state| self.times(state) >= LEAVINGS_MIN)
    }

    pub(crate) fn next_day(&mut self) {
        self.watched *= DAILY_FADE;
        self.longest.iter_mut().for_each(DailyMax::next_day);
        for state in &mut self.states {
            let counts = state.trials.iter_mut().chain(&mut state.leavings);
            for count in counts.chain(state.hour_expected.iter_mut()).chain(state.hour_leavings.iter_mut()) {
                *count *= DAILY_FADE;
            }
        }
    }
}

fn bucket(elapsed: u32) -> usize {
    ((u32::BITS - elapsed.leading_zeros()) as usize).min(BUCKETS - 1)
}

impl State {
    /// Takes in a stay that is over; one that lasts must not vouch for itself. `hour` is the hour of the week it ended.
    fn learn(&mut self, elapsed: u32, hour: usize) {
        let stay = elapsed.min(STAY_STEPS_MAX);
        let base: [f32; BUCKETS] = std::array::from_fn(|at| self.base_hazard(at));
        for back in 0..=stay {
            let at = bucket(stay - back);
            self.trials[at] += 1.0;
            // Six steps an hour; the exact minute matters little over a stay.
            self.hour_expected[(hour + 168 * 3 - back as usize / 6) % 168] += base[at];
        }
        self.leavings[bucket(stay)] += 1.0;
        self.hour_leavings[hour] += 1.0;
    }

    /// Hazard by elapsed time alone; each bucket leans on the one before it.
    fn base_hazard(&self, bucket: usize) -> f32 {
        let trials: f32 = self.trials.iter().sum();
        let leavings: f32 = self.leavings.iter().sum();
        let mut belief = if trials > 0.0 { leavings / trials } else { 0.0 };
        for at in 0..=bucket {
            let prior = if self.trials[at] > 0.0 || at == 0 { belief } else { belief * BEYOND_FACTOR };
            belief = (self.leavings[at] + BUCKET_PRIOR * prior) / (self.trials[at] + BUCKET_PRIOR);
        }
        belief
    }

    fn hazard(&self, bucket: usize, hour: usize) -> f32 {
        let factor = (self.hour_leavings[hour] + HOUR_PRIOR) / (self.hour_expected[hour] + HOUR_PRIOR);
        (self.base_hazard(bucket) * factor.clamp(0.1, 5.0)).clamp(0.0, 0.95)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fridge door: opened for one step, every hour or so, for `days`.
    fn fridge(days: usize) -> TimeInState {
        let mut door = TimeInState::new();
        for step in 0..days * 144 {
            let open = step % 7 == 0;
            door.step(Some(open), 0, (step / 6) % 168);
            if step % 144 == 143 {
                door.next_day();
            }
        }
        door
    }

    #[test]
    fn a_fridge_door_that_stays_open_is_noticed_within_two_hours() {
        let mut door = fridge(14);
        door.step(Some(true), 0, 10);
        assert!(door.evidence() < 0.0);
        for _ in 0..11 {
            door.step(Some(true), 0, 10);
        }
        assert!(door.evidence() > 3.0, "{}", door.evidence());
    }

    #[test]
    fn a_usual_stay_is_not_remarkable() {
        let mut door = fridge(14);
        let mut worst = f32::NEG_INFINITY;
        for step in 0..1000 {
            door.step(Some(step % 7 == 0), 0, (step / 6) % 168);
            worst = worst.max(door.evidence());
        }
        assert!(worst < 2.0, "{worst}");
    }

    #[test]
    fn a_state_that_was_hardly_ever_left_is_not_judged() {
        let mut switch = TimeInState::new();
        for step in 0..3000 {
            switch.step(Some(step > 100), 0, (step / 6) % 168);
        }
        assert!(switch.evidence() < 0.0);
    }

    #[test]
    fn an_unknown_state_ends_the_stay_without_teaching() {
        let mut door = fridge(14);
        for _ in 0..20 {
            door.step(Some(true), 0, 10);
        }
        door.step(None, 0, 10);
        assert!(door.evidence() < 0.0);
    }
}
