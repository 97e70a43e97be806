//! What Home Assistant knows of itself: its configuration, and which entities are the agent's own.

use serde::Deserialize;
use serde_json::json;

use super::entities::Attributes;
use super::socket::{Socket, SocketError};

/// Prefix of the unique ids of every entity that the agent shows. An agent must not watch itself, nor another agent.
pub const OWN_UNIQUE_ID_PREFIX: &str = "hearthwatch_";

/// The part of `get_config` that matters.
#[derive(Debug, Clone, Deserialize)]
pub struct HomeAssistantState {
    /// `NOT_RUNNING`, `STARTING`, `RUNNING`, `STOPPING`, `FINAL_WRITE`.
    pub state: String,
    /// IANA name.
    pub time_zone: String,
    /// e.g. `2026.11.0`.
    pub version: String,
}

impl HomeAssistantState {
    /// Whether every integration has had its turn: before that, what is missing means nothing.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.state == "RUNNING"
    }
}

/// An entity of the registry. Home Assistant adds and removes fields between releases: only what is used is named.
#[derive(Debug, Deserialize)]
struct RegistryEntity {
    entity_id: String,
    /// A few integrations use numbers.
    #[serde(default)]
    unique_id: serde_json::Value,
}

/// A present state with its attributes.
#[derive(Debug, Deserialize)]
pub struct PresentState {
    /// Which entity.
    pub entity_id: String,
    /// What it says about itself.
    #[serde(default)]
    pub attributes: Attributes,
}

/// Asks how Home Assistant is.
///
/// # Errors
/// [`SocketError`] when the connection fails.
pub async fn get_config(socket: &mut Socket) -> Result<HomeAssistantState, SocketError> {
    socket.command("get_config", json!({})).await
}

/// The ids of entities that an agent of ours shows.
///
/// # Errors
/// [`SocketError`] when the connection fails.
pub async fn own_entities(socket: &mut Socket) -> Result<Vec<String>, SocketError> {
    let list: Vec<RegistryEntity> = socket.command("config/entity_registry/list", json!({})).await?;
    Ok(list.into_iter().filter(is_own).map(|entity| entity.entity_id).collect())
}

fn is_own(entity: &RegistryEntity) -> bool {
    entity.unique_id.as_str().is_some_and(|id| id.starts_with(OWN_UNIQUE_ID_PREFIX))
}

/// Every present state.
///
/// # Errors
/// [`SocketError`] when the connection fails.
pub async fn get_states(socket: &mut Socket) -> Result<Vec<PresentState>, SocketError> {
    socket.command("get_states", json!({})).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_recognises_its_own_entities_by_their_unique_ids() {
        let list = r#"[{"entity_id": "sensor.a", "unique_id": "hearthwatch_home_score", "platform": "mqtt"},
            {"entity_id": "sensor.b", "unique_id": 17}, {"entity_id": "sensor.c"}]"#;
        let list: Vec<RegistryEntity> = serde_json::from_str(list).unwrap();
        assert_eq!(list.iter().map(is_own).collect::<Vec<_>>(), [true, false, false]);
    }
}
