//! `hearthwatch-chaos`: real processes, real brokers, faults by a seed, and a count of what was lost or doubled.

use std::process::ExitCode;

use clap::Parser;
use hearthwatch_tests::chaos::{Options, run};
use hearthwatch_tests::ordered;

fn main() -> ExitCode {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    if ordered::is_meant() {
        return ordered::main();
    }
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chaos: {error:#}");
            ExitCode::FAILURE
        }
    }
}
