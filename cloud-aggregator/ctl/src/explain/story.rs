//! An explanation: paragraphs with headings, points and figures, broken into lines for the terminal.

use console::{measure_text_width, style};

use crate::output::words::clean;
use crate::world::Terminal;

/// Longest line of words: longer ones are hard to read.
const WIDEST: usize = 110;

/// A part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Heading(String),
    Sentence(String),
    Point(String),
    /// Rows in columns: a line each, the first is the heading.
    Figures(Vec<Vec<String>>),
}

/// An explanation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Story {
    parts: Vec<Part>,
}

impl Story {
    /// Begins a part of it.
    pub(crate) fn heading(&mut self, text: impl AsRef<str>) {
        self.parts.push(Part::Heading(clean(text.as_ref())));
    }

    /// Says something.
    pub(crate) fn say(&mut self, text: impl AsRef<str>) {
        self.parts.push(Part::Sentence(clean(text.as_ref())));
    }

    /// Says one of several things.
    pub(crate) fn point(&mut self, text: impl AsRef<str>) {
        self.parts.push(Part::Point(clean(text.as_ref())));
    }

    /// Shows figures: rows of the same length, the first is the heading.
    pub(crate) fn figures(&mut self, rows: Vec<Vec<String>>) {
        if rows.len() > 1 {
            let rows = rows.into_iter().map(|row| row.iter().map(|text| clean(text)).collect()).collect();
            self.parts.push(Part::Figures(rows));
        }
    }

    /// What it says, a line each, for programs.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for part in &self.parts {
            match part {
                Part::Heading(text) | Part::Sentence(text) | Part::Point(text) => lines.push(text.clone()),
                Part::Figures(rows) => lines.extend(rows.iter().map(|row| row.join("  "))),
            }
        }
        lines
    }

    /// As a person reads it.
    pub(crate) fn text(&self, terminal: Terminal) -> String {
        let width = terminal.width.min(WIDEST);
        let mut text = String::new();
        for (place, part) in self.parts.iter().enumerate() {
            match part {
                Part::Heading(words) => {
                    if place > 0 {
                        text.push('\n');
                    }
                    let words = if terminal.colour {
                        style(words).bold().force_styling(true).to_string()
                    } else {
                        words.clone()
                    };
                    text.push_str(&format!("{words}\n"));
                }
                Part::Sentence(words) => text.push_str(&broken(words, "  ", "  ", width)),
                Part::Point(words) => text.push_str(&broken(words, "  - ", "    ", width)),
                Part::Figures(rows) => text.push_str(&laid(rows)),
            }
        }
        text
    }
}

/// Words in lines of at most `width`.
fn broken(words: &str, first: &str, further: &str, width: usize) -> String {
    let (mut text, mut line, mut begun) = (String::new(), first.to_owned(), false);
    for word in words.split_whitespace() {
        if begun && measure_text_width(&line) + 1 + measure_text_width(word) > width {
            text.push_str(&line);
            text.push('\n');
            further.clone_into(&mut line);
            begun = false;
        }
        if begun {
            line.push(' ');
        }
        line.push_str(word);
        begun = true;
    }
    format!("{text}{line}\n")
}

fn laid(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let cell = |row: &Vec<String>, place: usize| row.get(place).cloned().unwrap_or_default();
    let widths: Vec<usize> = (0..columns)
        .map(|place| rows.iter().map(|row| measure_text_width(&cell(row, place))).max().unwrap_or_default())
        .collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = widths
            .iter()
            .enumerate()
            .map(|(place, width)| {
                let own = cell(row, place);
                own.clone() + &" ".repeat(width.saturating_sub(measure_text_width(&own)))
            })
            .collect();
        text.push_str(&format!("    {}\n", cells.join("  ").trim_end()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_broken_into_lines_and_figures_stand_in_columns() {
        let mut story = Story::default();
        story.heading("Run a");
        story.say("It was held because of this and that, and not for another reason.");
        story.point("one\u{1b}[2J");
        story.figures(vec![
            vec!["name".to_owned(), "found".to_owned()],
            vec!["candidate".to_owned(), "1 of 2".to_owned()],
        ]);
        let text = story.text(Terminal { width: 30, ..Terminal::NONE });
        assert_eq!(
            text,
            "Run a\n  It was held because of this\n  and that, and not for\n  another reason.\n  - one\\u{1b}[2J\n    name       found\n    \
             candidate  1 of 2\n"
        );
        assert_eq!(story.lines()[0], "Run a");
    }
}
