//! Reads a TOML configuration into values that can be trusted, or lists everything wrong with it: each fault with file, key and remedy.
//!
//! Of the libraries that read configuration (serde with `deny_unknown_fields`, `figment`, `config`) each stops at the first fault; a person
//! who mends a file wants the whole list.

mod fault;
mod section;

pub use fault::{Fault, Faults};
pub use section::{Secret, Section};
