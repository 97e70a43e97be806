//! The discovery document of the agent's device: one retained message with all entities.

use hearthwatch_edge_core::preferences::{BUDGET_MAX, BUDGET_MIN, HomeMode};
use hearthwatch_edge_detection::service::NoticeKind;
use serde_json::{Value, json};

use crate::home_assistant::registry::OWN_UNIQUE_ID_PREFIX;

/// First level of Home Assistant's discovery topics, unless a person changed it there.
const DISCOVERY_PREFIX: &str = "homeassistant";

/// Topic of Home Assistant's birth and will.
pub(super) const BIRTH_TOPIC: &str = "homeassistant/status";

/// Payload of [`Device::availability_topic`] while the agent runs.
pub(super) const ONLINE: &str = "online";
/// Payload of [`Device::availability_topic`] otherwise; also the will.
pub(super) const OFFLINE: &str = "offline";

/// State of the quiet hours and the brief where there are none.
pub(super) const OFF: &str = "off";

/// A time of day, as a regular expression.
const TIME: &str = "([01][0-9]|2[0-3]):[0-5][0-9]";

/// What the event entity calls the daily brief.
pub(super) const BRIEF_EVENT: &str = "brief";

/// The agent's place in the broker's topics and in Home Assistant's registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    node: String,
}

impl Device {
    /// `node` tells agents on one broker apart: the home's pseudonym, or `home` without a fleet. Characters `a-z0-9-`.
    #[must_use]
    pub fn new(node: impl Into<String>) -> Self {
        Self { node: node.into() }
    }

    /// The part of topics and ids that differs between agents on one broker.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Topic of the discovery document; retained.
    #[must_use]
    pub fn discovery_topic(&self) -> String {
        format!("{DISCOVERY_PREFIX}/device/{OWN_UNIQUE_ID_PREFIX}{}/config", self.node)
    }

    /// `hearthwatch/<node>/<name>`.
    #[must_use]
    pub fn topic(&self, name: &str) -> String {
        format!("hearthwatch/{}/{name}", self.node)
    }

    /// Topic of `online` and `offline`; retained, and the topic of the will.
    #[must_use]
    pub fn availability_topic(&self) -> String {
        self.topic("availability")
    }

    /// Topic filter of all commands.
    #[must_use]
    pub fn command_filter(&self) -> String {
        self.topic("command/+")
    }

    /// Key and platform of every component, in the order shown.
    pub(super) const COMPONENTS: [(&'static str, &'static str); 22] = [
        ("alarm", "binary_sensor"),
        ("unusual", "sensor"),
        ("picture", "image"),
        ("picture_dark", "image"),
        ("score", "sensor"),
        ("last_alarm", "sensor"),
        ("questions", "sensor"),
        ("false_alarms", "sensor"),
        ("house_mode", "select"),
        ("pause", "switch"),
        ("budget", "number"),
        ("quiet_hours", "text"),
        ("brief", "text"),
        ("readiness", "sensor"),
        ("model", "sensor"),
        ("mode", "sensor"),
        ("update", "update"),
        ("roll_back", "button"),
        ("confirm", "button"),
        ("dismiss", "button"),
        ("expected", "button"),
        ("event", "event"),
    ];

    /// The discovery document. `removed` lists components of an earlier version of the agent that are no more.
    #[must_use]
    pub fn document(&self, removed: &[(String, String)]) -> Value {
        let mut components = serde_json::Map::new();
        for (key, platform) in Self::COMPONENTS {
            components.insert(key.to_owned(), self.component(key, platform));
        }
        for (key, platform) in removed {
            // A component with nothing but its platform is taken away; one that is merely left out would stay for ever.
            components.insert(key.clone(), json!({"platform": platform}));
        }
        json!({
            "device": {
                "identifiers": [format!("{OWN_UNIQUE_ID_PREFIX}{}", self.node)],
                "name": "Hearthwatch",
                "manufacturer": "Hearthwatch",
                "model": "Edge agent",
                "sw_version": env!("CARGO_PKG_VERSION"),
                "serial_number": self.node,
            },
            "origin": {"name": "hearthwatch-edge", "sw_version": env!("CARGO_PKG_VERSION")},
            "components": components,
            "availability_topic": self.availability_topic(),
            "payload_available": ONLINE,
            "payload_not_available": OFFLINE,
            "qos": 1,
        })
    }

    /// The settings of one of [`Self::COMPONENTS`].
    fn component(&self, key: &str, platform: &str) -> Value {
        let mut component = own_settings(key);
        component["platform"] = platform.into();
        component["unique_id"] = format!("{OWN_UNIQUE_ID_PREFIX}{}_{key}", self.node).into();
        let mut set = |setting: &str, name: &str| component[setting] = self.topic(name).into();
        match platform {
            "button" => {}
            "image" => set("image_topic", key),
            _ => set("state_topic", key),
        }
        if ["alarm", "score", "false_alarms", "readiness", "model"].contains(&key) {
            set("json_attributes_topic", &format!("{key}/attributes"));
        }
        match (key, platform) {
            ("confirm" | "dismiss" | "expected", _) => set("command_topic", "command/verdict"),
            ("update", _) => set("command_topic", "command/install"),
            ("roll_back", _) | (_, "select" | "switch" | "number" | "text") => {
                set("command_topic", &format!("command/{key}"));
            }
            _ => {}
        }
        component
    }
}

/// The settings of a component that are its own: all but platform, id and topics.
fn own_settings(key: &str) -> Value {
    match key {
        "alarm" => json!({"name": "Alarm", "device_class": "problem"}),
        "unusual" => json!({"name": "What is unusual", "icon": "mdi:home-search"}),
        "picture" => json!({"name": "Alarm picture", "content_type": "image/png"}),
        "picture_dark" => json!({"name": "Alarm picture on dark", "content_type": "image/png"}),
        "last_alarm" => json!({"name": "Last alarm", "device_class": "timestamp"}),
        "event" => {
            let kinds: Vec<&str> = NoticeKind::WORDS.into_iter().chain([BRIEF_EVENT]).collect();
            json!({"name": "Alarm event", "icon": "mdi:bell-ring", "event_types": kinds})
        }
        "house_mode" => {
            json!({"name": "House mode", "icon": "mdi:home-account", "options": HomeMode::ALL.map(HomeMode::as_str)})
        }
        "pause" => json!({"name": "Pause", "icon": "mdi:pause-circle", "entity_category": "config"}),
        "budget" => json!({
            "name": "Alarms a week", "icon": "mdi:bell-cog", "entity_category": "config",
            "min": BUDGET_MIN, "max": BUDGET_MAX, "step": BUDGET_MIN, "mode": "box",
        }),
        "quiet_hours" => json!({
            "name": "Quiet hours", "icon": "mdi:sleep", "entity_category": "config",
            "pattern": format!("^(off|{TIME}-{TIME})$"), "max": 11,
        }),
        "brief" => json!({
            "name": "Daily brief", "icon": "mdi:newspaper", "entity_category": "config",
            "pattern": format!("^(off|{TIME})$"), "max": 5,
        }),
        "readiness" => json!({"name": "Readiness", "icon": "mdi:school", "entity_category": "diagnostic"}),
        "score" => json!({
            "name": "Score", "icon": "mdi:gauge", "state_class": "measurement",
            "unit_of_measurement": "%", "suggested_display_precision": 0,
        }),
        "model" => json!({"name": "Model version", "icon": "mdi:brain", "entity_category": "diagnostic"}),
        "mode" => json!({"name": "Mode", "icon": "mdi:information-outline", "entity_category": "diagnostic"}),
        "update" => json!({
            "name": "Model update", "device_class": "firmware", "entity_category": "config", "payload_install": "install",
        }),
        "roll_back" => json!({
            "name": "Roll back model", "icon": "mdi:undo", "entity_category": "config", "payload_press": "roll_back",
        }),
        "questions" => json!({"name": "Open questions", "icon": "mdi:chat-question"}),
        "false_alarms" => {
            json!({"name": "False alarms this month", "icon": "mdi:bell-cancel", "state_class": "measurement"})
        }
        "confirm" => json!({"name": "Real", "icon": "mdi:check-circle", "payload_press": "confirmed"}),
        "dismiss" => json!({"name": "False alarm", "icon": "mdi:close-circle", "payload_press": "dismissed"}),
        "expected" => json!({"name": "Expected", "icon": "mdi:calendar-check", "payload_press": "expected"}),
        _ => Value::default(),
    }
}
