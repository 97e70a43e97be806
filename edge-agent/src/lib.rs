//! hearthwatch-edge.
pub mod config;
