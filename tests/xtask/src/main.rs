//! `cargo xtask`: the project's own tasks, so that a contributor and the CI run the very same commands.

mod install;
mod shell;
mod suite;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The tasks of the project. `cargo xtask test` is what CI runs.
#[derive(Parser)]
#[command(name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the suites need, then run every suite; minutes are printed for each.
    Test(suite::TestArguments),
    /// Print figures: `detection`, `edge`, `loop` or `ingest`; everything after the name goes to the bench.
    Bench {
        /// Which bench.
        name: String,
        /// Passed on, e.g. `--seeds 3`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Train the shipped model anew from the sets that may train shipped weights.
    TrainRelease {
        /// Passed on, e.g. `--seed 7`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Hold the tree against the house rules.
    Tidy,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Test(arguments) => suite::test(&arguments),
        Task::Bench { name, rest } => bench(&name, &rest),
        Task::TrainRelease { rest } => emulator("train-release", &rest),
        Task::Tidy => tidy::check(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Benches measure what is shipped, so they run under the `dist` profile where size and speed are the figures.
fn bench(name: &str, rest: &[String]) -> anyhow::Result<()> {
    if name == "edge" {
        shell::cargo(["build", "--profile", "dist", "--package", "hearthwatch-edge", "--bin", "hearthwatch-edge"])?;
    }
    let mut arguments = vec![name.to_owned()];
    arguments.extend_from_slice(rest);
    emulator("bench", &arguments)
}

fn emulator(task: &str, rest: &[String]) -> anyhow::Result<()> {
    let mut arguments =
        ["run", "--release", "--package", "hearthwatch-emulator", "--", task].map(str::to_owned).to_vec();
    arguments.extend_from_slice(rest);
    shell::cargo(arguments)
}
