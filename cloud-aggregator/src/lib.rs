//! Where homes teach one another: takes in labelled answers, retrains, judges, releases.
//!
//! **Architecture invariants:** a receipt is sent only after its records are on disk. What a payload may do is decided
//! in [`ingest::admission`], which touches nothing. Models leave only through [`release_service`]. No household event,
//! token or key is ever logged. Errors are `thiserror` enums; only `main` uses `anyhow`.

pub mod aggregator;
pub mod artifact_store;
#[cfg(test)]
mod bench;
pub mod clock;
pub mod config;
pub mod dataset;
pub mod event;
pub mod files;
mod health;
pub mod http;
pub mod ingest;
pub mod metrics;
pub mod page;
pub mod release;
pub mod release_service;
pub mod rollout;
pub mod serve;
pub mod state;
pub mod store;
#[cfg(test)]
mod testing;
pub mod token;
pub mod training;
