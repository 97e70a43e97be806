//! What *unusual* means: readings become a grid, the grid features, features a score, scores alarms.
//!
//! **Architecture invariant:** this crate has no network, no clock and reads no file: bytes and values come in, values go
//! out. It depends on none of the other Hearthwatch crates.

pub mod alarm;
pub mod class;
pub mod dataset;
pub mod detector;
pub mod drift;
pub mod evaluate;
pub mod experts;
pub mod features;
pub mod grid;
pub mod inject;
pub mod network;
pub mod reading;
pub mod rivals;
pub mod rules;
#[cfg(feature = "train")]
pub mod train;
pub mod unit;
