//! How unusual a value is among the last fortnight's: order statistics within, an exponential tail beyond.

use crate::statistics::robust::quantile;

/// Values below which no tail is fitted: a day's steps.
const SAMPLES_MIN: usize = 144;
/// How fast it still grows there.
const HUMBLE_GROWTH: f32 = 4.0;
/// Surprise beyond which more makes no difference, in nats.
const SURPRISE_MAX: f32 = 30.0;
/// Shares at which the distribution is remembered.
const SHARES: [f32; 3] = [0.5, 0.9, 0.98];

/// The upper tail of a non-negative statistic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tail {
    quantiles: [f32; 3],
    /// Mean excess over the last quantile; not positive when nothing is known.
    excess: f32,
    /// ln of the number of samples: they know of nothing rarer, in nats, and beyond it surprise grows ever more slowly.
    known: f32,
}

impl Tail {
    /// Knows nothing, is surprised by nothing.
    pub(crate) fn unknown() -> Self {
        Self { quantiles: [0.0; 3], excess: 0.0, known: 0.0 }
    }

    /// Fits to `values`, which are reordered; NaN must not be among them.
    pub fn fit(values: &mut [f32]) -> Self {
        if values.len() < SAMPLES_MIN {
            return Self::unknown();
        }
        let mut quantiles = [0.0; 3];
        for (place, share) in quantiles.iter_mut().zip(SHARES) {
            *place = quantile(values, share).unwrap_or(0.0);
        }
        let last = quantiles[2];
        let (sum, count) =
            values.iter().filter(|value| **value > last).fold((0.0f32, 0u32), |(sum, n), v| (sum + (v - last), n + 1));
        let mean_excess = if count > 0 { sum / count as f32 } else { 0.0 };
        // A fortnight holds a dozen excursions at most; the bulk's own slope keeps the tail from being too sure.
        let slope = (last - quantiles[0]) / (0.5f32 / 0.02).ln();
        Self { quantiles, excess: mean_excess.max(slope).max(1e-3), known: (values.len() as f32).ln() }
    }

    /// −ln P(statistic ≥ `value`), at most `SURPRISE_MAX`.
    pub fn surprise(&self, value: f32) -> f32 {
        if self.excess <= 0.0 || !value.is_finite() {
            return 0.0;
        }
        let mut below = (0.0f32, 0.0f32);
        for (quantile, share) in self.quantiles.iter().zip(SHARES) {
            let above = (*quantile, -(1.0 - share).ln());
            if value < above.0 {
                let width = (above.0 - below.0).max(1e-9);
                return below.1 + (above.1 - below.1) * ((value - below.0) / width).clamp(0.0, 1.0);
            }
            below = above;
        }
        let surprise = below.1 + (value - below.0) / self.excess;
        let beyond = (surprise - self.known).max(0.0);
        (surprise.min(self.known) + HUMBLE_GROWTH * (beyond / HUMBLE_GROWTH).ln_1p()).min(SURPRISE_MAX)
    }

    /// The value that one step in fifty exceeds; none when nothing is known.
    pub(crate) fn usual_limit(&self) -> Option<f32> {
        (self.excess > 0.0).then_some(self.quantiles[2])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exponential_variable_gets_its_true_surprise() {
        let mut values: Vec<f32> = (0..2000).map(|i| -((i as f32 + 0.5) / 2000.0).ln()).collect();
        let tail = Tail::fit(&mut values);
        for x in [0.7f32, 2.0, 4.0, 7.0] {
            assert!((tail.surprise(x) - x).abs() < 0.15 * x + 0.1, "{x}: {}", tail.surprise(x));
        }
    }

    #[test]
    fn surprise_grows_with_the_value_and_stays_bounded() {
        let tail = Tail::fit(&mut (0..500).map(|i| i as f32).collect::<Vec<_>>());
        let surprises: Vec<f32> = (0..100).map(|i| tail.surprise(i as f32 * 20.0)).collect();
        assert!(surprises.windows(2).all(|pair| pair[0] <= pair[1]));
        assert!(tail.surprise(f32::MAX) <= SURPRISE_MAX);
        assert_eq!(tail.surprise(f32::NAN), 0.0);
    }

    #[test]
    fn a_few_values_teach_nothing() {
        assert_eq!(Tail::fit(&mut [1.0; 10]).surprise(1e9), 0.0);
    }
}
