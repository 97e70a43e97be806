//! `hearthwatch-provision`: makes, hands out, shows and uses the keys of an installation.

use std::process::ExitCode;

use clap::Parser as _;
use hearthwatch_configuration::may_be_logged;
use hearthwatch_provision::command::{Cli, run};
use hearthwatch_provision::pipe;
use jiff::Timestamp;
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

fn main() -> ExitCode {
    pipe::end_quietly();
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    tracing_subscriber::registry().with(lines.with_filter(filter.and(filter_fn(may_be_logged)))).init();
    // Whole seconds: that is what certificates and metadata carry, and what people read.
    let now = Timestamp::from_second(Timestamp::now().as_second()).expect("the present is within jiff's range");
    match run(&cli, now, &mut std::io::stdout().lock()) {
        Ok(code) => code,
        Err(error) => pipe::exit("hearthwatch-provision", &error),
    }
}
