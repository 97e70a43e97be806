//! The next value from the last six hours: a linear autoregression over 36 steps, refitted daily.
//!
//! It speaks when a move was not announced by what came before. On smooth climate sensors nothing that was measured did
//! better; what it cannot see is a slow drift.

use crate::statistics::ridge::{dot, solve};
use crate::statistics::robust;
use crate::statistics::tail::Tail;

/// Steps that the prediction looks back on.
pub(crate) const ORDER: usize = 36;
/// Steps of history below which nothing is fitted: a day and the order.
const FIT_STEPS_MIN: usize = 144 + ORDER;
/// Ridge, as a share of the series' energy.
const RIDGE_SHARE: f64 = 1e-3;
/// Steps whose innovations are added up: a spike that returns cancels, a step that stays does not.
pub(crate) const SUM_STEPS: usize = 3;

/// The fitted prediction.
#[derive(Debug, Clone)]
pub(crate) struct Autoregression {
    /// Weight of the value 1, 2, … steps ago.
    weights: [f32; ORDER],
    /// Mean of the series, taken off before the weights apply.
    mean: f32,
    /// Robust scale of the innovations.
    scale: f32,
    /// How unusual a sum of innovations is.
    pub(crate) tail: Tail,
}

impl Autoregression {
    /// Fits to `values` (oldest first, no NaN) of which those marked `fresh` were reported. None when there is too
    /// little or it never moves. `floor` is the smallest innovation scale, in the unit of the values.
    pub(crate) fn fit(values: &[f32], fresh: &[bool], floor: f32) -> Option<Self> {
        let length = values.len();
        if length < FIT_STEPS_MIN {
            return None;
        }
        let mean = (values.iter().map(|value| f64::from(*value)).sum::<f64>() / length as f64) as f32;
        let centred: Vec<f32> = values.iter().map(|value| value - mean).collect();
        let (mut gram, right) = lagged_products(&centred);
        let energy = gram[0];
        if energy <= 1e-9 {
            return None;
        }
        let solution = solve(&mut gram, &right, RIDGE_SHARE * energy)?;
        let mut weights = [0.0f32; ORDER];
        for (weight, solved) in weights.iter_mut().zip(&solution) {
            *weight = *solved as f32;
        }
        let mut fitted = Self { weights, mean, scale: floor, tail: Tail::unknown() };
        fitted.learn_scale(&centred, fresh, floor);
        Some(fitted)
    }

    fn learn_scale(&mut self, centred: &[f32], fresh: &[bool], floor: f32) {
        // Weights in the order of time, so that a window's prediction is one dot product.
        let mut in_time = self.weights;
        in_time.reverse();
        let innovations: Vec<f32> = (ORDER..centred.len())
            .map(|t| if fresh[t] { centred[t] - dot_f32(&in_time, &centred[t - ORDER..t]) } else { 0.0 })
            .collect();
        let mut reported: Vec<f32> =
            innovations.iter().zip(&fresh[ORDER..]).filter(|(_, fresh)| **fresh).map(|(value, _)| *value).collect();
        let mut scratch = Vec::new();
        self.scale = robust::scale(&mut reported, &mut scratch).unwrap_or(floor).max(floor);
        scratch.clear();
        scratch.extend(innovations.windows(SUM_STEPS).map(|run| (run.iter().sum::<f32>() / self.scale).abs()));
        self.tail = Tail::fit(&mut scratch);
    }

    /// What the next value should be; `recent` holds the last [`ORDER`] values in two runs, together oldest first.
    pub(crate) fn predict(&self, recent: (&[f32], &[f32])) -> f32 {
        let mut weights = self.weights.iter().rev();
        let mut sum = self.mean;
        for run in [recent.0, recent.1] {
            for value in run {
                let weight = weights.next().copied().unwrap_or(0.0);
                // What is not known is taken for the mean.
                sum += if value.is_nan() { 0.0 } else { weight * (value - self.mean) };
            }
        }
        sum
    }

    /// The scale of an innovation.
    pub(crate) fn scale(&self) -> f32 {
        self.scale
    }
}

/// Gram matrix of the 36 lagged copies of a series, and their products with the series itself.
///
/// Shifting both copies by one step changes a product by its two end terms only, so one row is computed and the rest
/// follows from it: 37 dot products instead of 703.
fn lagged_products(x: &[f32]) -> (Vec<f64>, Vec<f64>) {
    let length = x.len();
    const SIZE: usize = ORDER + 1;
    // products[i][j] = Σ x[t−i]·x[t−j] for t from ORDER to the end.
    let mut products = vec![0.0f64; SIZE * SIZE];
    for j in 0..SIZE {
        products[j] = dot(&x[ORDER..], &x[ORDER - j..length - j]);
    }
    for i in 1..SIZE {
        for j in i..SIZE {
            let enters = f64::from(x[ORDER - i]) * f64::from(x[ORDER - j]);
            let leaves = f64::from(x[length - i]) * f64::from(x[length - j]);
            products[i * SIZE + j] = products[(i - 1) * SIZE + j - 1] + enters - leaves;
        }
    }
    let mut gram = vec![0.0f64; ORDER * ORDER];
    for i in 0..ORDER {
        for j in 0..ORDER {
            let (low, high) = (i.min(j) + 1, i.max(j) + 1);
            gram[i * ORDER + j] = products[low * SIZE + high];
        }
    }
    (gram, products[1..SIZE].to_vec())
}

fn dot_f32(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 4];
    let ((a_four, a_rest), (b_four, b_rest)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    for (x, y) in a_four.iter().zip(b_four) {
        for lane in 0..4 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(length: usize) -> Vec<f32> {
        (0..length).map(|t| 20.0 + (t as f32 * 0.13).sin() + 0.01 * ((t * 7919 % 101) as f32 / 50.0 - 1.0)).collect()
    }

    #[test]
    fn the_shortcut_to_the_gram_matrix_agrees_with_the_long_way() {
        let x: Vec<f32> = wave(300).iter().map(|value| value - 20.0).collect();
        let (gram, right) = lagged_products(&x);
        for i in [0, 5, 35] {
            for j in [0, 17, 35] {
                let long: f64 = (ORDER..300).map(|t| f64::from(x[t - i - 1]) * f64::from(x[t - j - 1])).sum();
                assert!((gram[i * ORDER + j] - long).abs() < 1e-6, "{i} {j}");
            }
            let long: f64 = (ORDER..300).map(|t| f64::from(x[t]) * f64::from(x[t - i - 1])).sum();
            assert!((right[i] - long).abs() < 1e-6);
        }
    }

    #[test]
    fn a_wave_is_predicted_and_a_jump_is_not() {
        let values = wave(1000);
        let fitted = Autoregression::fit(&values[..990], &[true; 990], 1e-3).unwrap();
        let expected = fitted.predict((&values[954..960], &values[960..990]));
        assert!((expected - values[990]).abs() < 0.05);
        assert!((values[990] + 0.5 - expected).abs() / fitted.scale() > 10.0);
    }

    #[test]
    fn a_constant_or_short_series_is_not_fitted() {
        assert!(Autoregression::fit(&[5.0; 1000], &[true; 1000], 0.1).is_none());
        assert!(Autoregression::fit(&wave(100), &[true; 100], 0.1).is_none());
    }
}
