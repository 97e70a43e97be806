//! Small made-up homes and evaluations for the unit tests of this crate and of those above it; no program uses them.

pub mod evaluation;
pub mod home;
