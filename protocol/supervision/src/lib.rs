//! Owns the long-lived tasks and threads of a program: an early end, an error or a panic of one is noticed, logged and acted upon.
//!
//! A part is *vital* or *optional*. When a vital part ends before the program is stopped, the program stops, logs in one line which
//! part and why, and ends with [`EXIT_PART`], so that systemd, the Supervisor of Home Assistant or Kubernetes starts it again. An
//! optional part is started again inside the process, after a pause that grows; meanwhile the program is alive and not ready.
//!
//! The [`Board`] holds how each part is doing, for `/healthz` and `/readyz`.

mod board;
mod cause;
mod fault;
mod progress;
mod supervisor;

pub use board::{Board, Condition, Grade, PartReport, Report, State, Verdict};
pub use cause::{Cause, Ending, PartFailed, panic_text};
pub use fault::{Fault, FaultPlan, Strikes};
pub use progress::Progress;
pub use supervisor::{Pauses, Supervisor};

/// Exit code of a program that one of its parts has stopped (`EX_SOFTWARE` of sysexits).
pub const EXIT_PART: u8 = 70;
