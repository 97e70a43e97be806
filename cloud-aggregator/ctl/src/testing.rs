//! What the tests have in common: surroundings of their own.

use std::io::Cursor;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::world::{Terminal, World};

/// The time in tests: 2026-12-01 09:06:40 UTC.
pub(crate) const NOW: i64 = 1_796_116_000;

/// Runs in a world without a terminal, in which a person types `input`.
pub(crate) fn in_a_world<T>(input: &str, run: impl FnOnce(&mut World<'_>) -> T) -> T {
    with(input, Terminal::NONE, run).0
}

/// What is written to the output.
pub(crate) fn output(terminal: Terminal, run: impl FnOnce(&mut World<'_>)) -> String {
    with("", terminal, run).1
}

/// The result, the output and what was said beside it.
pub(crate) fn with<T>(input: &str, terminal: Terminal, run: impl FnOnce(&mut World<'_>) -> T) -> (T, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let result = run(&mut World {
        out: &mut out,
        err: &mut err,
        input: &mut Cursor::new(input.to_owned()),
        environment: &|_| None,
        now: &|| Timestamp::from_second(NOW).unwrap(),
        zone: TimeZone::UTC,
        terminal,
    });
    (result, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}
