//! Where homes teach one another: the aggregator's parts, configured, started, watched and stopped.
//!
//! Errors are `thiserror` enums; only the commands of `main` use `anyhow`.

pub mod aggregator;
pub mod backup;
pub mod config;
mod counts;
pub mod data_lock;
pub mod doctor;
mod health;
pub mod health_check;
pub mod offline;
pub mod retention;
pub mod serve;
mod webhooks;
