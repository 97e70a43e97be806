//! A value that stopped moving, against the longest it ever stood still.

use crate::experts::longest::{Longest, rarity};

/// Standing still for less than this is never remarkable: 1.5 hours.
const RUN_FLOOR_STEPS: u32 = 9;
/// Changes that must have been seen before standing still can mean anything.
const CHANGES_MIN: u32 = 20;
/// At the value at which it rests longest (a lamp's 0 W) it must stand still this many times longer to be remarkable.
const REST_PATIENCE: f32 = 2.0;

/// Counted on 2026-11-29 (docs/measurements/2026-11-30-training-tries.md): of 5,000 days of healthy meters and rooms in the recorder's form, a run that was longer than all of a fortnight came .7 times a week
/// of an entity, one of 1.5 times its length .04 times, one of twice its length .01 times.
const AT_ONE: f32 = 0.4;
const DOUBLING: f32 = 4.2;

/// Learns and judges standing still.
#[derive(Debug, Clone)]
pub(crate) struct Flatline {
    value: f32,
    run: u32,
    longest: Longest,
}

impl Flatline {
    pub(crate) fn new() -> Self {
        Self { value: f32::NAN, run: 0, longest: Longest::new() }
    }

    /// Takes the step's value; NaN while it is not known, which neither ends nor lengthens a run.
    pub(crate) fn step(&mut self, value: f32) {
        if value.is_nan() {
            return;
        }
        if value == self.value {
            self.run = self.run.saturating_add(1);
        } else {
            if !self.value.is_nan() {
                self.longest.complete(self.run, self.value);
            }
            self.value = value;
            self.run = 0;
        }
    }

    /// Steps since the value changed.
    pub(crate) fn run(&self) -> u32 {
        self.run
    }

    /// The longest run that is nothing special, in steps.
    pub(crate) fn usual_run(&self) -> u32 {
        self.longest.longest().0.max(RUN_FLOOR_STEPS)
    }

    /// Whether enough was seen for standing still to mean anything.
    pub(crate) fn is_learnt(&self) -> bool {
        self.longest.completed() >= CHANGES_MIN
    }

    /// Evidence on the baseline score's scale; `patience` is how many times the longest run is nothing special.
    pub(crate) fn evidence(&self, patience: f32) -> f32 {
        if !self.is_learnt() {
            return f32::NEG_INFINITY;
        }
        let (_, rest) = self.longest.longest();
        let patience = patience * if self.value == rest || self.value == 0.0 { REST_PATIENCE } else { 1.0 };
        rarity(self.run as f32 / (self.usual_run() as f32 * patience), AT_ONE, DOUBLING)
    }

    pub(crate) fn next_day(&mut self) {
        self.longest.next_day();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moving(steps: usize) -> Flatline {
        let mut flat = Flatline::new();
        for step in 0..steps {
            flat.step(20.0 + (step / 3) as f32 * 0.1);
        }
        flat
    }

    #[test]
    fn a_sensor_that_always_moves_is_noticed_when_it_stops() {
        let mut flat = moving(300);
        assert!(flat.evidence(1.0) < 0.0);
        for _ in 0..24 {
            flat.step(30.0);
        }
        assert!(flat.evidence(1.0) > 2.0);
    }

    #[test]
    fn a_sensor_that_often_rests_is_given_the_time() {
        let mut flat = moving(300);
        for _ in 0..60 {
            flat.step(0.0);
        }
        for step in 0..40 {
            flat.step(100.0 + step as f32);
        }
        for _ in 0..100 {
            flat.step(0.0);
        }
        assert!(flat.evidence(1.0) < 0.0);
    }

    #[test]
    fn a_constant_from_the_start_is_no_flatline() {
        let mut flat = Flatline::new();
        for _ in 0..5000 {
            flat.step(1.0);
        }
        assert!(flat.evidence(1.0) < 0.0);
    }
}
