//! Lines of a text file that somebody saved: any of four separators, a byte order mark, either line end, and bytes of
//! an older character set.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};

use csv::{ReaderBuilder, Trim};

use super::layout::looks_like_id;

/// Bytes read from the disk at a time.
const READ_BYTES: usize = 64 * 1024;
/// Longest row that is believed: Home Assistant caps a state at 255 characters and an id likewise, so even a generous
/// row stays far below 64 KiB.
pub const ROW_BYTES_MAX: usize = 64 * 1024;
/// Longest row of a file whose columns are hours or entities: two years of hours at 26 bytes a heading.
pub const WIDE_ROW_BYTES_MAX: usize = 1024 * 1024;
/// What stands between columns, the likeliest first.
const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// Letters that ASCII has for the purpose: SQLite's client writes them when it is asked to.
const UNIT_SEPARATOR: u8 = 0x1f;
const RECORD_SEPARATOR: u8 = 0x1e;
const LINE_ENDS: [char; 3] = ['\n', '\r', '\u{1e}'];
/// The fault of a row with zero bytes in it.
const ZEROS: &str = "zeros stand where rows were: the file is damaged there; copy it again";

/// Lines that a quoted field is believed to run over: a note somebody wrote, a list in JSON. A quotation mark that is not
/// closed within so many is a slip of one row.
const QUOTED_LINES_MAX: usize = 200;

/// Reads a row at a time, so that faults have the number that an editor shows, and no row is held that is too long to be
/// one. A row is a line, and those after it that are within quotation marks.
pub struct Lines<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    /// The number of the row's first line, the first of the file being 1.
    pub number: u64,
    /// Number of the last line that was read.
    taken: u64,
    bytes_max: usize,
    too_long: bool,
    /// Whether a quotation mark is opened in the row and not closed.
    unclosed: bool,
    /// What ends a line; known once there was a look at the input.
    end: Option<u8>,
    /// Lines that were read in search of a closing quotation mark.
    ahead: VecDeque<(Vec<u8>, bool)>,
}

/// The fields of one line, trimmed.
#[derive(Debug)]
pub struct Fields<'a> {
    /// Trimmed, in the order of the line.
    pub list: Vec<Cow<'a, str>>,
    /// False when the line is not UTF-8 and was read as Latin-1, which old spreadsheets write.
    pub utf8: bool,
}

impl<R: Read> Lines<R> {
    /// `input` must be at its first line.
    pub fn new(input: R) -> Self {
        Self {
            input: BufReader::with_capacity(READ_BYTES, input),
            line: Vec::new(),
            number: 0,
            taken: 0,
            bytes_max: WIDE_ROW_BYTES_MAX,
            too_long: false,
            unclosed: false,
            end: None,
            ahead: VecDeque::new(),
        }
    }

    /// Sets the length from which a line is too long to be one.
    pub fn limit(&mut self, bytes: usize) {
        self.bytes_max = bytes;
    }

    /// Goes to the next row that is not blank; false at the end.
    ///
    /// # Errors
    /// The input's error.
    pub fn advance(&mut self) -> io::Result<bool> {
        loop {
            let Some((line, too_long)) = self.next_line()? else { return Ok(false) };
            (self.line, self.too_long) = (line, too_long);
            self.taken += 1;
            self.number = self.taken;
            self.unclosed = !self.too_long && quoted_after(&self.line, false);
            if self.unclosed {
                self.join()?;
            }
            if !self.line.trim_ascii().is_empty() {
                return Ok(true);
            }
        }
    }

    /// Adds the lines up to the one that closes the quotation mark; none where there is no such line.
    fn join(&mut self) -> io::Result<()> {
        let mut more: Vec<(Vec<u8>, bool)> = Vec::new();
        let mut bytes = self.line.len();
        while more.len() < QUOTED_LINES_MAX && bytes <= ROW_BYTES_MAX {
            let Some((line, too_long)) = self.next_line()? else { break };
            let closed = !too_long && !quoted_after(&line, true);
            let stop = too_long;
            bytes += line.len();
            more.push((line, too_long));
            if closed {
                self.taken += more.len() as u64;
                more.iter().for_each(|(line, _)| self.line.extend_from_slice(line));
                self.unclosed = false;
                return Ok(());
            }
            if stop {
                break;
            }
        }
        while let Some(line) = more.pop() {
            self.ahead.push_front(line);
        }
        Ok(())
    }

    /// The next line with its end, and whether it was longer than is held.
    fn next_line(&mut self) -> io::Result<Option<(Vec<u8>, bool)>> {
        if let Some(line) = self.ahead.pop_front() {
            return Ok(Some(line));
        }
        let end = match self.end {
            Some(end) => end,
            None => *self.end.insert(line_end(self.input.fill_buf()?)),
        };
        let mut line = Vec::new();
        let limit = self.bytes_max as u64 + 1;
        if (&mut self.input).take(limit).read_until(end, &mut line)? == 0 {
            return Ok(None);
        }
        let too_long = line.len() > self.bytes_max && line.last() != Some(&end);
        if too_long {
            self.input.skip_until(end)?;
        }
        Ok(Some((line, too_long)))
    }

    /// Whether the row is none of data: a comment, as InfluxDB writes them above its header, a rule of a table that a
    /// database client drew, or what it writes below one.
    #[must_use]
    pub fn comment(&self) -> bool {
        let line = self.line.trim_ascii();
        let rule = line.windows(2).any(|pair| pair == b"--") && line.iter().all(|byte| b"-+|=: \t\r\n".contains(byte));
        line.starts_with(b"#") || rule || std::str::from_utf8(line).is_ok_and(is_footer)
    }

    /// How many zeros stand in the row: a disk wrote them where it lost what there was.
    #[must_use]
    pub fn zeros(&self) -> usize {
        self.line.iter().filter(|byte| **byte == 0).count()
    }

    /// Ids of entities that stand in the row, whether it can be read or not.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        /// Ids that are named of one row.
        const NAMED: usize = 3;
        let text = String::from_utf8_lossy(&self.line);
        let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_' || letter == '.'));
        let ids = words.filter(|word| word.len() < 256 && looks_like_id(word) && word.contains(char::is_alphabetic));
        ids.filter(|id| id.split_once('.').is_some_and(|(_, name)| name.contains(char::is_alphabetic)))
            .take(NAMED)
            .map(str::to_owned)
            .collect()
    }

    /// The separator that stands most often in this line, which should be the header: its names hold none.
    #[must_use]
    pub fn separator(&self) -> u8 {
        let count = |separator: u8| self.line.iter().filter(|byte| **byte == separator).count();
        if count(UNIT_SEPARATOR) > 0 {
            return UNIT_SEPARATOR;
        }
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
        /// Characters of a header by which the kind of the file is known.
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
            if self.zeros() > 0 {
                return Err(ZEROS.to_owned());
            }
            return Err(format!("the row is longer than {} KiB; is a line break missing?", self.bytes_max / 1024));
        }
        if self.zeros() > 0 {
            return Err(ZEROS.to_owned());
        }
        if self.unclosed {
            return Err("a quotation mark is opened and not closed; close it, or write it twice".to_owned());
        }
        let (line, utf8) = match std::str::from_utf8(&self.line) {
            Ok(line) => (Cow::Borrowed(line), true),
            Err(_) => (Cow::Owned(self.line.iter().map(|byte| char::from(*byte)).collect::<String>()), false),
        };
        let text = line.trim_start_matches('\u{feff}').trim_end_matches(LINE_ENDS);
        if text.contains('"') {
            let mut record = csv::StringRecord::new();
            let mut reader = ReaderBuilder::new()
                .has_headers(false)
                .delimiter(separator)
                .trim(Trim::All)
                .from_reader(text.as_bytes());
            return match reader.read_record(&mut record) {
                Ok(true) => {
                    let list = record.iter().map(|field| Cow::Owned(bare(field).into_owned())).collect();
                    Ok(Fields { list, utf8 })
                }
                _ => Err("the row cannot be read as CSV; close its quotation marks".to_owned()),
            };
        }
        let separator = char::from(separator);
        let list = match &line {
            Cow::Borrowed(line) => {
                let text = line.trim_start_matches('\u{feff}').trim_end_matches(LINE_ENDS);
                text.split(separator).map(bare).collect()
            }
            Cow::Owned(_) => text.split(separator).map(|field| Cow::Owned(bare(field).into_owned())).collect(),
        };
        Ok(Fields { list, utf8 })
    }
}

/// Whether a quotation mark that opens a field is open behind `line`; `open`: whether one was before it.
fn quoted_after(line: &[u8], mut open: bool) -> bool {
    if !open && !line.contains(&b'"') {
        return false;
    }
    let mut start = !open;
    let mut closed = false;
    for byte in line {
        match byte {
            b'"' if open => (open, closed) = (false, true),
            // Two of them within a field are one.
            b'"' if start || closed => (open, closed, start) = (true, false, false),
            b',' | b';' | b'\t' | b'|' if !open => (start, closed) = (true, false),
            b' ' | 0xef | 0xbb | 0xbf if !open && start => {}
            _ if !open => (start, closed) = (false, false),
            _ => {}
        }
    }
    open
}

/// What ends the lines of an input that begins so: in files of old Macs a carriage return alone, in a client's mode for
/// programs its own letter.
fn line_end(head: &[u8]) -> u8 {
    if head.contains(&UNIT_SEPARATOR) && head.contains(&RECORD_SEPARATOR) {
        RECORD_SEPARATOR
    } else if !head.contains(&b'\n') && head.iter().rev().skip(1).any(|byte| *byte == b'\r') {
        b'\r'
    } else {
        b'\n'
    }
}

/// `(40317 rows)`, `40317 rows in set (0.05 sec)`, `Time: 12 ms`.
fn is_footer(line: &str) -> bool {
    let line = line.strip_prefix('(').and_then(|line| line.strip_suffix(')')).unwrap_or(line);
    if line.starts_with("Time: ") {
        return true;
    }
    let Some((number, rest)) = line.split_once(' ') else { return false };
    !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && ["row", "rows", "Zeile", "Zeilen"].contains(&rest.split(' ').next().unwrap_or_default())
}

/// A field without the quotation marks of SQL, and nothing where a database has nothing.
fn bare(field: &str) -> Cow<'_, str> {
    let field = field.trim();
    if field == "NULL" || field == "\\N" {
        return Cow::Borrowed("");
    }
    match field.strip_prefix('\'').and_then(|field| field.strip_suffix('\'')) {
        Some(inner) if inner.contains('\'') => Cow::Owned(inner.replace("''", "'")),
        Some(inner) => Cow::Borrowed(inner.trim()),
        None => Cow::Borrowed(field),
    }
}

#[cfg(test)]
#[path = "lines_tests.rs"]
mod tests;
