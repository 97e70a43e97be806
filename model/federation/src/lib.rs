//! Federated averaging: what a home's training changed, how many homes' changes become one, and what privacy noise buys.
//!
//! Pure values: no network, no clock, no training. A home sends the difference between the weights that it was given and those
//! that it trained (McMahan et al., AISTATS 2017); a [`Strategy`] makes one difference of many, some of which may come from attackers.
//! The default is [`VettedMean`], chosen by docs/measurements/2026-11-30-attacks.md, with a [`Reputation`] of each home over the rounds.
//!
//! **Order:** a module uses only those before it: `delta`, `quantised`, `fixed_point`, `counts`, `privacy`, `sketch`,
//! `strategy`, `reputation`.

mod counts;
mod delta;
mod fixed_point;
mod privacy;
mod quantised;
mod reputation;
mod sketch;
mod strategy;

pub use counts::{BIN_WIDTH, BINS, COUNT_MAX, ClassCounts, CountsError, Histogram, HomeCounts, MODELS_MAX};
pub use delta::{Delta, DeltaError};
pub use fixed_point::{FixedPoint, SUMMED_HOMES_MAX, SumError};
pub use privacy::{
    NoisedBy, PrivacyLoss, PrivacyStatement, PrivacyTerms, RoundNoise, Strength, newest_with_noise, privacy_loss,
    stated, stated_of_rounds, stated_over,
};
pub use quantised::Quantised;
pub use reputation::{Conduct, REMEMBERED_MAX, Reputation, Standing, Verdict};
pub use sketch::{Sketch, Sketcher};
pub use strategy::{
    Aggregate, ClippedMean, CoordinateMedian, KEPT_MAX, LeftOut, Mean, MultiKrum, Reason, Rise, Strategy, TrimmedMean,
    TrustedDirection, VettedMean, VettedMedian, Vetting, staleness_weight,
};
