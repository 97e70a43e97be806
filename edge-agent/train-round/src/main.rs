//! `hearthwatch-train-round`: reads one job as JSON on standard input, writes one report as a line of JSON on standard output.
//!
//! Exit code 0 with a report, whatever became of the job; any other, or none, without one.

use std::io::Write as _;
use std::process::ExitCode;

use hearthwatch_train_round::{limits, read_job, report};

fn main() -> ExitCode {
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
