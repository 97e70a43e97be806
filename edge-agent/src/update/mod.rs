//! How a new model gets in: offered, verified, fetched, proven, swapped, on probation, kept or thrown out.
pub mod disk;
pub mod fetch;
pub mod machine;
pub mod probation;
pub mod slots;
pub mod trust;
