//! How good a detector is: recorded homes, faults put into copies of them, reference methods to compare with, and the gate's judgement.
//!
//! **Architecture invariant:** no product of a home links this crate; it has no network, no clock and reads no file, and nothing in it
//! learns weights.
//!
//! **Order:** a module uses only those before it: `dataset`, `inject`, `evaluate`, `reference_methods`. `fixtures` is for tests.

pub mod dataset;
pub mod evaluate;
#[doc(hidden)]
pub mod fixtures;
pub mod inject;
pub mod reference_methods;
