//! What a command reaches besides the aggregator: where it writes, who types, the environment, the time. Tests give their own.

use std::io::{self, BufRead, IsTerminal as _, Write};

use console::Term;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Width of what is not shown on a terminal: nothing is cut.
pub const UNBOUNDED: usize = usize::MAX;

/// The surroundings of one command.
pub struct World<'a> {
    /// What was asked for goes here.
    pub out: &'a mut dyn Write,
    /// What is said about it goes here.
    pub err: &'a mut dyn Write,
    /// What a person types.
    pub input: &'a mut dyn BufRead,
    /// The environment's variables.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
    /// The time.
    pub now: &'a dyn Fn() -> Timestamp,
    /// In which times are shown.
    pub zone: TimeZone,
    /// Whether somebody sits in front of it.
    pub terminal: Terminal,
}

/// What is known of the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terminal {
    /// Whether the output goes to one.
    pub out: bool,
    /// Whether a person can be asked.
    pub input: bool,
    /// Columns; `UNBOUNDED` where the output goes elsewhere.
    pub width: usize,
    /// Whether it shows colours, and is to.
    pub colour: bool,
}

impl Terminal {
    /// No terminal at all: a script, a test.
    pub const NONE: Self = Self { out: false, input: false, width: UNBOUNDED, colour: false };

    /// The process's own. `COLUMNS` overrules the width, `NO_COLOR` turns colours off (<https://no-color.org>).
    #[must_use]
    pub fn found(environment: &dyn Fn(&str) -> Option<String>) -> Self {
        let (out, input) = (io::stdout().is_terminal(), io::stdin().is_terminal() && io::stderr().is_terminal());
        let said = environment("COLUMNS").and_then(|text| text.parse().ok()).filter(|width| *width >= 20);
        let own = || Term::stdout().size_checked().map_or(80, |(_, columns)| usize::from(columns));
        let width = if out { said.unwrap_or_else(own) } else { said.unwrap_or(UNBOUNDED) };
        let plain = environment("NO_COLOR").is_some_and(|text| !text.is_empty());
        let dumb = environment("TERM").is_some_and(|text| text == "dumb");
        Self { out, input, width, colour: out && !plain && !dumb }
    }
}

impl World<'_> {
    /// The same with another place for the output.
    #[must_use]
    pub fn into_buffer<'b>(&'b mut self, out: &'b mut Vec<u8>) -> World<'b> {
        World {
            out,
            err: self.err,
            input: self.input,
            environment: self.environment,
            now: self.now,
            zone: self.zone.clone(),
            terminal: self.terminal,
        }
    }

    /// A variable of the environment; none where it is empty.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<String> {
        (self.environment)(name).filter(|text| !text.is_empty())
    }

    /// Says something that is not part of the answer. Standard error may be closed: the answer does not fail by that.
    pub fn say(&mut self, text: &str) {
        let _ = writeln!(self.err, "{text}");
    }
}
