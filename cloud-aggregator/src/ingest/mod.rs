//! From the broker to the store: judged, committed, receipted, in that order.

pub mod admission;
#[cfg(test)]
mod adversary_tests;
mod batch;
mod contributions;
pub mod health;
pub mod labels;
pub mod limiter;
pub mod queue;
mod receipts;
pub mod repeats;
mod storing;
mod withdrawals;
mod worker;

pub use batch::{BatchReport, BatchTaker};
pub use health::IntakeHealth;
pub use worker::{Ear, Intake, IntakeError, Progress, Wire, WireError};
