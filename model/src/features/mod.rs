//! Readings in, one row of twenty numbers per entity and step out; nothing after a step can influence it.

mod calendar;
mod extractor;
mod intake;
mod meter;
mod ring;
pub(crate) mod robust;
mod step;

pub use extractor::FeatureExtractor;
pub use step::{AnomalyKind, Band, EntityStep, Normaliser, RoutineScore};
