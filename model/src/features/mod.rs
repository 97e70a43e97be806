//! Readings in, one row of twenty numbers per entity and step out; nothing after a step can influence it.

mod extractor;
mod step;

pub use extractor::FeatureExtractor;
pub use step::{AnomalyKind, Band, EntityStep, Normaliser, RoutineScore};
