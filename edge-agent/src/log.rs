//! The agent's log: one line per happening on stderr, for people or as JSON. Never a token, a password or a reading
//! (docs/logging.md lists it all).

use clap::ValueEnum;
use hearthwatch_configuration::may_be_logged;
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, Targets, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// Variable that overrides which events are logged: a level, or a level for each target, such as `info,hearthwatch_edge=debug`.
pub const FILTER_VARIABLE: &str = "HEARTHWATCH_LOG";

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Human,
    /// One JSON object a line, for machines.
    Json,
}

/// Starts logging. Once per process; a second call changes nothing.
pub fn start(format: LogFormat) {
    let wanted = std::env::var(FILTER_VARIABLE).ok().and_then(|text| text.parse().ok());
    let filter: Targets = wanted.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Human => {
            lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).with_target(false).boxed()
        }
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // An error means that logging runs already, as in a test.
    let lines = lines.with_filter(filter.and(filter_fn(may_be_logged)));
    let _ = tracing_subscriber::registry().with(lines).try_init();
}
