//! How the aggregator tells what happens in it: one log line and one metric for each notable happening.

pub mod chain;
pub mod event;
pub mod metrics;
