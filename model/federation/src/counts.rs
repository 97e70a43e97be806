//! How models score in a home, as counts by class: what a home that evaluates models sends instead of its history.

use std::collections::BTreeMap;

use hearthwatch_detector::class::DeviceClass;
use rand::Rng;
use rand_distr::{Distribution as _, Exp1};
use serde::{Deserialize, Serialize};

/// Bins of a histogram: 120 of [`BIN_WIDTH`] from 0, and a last one for everything above.
pub const BINS: usize = 121;

/// Width of a bin, in the unit of a score.
pub const BIN_WIDTH: f32 = 0.25;

/// Most that one bin of one home may count: 24 sensors on 28 days are 672.
pub const COUNT_MAX: i32 = 100_000;

/// Most models in one home's counts.
pub const MODELS_MAX: usize = 4;

/// How many scores fell into each bin. With noise a count may be negative.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram([i32; BINS]);

impl Default for Histogram {
    fn default() -> Self {
        Self([0; BINS])
    }
}

impl Histogram {
    /// The bin of a score; what is no number is in the last one.
    fn bin(score: f32) -> usize {
        if score.is_nan() {
            return BINS - 1;
        }
        ((score.max(0.0) / BIN_WIDTH) as usize).min(BINS - 1)
    }

    /// Counts a score, up to [`COUNT_MAX`] in a bin.
    pub fn add(&mut self, score: f32) {
        let bin = &mut self.0[Self::bin(score)];
        *bin = bin.saturating_add(1).min(COUNT_MAX);
    }

    /// Adds another home's counts.
    pub fn merge(&mut self, other: &Self) {
        for (bin, more) in self.0.iter_mut().zip(&other.0) {
            *bin = bin.saturating_add(*more);
        }
    }

    /// Counts by bin.
    #[must_use]
    pub fn counts(&self) -> &[i32; BINS] {
        &self.0
    }

    /// Scores in `bin` and above; negative counts count as none.
    #[must_use]
    pub fn at_least(&self, bin: usize) -> i64 {
        self.0.iter().skip(bin).map(|count| i64::from((*count).max(0))).sum()
    }

    /// Scores in all bins; negative counts count as none.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.at_least(0)
    }

    /// Adds independent Laplace noise of `scale` to each count, rounded; nothing where `scale` is not above zero.
    fn add_noise(&mut self, scale: f64, rng: &mut impl Rng) {
        if scale.is_nan() || scale <= 0.0 {
            return;
        }
        let mut exponential = || -> f64 { Exp1.sample(rng) };
        for bin in &mut self.0 {
            // The difference of two exponential values is a Laplace value.
            let drawn = scale * (exponential() - exponential());
            *bin = bin.saturating_add(drawn.round() as i32).clamp(-COUNT_MAX, COUNT_MAX);
        }
    }
}

/// Scores of one class in one home, by one model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClassCounts {
    /// The largest score of each day of each sensor, as it was.
    pub days: Histogram,
    /// The largest score inside each fault that was put into a copy.
    pub faults: Histogram,
}

/// What one home counted, for each model that it evaluated, in the order of the plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HomeCounts {
    /// By model, then by class.
    pub models: Vec<BTreeMap<DeviceClass, ClassCounts>>,
}

/// Why bytes are no counts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CountsError {
    /// Not CBOR, or not of this form.
    #[error("not counts: {0}")]
    Malformed(String),
    /// Another number of models than the plan names, or more than [`MODELS_MAX`].
    #[error("counts of {found} models, the plan names {expected}, and {MODELS_MAX} are allowed")]
    Models {
        /// Models in the plan.
        expected: usize,
        /// Models in the counts.
        found: usize,
    },
    /// A histogram with more bins than there are, or a count beyond [`COUNT_MAX`].
    #[error("a histogram has more than {BINS} bins, or a count beyond {COUNT_MAX}")]
    Limits,
}

/// A histogram as it travels: the zeros at its end are left out.
#[derive(Serialize, Deserialize)]
struct Travelling {
    days: Vec<i32>,
    faults: Vec<i32>,
}

impl HomeCounts {
    /// With independent Laplace noise of `scale` on each count of the classes that are there.
    #[must_use]
    pub fn noised(mut self, scale: f64, rng: &mut impl Rng) -> Self {
        for counts in self.models.iter_mut().flat_map(BTreeMap::values_mut) {
            counts.days.add_noise(scale, rng);
            counts.faults.add_noise(scale, rng);
        }
        self
    }

    /// With none below zero.
    #[must_use]
    pub fn at_least_zero(&self) -> Self {
        let mut counts = self.clone();
        let classes = counts.models.iter_mut().flat_map(BTreeMap::values_mut);
        classes.flat_map(|class| [&mut class.days, &mut class.faults]).flat_map(|histogram| &mut histogram.0).for_each(
            |count| {
                *count = (*count).max(0);
            },
        );
        counts
    }

    /// The bytes that are sent: CBOR.
    ///
    /// # Errors
    /// [`CountsError::Malformed`] where CBOR cannot be written, which values never cause.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CountsError> {
        let short = |histogram: &Histogram| {
            let end = histogram.0.iter().rposition(|count| *count != 0).map_or(0, |last| last + 1);
            histogram.0[..end].to_vec()
        };
        let travelling = |(class, counts): (&DeviceClass, &ClassCounts)| {
            (class.as_str(), Travelling { days: short(&counts.days), faults: short(&counts.faults) })
        };
        let models: Vec<BTreeMap<&str, Travelling>> =
            self.models.iter().map(|classes| classes.iter().map(travelling).collect()).collect();
        serde_cbor::to_vec(&models).map_err(|error| CountsError::Malformed(error.to_string()))
    }

    /// Reads what a home sent about `expected` models. Never panics, whatever the bytes.
    ///
    /// # Errors
    /// The first [`CountsError`] that applies. Classes that are not known here are left out.
    pub fn from_bytes(bytes: &[u8], expected: usize) -> Result<Self, CountsError> {
        let models: Vec<BTreeMap<String, Travelling>> =
            serde_cbor::from_slice(bytes).map_err(|error| CountsError::Malformed(error.to_string()))?;
        if models.len() != expected || expected > MODELS_MAX {
            return Err(CountsError::Models { expected, found: models.len() });
        }
        let whole = |counts: &[i32]| {
            let mut histogram = Histogram::default();
            let within = counts.iter().all(|count| (-COUNT_MAX..=COUNT_MAX).contains(count));
            let place = histogram.0.get_mut(..counts.len()).filter(|_| within).ok_or(CountsError::Limits)?;
            place.copy_from_slice(counts);
            Ok(histogram)
        };
        let read = |classes: BTreeMap<String, Travelling>| {
            let known = classes.into_iter().filter_map(|(name, counts)| Some((DeviceClass::parse(&name)?, counts)));
            known
                .map(|(class, counts)| {
                    Ok((class, ClassCounts { days: whole(&counts.days)?, faults: whole(&counts.faults)? }))
                })
                .collect::<Result<BTreeMap<_, _>, CountsError>>()
        };
        Ok(Self { models: models.into_iter().map(read).collect::<Result<_, _>>()? })
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn counts() -> HomeCounts {
        let mut one = ClassCounts::default();
        for score in [0.1, 0.3, 2.0, 99.0, f32::NAN] {
            one.days.add(score);
        }
        one.faults.add(7.0);
        HomeCounts { models: vec![BTreeMap::from([(DeviceClass::Temperature, one)]), BTreeMap::new()] }
    }

    #[test]
    fn scores_fall_into_bins_and_come_back() {
        let bytes = counts().to_bytes().unwrap();
        assert_eq!(HomeCounts::from_bytes(&bytes, 2), Ok(counts()));
        let days = &counts().models[0][&DeviceClass::Temperature].days;
        assert_eq!((days.total(), days.at_least(Histogram::bin(2.0)), days.at_least(BINS - 1)), (5, 3, 2));
    }

    #[test]
    fn another_number_of_models_and_what_is_beyond_the_limits_is_refused() {
        let bytes = counts().to_bytes().unwrap();
        assert_eq!(HomeCounts::from_bytes(&bytes, 3), Err(CountsError::Models { expected: 3, found: 2 }));
        let of = |days: Vec<i32>| {
            serde_cbor::to_vec(&vec![BTreeMap::from([("temperature", Travelling { days, faults: vec![] })])]).unwrap()
        };
        assert_eq!(HomeCounts::from_bytes(&of(vec![0; BINS + 1]), 1), Err(CountsError::Limits));
        assert_eq!(HomeCounts::from_bytes(&of(vec![COUNT_MAX + 1]), 1), Err(CountsError::Limits));
        assert!(matches!(HomeCounts::from_bytes(&[0xff], 1), Err(CountsError::Malformed(_))));
    }

    #[test]
    fn noise_changes_counts_by_about_its_scale() {
        let noised = counts().noised(3.0, &mut ChaCha8Rng::seed_from_u64(1));
        let days = &noised.models[0][&DeviceClass::Temperature].days;
        let clean = &counts().models[0][&DeviceClass::Temperature].days;
        let moved = |(a, b): (&i32, &i32)| f64::from((a - b).abs());
        let mean = days.counts().iter().zip(clean.counts()).map(moved).sum::<f64>() / BINS as f64;
        assert!((2.0..4.0).contains(&mean), "{mean}");
        assert_eq!(counts().noised(0.0, &mut ChaCha8Rng::seed_from_u64(1)), counts());
    }
}
