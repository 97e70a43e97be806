//! A device that fell silent, against the longest it ever paused.

use crate::experts::longest::{Longest, rarity};
use crate::grid::STEP_SECONDS;

/// A pause shorter than this is never remarkable: one hour.
const PAUSE_FLOOR_STEPS: u32 = 6;
/// Pauses between reports that must have been seen: a day of an hourly device.
const PAUSES_MIN: u32 = 24;

/// Counted on 2026-11-29 (docs/measurements/2026-11-30-training-tries.md): of 9,000 days of healthy meters and rooms in the recorder's form, a pause that was longer than all of a fortnight came .5 times a week
/// of an entity, one of twice its length .03 times, one of three times its length .008 times.
const AT_ONE: f32 = 0.65;
const DOUBLING: f32 = 2.8;

/// Learns and judges silence.
#[derive(Debug, Clone)]
pub(crate) struct Heartbeat {
    /// Steps of silence that the device alone is to blame for.
    silent: u32,
    longest: Longest,
}

impl Heartbeat {
    pub(crate) fn new() -> Self {
        Self { silent: 0, longest: Longest::new() }
    }

    /// Takes a step: whether the device reported, after what pause in seconds, and whether the rest of the home did.
    /// When the whole home is silent it is the hub or the network, and nobody's pause grows.
    pub(crate) fn step(&mut self, received: bool, interval: Option<i64>, home_alive: bool) {
        if received {
            if let Some(seconds) = interval {
                let steps = u32::try_from(seconds / STEP_SECONDS).unwrap_or(u32::MAX);
                // Of a pause, only what the device is to blame for is learnt.
                self.longest.complete(steps.min(self.silent + 1), 0.0);
            }
            self.silent = 0;
        } else if home_alive {
            self.silent = self.silent.saturating_add(1);
        }
    }

    /// Whether enough was seen for a pause to mean anything.
    pub(crate) fn is_learnt(&self) -> bool {
        self.longest.completed() >= PAUSES_MIN
    }

    /// Evidence on the baseline score's scale; `patience` is how many times the longest pause is nothing special.
    pub(crate) fn evidence(&self, patience: f32) -> f32 {
        if !self.is_learnt() {
            return f32::NEG_INFINITY;
        }
        rarity(self.silent as f32 / (self.usual_pause() as f32 * patience), AT_ONE, DOUBLING)
    }

    /// The longest pause that is nothing special, in steps.
    pub(crate) fn usual_pause(&self) -> u32 {
        self.longest.longest().0.max(PAUSE_FLOOR_STEPS)
    }

    /// Whether it has paused longer than it ever did, however short that is: too early to say so, but what it said last is
    /// no longer news of now.
    pub(crate) fn late(&self) -> bool {
        self.longest.completed() >= PAUSES_MIN && self.silent > self.longest.longest().0
    }

    /// Whether enough is known to say that a pause is too long.
    pub(crate) fn overdue(&self) -> bool {
        self.longest.completed() >= PAUSES_MIN && self.silent > self.usual_pause()
    }

    pub(crate) fn next_day(&mut self) {
        self.longest.next_day();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beating(steps: u32) -> Heartbeat {
        let mut beat = Heartbeat::new();
        for _ in 0..steps {
            beat.step(true, Some(600), true);
        }
        beat
    }

    #[test]
    fn a_device_that_falls_silent_alone_is_noticed() {
        let mut beat = beating(200);
        for _ in 0..12 {
            beat.step(false, None, true);
        }
        assert!(beat.evidence(1.0) >= 2.0);
        assert!(beat.overdue());
    }

    #[test]
    fn a_home_that_falls_silent_as_a_whole_is_not_the_devices_fault() {
        let mut beat = beating(200);
        for _ in 0..500 {
            beat.step(false, None, false);
        }
        assert!(beat.evidence(1.0) < 0.0);
    }

    #[test]
    fn a_device_that_reports_on_change_is_given_its_longest_pause() {
        let mut beat = beating(200);
        for _ in 0..100 {
            beat.step(false, None, true);
        }
        beat.step(true, Some(101 * 600), true);
        for _ in 0..100 {
            beat.step(false, None, true);
        }
        assert!(beat.evidence(1.0) < 0.0);
    }

    #[test]
    fn a_device_hardly_known_is_not_judged() {
        let mut beat = beating(5);
        for _ in 0..1000 {
            beat.step(false, None, true);
        }
        assert!(beat.evidence(1.0) < 0.0);
    }
}
