//! A delta in two kilobytes: enough to see whether two of them have the same direction, too little to learn from.

use hearthwatch_detector::network::PARAMETER_COUNT;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::delta::Delta;

/// Sums of a sketch. The cosine of two sketches differs from that of their deltas by about 1 / √512 = .044.
const SUMS: usize = 512;

/// Random sums of a delta's values (count sketch, Charikar et al. 2002): linear, and the angle between two survives.
#[derive(Debug, Clone, PartialEq)]
pub struct Sketch {
    sums: Vec<f32>,
}

/// Makes sketches. Each parameter goes to one sum, with one sign: the same for all sketches that are compared.
#[derive(Debug, Clone)]
pub struct Sketcher {
    /// Twice the place of the sum, plus one where the sign is minus.
    places: Vec<u16>,
}

impl Sketcher {
    /// `seed` is the aggregator's secret: with it an attacker can make two deltas look alike, or different.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let places = (0..PARAMETER_COUNT).map(|_| rng.random_range(0..2 * SUMS as u16)).collect();
        Self { places }
    }

    /// Sketches one delta.
    #[must_use]
    pub fn sketch(&self, delta: &Delta) -> Sketch {
        let mut sums = vec![0.0; SUMS];
        for (value, place) in delta.values().iter().zip(&self.places) {
            let sign = if place % 2 == 0 { 1.0 } else { -1.0 };
            sums[usize::from(place / 2)] += sign * value;
        }
        Sketch { sums }
    }
}

impl Sketch {
    /// Of a delta of zeros.
    #[must_use]
    pub fn zero() -> Self {
        Self { sums: vec![0.0; SUMS] }
    }

    /// Bytes of [`Self::to_bytes`].
    pub const BYTES: usize = SUMS * 4;

    /// The sums as little-endian f32.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.sums.iter().flat_map(|sum| sum.to_le_bytes()).collect()
    }

    /// The sketch of [`Self::to_bytes`]; none where there are not [`Self::BYTES`].
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (sums, rest) = bytes.as_chunks::<4>();
        let whole = rest.is_empty() && sums.len() == SUMS;
        whole.then(|| Self { sums: sums.iter().map(|sum| f32::from_le_bytes(*sum)).collect() })
    }

    /// Euclidean norm; near that of the delta.
    #[must_use]
    pub fn norm(&self) -> f64 {
        self.product(self).sqrt()
    }

    /// Near the cosine of the deltas, in [−1, 1]; 0 where one of them is zero.
    #[must_use]
    pub fn cosine(&self, other: &Self) -> f64 {
        let norms = self.norm() * other.norm();
        if norms > 0.0 { (self.product(other) / norms).clamp(-1.0, 1.0) } else { 0.0 }
    }

    /// Times `factor`, with `other` added: as if the deltas had been.
    pub(super) fn scaled_plus(&mut self, factor: f64, other: &Self) {
        for (sum, other) in self.sums.iter_mut().zip(&other.sums) {
            *sum = (f64::from(*sum) * factor) as f32 + other;
        }
    }

    /// The part that is perpendicular to `direction`, brought to a norm of one; zero where nothing is left or a sum overflowed.
    pub(super) fn beside(&self, direction: &Self) -> Self {
        let square = direction.product(direction);
        let along = if square > 0.0 { self.product(direction) / square } else { 0.0 };
        let rest: Vec<f64> =
            self.sums.iter().zip(&direction.sums).map(|(own, of)| f64::from(*own) - along * f64::from(*of)).collect();
        let norm = rest.iter().map(|value| value * value).sum::<f64>().sqrt();
        // What rounding leaves of a delta in that very direction has no direction of its own; nor has what is no number.
        if norm > 1e-6 * self.norm() {
            Self { sums: rest.into_iter().map(|value| (value / norm) as f32).collect() }
        } else {
            Self::zero()
        }
    }

    pub(super) fn product(&self, other: &Self) -> f64 {
        self.sums.iter().zip(&other.sums).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(seed: u64) -> Delta {
        Delta::zero().noised(1.0, &mut ChaCha8Rng::seed_from_u64(seed))
    }

    #[test]
    fn the_angle_between_two_deltas_survives() {
        let sketcher = Sketcher::new(7);
        let one = noise(1);
        let half_way = one.plus(&noise(2));
        for (other, cosine) in [(one.clone().scaled(-2.0), -1.0), (noise(3), 0.0), (half_way, 0.707)] {
            let found = sketcher.sketch(&one).cosine(&sketcher.sketch(&other));
            assert!((found - cosine).abs() < 0.15, "{found}, not {cosine}");
        }
    }

    #[test]
    fn what_lies_beside_a_direction_has_nothing_of_it() {
        let sketcher = Sketcher::new(7);
        let (one, other) = (sketcher.sketch(&noise(1)), sketcher.sketch(&noise(2)));
        let beside = one.beside(&other);
        assert!(beside.cosine(&other).abs() < 1e-5 && (beside.norm() - 1.0).abs() < 1e-5);
        assert_eq!(other.beside(&other).norm(), 0.0);
        let overflowing = sketcher.sketch(&Delta::new(vec![f32::MAX; PARAMETER_COUNT]).unwrap());
        assert_eq!((overflowing.beside(&other), other.beside(&overflowing)), (Sketch::zero(), Sketch::zero()));
    }
}
