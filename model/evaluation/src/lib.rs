//! How good a detector is: recorded homes, faults put into copies of them, baselines to compare with, and the gate's judgement.
//!
//! **Architecture invariant:** no product of a home links this crate; it has no network, no clock and reads no file, and nothing in it
//! learns weights.

pub mod dataset;
pub mod evaluate;
#[doc(hidden)]
pub mod fixtures;
pub mod inject;
pub mod reference_methods;
