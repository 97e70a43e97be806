//! Seeded bootstrap intervals over homes.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A value and its bootstrap interval.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// The value itself.
    pub value: f64,
    /// Upper end.
    pub high: f64,
}

/// The statistic over all homes, with the interval of its bootstrap distribution: homes are drawn with replacement
/// `resamples` times (Efron's percentile interval at `confidence`). Draws for which the statistic is undefined (no event
/// in any drawn home) are left out; without any the interval is the value alone.
#[must_use]
pub fn bootstrap(
    homes: usize,
    resamples: usize,
    confidence: f64,
    seed: u64,
    statistic: impl Fn(&[usize]) -> Option<f64>,
) -> Interval {
    let all: Vec<usize> = (0..homes).collect();
    let value = statistic(&all).unwrap_or(0.0);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut draws: Vec<f64> = (0..resamples)
        .filter_map(|_| {
            let drawn: Vec<usize> = (0..homes).map(|_| rng.random_range(0..homes.max(1))).collect();
            statistic(&drawn)
        })
        .collect();
    if draws.is_empty() {
        return Interval { low: value, value, high: value };
    }
    draws.sort_by(f64::total_cmp);
    let tail = (1.0 - confidence) / 2.0;
    let at = |share: f64| draws[((draws.len() - 1) as f64 * share).round() as usize];
    Interval { low: at(tail), value, high: at(1.0 - tail) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_holds_the_value_and_depends_on_the_seed_alone() {
        let homes = [0.2, 0.4, 0.9, 0.5, 0.7];
        let mean = |drawn: &[usize]| Some(drawn.iter().map(|home| homes[*home]).sum::<f64>() / drawn.len() as f64);
        let interval = bootstrap(homes.len(), 500, 0.9, 1, mean);
        assert!(interval.low < interval.value && interval.value < interval.high, "{interval:?}");
        assert_eq!(interval, bootstrap(homes.len(), 500, 0.9, 1, mean));
    }

    #[test]
    fn without_homes_the_interval_is_empty() {
        let interval = bootstrap(0, 100, 0.9, 1, |_| None);
        assert_eq!(interval, Interval { low: 0.0, value: 0.0, high: 0.0 });
    }
}
