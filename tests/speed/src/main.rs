//! `hearthwatch-speed`: how fast the scorer, a home's detector, a training step and a home's part in a round are on *this* machine. Benches compare
//! it with other programs.

mod agent;
mod bodies;
mod round;
mod stepper;
mod train_step;

use clap::{Parser, Subcommand};

/// How fast detection and training are on this machine.
#[derive(Parser)]
#[command(name = "hearthwatch-speed", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The scorer by batch size, and a home of many entities for a day.
    Agent(agent::MeasureArguments),
    /// Seconds and memory of the process that trains in the home, and of the same process when it evaluates models.
    Round(round::MeasureRoundArguments),
    /// Whether a device computes what the processor does, and how fast it trains.
    TrainStep(train_step::MeasureTrainingArguments),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Agent(arguments) => agent::run(&arguments),
        Command::Round(arguments) => round::run(&arguments),
        Command::TrainStep(arguments) => train_step::run(&arguments),
    }
}
