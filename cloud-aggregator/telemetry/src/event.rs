//! Notable happenings, as types: each writes its log line and moves its metric, so that the two cannot drift apart. The happenings
//! themselves stand in the crates in which they happen.
//!
//! Never in here: what a household did, scores, windows, tokens, keys.

use crate::metrics::Metrics;

/// Something worth a line in the log.
pub trait Event {
    /// Writes the line and moves the metric.
    fn emit(&self, metrics: &Metrics);
}
