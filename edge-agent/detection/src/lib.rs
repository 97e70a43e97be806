//! The detector service: one thread owns the detector and everything that follows from it; others send it commands and see its view.

pub mod backtest;
pub mod fixtures;
pub mod headline;
pub mod miss;
pub mod service;
