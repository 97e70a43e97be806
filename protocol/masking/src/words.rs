//! What is added: integers modulo 2¹⁶, and masks of them.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;
use serde::de::{Deserializer, Error};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::secret::Secret;

/// Integers modulo 2¹⁶, two bytes a parameter. As bytes they are little-endian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words(pub Vec<u16>);

impl Words {
    pub(crate) fn zero(count: u32) -> Self {
        Self(vec![0; count as usize])
    }

    /// Adds place by place; the caller has compared the lengths.
    pub(crate) fn add(&mut self, other: &Self) {
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word = word.wrapping_add(*other);
        }
    }

    fn subtract(&mut self, other: &Self) {
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word = word.wrapping_sub(*other);
        }
    }

    /// Puts a mask on, or takes it off.
    pub(crate) fn mask(&mut self, seed: &Secret, sign: Sign) {
        let mask = self.mask_of_same_length(seed);
        match sign {
            Sign::Plus => self.add(&mask),
            Sign::Minus => self.subtract(&mask),
        }
    }

    /// The stream of ChaCha20 under a key that is used for this one mask.
    fn mask_of_same_length(&self, seed: &Secret) -> Self {
        let mut bytes = vec![0; self.0.len() * 2];
        ChaCha20Rng::from_seed(seed.0).fill_bytes(&mut bytes);
        Self(bytes.as_chunks::<2>().0.iter().map(|word| u16::from_le_bytes(*word)).collect())
    }
}

/// Of two homes the one that comes first in the list adds, the other subtracts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    Plus,
    Minus,
}

impl Sign {
    pub fn opposite(self) -> Self {
        match self {
            Self::Plus => Self::Minus,
            Self::Minus => Self::Plus,
        }
    }
}

impl Serialize for Words {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = self.0.iter().flat_map(|word| word.to_le_bytes()).collect();
        serializer.serialize_bytes(&bytes)
    }
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = serde_bytes::ByteBuf::deserialize(deserializer)?;
        let (words, rest) = bytes.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(D::Error::invalid_length(bytes.len(), &"two bytes a word"));
        }
        Ok(Self(words.iter().map(|word| u16::from_le_bytes(*word)).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_hides_the_words_and_comes_off_again() {
        let plain = Words(vec![7; 1000]);
        let mut masked = plain.clone();
        masked.mask(&Secret([1; 32]), Sign::Plus);
        assert!(masked.0.iter().filter(|word| **word == 7).count() < 3);
        masked.mask(&Secret([1; 32]), Sign::Minus);
        assert_eq!(masked, plain);
    }

    #[test]
    fn words_travel_as_two_bytes_each_and_half_a_word_is_refused() {
        let words = Words(vec![0x0102, 0xffff]);
        let bytes = serde_cbor::to_vec(&words).unwrap();
        assert_eq!(bytes, [0x44, 0x02, 0x01, 0xff, 0xff]);
        assert_eq!(serde_cbor::from_slice::<Words>(&bytes).unwrap(), words);
        assert!(serde_cbor::from_slice::<Words>(&[0x43, 1, 2, 3]).is_err());
    }
}
