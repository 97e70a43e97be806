//! `hearthwatch-provision`: makes, hands out, shows and uses the keys of an installation.

use std::process::ExitCode;

use clap::Parser as _;
use hearthwatch_provision::command::{Cli, run};
use hearthwatch_provision::pipe;
use jiff::Timestamp;

fn main() -> ExitCode {
    pipe::end_quietly();
    let cli = Cli::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    // Whole seconds: that is what certificates and metadata carry, and what people read.
    let now = Timestamp::from_second(Timestamp::now().as_second()).expect("the present is within jiff's range");
    match run(&cli, now, &mut std::io::stdout().lock()) {
        Ok(code) => code,
        Err(error) => pipe::exit("hearthwatch-provision", &error),
    }
}
