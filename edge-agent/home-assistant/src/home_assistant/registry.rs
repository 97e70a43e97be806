//! What Home Assistant knows of itself: its configuration, what people call things and where they are, which entities
//! are the agent's own.

use std::collections::{BTreeMap, HashMap};

use hearthwatch_edge_core::preferences::Place;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::entities::Attributes;
use super::socket::{Socket, SocketError};
use crate::config::HomeAssistantConfig;

/// Prefix of the unique ids of every entity that the agent shows. An agent must not watch itself, nor another agent.
pub const OWN_UNIQUE_ID_PREFIX: &str = "hearthwatch_";
/// Domains of entities that can be watched; of others nothing is kept.
const DOMAINS: [&str; 2] = ["sensor.", "binary_sensor."];

/// The answer to `get_config`, as far as it is used.
#[derive(Debug, Clone, Deserialize)]
pub struct HomeAssistantState {
    /// `NOT_RUNNING`, `STARTING`, `RUNNING`, `STOPPING` or `FINAL_WRITE`.
    pub state: String,
    /// IANA name, for example `Europe/Brussels`.
    pub time_zone: String,
    /// For example `2026.11.0`.
    pub version: String,
    /// Language of the household, e.g. `nl`; absent before 2023.
    #[serde(default)]
    pub language: Option<String>,
}

impl HomeAssistantState {
    /// Whether every integration has had its turn: before that, what is missing means nothing.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.state == "RUNNING"
    }
}

/// An entity of the registry. Home Assistant adds and removes fields between releases: only what is used is named, and
/// nothing but the id is required.
#[derive(Debug, Deserialize)]
struct RegistryEntity {
    entity_id: String,
    /// The registry's own key: a rename keeps it.
    #[serde(default)]
    id: Option<String>,
    /// A text, or in a few integrations a number.
    #[serde(default)]
    unique_id: serde_json::Value,
    #[serde(default)]
    area_id: Option<String>,
    #[serde(default)]
    device_id: Option<String>,
    #[serde(default)]
    labels: Vec<String>,
}

/// A device of the registry.
#[derive(Debug, Deserialize)]
struct RegistryDevice {
    id: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    name_by_user: Option<String>,
    #[serde(default)]
    area_id: Option<String>,
    #[serde(default)]
    labels: Vec<String>,
}

/// An area of the registry.
#[derive(Debug, Deserialize)]
struct RegistryArea {
    area_id: String,
    name: String,
    #[serde(default)]
    labels: Vec<String>,
}

/// A label of the registry.
#[derive(Debug, Deserialize)]
struct RegistryLabel {
    label_id: String,
    name: String,
}

/// One row of the answer to `get_states`.
#[derive(Debug, Deserialize)]
pub struct PresentState {
    /// Home Assistant's id.
    pub entity_id: String,
    /// Those that decide whether and how it is watched.
    #[serde(default)]
    pub attributes: Attributes,
    /// Home Assistant's text.
    #[serde(default)]
    pub state: Option<String>,
}

/// The registries, as far as they are about entities that can be watched.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Register {
    /// Names, areas and devices, by entity id.
    pub places: HashMap<String, Place>,
    /// Entity ids by the registry's own keys, which outlive a rename. Entities without a unique id have none.
    pub ids: BTreeMap<String, String>,
    /// Entities that an agent of ours shows: their unique ids by entity id.
    own: HashMap<String, String>,
    /// Ids and names of each entity's area, in small letters.
    areas: HashMap<String, Vec<String>>,
    /// Ids and names of each entity's labels, its device's and its area's among them, in small letters.
    labels: HashMap<String, Vec<String>>,
}

impl Register {
    /// Whether an entity is not to be watched: our own, or one that the resident excludes.
    #[must_use]
    pub fn excludes(&self, config: &HomeAssistantConfig, entity_id: &str) -> bool {
        let named = |wanted: &[String], names: Option<&Vec<String>>| {
            wanted.iter().any(|one| names.is_some_and(|names| names.contains(&one.to_lowercase())))
        };
        self.is_own(entity_id)
            || config.excludes(entity_id)
            || named(&config.exclude_areas, self.areas.get(entity_id))
            || named(&config.exclude_labels, self.labels.get(entity_id))
    }

    /// One that knows nothing but these entities of our own, as (entity id, unique id).
    #[must_use]
    pub fn with_own(own: &[(&str, &str)]) -> Self {
        let own = own.iter().map(|(entity_id, id)| ((*entity_id).to_owned(), (*id).to_owned())).collect();
        Self { own, ..Self::default() }
    }

    /// Whether an entity is shown by an agent of ours: this one or another.
    #[must_use]
    pub fn is_own(&self, entity_id: &str) -> bool {
        self.own.contains_key(entity_id)
    }

    /// The alarm and event entities of the agent `node`, under the ids that they have now.
    #[must_use]
    pub fn published_by(&self, node: &str) -> Vec<String> {
        let keys = ["alarm", "event"].map(|key| format!("{OWN_UNIQUE_ID_PREFIX}{node}_{key}"));
        let mut found: Vec<String> =
            self.own.iter().filter(|(_, id)| keys.contains(id)).map(|(entity_id, _)| entity_id.clone()).collect();
        found.sort();
        found
    }

    /// Takes the names that Home Assistant shows: it builds them from the device, the entity and the resident's own name for it.
    pub fn name(&mut self, states: &[PresentState]) {
        for state in states.iter().filter(|state| is_of_interest(&state.entity_id)) {
            if let Some(name) = &state.attributes.friendly_name {
                self.places.entry(state.entity_id.clone()).or_default().name = Some(name.clone());
            }
        }
    }

    fn of(
        entities: Vec<RegistryEntity>,
        devices: Vec<RegistryDevice>,
        areas: Vec<RegistryArea>,
        labels: Vec<RegistryLabel>,
    ) -> Self {
        let devices: HashMap<String, RegistryDevice> = devices.into_iter().map(|one| (one.id.clone(), one)).collect();
        let areas: HashMap<String, RegistryArea> = areas.into_iter().map(|one| (one.area_id.clone(), one)).collect();
        let labels: HashMap<String, String> = labels.into_iter().map(|one| (one.label_id, one.name)).collect();
        let mut register = Self::default();
        for entity in entities {
            if let Some(unique_id) = own_unique_id(&entity) {
                register.own.insert(entity.entity_id.clone(), unique_id.to_owned());
                continue;
            }
            if !is_of_interest(&entity.entity_id) {
                continue;
            }
            let device = entity.device_id.as_ref().and_then(|id| devices.get(id));
            // An entity is where its device is, unless it says otherwise.
            let area = entity.area_id.as_ref().or(device.and_then(|device| device.area_id.as_ref()));
            let area = area.and_then(|id| areas.get(id));
            let place = Place {
                name: None,
                area: area.map(|area| area.name.clone()),
                device: device.and_then(|device| device.name_by_user.clone().or_else(|| device.name.clone())),
            };
            if let Some(area) = area {
                let names = vec![area.area_id.to_lowercase(), area.name.to_lowercase()];
                register.areas.insert(entity.entity_id.clone(), names);
            }
            let tags = entity.labels.iter().chain(device.iter().flat_map(|device| &device.labels));
            let tags = tags.chain(area.iter().flat_map(|area| &area.labels));
            let tags: Vec<String> =
                tags.flat_map(|id| [Some(id), labels.get(id)]).flatten().map(|tag| tag.to_lowercase()).collect();
            if !tags.is_empty() {
                register.labels.insert(entity.entity_id.clone(), tags);
            }
            if let Some(id) = entity.id {
                register.ids.insert(id, entity.entity_id.clone());
            }
            register.places.insert(entity.entity_id, place);
        }
        register
    }
}

/// Asks how Home Assistant is.
///
/// # Errors
/// [`SocketError`] when the connection fails.
pub async fn get_config(socket: &mut Socket) -> Result<HomeAssistantState, SocketError> {
    socket.command("get_config", json!({})).await
}

/// Reads the registries.
///
/// # Errors
/// [`SocketError`] when the connection fails. A registry that this Home Assistant does not have counts as empty, but
/// for the one of entities, which shows what is our own.
pub async fn register(socket: &mut Socket) -> Result<Register, SocketError> {
    let entities = socket.command("config/entity_registry/list", json!({})).await?;
    let devices = optional(socket, "config/device_registry/list").await?;
    let areas = optional(socket, "config/area_registry/list").await?;
    let labels = optional(socket, "config/label_registry/list").await?;
    Ok(Register::of(entities, devices, areas, labels))
}

async fn optional<T: DeserializeOwned>(socket: &mut Socket, command: &str) -> Result<Vec<T>, SocketError> {
    match socket.command(command, json!({})).await {
        Err(SocketError::Refused { code, .. }) => {
            tracing::debug!(command, code, "Home Assistant has no such registry");
            Ok(Vec::new())
        }
        other => other,
    }
}

fn is_of_interest(entity_id: &str) -> bool {
    DOMAINS.iter().any(|domain| entity_id.starts_with(domain))
}

fn own_unique_id(entity: &RegistryEntity) -> Option<&str> {
    entity.unique_id.as_str().filter(|id| id.starts_with(OWN_UNIQUE_ID_PREFIX))
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
    use hearthwatch_configuration::Secret;

    use super::*;

    fn list<T: DeserializeOwned>(text: &str) -> Vec<T> {
        serde_json::from_str(text).unwrap()
    }

    fn register() -> Register {
        let entities = r#"[
            {"entity_id": "sensor.freezer", "id": "a1", "unique_id": "f", "device_id": "d", "labels": []},
            {"entity_id": "sensor.door", "id": "a2", "unique_id": 17, "device_id": "d", "area_id": "hall", "labels": ["l"]},
            {"entity_id": "sensor.score", "id": "a3", "unique_id": "hearthwatch_home_score"},
            {"entity_id": "light.hall", "id": "a4", "unique_id": "h"},
            {"entity_id": "sensor.bare"}]"#;
        let devices = r#"[{"id": "d", "name": "FZ-3", "name_by_user": "Freezer", "area_id": "cellar", "labels": []}]"#;
        let areas = r#"[{"area_id": "cellar", "name": "Cellar", "labels": []}, {"area_id": "hall", "name": "Hal"}]"#;
        Register::of(list(entities), list(devices), list(areas), list(r#"[{"label_id": "l", "name": "Not watched"}]"#))
    }

    #[test]
    fn an_entity_is_where_its_device_is_unless_it_says_otherwise() {
        let mut register = register();
        register.name(&list(r#"[{"entity_id": "sensor.freezer", "attributes": {"friendly_name": "Freezer cold"}}]"#));
        let place = |id: &str| {
            let place = register.places[id].clone();
            (place.name, place.area, place.device)
        };
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(place("sensor.freezer"), (text("Freezer cold"), text("Cellar"), text("Freezer")));
        assert_eq!(place("sensor.door"), (None, text("Hal"), text("Freezer")));
        assert_eq!(place("sensor.bare"), (None, None, None));
        assert!(!register.places.contains_key("light.hall"));
        assert_eq!(register.ids.len(), 2, "neither our own, nor a light, nor one without a key");
    }

    #[test]
    fn an_agent_finds_what_tells_of_its_own_alarms_and_not_of_another_agents() {
        let entities = r#"[
            {"entity_id": "binary_sensor.alarm_in_the_hall", "unique_id": "hearthwatch_home-7_alarm"},
            {"entity_id": "event.hearthwatch", "unique_id": "hearthwatch_home-7_event"},
            {"entity_id": "sensor.hearthwatch_score", "unique_id": "hearthwatch_home-7_score"},
            {"entity_id": "event.other", "unique_id": "hearthwatch_home-70_event"}]"#;
        let register = Register::of(list(entities), Vec::new(), Vec::new(), Vec::new());
        assert_eq!(register.published_by("home-7"), ["binary_sensor.alarm_in_the_hall", "event.hearthwatch"]);
        assert_eq!(register.published_by("home"), Vec::<String>::new());
    }

    #[test]
    fn entities_are_excluded_by_glob_area_and_label_and_our_own_always() {
        let register = register();
        let config = |exclude: &str, area: &str, label: &str| HomeAssistantConfig {
            exclude: vec![exclude.to_owned()],
            exclude_areas: vec![area.to_owned()],
            exclude_labels: vec![label.to_owned()],
            ..HomeAssistantConfig::new("ws://localhost/api/websocket".parse().unwrap(), Secret::new("t"))
        };
        let excluded = |config: &HomeAssistantConfig| {
            let all = ["sensor.freezer", "sensor.door", "sensor.score", "sensor.bare"];
            all.into_iter().filter(|id| register.excludes(config, id)).collect::<Vec<_>>()
        };
        assert_eq!(excluded(&config("-", "-", "-")), ["sensor.score"]);
        assert_eq!(excluded(&config("sensor.b*", "-", "-")), ["sensor.score", "sensor.bare"]);
        assert_eq!(excluded(&config("-", "cellar", "-")), ["sensor.freezer", "sensor.score"]);
        assert_eq!(excluded(&config("-", "Hal", "-")), ["sensor.door", "sensor.score"]);
        assert_eq!(excluded(&config("-", "-", "not watched")), ["sensor.door", "sensor.score"]);
    }
}
