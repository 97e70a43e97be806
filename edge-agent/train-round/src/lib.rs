//! What a home does in a federated round, in a process of its own: it trains on its own history, or evaluates models on it.
//!
//! A process, because the resident agent has no autodiff and keeps its memory, and because what a training needs, and whatever could go
//! wrong in it, ends with it. A [`RoundJob`] comes in on standard input, a file with a quantised delta or with counts goes out, and a
//! [`JobReport`] on standard output. History, windows and names of sensors are in none of them, nor in a crash.
//!
//! **Order:** a module uses only those before it: `error`, `limits`, `choice`, `history`, `model`, `faults`, `train`, `lasting`,
//! `evaluate`, `body`, `supervise`, `program`.
//!
//! [`RoundJob`]: hearthwatch_edge_core::round_job::RoundJob
//! [`JobReport`]: hearthwatch_edge_core::round_job::JobReport

mod body;
mod choice;
mod error;
mod evaluate;
mod faults;
pub mod fixtures;
mod history;
mod lasting;
pub mod limits;
mod model;
mod program;
mod supervise;
mod train;

pub use error::RoundError;
pub use program::{PROGRAM, run};
pub use supervise::{Crashed, read_job, report};
