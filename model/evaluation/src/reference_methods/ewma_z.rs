//! Distance from an exponentially weighted mean: Home Assistant's statistics and filter helpers.

use std::ops::Range;

use hearthwatch_detector::grid::DAY_STEPS;

use super::grid::Grid;
use super::refitted::ReferenceMethod;

/// |value − mean| in deviations, both weighted exponentially over the past.
#[derive(Debug, Clone, Copy)]
pub struct EwmaZ {
    /// Weight of the newest value.
    pub alpha: f64,
}

impl Default for EwmaZ {
    /// A span of one day.
    fn default() -> Self {
        Self { alpha: 2.0 / (DAY_STEPS as f64 + 1.0) }
    }
}

impl EwmaZ {
    /// Mean and variance after each value, the variance biased: as `pandas.Series.ewm(alpha, adjust=False)` has them.
    #[must_use]
    pub fn moments(&self, values: &[f32]) -> Vec<(f64, f64)> {
        let mut state: Option<(f64, f64)> = None;
        values
            .iter()
            .map(|value| {
                if value.is_finite() {
                    let value = f64::from(*value);
                    state = Some(state.map_or((value, 0.0), |(mean, variance)| {
                        let apart = value - mean;
                        (mean + self.alpha * apart, (1.0 - self.alpha) * (variance + self.alpha * apart * apart))
                    }));
                }
                state.unwrap_or((f64::NAN, f64::NAN))
            })
            .collect()
    }
}

impl ReferenceMethod for EwmaZ {
    fn score(&self, home: &Grid, entity: usize, learn: Range<usize>, until: usize) -> Vec<f32> {
        let values = &home.values[entity][learn.start..until];
        let moments = self.moments(values);
        // A value is held against what was before it.
        let before = std::iter::once((f64::NAN, f64::NAN)).chain(moments);
        values
            .iter()
            .zip(before)
            .map(|(value, (mean, variance))| ((f64::from(*value) - mean).abs() / variance.sqrt().max(1e-6)) as f32)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_by_hand() {
        let half = EwmaZ { alpha: 0.5 };
        assert_eq!(half.moments(&[2.0, 4.0, f32::NAN]), [(2.0, 0.0), (3.0, 1.0), (3.0, 1.0)]);
        let grid = Grid { values: vec![vec![2.0, 4.0, 5.0]], log: vec![false], first: 600 };
        assert_eq!(half.score(&grid, 0, 0..2, 3)[2], 2.0);
    }
}
