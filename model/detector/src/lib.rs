//! What *unusual* means: readings become a grid, the grid features, features a score, scores alarms.
//!
//! **Architecture invariant:** this crate has no network, no clock and reads no file: bytes and values come in, values go
//! out. It depends on none of the other Hearthwatch crates, and nothing in it learns weights.
//!
//! **Order:** a module uses only those before it: `grid`, `unit`, `class`, `reading`, `finding`, `statistics`, `rules`, `experts`,
//! `features` (with the baseline detector), `alarm`, `network`, `drift`, `detector`. `fixtures` is for tests.

pub mod alarm;
pub mod class;
pub mod detector;
pub mod drift;
pub mod experts;
pub mod features;
pub mod finding;
#[doc(hidden)]
pub mod fixtures;
pub mod grid;
pub mod network;
pub mod reading;
pub mod rules;
pub mod statistics;
pub mod unit;
