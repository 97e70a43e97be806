//! `hearthwatch-edge`: one program, one subcommand per thing a person does with it.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use hearthwatch_edge::doctor::{self, DoctorArgs};
use hearthwatch_edge::enrol::{self, EnrolArgs};
use hearthwatch_edge::health::{self, HealthArgs};
use hearthwatch_edge::manual::{self, ManualArgs};
use hearthwatch_edge::run::{self, LeaveArgs, RunArgs};
use hearthwatch_edge::setup::{self, SetupArgs};
use hearthwatch_edge_replay::{self as replay, ReplayArgs};

/// Learns a home's routine, speaks up rarely, says why.
#[derive(Parser)]
#[command(name = "hearthwatch-edge", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Ask four questions, try each answer, and write the configuration.
    #[command(after_long_help = setup::HELP)]
    Setup(SetupArgs),
    /// Live beside Home Assistant: watch, raise alarms, take answers.
    #[command(after_long_help = run::EXAMPLE)]
    Run(RunArgs),
    /// Take Hearthwatch out of this home: entities, shared records, memory, certificate.
    Leave(LeaveArgs),
    /// Fetch a certificate for a key made on this device, with a claim token.
    Enrol(EnrolArgs),
    /// Decide about models on this machine: status, roll back, reset the clock.
    Update(ManualArgs),
    /// Ask the running agent whether it is alive: exit code 0 if it is. For containers.
    Health(HealthArgs),
    /// Look at everything that the agent needs, and say what to do about what is wrong. The agent may run meanwhile.
    #[command(after_long_help = doctor::EXAMPLE)]
    Doctor(DoctorArgs),
    /// Replay recorded history (a CSV file or a Home Assistant database) as if it were happening.
    Replay(ReplayArgs),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Setup(args) => setup::main(&args),
        Command::Run(args) => {
            // It stays for months on a small computer.
            hearthwatch_footprint::keep_heap_small();
            run::main(&args)
        }
        Command::Leave(args) => run::leave_main(&args),
        Command::Enrol(args) => enrol::main(&args),
        Command::Update(args) => manual::main(&args),
        Command::Health(args) => health::main(&args),
        Command::Doctor(args) => doctor::main(&args),
        Command::Replay(args) => replay::main(&args),
    }
}
