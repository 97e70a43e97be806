//! Means: streaming, a single home's delta is never kept.

use super::{Aggregate, Strategy};
use crate::delta::Delta;

/// Weighted deltas added up; no delta is kept.
#[derive(Debug, Default)]
pub(super) struct WeightedSum {
    sum: Vec<f64>,
    weights: f64,
    homes: usize,
}

impl WeightedSum {
    /// Adds a delta that counts as `weight`, above zero, and is first brought to `scale` times its length.
    pub(super) fn add(&mut self, delta: &Delta, weight: f64, scale: f64) {
        self.sum.resize(delta.values().len(), 0.0);
        let factor = weight * scale;
        for (sum, value) in self.sum.iter_mut().zip(delta.values()) {
            *sum += factor * f64::from(*value);
        }
        self.weights += weight;
        self.homes += 1;
    }

    /// Their weighted mean; none of none.
    pub(super) fn mean(self) -> Option<Aggregate> {
        if self.homes == 0 {
            return None;
        }
        let values = self.sum.iter().map(|sum| (sum / self.weights) as f32).collect();
        Some(Aggregate { delta: Delta::new(values).ok()?, homes: self.homes, left_out: Vec::new() })
    }
}

/// The mean of all deltas (federated averaging). One attacker moves it as far as it likes.
#[derive(Debug, Default)]
pub struct Mean(WeightedSum);

impl Strategy for Mean {
    fn name(&self) -> &'static str {
        "mean"
    }

    fn add(&mut self, _home: &str, delta: Delta) {
        self.0.add(&delta, 1.0, 1.0);
    }

    fn kept(&self) -> usize {
        0
    }

    fn finish(self: Box<Self>) -> Option<Aggregate> {
        self.0.mean()
    }
}

/// The mean of deltas that are first brought down to a norm: one home moves it by at most `clip` over the number of homes.
#[derive(Debug)]
pub struct ClippedMean {
    clip: f64,
    sum: WeightedSum,
}

impl ClippedMean {
    /// `clip` is the largest norm of a delta.
    #[must_use]
    pub fn new(clip: f64) -> Self {
        Self { clip, sum: WeightedSum::default() }
    }
}

impl Strategy for ClippedMean {
    fn name(&self) -> &'static str {
        "clipped mean"
    }

    fn add(&mut self, _home: &str, delta: Delta) {
        self.sum.add(&delta.clipped(self.clip), 1.0, 1.0);
    }

    fn kept(&self) -> usize {
        0
    }

    fn finish(self: Box<Self>) -> Option<Aggregate> {
        self.sum.mean()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{agreement, honest, run, truth, with_attackers};
    use super::*;

    #[test]
    fn the_mean_of_honest_homes_is_nearly_the_truth_and_attackers_turn_it_around() {
        let aggregate = run(Box::<Mean>::default(), (0..10).map(honest)).unwrap();
        assert!(agreement(&aggregate.delta) > 0.9);
        assert_eq!((aggregate.homes, aggregate.left_out.len()), (10, 0));
        assert!(agreement(&run(Box::<Mean>::default(), with_attackers()).unwrap().delta) < 0.0);
    }

    #[test]
    fn a_clip_bounds_what_attackers_do() {
        let clipped = run(Box::new(ClippedMean::new(truth().norm())), with_attackers()).unwrap();
        assert!(agreement(&clipped.delta) > 0.5, "{}", agreement(&clipped.delta));
    }

    #[test]
    fn of_no_home_there_is_no_aggregate() {
        assert_eq!(run(Box::<Mean>::default(), []), None);
    }
}
