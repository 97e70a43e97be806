//! Rows in columns, as wide as the terminal allows.

use console::{measure_text_width, style, truncate_str};

use super::cell::Cell;
use crate::world::Terminal;

/// Between two columns.
const GAP: usize = 2;

/// A column is not made narrower than this: less says nothing.
const NARROWEST: usize = 6;

/// The widths of columns, kept from page to page.
#[derive(Debug, Default)]
pub(super) struct Layout {
    widths: Vec<usize>,
}

impl Layout {
    /// Whether the rows have room without a cut.
    pub(super) fn fits(&self, headings: &[String], rows: &[Vec<Cell>], width: usize) -> bool {
        let mut own = Self { widths: self.widths.clone() };
        own.widen(headings, rows, usize::MAX);
        own.widths.iter().sum::<usize>() + GAP * headings.len().saturating_sub(1) <= width
    }

    /// The rows as text; headings above them, if wanted.
    pub(super) fn lay(&mut self, headings: &[String], rows: &[Vec<Cell>], wanted: bool, terminal: Terminal) -> String {
        self.widen(headings, rows, terminal.width);
        let mut text = String::new();
        let right = |place: usize| rows.iter().any(|row| row[place].right);
        if wanted {
            let cells: Vec<String> =
                headings.iter().enumerate().map(|(place, heading)| self.pad(place, heading, right(place))).collect();
            let line = cells.join(&" ".repeat(GAP));
            let line = line.trim_end();
            text.push_str(&if terminal.colour {
                style(line).bold().force_styling(true).to_string()
            } else {
                line.to_owned()
            });
            text.push('\n');
        }
        for row in rows {
            let last = row.len().saturating_sub(1);
            let cells: Vec<String> = row
                .iter()
                .enumerate()
                .map(|(place, cell)| {
                    let padded = self.pad(place, &cell.text, right(place));
                    let padded = if place == last { padded.trim_end().to_owned() } else { padded };
                    cell.painted(&padded, terminal.colour)
                })
                .collect();
            text.push_str(&cells.join(&" ".repeat(GAP)));
            text.push('\n');
        }
        text
    }

    /// As wide as the widest; if that is too much for the terminal, the widest columns give.
    fn widen(&mut self, headings: &[String], rows: &[Vec<Cell>], most: usize) {
        self.widths.resize(headings.len(), 0);
        for (place, width) in self.widths.iter_mut().enumerate() {
            let cells = rows.iter().map(|row| measure_text_width(&row[place].text));
            *width = cells.chain([measure_text_width(&headings[place]), *width]).max().unwrap_or_default();
        }
        let gaps = GAP * headings.len().saturating_sub(1);
        while self.widths.iter().sum::<usize>().saturating_add(gaps) > most {
            match self.widths.iter_mut().filter(|width| **width > NARROWEST).max() {
                Some(widest) => *widest -= 1,
                None => break,
            }
        }
    }

    fn pad(&self, place: usize, text: &str, right: bool) -> String {
        let width = self.widths[place];
        let text = truncate_str(text, width, "…");
        let space = " ".repeat(width.saturating_sub(measure_text_width(&text)));
        if right { format!("{space}{text}") } else { format!("{text}{space}") }
    }
}

/// Rows in columns without headings, each line with `indent` spaces in front.
pub(super) fn plain(headings: &[String], rows: &[Vec<Cell>], indent: usize, terminal: Terminal) -> String {
    let narrower = Terminal { width: terminal.width.saturating_sub(indent), ..terminal };
    let text = Layout::default().lay(headings, rows, true, narrower);
    text.lines().map(|line| format!("{}{line}\n", " ".repeat(indent))).collect()
}
