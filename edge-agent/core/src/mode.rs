//! The agent's mode in one line: what it hears, where it shows, whom it teaches.

use std::fmt;

/// Where the session stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SessionState {
    /// Nobody answered yet.
    #[default]
    Connecting,
    /// The token is refused; a person must act.
    TokenRefused,
    /// Connected, but Home Assistant is not up yet.
    Starting,
    /// Learning from what Home Assistant remembers.
    Remembering {
        /// How much of it is done.
        percent: u8,
    },
    /// Hearing every change.
    Listening {
        /// Home Assistant's version.
        version: String,
        /// Entities watched.
        entities: usize,
    },
    /// No connection; trying again.
    Lost {
        /// Why, in one line.
        reason: String,
    },
}

impl fmt::Display for SessionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connecting => f.write_str("connecting to Home Assistant"),
            Self::TokenRefused => f.write_str("Home Assistant refuses the token (write a new one into the token file)"),
            Self::Starting => f.write_str("waiting for Home Assistant to be running"),
            Self::Remembering { percent } => write!(f, "learning from Home Assistant's memory, {percent} %"),
            Self::Listening { version, entities } => {
                write!(f, "listening to Home Assistant {version}, {entities} entities")
            }
            Self::Lost { reason } => write!(f, "Home Assistant is away ({reason})"),
        }
    }
}

/// How the home's broker is doing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum BrokerState {
    /// Nobody answered yet.
    #[default]
    Connecting,
    /// Connected.
    Connected,
    /// It refuses the user name or password: tried again by itself, but a person must act.
    Refused {
        /// What to do.
        remedy: String,
    },
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
            Self::Refused { remedy } => write!(f, "the MQTT broker refuses the user name or password; {remedy}"),
            Self::Away { reason } => write!(f, "home's broker is away ({reason})"),
        }
    }
}

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
