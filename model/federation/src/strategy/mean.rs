//! Means: streaming, a single home's delta is never kept.

use super::{Aggregate, Strategy};
use crate::delta::Delta;

/// The mean of all deltas (federated averaging). One home that lies moves it as far as it likes.
#[derive(Debug, Default)]
pub struct Mean {
    sum: Vec<f64>,
    homes: usize,
}

impl Strategy for Mean {
    fn name(&self) -> &'static str {
        "mean"
    }

    fn add(&mut self, _home: &str, delta: Delta) {
        self.sum.resize(delta.values().len(), 0.0);
        for (sum, value) in self.sum.iter_mut().zip(delta.values()) {
            *sum += f64::from(*value);
        }
        self.homes += 1;
    }

    fn kept(&self) -> usize {
        0
    }

    fn finish(self: Box<Self>) -> Option<Aggregate> {
        if self.homes == 0 {
            return None;
        }
        let values = self.sum.iter().map(|sum| (sum / self.homes as f64) as f32).collect();
        Some(Aggregate { delta: Delta::new(values).ok()?, homes: self.homes, left_out: Vec::new() })
    }
}

/// The mean of deltas that are first brought down to a norm: one home moves it by at most `clip` over the number of homes.
#[derive(Debug)]
pub struct ClippedMean {
    clip: f64,
    mean: Mean,
}

impl ClippedMean {
    /// `clip` is the largest norm of a delta.
    #[must_use]
    pub fn new(clip: f64) -> Self {
        Self { clip, mean: Mean::default() }
    }
}

impl Strategy for ClippedMean {
    fn name(&self) -> &'static str {
        "clipped mean"
    }

    fn add(&mut self, home: &str, delta: Delta) {
        self.mean.add(home, delta.clipped(self.clip));
    }

    fn kept(&self) -> usize {
        0
    }

    fn finish(self: Box<Self>) -> Option<Aggregate> {
        Box::new(self.mean).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{agreement, honest, run, truth, with_liars};
    use super::*;

    #[test]
    fn the_mean_of_honest_homes_is_nearly_the_truth_and_liars_turn_it_around() {
        let aggregate = run(Box::<Mean>::default(), (0..10).map(honest)).unwrap();
        assert!(agreement(&aggregate.delta) > 0.9);
        assert_eq!((aggregate.homes, aggregate.left_out.len()), (10, 0));
        assert!(agreement(&run(Box::<Mean>::default(), with_liars()).unwrap().delta) < 0.0);
    }

    #[test]
    fn a_clip_bounds_what_liars_do() {
        let clipped = run(Box::new(ClippedMean::new(truth().norm())), with_liars()).unwrap();
        assert!(agreement(&clipped.delta) > 0.5, "{}", agreement(&clipped.delta));
    }

    #[test]
    fn of_no_home_there_is_no_aggregate() {
        assert_eq!(run(Box::<Mean>::default(), []), None);
    }
}
