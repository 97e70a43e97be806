//! The difference between two weights of the network.

use std::collections::BTreeMap;

use hearthwatch_detector::network::{ArtifactError, NamedTensor, PARAMETER_COUNT, Weights};
use rand::Rng;
use rand_distr::{Distribution as _, StandardNormal};

/// What training changed: one value for each parameter of the network, tensors in the order of their names.
#[derive(Debug, Clone, PartialEq)]
pub struct Delta {
    values: Vec<f32>,
}

/// Why values are no delta.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeltaError {
    /// Not the form in which deltas travel.
    #[error("not a delta")]
    Malformed,
    /// The network has another number of parameters.
    #[error("a delta of {found} values, the network has {PARAMETER_COUNT}")]
    Count {
        /// Values there are.
        found: usize,
    },
    /// A value or a scale is not a number that can be added.
    #[error("value {index} is not finite")]
    NotFinite {
        /// The first such, from 0.
        index: usize,
    },
}

impl Delta {
    /// A delta of `values` in the order of [`Weights::iter`].
    ///
    /// # Errors
    /// [`DeltaError::Count`], [`DeltaError::NotFinite`].
    pub fn new(values: Vec<f32>) -> Result<Self, DeltaError> {
        if values.len() != PARAMETER_COUNT {
            return Err(DeltaError::Count { found: values.len() });
        }
        match values.iter().position(|value| !value.is_finite()) {
            Some(index) => Err(DeltaError::NotFinite { index }),
            None => Ok(Self { values }),
        }
    }

    /// The delta of a training that changed nothing.
    #[must_use]
    pub fn zero() -> Self {
        Self { values: vec![0.0; PARAMETER_COUNT] }
    }

    /// `end` − `start`.
    #[must_use]
    pub fn between(start: &Weights, end: &Weights) -> Self {
        let flat = |weights: &Weights| -> Vec<f32> {
            weights.iter().flat_map(|(_, tensor)| tensor.values.iter().copied()).collect()
        };
        let values = flat(start).into_iter().zip(flat(end)).map(|(start, end)| end - start).collect();
        Self { values }
    }

    /// The values, in the order of [`Weights::iter`].
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Euclidean norm over all parameters.
    #[must_use]
    pub fn norm(&self) -> f64 {
        self.values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
    }

    /// Squared Euclidean distance to another.
    #[must_use]
    pub fn distance_squared(&self, other: &Self) -> f64 {
        self.values.iter().zip(&other.values).map(|(a, b)| f64::from(a - b).powi(2)).sum()
    }

    /// Inner product with another.
    #[must_use]
    pub fn product(&self, other: &Self) -> f64 {
        self.values.iter().zip(&other.values).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    }

    /// Cosine of the angle to another, in [−1, 1]; 0 where one of them is zero.
    #[must_use]
    pub fn cosine(&self, other: &Self) -> f64 {
        let norms = self.norm() * other.norm();
        if norms > 0.0 { (self.product(other) / norms).clamp(-1.0, 1.0) } else { 0.0 }
    }

    /// Every value times `factor`.
    #[must_use]
    pub fn scaled(mut self, factor: f64) -> Self {
        for value in &mut self.values {
            *value = (f64::from(*value) * factor) as f32;
        }
        self
    }

    /// Brought down to a norm of at most `clip`.
    #[must_use]
    pub fn clipped(self, clip: f64) -> Self {
        let norm = self.norm();
        if norm > clip { self.scaled(clip / norm) } else { self }
    }

    /// With independent Gaussian noise of standard deviation `sigma` on each value; none where it is not above zero. An infinite one leaves
    /// no finite value, so that nothing is sent without its noise.
    #[must_use]
    pub fn noised(mut self, sigma: f64, rng: &mut impl Rng) -> Self {
        if sigma > 0.0 {
            for value in &mut self.values {
                let drawn: f64 = StandardNormal.sample(rng);
                *value += (sigma * drawn) as f32;
            }
        }
        self
    }

    /// Value by value.
    #[cfg(test)]
    pub(super) fn plus(&self, other: &Self) -> Self {
        Self { values: self.values.iter().zip(&other.values).map(|(one, other)| one + other).collect() }
    }

    /// `start` with the difference added.
    ///
    /// # Errors
    /// [`ArtifactError::NotFinite`] where a sum overflows.
    pub fn applied_to(&self, start: &Weights) -> Result<Weights, ArtifactError> {
        let mut rest = self.values.as_slice();
        let mut tensors = BTreeMap::new();
        for (name, tensor) in start.iter() {
            let (own, others) = rest.split_at(tensor.values.len());
            rest = others;
            let values = tensor.values.iter().zip(own).map(|(value, change)| value + change).collect();
            tensors.insert(name.to_owned(), NamedTensor { shape: tensor.shape.clone(), values });
        }
        Weights::new(tensors)
    }
}

#[cfg(test)]
mod tests {
    use hearthwatch_detector::network::initial_weights;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn the_start_and_the_difference_give_the_end() {
        let (start, end) = (initial_weights(1), initial_weights(2));
        let again = Delta::between(&start, &end).applied_to(&start).unwrap();
        for ((_, one), (_, other)) in again.iter().zip(end.iter()) {
            assert!(one.values.iter().zip(&other.values).all(|(a, b)| (a - b).abs() < 1e-6));
        }
    }

    #[test]
    fn another_number_of_values_or_one_that_is_no_number_is_refused() {
        assert_eq!(Delta::new(vec![0.0; 3]), Err(DeltaError::Count { found: 3 }));
        let mut values = vec![0.0; PARAMETER_COUNT];
        values[7] = f32::NAN;
        assert_eq!(Delta::new(values), Err(DeltaError::NotFinite { index: 7 }));
    }

    #[test]
    fn a_long_delta_is_brought_down_to_the_clip_and_a_short_one_is_left() {
        let delta = Delta::between(&initial_weights(1), &initial_weights(2));
        assert!((delta.clone().clipped(0.5).norm() - 0.5).abs() < 1e-6);
        assert_eq!(delta.clone().clipped(1e9), delta);
    }

    #[test]
    fn the_opposite_lies_at_minus_one_and_nothing_has_no_direction() {
        let delta = Delta::between(&initial_weights(1), &initial_weights(2));
        assert!((delta.cosine(&delta.clone().scaled(3.0)) - 1.0).abs() < 1e-6);
        assert!((delta.cosine(&delta.clone().scaled(-0.1)) + 1.0).abs() < 1e-6);
        assert_eq!(delta.cosine(&Delta::zero()), 0.0);
    }

    #[test]
    fn noise_has_the_deviation_that_was_asked_for() {
        let noise = Delta::zero().noised(0.25, &mut ChaCha8Rng::seed_from_u64(1));
        let deviation = noise.norm() / (PARAMETER_COUNT as f64).sqrt();
        assert!((deviation - 0.25).abs() < 0.005, "{deviation}");
        assert_eq!(Delta::zero().noised(0.0, &mut ChaCha8Rng::seed_from_u64(1)), Delta::zero());
        let infinite = Delta::zero().noised(f64::INFINITY, &mut ChaCha8Rng::seed_from_u64(1));
        assert!(infinite.values().iter().all(|value| !value.is_finite()), "never a delta without its noise");
    }
}
