//! One entity's step as the decision sees it, and when evidence has lasted long enough.

use crate::finding::{AnomalyKind, Band};

/// Steps that are looked at together, …
const LOOK_STEPS: usize = 3;
/// … of which this many must be above the threshold: no alarm on one sample.
const NEEDED: usize = 2;

/// How unusual one entity's step is, and by which threshold it is judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evidence {
    /// Index in the home's list of entities.
    pub entity: u32,
    /// The score; none while the entity is not judged.
    pub score: Option<f32>,
    /// The threshold that the calibration gives, before the home's offset and its answers.
    pub threshold: f32,
    /// In what way it is unusual.
    pub kind: AnomalyKind,
    /// The figure behind the kind (see [`BaselineScore`](crate::finding::BaselineScore)).
    pub amount: f32,
    /// What that figure usually stays below.
    pub usual: f32,
    /// In the unit that is shown; of an on/off entity its share of time on. None while it is unknown.
    pub observed: Option<f32>,
    /// None where nothing in particular is expected.
    pub band: Option<Band>,
}

impl Evidence {
    /// Above (1) or below (−1) the expectation; 0 where there is no telling.
    #[must_use]
    pub fn direction(&self) -> i8 {
        match (self.kind, self.observed, self.band) {
            (AnomalyKind::Change, ..) => direction_of(self.amount),
            (AnomalyKind::Level | AnomalyKind::Peers | AnomalyKind::Pattern, Some(value), Some(band)) => {
                direction_of(value - band.expected)
            }
            _ => 0,
        }
    }
}

fn direction_of(difference: f32) -> i8 {
    if difference > 0.0 {
        1
    } else if difference < 0.0 {
        -1
    } else {
        0
    }
}

/// The last few steps of one entity.
#[derive(Debug, Clone, Default)]
pub struct Sustained {
    /// (step, score − threshold), newest last.
    recent: [(i64, f32); LOOK_STEPS],
    filled: usize,
}

impl Sustained {
    /// Takes a step's margin over the threshold and says since when evidence has lasted, if it has lasted long enough: the
    /// first of the steps that count.
    pub fn step(&mut self, at: i64, margin: f32) -> Option<i64> {
        self.recent.rotate_left(1);
        self.recent[LOOK_STEPS - 1] = (at, margin);
        self.filled = (self.filled + 1).min(LOOK_STEPS);
        let above = || self.recent[LOOK_STEPS - self.filled..].iter().filter(|(_, margin)| *margin >= 0.0);
        (margin >= 0.0 && above().count() >= NEEDED).then(|| above().next().map(|(at, _)| *at)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sample_is_not_enough_and_two_of_three_are() {
        let mut one = Sustained::default();
        assert_eq!(one.step(600, 5.0), None);
        assert_eq!(one.step(1200, -1.0), None);
        assert_eq!(one.step(1800, 0.0), Some(600));
    }

    #[test]
    fn samples_far_apart_do_not_add_up() {
        let mut one = Sustained::default();
        assert_eq!(one.step(600, 5.0), None);
        assert_eq!(one.step(1200, -1.0), None);
        assert_eq!(one.step(1800, -1.0), None);
        assert_eq!(one.step(2400, 5.0), None);
    }
}
