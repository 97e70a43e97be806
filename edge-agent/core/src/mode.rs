//! The agent's mode in one line: where readings come from, where alarms are shown, which fleet gets answers.

use std::fmt;

/// The connection from which readings come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SessionState {
    /// No attempt has ended yet.
    #[default]
    Connecting,
    /// Home Assistant refuses the access token; a person must replace it.
    TokenRefused,
    /// Connected, but Home Assistant is not up yet.
    Starting,
    /// The past is read from Home Assistant's recorder and learnt from.
    Remembering {
        /// 0 to 100.
        percent: u8,
    },
    /// Every change of state is received.
    Listening {
        /// Of Home Assistant, for example `2026.11.0`.
        version: String,
        /// How many entities are watched.
        entities: usize,
    },
    /// The connection ended; it is tried again by itself.
    Lost {
        /// One line, for logs and the page.
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

/// The connection to the home's broker, over which alarms are published.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum BrokerState {
    /// No attempt has ended yet.
    #[default]
    Connecting,
    /// Alarms are published.
    Connected,
    /// It refuses the user name or password: tried again by itself, but a person must act.
    Refused {
        /// What to do, as a sentence.
        remedy: String,
    },
    /// The connection failed or ended; it is tried again by itself.
    Away {
        /// One line, for logs and the page.
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

/// The connection to the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum CloudState {
    /// No fleet is configured: everything stays local.
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
    /// Answers are sent as they come.
    Connected,
}

/// All connections of the agent at one time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mode {
    /// To Home Assistant.
    pub session: SessionState,
    /// To the home's broker; none when none is configured.
    pub home_broker: Option<BrokerState>,
    /// To the fleet.
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
