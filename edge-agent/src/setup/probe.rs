//! Tests of the answers: whether Home Assistant accepts the token, what can be watched, whether the broker accepts us.

use std::fmt;
use std::time::Duration;

use hearthwatch_configuration::Secret;
use hearthwatch_detector::reading::Value;
use hearthwatch_edge_core::unit_doubt::{Thermometer, UnitDoubt, doubts};
use hearthwatch_edge_home_assistant::config::websocket_url;
use hearthwatch_edge_home_assistant::home_assistant::entities::{WatchedEntities, parse_state};
use hearthwatch_edge_home_assistant::home_assistant::registry::{self, PresentState, Register};
use hearthwatch_edge_home_assistant::home_assistant::socket::{Socket, SocketError};
use hearthwatch_link::{LinkConfig, LinkError, LinkEvent};
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

/// How long a broker may take to accept the connection.
const BROKER_PATIENCE: Duration = Duration::from_secs(10);

/// What the test of address and token found.
#[derive(Debug, Clone, PartialEq)]
pub struct HomeAssistantFound {
    /// For example `2026.11.0`.
    pub version: String,
    /// Number of entities that can be watched.
    pub watchable: usize,
    /// Whether the token belongs to an administrator.
    pub administrator: bool,
    /// Whether the MQTT integration is loaded.
    pub mqtt: bool,
    /// Thermometers whose values fit another unit than the one that they report.
    pub unit_doubts: Vec<UnitDoubt>,
}

impl fmt::Display for HomeAssistantFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Home Assistant {}, with {} sensors that can be watched.", self.version, self.watchable)
    }
}

/// Why a broker cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The link cannot be opened with this address.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// Nobody answers, or we are not let in.
    #[error(
        "the broker does not let us in ({0}); look up its address, user and password in Home Assistant: Settings, Devices & services, MQTT"
    )]
    Refused(String),
    /// No answer in time.
    #[error("no answer from the broker within {} s", BROKER_PATIENCE.as_secs())]
    Silent,
}

#[derive(Deserialize)]
struct CurrentUser {
    #[serde(default)]
    is_admin: bool,
}

#[derive(Deserialize)]
struct Components {
    #[serde(default)]
    components: Vec<String>,
}

/// Tries address and token.
///
/// # Errors
/// A sentence for the person who typed them, with what to do.
pub async fn try_home_assistant(address: &str, token: &Secret) -> Result<HomeAssistantFound, String> {
    let url = websocket_url(address)?;
    let failed = |error: SocketError| match error {
        SocketError::Token(why) => {
            format!("Home Assistant is there, but refuses the token ({why}); make a new one and copy all of it.")
        }
        error => format!("Home Assistant does not answer at {address} ({error}); is the address right, is it running?"),
    };
    let mut socket = Socket::connect(&url, token).await.map_err(failed)?;
    let found = look(&mut socket).await.map_err(failed);
    socket.close().await;
    found
}

async fn look(socket: &mut Socket) -> Result<HomeAssistantFound, SocketError> {
    let user: CurrentUser = socket.command("auth/current_user", json!({})).await?;
    let has: Components = socket.command("get_config", json!({})).await?;
    let register = registry::register(socket).await?;
    let states = others(&register, registry::get_states(socket).await?);
    let (watched, unit_doubts) = (watchable(&states), doubts(&thermometers(&states)));
    Ok(HomeAssistantFound {
        version: socket.version().to_owned(),
        watchable: watched.len() + watched.refused(),
        unit_doubts,
        administrator: user.is_admin,
        mqtt: has.components.iter().any(|name| name == "mqtt"),
    })
}

/// Without what an agent of ours shows: it is not watched, so it does not count either.
fn others(register: &Register, mut states: Vec<PresentState>) -> Vec<PresentState> {
    states.retain(|state| !register.is_own(&state.entity_id));
    states
}

fn watchable(states: &[PresentState]) -> WatchedEntities {
    let mut watched = WatchedEntities::default();
    for state in states {
        watched.consider(&state.entity_id, &state.attributes);
    }
    watched
}

/// What the thermometers say now; what is usual of them is not known yet.
fn thermometers(states: &[PresentState]) -> Vec<Thermometer> {
    let mut watched = WatchedEntities::default();
    let thermometer = states.iter().filter_map(|state| {
        let info = watched.consider(&state.entity_id, &state.attributes)?;
        let Value::Number(now) = parse_state(info.class, state.state.as_deref()?) else { return None };
        let name = state.attributes.friendly_name.clone().unwrap_or_default();
        Some(Thermometer { info, name, now: Some(now), usual: (now, now, now) })
    });
    thermometer.collect()
}

/// Tries a broker.
///
/// # Errors
/// [`BrokerError`], for the person who typed its address.
pub async fn try_broker(host: &str, port: u16, credentials: Option<&(String, Secret)>) -> Result<(), BrokerError> {
    let config = LinkConfig {
        credentials: credentials.map(|(user, password)| (user.clone(), password.expose().to_owned())),
        ..LinkConfig::new(host, port, format!("hearthwatch-setup-{}", std::process::id()))
    };
    let (link, mut events) = hearthwatch_link::open(config)?;
    let first = timeout(BROKER_PATIENCE, async {
        loop {
            match events.next().await {
                Some(LinkEvent::Connected { .. }) => return Ok(()),
                Some(LinkEvent::Disconnected { reason }) => return Err(BrokerError::Refused(reason)),
                Some(LinkEvent::Message { .. }) => {}
                None => return Err(BrokerError::Silent),
            }
        }
    })
    .await
    .unwrap_or(Err(BrokerError::Silent));
    link.close().await;
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states(text: &str) -> Vec<PresentState> {
        serde_json::from_str(text).unwrap()
    }

    const STATES: &str = r#"[
        {"entity_id": "sensor.kitchen", "state": "20.5",
         "attributes": {"device_class": "temperature", "state_class": "measurement", "unit_of_measurement": "°C"}},
        {"entity_id": "sensor.study", "state": "70.2",
         "attributes": {"device_class": "temperature", "state_class": "measurement", "unit_of_measurement": "°C"}},
        {"entity_id": "sensor.hearthwatch_score", "state": "12",
         "attributes": {"state_class": "measurement", "unit_of_measurement": "%"}}]"#;

    #[test]
    fn what_an_agent_of_ours_shows_is_not_counted_as_a_sensor() {
        let register = Register::with_own(&[("sensor.hearthwatch_score", "hearthwatch_home_score")]);
        assert_eq!(watchable(&others(&register, states(STATES))).len(), 2);
    }

    #[test]
    fn a_thermometer_in_the_wrong_unit_is_told_in_set_up() {
        let found = doubts(&thermometers(&states(STATES)));
        let lines: Vec<String> = found
            .iter()
            .map(|doubt| doubt.sentence(&doubt.entity_id, hearthwatch_edge_core::explain::Language::English))
            .collect();
        let words = "sensor.study says 70.2 °C, which looks like °F: correct its unit in Home Assistant.";
        assert_eq!(lines, [words]);
    }
}
