//! From the broker to the store: judged, committed, receipted, in that order.
//!
//! A receipt is sent only after its records are on disk. What a payload may do is decided in [`admission`], which touches nothing.

pub mod admission;
#[cfg(test)]
mod adversary_tests;
mod batch;
mod contributions;
pub mod drift;
pub mod event;
#[doc(hidden)]
pub mod fixtures;
pub mod health;
pub mod labels;
pub mod limiter;
pub mod publisher;
pub mod queue;
mod receipts;
pub mod repeats;
mod rounds;
mod storing;
mod withdrawals;
mod worker;

pub use batch::{BatchReport, BatchTaker};
pub use health::IntakeHealth;
pub use publisher::{MessagePublisher, PublishError};
pub use rounds::{RoundIntake, RoundMessage};
pub use worker::{Intake, IntakeError, MessageSubscriber, Progress};
