//! What a person does in Home Assistant, by its API: the first steps, looking at states, pressing buttons.

use std::time::{Duration, Instant};

use hearthwatch_configuration::Secret;
use hearthwatch_edge_home_assistant::home_assistant::socket::Socket;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

/// Passwords of a home that lives for a minute on loopback.
const PASSWORD: &str = "only-for-this-test";
/// How long anything in Home Assistant may take, on a machine that compiles beside it.
const PATIENCE: Duration = Duration::from_secs(90);

/// The owner of the home.
pub struct Owner {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Owner {
    /// Makes the first user of a new instance.
    pub async fn move_in(url: String) -> Self {
        let http = reqwest::Client::new();
        let mut owner = Self { http, url, token: String::new() };
        owner
            .until("Home Assistant to be up", async |owner| {
                let steps = owner.http.get(format!("{}/api/onboarding", owner.url)).send().await.ok()?;
                steps.status().is_success().then_some(())
            })
            .await;
        let user = json!({"client_id": owner.client_id(), "name": "Owner", "username": "owner", "password": PASSWORD,
            "language": "en"});
        let answer = owner.post("/api/onboarding/users", &user).await;
        owner.token = owner.token_for(text(&answer, "auth_code")).await;
        owner.token = owner.long_lived("test").await;
        owner
    }

    /// A user without administrator rights, and a token of theirs: the agent's.
    pub async fn make_agent_user(&self) -> String {
        let mut socket = self.socket().await;
        let user = json!({"name": "Hearthwatch", "group_ids": ["system-users"], "local_only": true});
        let made: Value = socket.command("config/auth/create", user).await.unwrap();
        let id = text(&made["user"], "id").to_owned();
        let credentials = json!({"user_id": id, "username": "hearthwatch", "password": PASSWORD});
        let _: Value = socket.command("config/auth_provider/homeassistant/create", credentials).await.unwrap();
        socket.close().await;

        let flow = json!({"client_id": self.client_id(), "handler": ["homeassistant", null],
            "redirect_uri": self.client_id()});
        let flow = self.post("/auth/login_flow", &flow).await;
        let login = json!({"client_id": self.client_id(), "username": "hearthwatch", "password": PASSWORD});
        let login = self.post(&format!("/auth/login_flow/{}", text(&flow, "flow_id")), &login).await;
        let token = self.token_for(text(&login, "result")).await;
        let user = Self { http: self.http.clone(), url: self.url.clone(), token };
        user.long_lived("agent").await
    }

    /// Adds the MQTT integration, by its form.
    pub async fn add_mqtt(&self, port: u16) {
        let flow = self.post("/api/config/config_entries/flow", &json!({"handler": "mqtt"})).await;
        let form = json!({"broker": "127.0.0.1", "port": port, "protocol": "5",
            "other_settings": {"set_client_cert": false, "set_ca_cert": "off", "transport": "tcp"}});
        let path = format!("/api/config/config_entries/flow/{}", text(&flow, "flow_id"));
        let done = self.post(&path, &form).await;
        assert_eq!(done["type"], "create_entry", "{done}");
    }

    /// A socket with the owner's rights.
    pub async fn socket(&self) -> Socket {
        let url = format!("{}/api/websocket", self.url.replacen("http", "ws", 1));
        Socket::connect(&url.parse().unwrap(), &Secret::new(self.token.clone())).await.unwrap()
    }

    /// Names of everything in the registries and among the states that is ours.
    pub async fn ours(&self) -> Vec<String> {
        let mut socket = self.socket().await;
        let mut ours = Vec::new();
        for registry in ["config/device_registry/list", "config/entity_registry/list", "get_states"] {
            let rows: Value = socket.command(registry, json!({})).await.unwrap();
            let rows = rows.as_array().cloned().unwrap_or_default();
            ours.extend(rows.iter().map(Value::to_string).filter(|row| row.to_lowercase().contains("hearthwatch_")));
        }
        socket.close().await;
        ours
    }

    /// Presses a button entity, as a resident does.
    pub async fn press(&self, entity_id: &str) {
        self.post("/api/services/button/press", &json!({"entity_id": entity_id})).await;
    }

    /// The state of an entity, once it is there and `wanted`.
    pub async fn state_when(&self, entity_id: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.until(&format!("{entity_id} to be {what}"), async |owner| owner.state(entity_id).await.filter(&wanted))
            .await
    }

    /// The state of an entity now.
    pub async fn state(&self, entity_id: &str) -> Option<Value> {
        let request = self.http.get(format!("{}/api/states/{entity_id}", self.url)).bearer_auth(&self.token);
        let answer = request.send().await.ok()?;
        if !answer.status().is_success() {
            return None;
        }
        answer.json().await.ok()
    }

    /// What lies at a path, for who holds its link.
    pub async fn bytes(&self, path: &str) -> Vec<u8> {
        let answer = self.http.get(format!("{}{path}", self.url)).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.bytes().await.unwrap().to_vec()
    }

    /// Deletes what lies at a path, with the owner's rights.
    pub async fn delete(&self, path: &str) {
        let request = self.http.delete(format!("{}{path}", self.url)).bearer_auth(&self.token);
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
    }

    /// What stands on a place of the agent's page.
    pub async fn page(&self, address: &str, path: &str) -> String {
        let answer = self.http.get(format!("http://{address}{path}")).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status}: {text}");
        text
    }

    /// The owner's token, for a browser that is to be theirs.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The registry's id of a device.
    pub async fn device_id(&self, name: &str) -> String {
        let mut socket = self.socket().await;
        let devices: Value = socket.command("config/device_registry/list", json!({})).await.unwrap();
        socket.close().await;
        let device = devices.as_array().unwrap().iter().find(|device| device["name"] == name);
        text(device.unwrap(), "id").to_owned()
    }

    /// Asks again until there is an answer.
    pub async fn until<T>(&self, what: &str, ask: impl AsyncFn(&Self) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = ask(self).await {
                return answer;
            }
            if Instant::now() > deadline {
                let states = self.http.get(format!("{}/api/states", self.url)).bearer_auth(&self.token).send().await;
                let states = match states {
                    Ok(states) => states.text().await.unwrap_or_default(),
                    Err(error) => error.to_string(),
                };
                panic!("waited too long for {what}; the states are {states}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn client_id(&self) -> String {
        format!("{}/", self.url)
    }

    async fn token_for(&self, code: &str) -> String {
        let body = format!("grant_type=authorization_code&code={code}&client_id={}", self.client_id());
        let request = self.http.post(format!("{}/auth/token", self.url));
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        text(&answer, "access_token").to_owned()
    }

    async fn long_lived(&self, name: &str) -> String {
        let mut socket = self.socket().await;
        let request = json!({"client_name": name, "lifespan": 1});
        let token = socket.command("auth/long_lived_access_token", request).await.unwrap();
        socket.close().await;
        token
    }

    /// Posts JSON with the owner's rights.
    pub async fn post(&self, path: &str, body: &Value) -> Value {
        let mut request = self.http.post(format!("{}{path}", self.url)).json(body);
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let body = answer.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status}: {body}");
        serde_json::from_str(&body).unwrap_or(Value::Null)
    }
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}"))
}
