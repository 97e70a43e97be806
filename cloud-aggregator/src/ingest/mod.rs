//! From the broker to the store: judged, committed, receipted, in that order.

pub mod admission;
mod batch;
mod contributions;
pub mod labels;
mod receipts;
pub mod repeats;
mod withdrawals;
mod worker;

pub use batch::{BatchReport, BatchTaker};
pub use worker::{Ear, Intake, Progress, Wire, WireError};
