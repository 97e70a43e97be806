//! The agent's mode in one line: what it hears, where it shows, whom it teaches.

use std::fmt;

use crate::discovery::BrokerState;
use crate::home_assistant::SessionState;

/// How the fleet is doing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum CloudState {
    /// Not configured: everything stays local.
    #[default]
    None,
    /// Only models come from there; answers stay local.
    UpdatesOnly,
    /// This home is not in the fleet yet, and everything local goes on without it.
    Outside {
        /// Why, in one line; empty before the first answer.
        reason: String,
    },
    /// Nobody answered yet, or not any more; answers wait on disk.
    Away {
        /// Why, in one line; empty before the first answer.
        reason: String,
    },
    /// Connected.
    Connected,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mode {
    /// Where readings come from.
    pub session: SessionState,
    /// Where alarms are shown; none when not configured.
    pub home_broker: Option<BrokerState>,
    /// The fleet.
    pub cloud: CloudState,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; ", self.session)?;
        match &self.home_broker {
            None => f.write_str("no home broker, so alarms are only logged; ")?,
            Some(state) => write!(f, "{state}; ")?,
        }
        match &self.cloud {
            CloudState::None => f.write_str("no cloud, all stays local"),
            CloudState::UpdatesOnly => f.write_str("cloud for models only"),
            CloudState::Outside { reason } if reason.is_empty() => f.write_str("enrolling with the fleet"),
            CloudState::Outside { reason } => write!(f, "not in the fleet, answers wait here ({reason})"),
            CloudState::Away { reason } if reason.is_empty() => f.write_str("connecting to the cloud"),
            CloudState::Away { reason } => write!(f, "cloud is away, answers wait here ({reason})"),
            CloudState::Connected => f.write_str("cloud connected"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_is_one_line_that_names_each_side() {
        let mode = Mode {
            session: SessionState::Listening { version: "2026.11.0".to_owned(), entities: 42 },
            home_broker: Some(BrokerState::Connected),
            cloud: CloudState::None,
        };
        let line =
            "listening to Home Assistant 2026.11.0, 42 entities; home's broker connected; no cloud, all stays local";
        assert_eq!(mode.to_string(), line);
    }

    #[test]
    fn without_a_home_broker_it_says_where_alarms_go() {
        assert!(Mode::default().to_string().contains("alarms are only logged"));
    }
}
