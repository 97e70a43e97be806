//! A delta as integers that can be added modulo 2¹⁶: what secure aggregation sums.

use hearthwatch_detector::network::PARAMETER_COUNT;

use super::delta::Delta;

/// Most homes whose words one sum holds.
pub const SUMMED_HOMES_MAX: usize = 16;

/// Largest magnitude of one home's value, in steps: 16 × 2,047 = 32,752 is below 2¹⁵, so that a sum of honest homes never wraps.
const STEPS: i32 = 2_047;

const _: () = assert!(STEPS as usize * SUMMED_HOMES_MAX < 1 << 15);

/// Values beyond this share of the clip are cut; a single value of an honest delta is far smaller than its norm. A step is then 1 / 16,376 of
/// the clip, and rounding to steps moves a delta of 29,798 values by about √(29,798 / 12) steps, .003 clips.
const RANGE_OF_CLIP: f64 = 0.125;

/// Standard deviations of noise by which the range is wider; of the values of an honest noised delta one in 15,000 lies beyond them.
const RANGE_OF_NOISE: f64 = 4.0;

/// How far noise may lengthen a sum beyond its expected length: the length of 29,798 Gaussian values varies by .4 %.
const NOISE_TOLERANCE: f64 = 1.05;

/// The steps that all homes of a round have in common; they follow from the clip and the noise alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FixedPoint {
    clip: f64,
    noise: f64,
}

/// Why words are no sum of honest homes' deltas. Which home is at fault cannot be determined.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum SumError {
    /// Another network, or cut short.
    #[error("a sum of {found} words, the network has {PARAMETER_COUNT} parameters: leave the group out")]
    Count {
        /// Words there are.
        found: usize,
    },
    /// None, or more than the words can hold.
    #[error("a sum over {0} homes; it may have 1 to {SUMMED_HOMES_MAX}")]
    Homes(usize),
    /// A value that so few homes cannot reach.
    #[error(
        "value {index} is larger than {homes} honest homes can make it: leave the group out, one of them sent false words"
    )]
    Range {
        /// The first such, from 0.
        index: usize,
        /// Homes in the sum.
        homes: usize,
    },
    /// The sum is longer than so many clipped deltas can make it.
    #[error(
        "a norm of {norm:.2}, {homes} honest homes make at most {most:.2}: leave the group out, one of them sent false words"
    )]
    Norm {
        /// Of the sum.
        norm: f64,
        /// The bound.
        most: f64,
        /// Homes in the sum.
        homes: usize,
    },
}

impl FixedPoint {
    /// For deltas that are clipped to a norm of `clip`, above zero.
    #[must_use]
    pub fn of_clip(clip: f64) -> Self {
        Self { clip, noise: 0.0 }
    }

    /// For deltas to each value of which noise of this standard deviation is added after the clip, not below zero.
    #[must_use]
    pub fn with_noise(self, noise: f64) -> Self {
        Self { noise, ..self }
    }

    /// What one step is worth.
    #[must_use]
    pub fn step(&self) -> f64 {
        (self.clip * RANGE_OF_CLIP + self.noise * RANGE_OF_NOISE) / f64::from(STEPS)
    }

    /// A home's delta, clipped, as words that can be added.
    #[must_use]
    pub fn words(&self, delta: Delta) -> Vec<u16> {
        self.words_of(&delta.clipped(self.clip))
    }

    /// A home's delta as it is, which was clipped before noise was added to it.
    #[must_use]
    pub fn words_of(&self, delta: &Delta) -> Vec<u16> {
        let step = self.step();
        delta
            .values()
            .iter()
            .map(|value| {
                let steps = (f64::from(*value) / step).round() as i32;
                steps.clamp(-STEPS, STEPS) as i16 as u16
            })
            .collect()
    }

    /// The mean delta of `homes` homes, from the sum of their words.
    ///
    /// # Errors
    /// [`SumError`]. Within the bounds false words are not found: one home can replace its group's mean by any delta within the clip.
    pub fn mean(&self, sum: &[u16], homes: usize) -> Result<Delta, SumError> {
        if !(1..=SUMMED_HOMES_MAX).contains(&homes) {
            return Err(SumError::Homes(homes));
        }
        let most = STEPS * homes as i32;
        let value = |word: &u16| i32::from(*word as i16);
        if let Some(index) = sum.iter().position(|word| value(word).abs() > most) {
            return Err(SumError::Range { index, homes });
        }
        let (step, count) = (self.step(), homes as f64);
        let values = sum.iter().map(|word| (f64::from(value(word)) * step / count) as f32).collect();
        let mean = Delta::new(values).map_err(|_| SumError::Count { found: sum.len() })?;
        // Rounding makes each home's delta longer by half a step a value at most.
        let slack = 0.5 * step * (PARAMETER_COUNT as f64).sqrt();
        let noise = self.noise * (PARAMETER_COUNT as f64 * count).sqrt() * NOISE_TOLERANCE;
        let (norm, most) = (mean.norm() * count, (self.clip + slack) * count + noise);
        if norm > most { Err(SumError::Norm { norm, most, homes }) } else { Ok(mean) }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn delta(seed: u64) -> Delta {
        Delta::zero().noised(0.005, &mut ChaCha8Rng::seed_from_u64(seed))
    }

    fn sum(deltas: &[Delta], grid: FixedPoint) -> Vec<u16> {
        let mut sum = vec![0_u16; PARAMETER_COUNT];
        for delta in deltas {
            for (sum, word) in sum.iter_mut().zip(grid.words(delta.clone())) {
                *sum = sum.wrapping_add(word);
            }
        }
        sum
    }

    #[test]
    fn the_mean_of_a_sum_is_the_mean_of_the_deltas_to_within_half_a_step() {
        let grid = FixedPoint::of_clip(1.0);
        let deltas: Vec<Delta> = (0..SUMMED_HOMES_MAX as u64).map(delta).collect();
        let mean = grid.mean(&sum(&deltas, grid), deltas.len()).unwrap();
        for place in 0..PARAMETER_COUNT {
            let exact = deltas.iter().map(|delta| delta.values()[place]).sum::<f32>() / deltas.len() as f32;
            assert!(f64::from((mean.values()[place] - exact).abs()) <= 0.51 * grid.step());
        }
    }

    #[test]
    fn sixteen_homes_at_the_end_of_the_range_do_not_overflow() {
        let grid = FixedPoint::of_clip(1.0);
        let mut values = vec![0.0; PARAMETER_COUNT];
        (values[0], values[1]) = (0.7, -0.7);
        let deltas = vec![Delta::new(values).unwrap(); SUMMED_HOMES_MAX];
        let mean = grid.mean(&sum(&deltas, grid), SUMMED_HOMES_MAX).unwrap();
        assert!((mean.values()[0] - 0.125).abs() < 1e-6 && (mean.values()[1] + 0.125).abs() < 1e-6);
    }

    #[test]
    fn noise_that_homes_add_after_the_clip_is_within_the_bounds_of_a_sum() {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let grid = FixedPoint::of_clip(0.2).with_noise(0.01);
        let mut total = vec![0_u16; PARAMETER_COUNT];
        for seed in 0..8 {
            let noised = delta(seed).clipped(0.2).noised(0.01, &mut random);
            for (sum, word) in total.iter_mut().zip(grid.words_of(&noised)) {
                *sum = sum.wrapping_add(word);
            }
        }
        let mean = grid.mean(&total, 8).unwrap();
        assert!((mean.norm() - 0.61).abs() < 0.02, "as the noise of eight homes: {}", mean.norm());
        let without = FixedPoint::of_clip(0.2);
        assert!(matches!(without.mean(&total, 8), Err(SumError::Norm { homes: 8, .. })));
    }

    #[test]
    fn a_sum_that_honest_homes_cannot_make_is_refused() {
        let grid = FixedPoint::of_clip(1.0);
        let honest = sum(&[delta(1), delta(2)], grid);
        assert_eq!(grid.mean(&honest[1..], 2), Err(SumError::Count { found: PARAMETER_COUNT - 1 }));
        assert_eq!(grid.mean(&honest, 0), Err(SumError::Homes(0)));
        let mut far = honest.clone();
        far[9] = 5_000;
        assert_eq!(grid.mean(&far, 2), Err(SumError::Range { index: 9, homes: 2 }));
        let long = vec![1_000; PARAMETER_COUNT];
        assert!(matches!(grid.mean(&long, 2), Err(SumError::Norm { homes: 2, .. })));
    }
}
