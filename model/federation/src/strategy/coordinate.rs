//! Each parameter by itself, from the middle of what homes say (Yin et al., ICML 2018).

use super::{Aggregate, Strategy};
use crate::delta::Delta;

/// The median of each parameter.
#[derive(Debug, Default)]
pub struct CoordinateMedian {
    deltas: Vec<Delta>,
}

impl Strategy for CoordinateMedian {
    fn name(&self) -> &'static str {
        "coordinate median"
    }

    fn add(&mut self, _home: &str, delta: Delta) {
        self.deltas.push(delta);
    }

    fn finish(self: Box<Self>) -> Option<Aggregate> {
        let homes = self.deltas.len();
        // All but the middle one, or the middle two.
        middle(&self.deltas, homes.saturating_sub(1) / 2)
    }
}

/// The mean of each parameter without its largest and smallest values.
#[derive(Debug)]
pub struct TrimmedMean {
    share: f64,
    deltas: Vec<Delta>,
}

impl TrimmedMean {
    /// `share` of the homes is left out at each end; below one half.
    #[must_use]
    pub fn new(share: f64) -> Self {
        Self { share, deltas: Vec::new() }
    }
}

impl Strategy for TrimmedMean {
    fn name(&self) -> &'static str {
        "trimmed mean"
    }

    fn add(&mut self, _home: &str, delta: Delta) {
        self.deltas.push(delta);
    }

    fn finish(self: Box<Self>) -> Option<Aggregate> {
        let homes = self.deltas.len();
        let cut = (homes as f64 * self.share) as usize;
        middle(&self.deltas, cut.min(homes.saturating_sub(1) / 2))
    }
}

/// The mean of each parameter without the `cut` smallest and largest values, of which something must be left.
fn middle(deltas: &[Delta], cut: usize) -> Option<Aggregate> {
    let first = deltas.first()?;
    let mut column = Vec::with_capacity(deltas.len());
    let mut values = Vec::with_capacity(first.values().len());
    for index in 0..first.values().len() {
        column.clear();
        column.extend(deltas.iter().map(|delta| delta.values()[index]));
        column.sort_unstable_by(f32::total_cmp);
        let kept = &column[cut..column.len() - cut];
        values.push((kept.iter().map(|value| f64::from(*value)).sum::<f64>() / kept.len() as f64) as f32);
    }
    Some(Aggregate { delta: Delta::new(values).ok()?, homes: deltas.len(), left_out: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{agreement, honest, run, with_liars};
    use super::*;

    #[test]
    fn three_liars_of_ten_do_not_turn_the_middle_around() {
        let strategies: [Box<dyn Strategy>; 2] = [Box::<CoordinateMedian>::default(), Box::new(TrimmedMean::new(0.3))];
        for strategy in strategies {
            let name = strategy.name();
            let aggregate = run(strategy, with_liars()).unwrap();
            assert!(agreement(&aggregate.delta) > 0.5, "{name}: {}", agreement(&aggregate.delta));
        }
    }

    #[test]
    fn the_median_of_two_is_their_mean_and_of_one_that_one() {
        let one = run(Box::<CoordinateMedian>::default(), [honest(1)]).unwrap();
        assert_eq!(one.delta, honest(1));
        let two = run(Box::<CoordinateMedian>::default(), [honest(1), honest(2)]).unwrap();
        let mean = (honest(1).values()[5] + honest(2).values()[5]) / 2.0;
        assert!((two.delta.values()[5] - mean).abs() < 1e-6);
    }
}
