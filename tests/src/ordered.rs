//! The real programs with one thing more: a fault of a part can be ordered on standard input, like `panic intake`.
//!
//! `hearthwatch-chaos run …` is `hearthwatch-edge run …`, and `hearthwatch-chaos serve …` is `hearthwatch-cloud serve …`. The shipped
//! programs have no such way in.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use hearthwatch_cloud::config::Config;
use hearthwatch_edge::run::RunArgs;
use hearthwatch_supervision::FaultPlan;

/// The programs' own words.
#[derive(Debug, Parser)]
enum Arguments {
    /// As `hearthwatch-edge run`.
    Run(RunArgs),
    /// As `hearthwatch-cloud serve`.
    Serve {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
}

/// Whether the arguments of this process are for [`main`].
#[must_use]
pub fn is_meant() -> bool {
    matches!(std::env::args().nth(1).as_deref(), Some("run" | "serve"))
}

/// A plan that standard input orders from, as long as it is open.
#[must_use]
pub fn from_stdin() -> FaultPlan {
    let plan = FaultPlan::armed();
    let orders = plan.clone();
    // Ends with the process: nobody waits for it.
    std::thread::spawn(move || orders.obey(std::io::stdin().lock()));
    plan
}

/// Runs the program that is meant.
#[must_use]
pub fn main() -> ExitCode {
    match Arguments::parse() {
        Arguments::Run(arguments) => hearthwatch_edge::run::main_with(&arguments, from_stdin()),
        Arguments::Serve { config } => {
            let filter = tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
            tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
            match Config::load(&config) {
                Ok(config) => hearthwatch_cloud::serve::main(config, from_stdin()),
                Err(faults) => {
                    eprintln!("{faults}");
                    ExitCode::FAILURE
                }
            }
        }
    }
}
