//! Damage that is done to a file.

use proptest::sample::Index;

/// Where SQLite keeps the number that says of which version the tables are: a file that is of a newer program by it is refused.
const VERSION_AT: std::ops::Range<usize> = 60..64;

/// A file with other bytes in some places.
pub fn damaged(file: &[u8], places: Vec<(Index, u8)>) -> Vec<u8> {
    let mut bytes = file.to_vec();
    for (place, byte) in places {
        let at = place.index(bytes.len());
        if !VERSION_AT.contains(&at) {
            bytes[at] = byte;
        }
    }
    bytes
}
