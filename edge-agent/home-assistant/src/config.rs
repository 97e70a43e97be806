//! `[home_assistant]` and `[home.mqtt]` of the configuration.

mod home_assistant;
mod home_mqtt;

pub use home_assistant::{HomeAssistantConfig, websocket_url};
pub use home_mqtt::HomeMqttConfig;
