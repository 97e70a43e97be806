//! `hearthwatch-cloud ctl`: the operator's command line.
//!
//! The commands are made when the program starts, from the API's own description (`openapi.json`, compiled in): every call is NOUN VERB,
//! with its parameters and the fields of its body as flags. A call that is added to the API is here without a line of code; [`document::naming`]
//! holds the few words that the rule does not find. Beside them stand commands that need more than one call: contexts, explanations of
//! decisions, waiting, the audit log's chain.
//!
//! **Order:** a module uses only those before it: `document`, `contexts`, `problem`, `failure`, `world`, `target`, `client`,
//! `output`, `commands`, `events`, `request`, `pages`, `confirm`, `watch`, `explain`, `wait`, `call`, `places`, `login`, `audit`, `status`, `run`.
//!
//! **Invariants:** nothing here opens the aggregator's files or knows its crates. A token is read from a file, sent in a header, and
//! written nowhere.

pub mod audit;
mod call;
mod client;
pub mod commands;
mod confirm;
pub mod contexts;
pub mod document;
mod events;
mod explain;
mod failure;
mod login;
pub mod output;
mod pages;
mod places;
mod problem;
mod request;
mod run;
mod status;
mod target;
#[cfg(test)]
mod testing;
mod wait;
mod watch;
mod world;

use std::sync::LazyLock;

pub use failure::{EXIT_CODES, Failure};
pub use run::{Ctl, run_line};
pub use world::{Terminal, World};

use self::document::Api;

/// The API's description, as it was committed with this program.
pub const DOCUMENT: &str = include_str!("../../openapi.json");

static API: LazyLock<Api> = LazyLock::new(|| Api::read(DOCUMENT).expect("the committed document is JSON"));

/// The API as this program knows it.
#[must_use]
pub fn api() -> &'static Api {
    &API
}
