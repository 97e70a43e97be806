//! Humidity that does not fall again, as after a shower behind a closed window: mould's beginning.

use super::running::{Load, Running};
use crate::finding::AnomalyKind;
use crate::finding::Finding;

/// A room is damp from so much above its own median on, %, …
const ABOVE_MEDIAN: f32 = 12.0;
/// … never below this, where mould does not grow, …
const DAMP_MIN: f32 = 65.0;
/// … nor where there is hardly anything above.
const DAMP_MAX: f32 = 92.0;
/// And dry again from so much below that on.
const DRIER: f32 = 3.0;

/// Follows the humidity of one room.
#[derive(Debug, Clone)]
pub(crate) struct Damp {
    gate: Option<f32>,
    damp: bool,
    stretches: Running,
}

impl Damp {
    pub(crate) fn new() -> Self {
        Self { gate: None, damp: false, stretches: Running::new() }
    }

    /// What a fortnight says is usual; one that is damp now is measured by what it was before.
    pub(crate) fn learn(&mut self, median: f32) {
        if !self.damp {
            self.gate = Some((median + ABOVE_MEDIAN).max(DAMP_MIN)).filter(|gate| *gate <= DAMP_MAX);
        }
    }

    /// Takes a step's humidity, %; none while it is not known.
    pub(crate) fn step(&mut self, humidity: Option<f32>) -> Option<Finding> {
        let gate = self.gate?;
        let damp = humidity.map(|humidity| humidity >= if self.damp { gate - DRIER } else { gate });
        self.damp = damp.unwrap_or(self.damp);
        self.stretches.step(damp, 0);
        let found = self.stretches.finding(Load::Humidity)?;
        (found.kind == AnomalyKind::Running).then_some(Finding { kind: AnomalyKind::Damp, ..found })
    }

    pub(crate) fn lose(&mut self) {
        self.stretches.lose();
    }

    pub(crate) fn next_day(&mut self) {
        self.stretches.next_day();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Days with two showers; the steps until a finding after the last of them does not dry.
    fn steps_until_found(days: usize) -> Option<usize> {
        let mut room = Damp::new();
        room.learn(52.0);
        for _ in 0..days {
            for step in 0..144 {
                let humidity = if (40..49).contains(&step) || (130..136).contains(&step) { 80.0 } else { 52.0 };
                assert_eq!(room.step(Some(humidity)), None);
            }
            room.next_day();
        }
        (0..72).find(|_| room.step(Some(78.0)).is_some())
    }

    #[test]
    fn a_room_that_stays_damp_for_hours_longer_than_ever_is_told_and_showers_are_not() {
        assert_eq!(steps_until_found(14), Some(45), "an hour and a half was the longest: found after six more");
        assert_eq!(steps_until_found(1), None, "two stretches say nothing yet");
    }

    #[test]
    fn where_it_is_always_damp_nothing_is_told() {
        let mut cellar = Damp::new();
        cellar.learn(85.0);
        assert!((0..2_000).all(|_| cellar.step(Some(97.0)).is_none()));
    }
}
