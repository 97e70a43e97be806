//! A delta in a quarter of the bytes: eight bits for each value, one scale for each tensor.

use std::borrow::Cow;

use hearthwatch_detector::network::{PARAMETER_COUNT, tensor_lengths};
use serde::{Deserialize, Serialize};

use super::delta::{Delta, DeltaError};

/// Largest magnitude of a quantised value; −128 is not used, so that the range is symmetrical.
const LEVELS: f32 = 127.0;

/// A delta as it is sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantised {
    /// What one level is worth, for each tensor in the order of the names; not negative.
    pub scales: Vec<f32>,
    /// [`PARAMETER_COUNT`] values, tensors one after another.
    pub levels: Vec<i8>,
}

/// As it travels: scales as little-endian binary32, levels as two's complement, each one byte string.
#[derive(Serialize, Deserialize)]
struct Travelling<'a> {
    #[serde(borrow, with = "serde_bytes")]
    scales: Cow<'a, [u8]>,
    #[serde(borrow, with = "serde_bytes")]
    levels: Cow<'a, [u8]>,
}

impl Quantised {
    /// The bytes that are sent: CBOR, 29,882 of them.
    ///
    /// # Errors
    /// [`DeltaError::Malformed`] where CBOR cannot be written, which values never cause.
    pub fn to_bytes(&self) -> Result<Vec<u8>, DeltaError> {
        let scales: Vec<u8> = self.scales.iter().flat_map(|scale| scale.to_le_bytes()).collect();
        let levels: Vec<u8> = self.levels.iter().map(|level| level.cast_unsigned()).collect();
        serde_cbor::to_vec(&Travelling { scales: scales.into(), levels: levels.into() })
            .map_err(|_| DeltaError::Malformed)
    }

    /// Reads what a home sent; [`Self::restore`] checks the rest. Never panics, whatever the bytes.
    ///
    /// # Errors
    /// [`DeltaError::Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DeltaError> {
        let sent: Travelling<'_> = serde_cbor::from_slice(bytes).map_err(|_| DeltaError::Malformed)?;
        let (scales, rest) = sent.scales.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(DeltaError::Malformed);
        }
        let scales = scales.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        Ok(Self { scales, levels: sent.levels.iter().map(|byte| byte.cast_signed()).collect() })
    }

    /// Rounds each value to the nearest level of its tensor, whose largest magnitude is level 127.
    #[must_use]
    pub fn of(delta: &Delta) -> Self {
        let mut rest = delta.values();
        let (mut scales, mut levels) = (Vec::new(), Vec::with_capacity(PARAMETER_COUNT));
        for length in tensor_lengths() {
            let (own, others) = rest.split_at(length);
            rest = others;
            let scale = own.iter().fold(0.0f32, |most, value| most.max(value.abs())) / LEVELS;
            let level = |value: &f32| if scale > 0.0 { (value / scale).round() as i8 } else { 0 };
            scales.push(scale);
            levels.extend(own.iter().map(level));
        }
        Self { scales, levels }
    }

    /// The delta that it stands for.
    ///
    /// # Errors
    /// [`DeltaError::Count`] where values or scales are not as many as the network has, [`DeltaError::NotFinite`] for a scale that is
    /// no finite number or negative.
    pub fn restore(&self) -> Result<Delta, DeltaError> {
        let tensors = tensor_lengths().count();
        if self.levels.len() != PARAMETER_COUNT || self.scales.len() != tensors {
            return Err(DeltaError::Count { found: self.levels.len() });
        }
        if let Some(index) = self.scales.iter().position(|scale| !scale.is_finite() || *scale < 0.0) {
            return Err(DeltaError::NotFinite { index });
        }
        let scales = tensor_lengths().zip(&self.scales).flat_map(|(length, scale)| std::iter::repeat_n(*scale, length));
        Delta::new(self.levels.iter().zip(scales).map(|(level, scale)| f32::from(*level) * scale).collect())
    }
}

#[cfg(test)]
mod tests {
    use hearthwatch_detector::network::initial_weights;

    use super::*;

    #[test]
    fn each_value_comes_back_within_half_a_level() {
        let delta = Delta::between(&initial_weights(1), &initial_weights(2));
        let quantised = Quantised::of(&delta);
        let restored = quantised.restore().unwrap();
        let scales =
            tensor_lengths().zip(&quantised.scales).flat_map(|(length, scale)| std::iter::repeat_n(*scale, length));
        for ((value, again), scale) in delta.values().iter().zip(restored.values()).zip(scales) {
            assert!((value - again).abs() <= 0.5001 * scale, "{value} {again}");
        }
        assert_eq!(quantised.levels.len() + 4 * quantised.scales.len(), 29_862, "bytes before encoding");
    }

    #[test]
    fn the_bytes_that_are_sent_read_back_and_others_are_refused() {
        let quantised = Quantised::of(&Delta::between(&initial_weights(1), &initial_weights(2)));
        let bytes = quantised.to_bytes().unwrap();
        assert_eq!(bytes.len(), 29_882);
        assert_eq!(Quantised::from_bytes(&bytes), Ok(quantised));
        assert_eq!(Quantised::from_bytes(&bytes[..bytes.len() - 1]), Err(DeltaError::Malformed));
        assert_eq!(Quantised::from_bytes(b"weights"), Err(DeltaError::Malformed));
    }

    #[test]
    fn a_tensor_without_a_change_has_scale_nought_and_comes_back() {
        assert_eq!(Quantised::of(&Delta::zero()).restore(), Ok(Delta::zero()));
    }

    #[test]
    fn what_is_not_the_networks_shape_or_no_number_is_refused() {
        let good = Quantised::of(&Delta::zero());
        let short = Quantised { levels: good.levels[1..].to_vec(), ..good.clone() };
        assert_eq!(short.restore(), Err(DeltaError::Count { found: PARAMETER_COUNT - 1 }));
        for bad in [f32::NAN, f32::INFINITY, -1.0] {
            let mut scales = good.scales.clone();
            scales[3] = bad;
            let bad = Quantised { scales, ..good.clone() };
            assert_eq!(bad.restore(), Err(DeltaError::NotFinite { index: 3 }));
        }
    }
}
