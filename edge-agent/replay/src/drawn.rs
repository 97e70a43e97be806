//! Tables as database clients draw them for people, redrawn with tabs: boxes, columns of one width, a value a line, HTML.
//!
//! A line stays a line wherever it can, so that faults have the number that an editor shows.

use std::io::{self, BufRead, Read};

/// Bytes of one row of HTML, beyond which it is none.
const ROW_BYTES_MAX: usize = 64 * 1024;

/// How a database client draws a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drawing {
    /// `│ a │ b │`.
    Box,
    /// A rule of dashes below the header says how wide the columns are.
    Columns,
    /// `  state = 21.5`, and a blank line behind each row.
    Lines,
    /// `<TR><TD>21.5</TD></TR>`.
    Html,
}

impl Drawing {
    /// How the table of a file that begins so is drawn; none where it is text with separators.
    #[must_use]
    pub fn of(head: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(head);
        let text = text.trim_start_matches('\u{feff}');
        if text.contains('│') {
            return Some(Self::Box);
        }
        let small = text.trim_start().get(..6).unwrap_or_default().to_ascii_lowercase();
        if small.starts_with("<tr") || small.starts_with("<table") {
            return Some(Self::Html);
        }
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        let first: Vec<&str> = lines.by_ref().take(3).collect();
        let pairs = first.len() >= 2 && first.iter().all(|line| pair(line).is_some());
        if pairs {
            return Some(Self::Lines);
        }
        first.iter().skip(1).any(|line| is_rule(line)).then_some(Self::Columns)
    }
}

/// `  name = value`.
fn pair(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(" = ").or_else(|| line.trim_end().strip_suffix(" =").map(|name| (name, "")))?;
    let name = name.trim();
    let named = !name.is_empty() && !name.contains([',', ';', '\t', '|']) && name.starts_with(char::is_alphabetic);
    named.then(|| (name, value.trim()))
}

/// Two runs of dashes or more, parted by spaces.
fn is_rule(line: &str) -> bool {
    let line = line.trim();
    line.bytes().all(|byte| byte == b'-' || byte == b' ')
        && line.split_whitespace().filter(|run| run.len() >= 2).count() >= 2
}

/// A drawn table as text with tabs between its columns.
pub struct Redrawn<R> {
    input: R,
    drawing: Drawing,
    out: Vec<u8>,
    given: usize,
    /// The line before, which is the header if a rule follows.
    held: Option<String>,
    /// First column of each field, in characters.
    starts: Vec<usize>,
    names: Vec<String>,
    values: Vec<String>,
    html: String,
    ended: bool,
}

impl<R: BufRead> Redrawn<R> {
    /// `input` must be at its first line.
    pub fn new(input: R, drawing: Drawing) -> Self {
        Self {
            input,
            drawing,
            out: Vec::new(),
            given: 0,
            held: None,
            starts: Vec::new(),
            names: Vec::new(),
            values: Vec::new(),
            html: String::new(),
            ended: false,
        }
    }

    fn step(&mut self) -> io::Result<()> {
        let mut bytes = Vec::new();
        let read = (&mut self.input).take(ROW_BYTES_MAX as u64).read_until(b'\n', &mut bytes)?;
        self.ended = read == 0;
        let line = String::from_utf8_lossy(&bytes);
        let line = line.trim_end_matches(['\n', '\r']);
        match self.drawing {
            Drawing::Box => {
                let line = line.trim();
                let inner = line.strip_prefix('│').and_then(|line| line.strip_suffix('│'));
                let cells: Vec<&str> = inner.map_or_else(Vec::new, |inner| inner.split('│').collect());
                if !self.ended {
                    self.row(&cells);
                }
            }
            Drawing::Columns => self.columns(line),
            Drawing::Lines => self.pairs(line),
            Drawing::Html => self.html(line),
        }
        Ok(())
    }

    fn row<S: AsRef<str>>(&mut self, cells: &[S]) {
        for (place, cell) in cells.iter().enumerate() {
            if place > 0 {
                self.out.push(b'\t');
            }
            self.out.extend(cell.as_ref().trim().replace(['\t', '\n'], " ").bytes());
        }
        self.out.push(b'\n');
    }

    fn columns(&mut self, line: &str) {
        if !self.starts.is_empty() {
            if !self.ended {
                let cells = self.cut(line);
                self.row(&cells);
            }
        } else if is_rule(line) {
            let letters: Vec<char> = line.chars().collect();
            self.starts =
                (0..letters.len()).filter(|at| letters[*at] == '-' && (*at == 0 || letters[*at - 1] == ' ')).collect();
            let header = self.held.take().unwrap_or_default();
            let cells = self.cut(&header);
            self.row(&cells);
            self.row::<&str>(&[]);
        } else {
            // What stands above a header is a title; its line stays, empty.
            if self.held.replace(line.to_owned()).is_some() {
                self.row::<&str>(&[]);
            }
        }
    }

    fn cut(&self, line: &str) -> Vec<String> {
        let letters: Vec<char> = line.chars().collect();
        let ends = self.starts.iter().skip(1).copied().chain([letters.len().max(self.starts[self.starts.len() - 1])]);
        let cell = |(start, end): (usize, usize)| {
            letters.get(start..end.min(letters.len())).unwrap_or_default().iter().collect()
        };
        if line.trim().is_empty() { Vec::new() } else { self.starts.iter().copied().zip(ends).map(cell).collect() }
    }

    fn pairs(&mut self, line: &str) {
        if let Some((name, value)) = pair(line) {
            self.names.push(name.to_owned());
            self.values.push(value.to_owned());
            return;
        }
        if self.values.is_empty() || !(line.trim().is_empty() || self.ended) {
            return;
        }
        let (names, values) = (std::mem::take(&mut self.names), std::mem::take(&mut self.values));
        // `starts` holds the columns of the header, once it was written.
        if self.starts.is_empty() {
            self.starts = vec![0];
            self.row(&names);
        }
        self.row(&values);
    }

    fn html(&mut self, line: &str) {
        self.html.push_str(line);
        while let Some(end) = self.html.to_ascii_lowercase().find("</tr>") {
            let row: String = self.html.drain(..end + "</tr>".len()).collect();
            let cells: Vec<String> = row
                .split('<')
                .filter_map(|tag| {
                    let (name, text) = tag.split_once('>')?;
                    let name = name.to_ascii_lowercase();
                    (name.starts_with("td") || name.starts_with("th")).then(|| unescaped(text))
                })
                .collect();
            self.row(&cells);
        }
        if self.html.len() > ROW_BYTES_MAX {
            self.html.clear();
        }
    }
}

fn unescaped(text: &str) -> String {
    let names = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&deg;", "°"),
        ("&nbsp;", " "),
        ("&amp;", "&"),
    ];
    names.iter().fold(text.to_owned(), |text, (name, letter)| text.replace(name, letter))
}

impl<R: BufRead> Read for Redrawn<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.out.len() && !self.ended {
            self.out.clear();
            self.given = 0;
            self.step()?;
        }
        let count = (self.out.len() - self.given).min(buffer.len());
        buffer[..count].copy_from_slice(&self.out[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redrawn(text: &str) -> String {
        let drawing = Drawing::of(text.as_bytes()).unwrap();
        let mut out = String::new();
        Redrawn::new(text.as_bytes(), drawing).read_to_string(&mut out).unwrap();
        out
    }

    #[test]
    fn every_drawing_of_sqlites_client_becomes_the_same_rows() {
        let rows =
            |text: &str| redrawn(text).lines().filter(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        let expected = ["entity_id\tstate", "sensor.a\t21.5", "sensor.b\t"];
        assert_eq!(
            rows(
                "┌───────────┬───────┐\n│ entity_id │ state │\n├───────────┼───────┤\n│ sensor.a  │ 21.5  │\n│ sensor.b  │       │\n└───────────┴───────┘\n"
            ),
            expected
        );
        assert_eq!(rows("entity_id  state\n---------  -----\nsensor.a   21.5 \nsensor.b        \n"), expected);
        assert_eq!(rows("entity_id = sensor.a\n    state = 21.5\n\nentity_id = sensor.b\n    state = \n"), expected);
        assert_eq!(
            rows(
                "<TR><TH>entity_id</TH>\n<TH>state</TH>\n</TR>\n<TR><TD>sensor.a</TD>\n<TD>21.5</TD>\n</TR>\n<TR><TD>sensor.b</TD><TD></TD></TR>\n"
            ),
            expected
        );
    }

    #[test]
    fn a_title_above_the_columns_keeps_its_line_and_text_with_separators_is_not_drawn() {
        assert_eq!(redrawn("name: °C\ntime  value\n----  -----\n1     2\n"), "\ntime\tvalue\n\n1\t2\n");
        assert_eq!(Drawing::of(b"entity_id,state\nsensor.a,1\n"), None);
        assert_eq!(Drawing::of("entity_id | state\n-----+-----\n a | 1\n".as_bytes()), None);
    }
}
