//! Lines of a text file that somebody saved: any of four separators, a byte order mark, either line end, and bytes of
//! an older character set.

use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Read};

use csv::{ReaderBuilder, Trim};

/// Bytes read from the disk at a time.
const READ_BYTES: usize = 64 * 1024;
/// Longest row that is believed: Home Assistant caps a state at 255 characters and an id likewise, so even a generous
/// row stays far below 64 KiB.
pub const ROW_BYTES_MAX: usize = 64 * 1024;
/// Longest row of a file whose columns are hours or entities: two years of hours at 26 bytes a heading.
pub const WIDE_ROW_BYTES_MAX: usize = 1024 * 1024;
/// What stands between columns, the likeliest first.
const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Reads a line at a time, so that faults have the number that an editor shows, and no line is held that is too long to
/// be one. (A state has no line breaks, so a row is a line.)
pub struct Lines<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    /// The line's number, the first being 1.
    pub number: u64,
    bytes_max: usize,
    too_long: bool,
}

/// The fields of one line, trimmed.
#[derive(Debug)]
pub struct Fields<'a> {
    /// In the order of the line.
    pub list: Vec<Cow<'a, str>>,
    /// False when the line is not UTF-8 and was read as Latin-1, which old spreadsheets write.
    pub utf8: bool,
}

impl<R: Read> Lines<R> {
    /// Before the first line.
    pub fn new(input: R) -> Self {
        Self {
            input: BufReader::with_capacity(READ_BYTES, input),
            line: Vec::new(),
            number: 0,
            bytes_max: WIDE_ROW_BYTES_MAX,
            too_long: false,
        }
    }

    /// Sets the length from which a line is too long to be one.
    pub fn limit(&mut self, bytes: usize) {
        self.bytes_max = bytes;
    }

    /// Goes to the next line that is not blank; false at the end.
    ///
    /// # Errors
    /// What the input says.
    pub fn advance(&mut self) -> io::Result<bool> {
        loop {
            self.line.clear();
            let limit = self.bytes_max as u64 + 1;
            if (&mut self.input).take(limit).read_until(b'\n', &mut self.line)? == 0 {
                return Ok(false);
            }
            self.number += 1;
            self.too_long = self.line.len() > self.bytes_max && self.line.last() != Some(&b'\n');
            if self.too_long {
                self.input.skip_until(b'\n')?;
            }
            if !self.line.trim_ascii().is_empty() {
                return Ok(true);
            }
        }
    }

    /// Whether the line is a comment, as InfluxDB writes them above its header, or a rule of a table that a database client drew.
    #[must_use]
    pub fn comment(&self) -> bool {
        let line = self.line.trim_ascii_start();
        line.starts_with(b"#") || line.starts_with(b"+-")
    }

    /// The separator that stands most often in this line, which should be the header: its names hold none.
    #[must_use]
    pub fn separator(&self) -> u8 {
        let count = |separator: u8| self.line.iter().filter(|byte| **byte == separator).count();
        let mut best = SEPARATORS[0];
        for separator in SEPARATORS {
            if count(separator) > count(best) {
                best = separator;
            }
        }
        best
    }

    /// The beginning of the line for an error text.
    #[must_use]
    pub fn quoted(&self) -> String {
        /// Characters of a header that tell which file it is.
        const SHOWN: usize = 80;
        let text = String::from_utf8_lossy(&self.line);
        let text = text.trim_start_matches('\u{feff}').trim();
        let mut shown: String =
            text.chars().take(SHOWN).map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
        if text.chars().nth(SHOWN).is_some() {
            shown.push('…');
        }
        shown
    }

    /// The fields of the line.
    ///
    /// # Errors
    /// What is wrong with the line and what to do.
    pub fn fields(&self, separator: u8) -> Result<Fields<'_>, String> {
        if self.too_long {
            return Err(format!("the row is longer than {} KiB; is a line break missing?", self.bytes_max / 1024));
        }
        let (line, utf8) = match std::str::from_utf8(&self.line) {
            Ok(line) => (Cow::Borrowed(line), true),
            Err(_) => (Cow::Owned(self.line.iter().map(|byte| char::from(*byte)).collect::<String>()), false),
        };
        let text = line.trim_start_matches('\u{feff}').trim_end_matches(['\n', '\r']);
        if text.contains('"') {
            let mut record = csv::StringRecord::new();
            let mut reader = ReaderBuilder::new()
                .has_headers(false)
                .delimiter(separator)
                .trim(Trim::All)
                .from_reader(text.as_bytes());
            return match reader.read_record(&mut record) {
                Ok(true) => {
                    Ok(Fields { list: record.iter().map(|field| Cow::Owned(field.to_owned())).collect(), utf8 })
                }
                _ => Err("the row cannot be read as CSV; close its quotation marks".to_owned()),
            };
        }
        let separator = char::from(separator);
        let list = match &line {
            Cow::Borrowed(line) => {
                let text = line.trim_start_matches('\u{feff}').trim_end_matches(['\n', '\r']);
                text.split(separator).map(|field| Cow::Borrowed(field.trim())).collect()
            }
            Cow::Owned(_) => text.split(separator).map(|field| Cow::Owned(field.trim().to_owned())).collect(),
        };
        Ok(Fields { list, utf8 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(bytes: &[u8]) -> Result<(Vec<String>, bool), String> {
        let mut lines = Lines::new(bytes);
        assert!(lines.advance().unwrap());
        let fields = lines.fields(lines.separator())?;
        Ok((fields.list.iter().map(ToString::to_string).collect(), fields.utf8))
    }

    #[test]
    fn the_separator_is_the_one_that_stands_most_often() {
        for text in ["a,b,c\r\n", "\u{feff}a;b;c", "a\tb\tc\n", "a|b|c", "\"a\";\"b\";c"] {
            let expected = ["a", "b", "c"].map(str::to_owned).to_vec();
            assert_eq!(first(text.as_bytes()), Ok((expected, true)), "{text}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_read_as_latin_1() {
        assert_eq!(first(b"a,\xb0C\n"), Ok((vec!["a".to_owned(), "°C".to_owned()], false)));
    }
}
