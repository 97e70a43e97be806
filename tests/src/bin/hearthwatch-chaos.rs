//! `hearthwatch-chaos`: real processes, real brokers, faults by a seed, and a count of what was lost or doubled.

use std::process::ExitCode;

use clap::Parser;
use hearthwatch_tests::chaos::{Options, run};

fn main() -> ExitCode {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chaos: {error:#}");
            ExitCode::FAILURE
        }
    }
}
