//! The next value from the last six hours: a ridge regression on 36 lags.

use std::ops::Range;

use hearthwatch_detector::statistics::ridge::solve;
use hearthwatch_detector::statistics::robust;

use super::grid::Grid;
use super::refitted::ReferenceMethod;

/// Rows below which nothing is fitted.
const ROWS_MIN: usize = 144;

/// |value − prediction| in robust scales.
#[derive(Debug, Clone, Copy)]
pub struct ArRidge {
    /// Steps back that predict the next one.
    pub order: usize,
    /// Penalty on the squared weights, the intercept free: as `sklearn.linear_model.Ridge(alpha)`.
    pub lambda: f64,
}

impl Default for ArRidge {
    fn default() -> Self {
        Self { order: 36, lambda: 1.0 }
    }
}

/// A fitted linear prediction.
#[derive(Debug, Clone, PartialEq)]
pub struct Linear {
    /// One a column.
    pub weights: Vec<f64>,
    /// Added to the weighted sum.
    pub intercept: f64,
}

impl Linear {
    /// Ridge regression of `targets` on `rows`, with a free intercept. None when it has no solution.
    #[must_use]
    pub fn fit(rows: &[Vec<f64>], targets: &[f64], lambda: f64) -> Option<Self> {
        let (count, size) = (rows.len(), rows.first()?.len());
        let mean = |column: usize| rows.iter().map(|row| row[column]).sum::<f64>() / count as f64;
        let means: Vec<f64> = (0..size).map(mean).collect();
        let target_mean = targets.iter().sum::<f64>() / count as f64;
        let mut gram = vec![0.0; size * size];
        let mut right = vec![0.0; size];
        let mut centred = vec![0.0; size];
        for (row, target) in rows.iter().zip(targets) {
            for (place, (value, mean)) in centred.iter_mut().zip(row.iter().zip(&means)) {
                *place = value - mean;
            }
            for i in 0..size {
                right[i] += centred[i] * (target - target_mean);
                // The factorisation reads the lower triangle alone.
                for j in 0..=i {
                    gram[i * size + j] += centred[i] * centred[j];
                }
            }
        }
        let weights = solve(&mut gram, &right, lambda)?;
        let intercept = target_mean - weights.iter().zip(&means).map(|(weight, mean)| weight * mean).sum::<f64>();
        Some(Self { weights, intercept })
    }

    /// The prediction for a row.
    #[must_use]
    pub fn predict(&self, row: &[f64]) -> f64 {
        self.intercept + self.weights.iter().zip(row).map(|(weight, value)| weight * value).sum::<f64>()
    }
}

impl ArRidge {
    /// The values before `step`, newest first; none when one is unknown.
    fn lags(&self, values: &[f32], step: usize) -> Option<Vec<f64>> {
        let begin = step.checked_sub(self.order)?;
        let row: Vec<f64> = values[begin..step].iter().rev().map(|value| f64::from(*value)).collect();
        row.iter().all(|value| value.is_finite()).then_some(row)
    }

    /// Fits to `values`; none when there are too few runs without a gap.
    #[must_use]
    pub fn fit(&self, values: &[f32]) -> Option<Linear> {
        let known = (0..values.len()).filter(|step| values[*step].is_finite());
        let (rows, targets): (Vec<Vec<f64>>, Vec<f64>) =
            known.filter_map(|step| Some((self.lags(values, step)?, f64::from(values[step])))).unzip();
        if rows.len() < ROWS_MIN { None } else { Linear::fit(&rows, &targets, self.lambda) }
    }
}

impl ReferenceMethod for ArRidge {
    fn score(&self, home: &Grid, entity: usize, learn: Range<usize>, until: usize) -> Vec<f32> {
        let values = &home.values[entity][learn.start..until];
        let Some(fitted) = self.fit(&values[..learn.len()]) else { return vec![f32::NAN; values.len()] };
        let residual = |step: usize| match self.lags(values, step) {
            Some(lags) => (f64::from(values[step]) - fitted.predict(&lags)) as f32,
            None => f32::NAN,
        };
        scaled((0..values.len()).map(residual).collect(), learn.len())
    }
}

/// Absolute residuals in robust scales of those that were learnt from.
pub(super) fn scaled(mut residuals: Vec<f32>, learnt: usize) -> Vec<f32> {
    let mut past: Vec<f32> = residuals[..learnt].iter().copied().filter(|value| value.is_finite()).collect();
    let scale = robust::scale(&mut past, &mut Vec::new()).unwrap_or(1.0).max(1e-6);
    residuals.iter_mut().for_each(|value| *value = value.abs() / scale);
    residuals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_again() {
        let rows: Vec<Vec<f64>> = (0..40).map(|i| vec![f64::from(i), f64::from(i * i % 7)]).collect();
        let targets: Vec<f64> = rows.iter().map(|row| 3.0 + 2.0 * row[0] - row[1]).collect();
        let line = Linear::fit(&rows, &targets, 0.0).unwrap();
        assert!((line.intercept - 3.0).abs() < 1e-9 && (line.weights[0] - 2.0).abs() < 1e-9);
        assert!((line.predict(&[1.0, 1.0]) - 4.0).abs() < 1e-9);
    }
}
