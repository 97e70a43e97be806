//! Bytes as people read them.

use std::fmt::Write as _;

/// Bytes in a line of the dump.
const LINE: usize = 16;

/// Offset, sixteen bytes, and what of them is text.
pub(super) fn hex_dump(bytes: &[u8]) -> String {
    let mut dump = String::with_capacity(bytes.len() * 5);
    for (line, chunk) in bytes.chunks(LINE).enumerate() {
        // Writing into a String cannot fail.
        let _ = write!(dump, "{:04x} ", line * LINE);
        for place in 0..LINE {
            let _ = match chunk.get(place) {
                Some(byte) => write!(dump, " {byte:02x}"),
                None => write!(dump, "   "),
            };
        }
        dump.push_str("  ");
        dump.extend(chunk.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' }));
        dump.push('\n');
    }
    dump
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_shows_offset_bytes_and_text() {
        let expected = "0000  61 76 01 64 6b 69 6e 64 00 00 00 00 00 00 00 00  av.dkind........\n\
                        0010  ff                                               .\n";
        assert_eq!(hex_dump(b"av\x01dkind\0\0\0\0\0\0\0\0\xff"), expected);
    }
}
