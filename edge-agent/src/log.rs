//! The agent's log: one line per happening on stderr, for people or as JSON. Never a token, a password or a reading.

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// Variable that overrides which events are logged, in the syntax of `tracing`'s filters.
pub const FILTER_VARIABLE: &str = "HEARTHWATCH_LOG";

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line, for machines.
    Json,
}

/// Starts logging. Once per process; a second call changes nothing.
pub fn start(format: LogFormat) {
    let filter = EnvFilter::try_from_env(FILTER_VARIABLE).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // An error means that logging runs already, as in a test.
    let _ = match format {
        LogFormat::Human => {
            builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).with_target(false).try_init()
        }
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}
