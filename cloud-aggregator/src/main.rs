//! `hearthwatch-cloud`: the aggregator.
fn main() {}
