//! `hearthwatch-edge`: one program, one subcommand per thing a person does with it.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use hearthwatch_edge::replay::{self, ReplayArgs};

/// Learns a home's routine, speaks up rarely, says why.
#[derive(Parser)]
#[command(name = "hearthwatch-edge", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Replay recorded history (a CSV file or a Home Assistant database) as if it were happening.
    Replay(ReplayArgs),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Replay(args) => replay::main(&args),
    }
}
