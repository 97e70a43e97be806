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

use std::fmt;

use hearthwatch_link::CREDENTIALS_REFUSED;

pub use commands::{AnswerError, Command};
pub use device::Device;
pub use remove::{RemoveError, remove};
pub use service::{Discovery, run};
pub use states::UpdateView;

/// How the home's broker is doing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum BrokerState {
    /// Nobody answered yet.
    #[default]
    Connecting,
    /// Connected.
    Connected,
    /// Trying again.
    Away {
        /// Why, in one line.
        reason: String,
    },
}

impl fmt::Display for BrokerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connecting => f.write_str("connecting to the home's broker"),
            Self::Connected => f.write_str("home's broker connected"),
            Self::Away { reason } if reason.starts_with(CREDENTIALS_REFUSED) => f.write_str(reason),
            Self::Away { reason } => write!(f, "home's broker is away ({reason})"),
        }
    }
}
