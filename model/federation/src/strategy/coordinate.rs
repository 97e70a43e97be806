//! Each parameter by itself, from the middle of the homes' values (Yin et al., ICML 2018).

use super::{Aggregate, Kept, Strategy};
use crate::delta::Delta;

/// The median of each parameter.
#[derive(Debug, Default)]
pub struct CoordinateMedian {
    kept: Kept,
}

impl Strategy for CoordinateMedian {
    fn name(&self) -> &'static str {
        "coordinate median"
    }

    fn add(&mut self, home: &str, delta: Delta) {
        self.kept.add(home, delta);
    }

    fn kept(&self) -> usize {
        self.kept.homes.len()
    }

    fn finish(self: Box<Self>) -> Option<Aggregate> {
        median(self.kept)
    }
}

/// The mean of each parameter without its largest and smallest values.
#[derive(Debug)]
pub struct TrimmedMean {
    share: f64,
    kept: Kept,
}

impl TrimmedMean {
    /// `share` of the homes is left out at each end; below one half.
    #[must_use]
    pub fn new(share: f64) -> Self {
        Self { share, kept: Kept::default() }
    }
}

impl Strategy for TrimmedMean {
    fn name(&self) -> &'static str {
        "trimmed mean"
    }

    fn add(&mut self, home: &str, delta: Delta) {
        self.kept.add(home, delta);
    }

    fn kept(&self) -> usize {
        self.kept.homes.len()
    }

    fn finish(self: Box<Self>) -> Option<Aggregate> {
        let homes = self.kept.homes.len();
        let cut = (homes as f64 * self.share) as usize;
        middle(self.kept, cut.min(homes.saturating_sub(1) / 2))
    }
}

/// The median of each parameter; none without a home.
pub(super) fn median(kept: Kept) -> Option<Aggregate> {
    // All but the middle one, or the middle two.
    let cut = kept.homes.len().saturating_sub(1) / 2;
    middle(kept, cut)
}

/// Parameters that are gathered from all deltas at once: of 1,000 deltas 256 KB, which the processor's cache holds.
const GATHERED: usize = 64;

/// The mean of each parameter without the `cut` smallest and largest values, of which something must be left.
fn middle(kept: Kept, cut: usize) -> Option<Aggregate> {
    let Kept { homes, left_out } = kept;
    let count = homes.len();
    let length = homes.first()?.1.values().len();
    let mut columns = vec![0.0; GATHERED * count];
    let mut values = Vec::with_capacity(length);
    for from in (0..length).step_by(GATHERED) {
        let until = (from + GATHERED).min(length);
        for (place, (_, delta)) in homes.iter().enumerate() {
            for (column, value) in delta.values()[from..until].iter().enumerate() {
                columns[column * count + place] = *value;
            }
        }
        for column in columns.chunks_exact_mut(count).take(until - from) {
            column.sort_unstable_by(f32::total_cmp);
            let left = &column[cut..count - cut];
            values.push((left.iter().map(|value| f64::from(*value)).sum::<f64>() / left.len() as f64) as f32);
        }
    }
    Some(Aggregate { delta: Delta::new(values).ok()?, homes: count, left_out })
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{agreement, honest, run, with_attackers};
    use super::*;

    #[test]
    fn three_attackers_of_ten_do_not_turn_the_middle_around() {
        let strategies: [Box<dyn Strategy>; 2] = [Box::<CoordinateMedian>::default(), Box::new(TrimmedMean::new(0.3))];
        for strategy in strategies {
            let name = strategy.name();
            let aggregate = run(strategy, with_attackers()).unwrap();
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
