//! The program as a function, for a program that plays several.

use std::io::Write as _;
use std::process::ExitCode;

use crate::{limits, read_job, report};

/// The program's name.
pub const PROGRAM: &str = "hearthwatch-train-round";

/// Reads one job on standard input and writes one report on standard output, with limits on the whole process: nothing else may run in it.
#[must_use]
pub fn run() -> ExitCode {
    limits::keep_silent();
    hearthwatch_footprint::keep_heap_small();
    let job = read_job(std::io::stdin().lock());
    if let Ok(job) = &job {
        limits::restrain(&job.limits);
    }
    let Ok(report) = report(job) else { return ExitCode::FAILURE };
    let line = serde_json::to_string(&report).map_err(std::io::Error::from);
    let written = line.and_then(|line| {
        let mut output = std::io::stdout().lock();
        writeln!(output, "{line}")?;
        output.flush()
    });
    if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
