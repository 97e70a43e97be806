//! `hearthwatch-train-round`: reads one job as JSON on standard input, writes one report as a line of JSON on standard output.
//!
//! Exit code 0 with a report, whatever became of the job; any other, or none, without one.

use std::process::ExitCode;

fn main() -> ExitCode {
    hearthwatch_train_round::run()
}
