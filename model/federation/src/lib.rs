//! Federated averaging: what a home's training changed, how many homes' changes become one, and what privacy noise buys.
//!
//! Pure values: no network, no clock, no training. A home sends the difference between the weights that it was given and those
//! that it trained (McMahan et al., AISTATS 2017); a [`Strategy`] makes one difference of many, so that some homes may lie.
//!
//! **Order:** a module uses only those before it: `delta`, `quantised`, `counts`, `privacy`, `strategy`.

mod counts;
mod delta;
mod privacy;
mod quantised;
mod strategy;

pub use counts::{BINS, ClassCounts, CountsError, Histogram, HomeCounts, MODELS_MAX};
pub use delta::{Delta, DeltaError};
pub use privacy::{PrivacyLoss, privacy_loss};
pub use quantised::Quantised;
pub use strategy::{Aggregate, ClippedMean, CoordinateMedian, LeftOut, Mean, MultiKrum, Reason, Strategy, TrimmedMean};
