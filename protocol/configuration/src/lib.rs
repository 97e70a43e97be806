//! Reads the TOML configuration of either program, agent or aggregator, into values that can be trusted, or lists everything wrong with it: each fault with file, key and remedy.
//!
//! Of the libraries that read configuration (serde with `deny_unknown_fields`, `figment`, `config`) each stops at the first fault; a person
//! who mends a file wants the whole list.

mod fault;
mod file;
mod logging;
mod secret;
mod section;

pub use fault::{Fault, Faults};
pub use file::{read_table, read_text};
pub use logging::may_be_logged;
pub use secret::{SECRET_BYTES_MAX, Secret, SecretError, exposed};
pub use section::Section;

#[cfg(test)]
mod tests;
