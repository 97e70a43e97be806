//! A phone of the household, as Home Assistant's app registers it, without the phone: notifications come by its socket,
//! taps go back by its webhook.

use std::time::Duration;

use hearthwatch_edge_home_assistant::home_assistant::socket::Socket;
use serde_json::{Value, json};

use crate::api::Owner;

/// How long a notification may take, on a machine that compiles beside it.
const PATIENCE: Duration = Duration::from_secs(60);
/// Where the blueprint lies in the tree, and in Home Assistant.
const BLUEPRINT: &str = include_str!("../../../edge-agent/home-assistant/blueprints/automation/hearthwatch/alarm.yaml");
const BLUEPRINT_PATH: &str = "hearthwatch/alarm.yaml";

pub struct Phone {
    webhook: String,
    socket: Socket,
    subscription: u64,
    slug: String,
}

impl Phone {
    /// Registers a phone of that name (one word, small letters) and makes its automation from the blueprint.
    pub async fn new(owner: &Owner, name: &str) -> Self {
        let registration = json!({"app_id": "test", "app_name": "test", "app_version": "1", "device_id": name,
            "device_name": name, "manufacturer": "test", "model": "test", "os_name": "test", "os_version": "1",
            "supports_encryption": false, "app_data": {"push_websocket_channel": true}});
        let registered = owner.post("/api/mobile_app/registrations", &registration).await;
        let webhook = registered["webhook_id"].as_str().unwrap().to_owned();
        let mut socket = owner.socket().await;
        let channel = json!({"webhook_id": webhook, "support_confirm": false});
        let subscription = socket.subscribe("mobile_app/push_notification_channel", channel).await.unwrap();

        let mut admin = owner.socket().await;
        let saved: Value = admin
            .command(
                "blueprint/save",
                json!({"domain": "automation", "path": BLUEPRINT_PATH, "yaml": BLUEPRINT, "allow_override": true}),
            )
            .await
            .unwrap();
        assert!(saved.is_object(), "{saved}");
        admin.close().await;
        let automation = json!({"alias": format!("Hearthwatch {name}"), "use_blueprint": {"path": BLUEPRINT_PATH,
            "input": {"phone": format!("notify.mobile_app_{name}"), "person": name}}});
        owner.post(&format!("/api/config/automation/config/{name}"), &automation).await;
        let entity_id = format!("automation.hearthwatch_{name}");
        owner.state_when(&entity_id, "on", |state| state["state"] == "on").await;
        Self { webhook, socket, subscription, slug: format!("notify_mobile_app_{name}") }
    }

    /// The next notification.
    pub async fn hears(&mut self) -> Value {
        let next = async {
            loop {
                let event = self.socket.next_event().await.unwrap();
                if event.subscription == self.subscription {
                    return event.parse::<Value>().unwrap();
                }
            }
        };
        tokio::time::timeout(PATIENCE, next).await.expect("a notification in time")
    }

    /// Takes its automation away.
    pub async fn forget(&self, owner: &Owner) {
        let name = self.slug.trim_start_matches("notify_mobile_app_");
        owner.delete(&format!("/api/config/automation/config/{name}")).await;
    }

    /// Taps one of the buttons of the notification about an alarm.
    pub async fn taps(&self, owner: &Owner, button: &str, alarm_id: &str) {
        self.act(owner, button, alarm_id, json!({})).await;
    }

    /// Taps one that asks for words, and types some.
    pub async fn replies(&self, owner: &Owner, button: &str, alarm_id: &str, words: &str) {
        self.act(owner, button, alarm_id, json!({ "reply_text": words })).await;
    }

    async fn act(&self, owner: &Owner, button: &str, alarm_id: &str, mut data: Value) {
        data["action"] = format!("HEARTHWATCH_{button}_{alarm_id}_{}", self.slug).into();
        data["tag"] = format!("hearthwatch_{alarm_id}").into();
        let tap = json!({"type": "fire_event", "data": {"event_type": "mobile_app_notification_action",
            "event_data": data}});
        owner.post(&format!("/api/webhook/{}", self.webhook), &tap).await;
    }
}
