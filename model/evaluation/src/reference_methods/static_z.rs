//! A threshold on the distance from the mean: Home Assistant's threshold helper.

use std::ops::Range;

use super::grid::Grid;
use super::refitted::ReferenceMethod;

/// |value − mean| in standard deviations, both of the weeks before.
#[derive(Debug, Clone, Copy)]
pub struct StaticZ;

impl ReferenceMethod for StaticZ {
    fn score(&self, home: &Grid, entity: usize, learn: Range<usize>, until: usize) -> Vec<f32> {
        let values = &home.values[entity];
        let (mean, deviation) = moments(values[learn.clone()].iter().copied());
        values[learn.start..until].iter().map(|value| ((f64::from(*value) - mean).abs() / deviation) as f32).collect()
    }
}

/// Mean and standard deviation (population) of what is finite; the deviation is never nought.
pub(super) fn moments(values: impl Iterator<Item = f32>) -> (f64, f64) {
    let known: Vec<f64> = values.filter(|value| value.is_finite()).map(f64::from).collect();
    let count = known.len().max(1) as f64;
    let mean = known.iter().sum::<f64>() / count;
    let variance = known.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    (mean, variance.sqrt().max(1e-6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_by_hand() {
        let grid = Grid { values: vec![vec![1.0, 3.0, 1.0, 3.0, 7.0, f32::NAN]], log: vec![false], first: 600 };
        let scores = StaticZ.score(&grid, 0, 0..4, 6);
        assert_eq!(scores[..5], [1.0, 1.0, 1.0, 1.0, 5.0]);
        assert!(scores[5].is_nan());
    }
}
