//! How a new model gets in: offered, verified, fetched, proven, swapped, on probation, kept or thrown out.
pub mod fetch;
pub mod trust;
