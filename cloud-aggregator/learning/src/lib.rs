//! From stored answers to a judged model: data sets with the story of how they came about, and the one task that trains.
//!
//! A run's id follows from what goes into it, so that one that was cut off is taken up again, and none is run twice.

pub mod dataset;
pub mod event;
#[doc(hidden)]
pub mod fixtures;
pub mod training;
