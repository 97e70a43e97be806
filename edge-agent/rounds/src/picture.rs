//! What was sent, as a picture: how often each of its 256 levels occurs, in [`BARS`] bars. A bell around zero, and no household in it.

/// Bars of a picture: eight levels each.
pub const BARS: usize = 32;

/// Counts of levels, from -128 on the left to 127 on the right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture(pub [u32; BARS]);

impl Picture {
    /// Counts the bytes of a body as signed levels.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        let mut counts = [0_u32; BARS];
        for byte in body {
            // Two's complement: adding 128 puts -128 at 0 and 127 at 255.
            let place = usize::from(byte.wrapping_add(128)) * BARS / 256;
            counts[place] = counts[place].saturating_add(1);
        }
        Self(counts)
    }

    /// As stored: four bytes a bar.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        self.0.iter().flat_map(|count| count.to_le_bytes()).collect()
    }

    /// Reads what [`Picture::to_bytes`] wrote; none for anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (counts, rest) = bytes.as_chunks::<4>();
        let counts: Vec<u32> = counts.iter().map(|count| u32::from_le_bytes(*count)).collect();
        rest.is_empty().then_some(())?;
        counts.try_into().ok().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_counted_from_the_most_negative_to_the_most_positive() {
        let picture = Picture::of(&[0x80, 0xff, 0, 7, 8, 0x7f]);
        let mut counts = [0; BARS];
        (counts[0], counts[15], counts[16], counts[17], counts[31]) = (1, 1, 2, 1, 1);
        assert_eq!(picture, Picture(counts));
        assert_eq!(Picture::from_bytes(&picture.to_bytes()), Some(picture));
        assert_eq!((Picture::from_bytes(&[0; 127]), Picture::from_bytes(&[0; 4])), (None, None));
    }
}
