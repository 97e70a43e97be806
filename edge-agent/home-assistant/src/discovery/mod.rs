//! The agent as a device in Home Assistant, by MQTT device discovery: what it shows, and what residents answer.
//!
//! `device`, `states`, `commands` and `stale` are pure; `service` holds the connection.

mod commands;
mod device;
mod presence;
mod remove;
mod service;
mod stale;
mod states;
#[cfg(test)]
mod tests;

pub use commands::{AnswerError, Command};
pub use device::Device;
pub use remove::{RemoveError, remove};
pub use service::{Discovery, run};
