//! What a few principal components of six-hour windows cannot rebuild (Sub-PCA).

use std::ops::Range;

use super::grid::Grid;
use super::refitted::ReferenceMethod;

/// Windows below which nothing is fitted.
const WINDOWS_MIN: usize = 200;
/// Steps between two windows that are learnt from: neighbours say nearly the same.
const STRIDE: usize = 2;
/// Sweeps of Jacobi rotations; six are enough for any matrix of this size, more do no harm.
const SWEEPS: usize = 30;
/// Off-diagonal share of a matrix at which its rotation has ended.
const DIAGONAL: f64 = 1e-22;

/// Squared distance of a window from the subspace of the strongest components.
#[derive(Debug, Clone, Copy)]
pub struct SubPca {
    /// Steps of a window.
    pub window: usize,
    /// Components that are kept.
    pub components: usize,
}

impl Default for SubPca {
    fn default() -> Self {
        Self { window: 36, components: 6 }
    }
}

/// Mean and strongest directions of windows.
#[derive(Debug, Clone)]
pub struct Subspace {
    mean: Vec<f64>,
    /// One direction a component, of length one, orthogonal.
    directions: Vec<Vec<f64>>,
}

impl Subspace {
    /// The principal components of `windows`, as `sklearn.decomposition.PCA(components)` finds them, signs apart. None
    /// without windows.
    #[must_use]
    pub fn fit(windows: &[Vec<f64>], components: usize) -> Option<Self> {
        let size = windows.first()?.len();
        let count = windows.len() as f64;
        let mean: Vec<f64> =
            (0..size).map(|column| windows.iter().map(|window| window[column]).sum::<f64>() / count).collect();
        let mut covariance = vec![0.0; size * size];
        let mut centred = vec![0.0; size];
        for window in windows {
            for (place, (value, mean)) in centred.iter_mut().zip(window.iter().zip(&mean)) {
                *place = value - mean;
            }
            for i in 0..size {
                for j in i..size {
                    covariance[i * size + j] += centred[i] * centred[j];
                }
            }
        }
        for i in 0..size {
            for j in 0..i {
                covariance[i * size + j] = covariance[j * size + i];
            }
        }
        let vectors = eigenvectors(&mut covariance, size);
        let mut order: Vec<usize> = (0..size).collect();
        order.sort_by(|left, right| covariance[right * size + right].total_cmp(&covariance[left * size + left]));
        let direction = |column: usize| (0..size).map(|row| vectors[row * size + column]).collect();
        Some(Self { mean, directions: order.into_iter().take(components).map(direction).collect() })
    }

    /// Squared length of what the components cannot rebuild.
    #[must_use]
    pub fn distance(&self, window: &[f64]) -> f64 {
        let centred: Vec<f64> = window.iter().zip(&self.mean).map(|(value, mean)| value - mean).collect();
        let whole: f64 = centred.iter().map(|value| value * value).sum();
        let rebuilt: f64 = self
            .directions
            .iter()
            .map(|direction| direction.iter().zip(&centred).map(|(a, b)| a * b).sum::<f64>().powi(2))
            .sum();
        (whole - rebuilt).max(0.0)
    }
}

/// Jacobi's method: turns a symmetric matrix diagonal in place and returns the rotations, one eigenvector a column.
fn eigenvectors(matrix: &mut [f64], size: usize) -> Vec<f64> {
    let mut vectors = vec![0.0; size * size];
    (0..size).for_each(|i| vectors[i * size + i] = 1.0);
    let whole: f64 = matrix.iter().map(|value| value * value).sum();
    for _ in 0..SWEEPS {
        let off: f64 =
            (0..size).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| matrix[i * size + j].powi(2)).sum();
        if off <= DIAGONAL * whole {
            break;
        }
        for p in 0..size {
            for q in p + 1..size {
                rotate(matrix, &mut vectors, size, (p, q));
            }
        }
    }
    vectors
}

/// One rotation that makes element (p, q) nought.
fn rotate(matrix: &mut [f64], vectors: &mut [f64], size: usize, (p, q): (usize, usize)) {
    let apq = matrix[p * size + q];
    if apq == 0.0 {
        return;
    }
    let theta = (matrix[q * size + q] - matrix[p * size + p]) / (2.0 * apq);
    let tangent = theta.signum() / (theta.abs() + theta.hypot(1.0));
    let cosine = 1.0 / tangent.hypot(1.0);
    let sine = tangent * cosine;
    for k in 0..size {
        let (akp, akq) = (matrix[k * size + p], matrix[k * size + q]);
        matrix[k * size + p] = cosine * akp - sine * akq;
        matrix[k * size + q] = sine * akp + cosine * akq;
    }
    for k in 0..size {
        let (apk, aqk) = (matrix[p * size + k], matrix[q * size + k]);
        matrix[p * size + k] = cosine * apk - sine * aqk;
        matrix[q * size + k] = sine * apk + cosine * aqk;
    }
    for k in 0..size {
        let (vkp, vkq) = (vectors[k * size + p], vectors[k * size + q]);
        vectors[k * size + p] = cosine * vkp - sine * vkq;
        vectors[k * size + q] = sine * vkp + cosine * vkq;
    }
}

impl SubPca {
    fn windows<'a>(&self, values: &'a [f32]) -> impl Iterator<Item = (usize, Vec<f64>)> + 'a {
        let window = self.window;
        values.windows(window).enumerate().filter_map(move |(begin, values)| {
            let window_values: Vec<f64> = values.iter().map(|value| f64::from(*value)).collect();
            window_values.iter().all(|value| value.is_finite()).then_some((begin + window - 1, window_values))
        })
    }
}

impl ReferenceMethod for SubPca {
    fn score(&self, home: &Grid, entity: usize, learn: Range<usize>, until: usize) -> Vec<f32> {
        let values = &home.values[entity][learn.start..until];
        let mut scores = vec![f32::NAN; values.len()];
        let past: Vec<Vec<f64>> =
            self.windows(&values[..learn.len()]).map(|(_, window)| window).step_by(STRIDE).collect();
        if past.len() < WINDOWS_MIN / STRIDE {
            return scores;
        }
        let Some(subspace) = Subspace::fit(&past, self.components) else { return scores };
        for (end, window) in self.windows(values) {
            scores[end] = subspace.distance(&window).sqrt() as f32;
        }
        scores
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn windows_within_the_subspace_have_no_distance() {
        let windows: Vec<Vec<f64>> = (0..50).map(|i| vec![f64::from(i), 2.0 * f64::from(i), 5.0]).collect();
        let line = Subspace::fit(&windows, 1).unwrap();
        assert!(line.distance(&[100.0, 200.0, 5.0]) < 1e-9);
        assert!((line.distance(&[100.0, 200.0, 8.0]) - 9.0).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn with_every_component_everything_is_rebuilt(raw in prop::collection::vec(-5.0f64..5.0, 60)) {
            let windows: Vec<Vec<f64>> = raw.chunks(6).map(<[f64]>::to_vec).collect();
            let whole = Subspace::fit(&windows, 6).unwrap();
            for window in &windows {
                prop_assert!(whole.distance(window) < 1e-8);
            }
        }
    }
}
