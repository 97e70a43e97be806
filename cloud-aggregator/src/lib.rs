//! hearthwatch-cloud.

pub mod release;
