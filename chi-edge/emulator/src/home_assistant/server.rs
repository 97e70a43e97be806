//! Home Assistant's WebSocket API, as far as the agent asks for it: states, registries, history and changes.
//!
//! What the real one does is looked at in the suite `home-assistant`.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::stream::SplitSink;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Map, Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// Events that a connection may fall behind by before it is closed.
const EVENTS_MAX: usize = 32_768;

/// The version that it says it is, at first.
const VERSION: &str = "2026.11.0";

/// A sensor.
#[derive(Debug, Clone)]
pub struct Sensor {
    /// Home Assistant's id.
    pub entity_id: String,
    /// Its device class.
    pub device_class: &'static str,
    /// Its unit; empty for none.
    pub unit: String,
    /// What it says now.
    pub state: String,
}

/// What the recorder holds of a sensor in (`from`, `until`]: times and states, oldest first.
pub type Recorder = dyn Fn(&str, i64, i64) -> Vec<(i64, String)> + Send + Sync;

/// An entity of the agent's own, as the registry and the recorder know it.
#[derive(Debug, Clone)]
pub struct Own {
    /// Home Assistant's id.
    pub entity_id: String,
    /// The agent's.
    pub unique_id: String,
    /// When it said something, in Unix seconds, and with which attributes.
    pub rows: Vec<(f64, Value)>,
}

/// A server that agents take for Home Assistant. It ends with the runtime that it was started in.
pub struct EmulatedHomeAssistant {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    sensors: Mutex<BTreeMap<String, (Sensor, f64)>>,
    own: Mutex<Vec<Own>>,
    recorder: Box<Recorder>,
    /// Events to every connection; none closes it.
    events: broadcast::Sender<Option<Arc<str>>>,
    /// Nobody is let in.
    away: AtomicBool,
    /// The access token that is asked for; any is taken without one.
    token: Option<String>,
    version: Mutex<String>,
}

impl EmulatedHomeAssistant {
    /// Listens on a free port of loopback, with these sensors, and takes any token.
    ///
    /// # Errors
    /// The system's, when there is no port.
    pub async fn start(sensors: Vec<Sensor>, recorder: Box<Recorder>) -> std::io::Result<Self> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), None, sensors, recorder).await
    }

    /// The same at an address, for those who have `token`.
    ///
    /// # Errors
    /// The system's, when nobody can listen there.
    pub async fn start_at(
        listen: SocketAddr,
        token: Option<String>,
        sensors: Vec<Sensor>,
        recorder: Box<Recorder>,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let now = now();
        let sensors = sensors.into_iter().map(|sensor| (sensor.entity_id.clone(), (sensor, now))).collect();
        let (events, _) = broadcast::channel(EVENTS_MAX);
        let shared = Arc::new(Shared {
            sensors: Mutex::new(sensors),
            own: Mutex::default(),
            recorder,
            events,
            away: AtomicBool::new(false),
            token,
            version: Mutex::new(VERSION.to_owned()),
        });
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if !serving.away.load(Ordering::Relaxed) {
                    tokio::spawn(serve(Arc::clone(&serving), stream));
                }
            }
        });
        Ok(Self { address, shared })
    }

    /// Its address, as an agent's configuration has it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sensors say something new, now, all in one message.
    pub fn say<'a>(&self, said: impl IntoIterator<Item = (&'a str, String)>) {
        let now = now();
        self.say_at(said.into_iter().map(|(entity_id, state)| (entity_id, state, now)));
    }

    /// The same, each at its own time, Unix seconds. Of a sensor that is named twice, all but the last are sent in messages of their own.
    pub fn say_at<'a>(&self, said: impl IntoIterator<Item = (&'a str, String, f64)>) {
        let mut changed = Map::new();
        let mut sensors = self.shared.sensors();
        for (entity_id, state, at) in said {
            if changed.contains_key(entity_id) {
                self.tell(&json!({ "c": std::mem::take(&mut changed) }));
            }
            changed.insert(entity_id.to_owned(), json!({"+": {"s": state, "lc": at}}));
            if let Some((sensor, since)) = sensors.get_mut(entity_id) {
                (sensor.state, *since) = (state, at);
            }
        }
        drop(sensors);
        if !changed.is_empty() {
            self.tell(&json!({ "c": changed }));
        }
    }

    /// A new sensor is there from now on, or one that was there has another class, unit or state.
    pub fn add(&self, sensor: Sensor) {
        let at = now();
        let full = full(&(sensor.clone(), at));
        let entity_id = sensor.entity_id.clone();
        self.shared.sensors().insert(entity_id.clone(), (sensor, at));
        self.tell(&json!({ "a": { entity_id: full } }));
    }

    /// The version that it says it is to those who connect from now on.
    pub fn upgrade(&self, version: &str) {
        version.clone_into(&mut self.shared.version.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// A sensor goes on in another unit: of the attributes only what changed is told, as Home Assistant does.
    pub fn change_unit(&self, entity_id: &str, unit: &str, state: &str) {
        let now = now();
        if let Some((sensor, at)) = self.shared.sensors().get_mut(entity_id) {
            (sensor.unit, sensor.state, *at) = (unit.to_owned(), state.to_owned(), now);
        }
        let plus = json!({"s": state, "lc": now, "a": {"unit_of_measurement": unit}});
        self.tell(&json!({ "c": { entity_id: { "+": plus } } }));
    }

    /// Closes every connection, as Home Assistant does with one that does not read; with `away`, lets nobody in from now on.
    pub fn hang_up(&self, away: bool) {
        self.shared.away.store(away, Ordering::Relaxed);
        // Nobody connected: nobody to hang up on.
        let _ = self.shared.events.send(None);
    }

    /// From now on these are the agent's own entities, and this is what the recorder has of them.
    pub fn remember(&self, own: Vec<Own>) {
        *self.shared.own() = own;
    }

    /// Lets agents in again.
    pub fn come_back(&self) {
        self.shared.away.store(false, Ordering::Relaxed);
    }

    fn tell(&self, event: &Value) {
        // Nobody connected hears nothing, and asks for the states when it connects.
        let _ = self.shared.events.send(Some(event.to_string().into()));
    }
}

impl Shared {
    fn sensors(&self) -> MutexGuard<'_, BTreeMap<String, (Sensor, f64)>> {
        self.sensors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn own(&self) -> MutexGuard<'_, Vec<Own>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn version(&self) -> String {
        self.version.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a first message has the token that is asked for.
    fn lets_in(&self, first: &str) -> bool {
        let Some(token) = &self.token else { return true };
        serde_json::from_str::<Value>(first).is_ok_and(|message| message["access_token"] == **token)
    }

    fn answer(&self, kind: &str, asked: &Value) -> Value {
        match kind {
            "get_config" => {
                json!({"state": "RUNNING", "time_zone": "UTC", "version": self.version(), "language": "en"})
            }
            "get_states" => self.sensors().values().map(|(sensor, _)| present(sensor)).collect(),
            "config/entity_registry/list" => {
                let entry = |id: &String| json!({"entity_id": id, "id": id, "unique_id": id});
                let own = self.own();
                let ours = own.iter().map(|own| json!({"entity_id": own.entity_id, "unique_id": own.unique_id}));
                self.sensors().keys().map(entry).chain(ours).collect()
            }
            "config/device_registry/list" | "config/area_registry/list" | "config/label_registry/list" => json!([]),
            "history/history_during_period" => self.history(asked),
            "recorder/statistics_during_period" => json!({}),
            _ => Value::Null,
        }
    }

    fn history(&self, asked: &Value) -> Value {
        let time = |key: &str| {
            let at = asked[key].as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
            at.map_or(0, jiff::Timestamp::as_second)
        };
        let (from, until) = (time("start_time"), time("end_time"));
        let ids = asked["entity_ids"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let rows = |id: &str| -> Value {
            if let Some(own) = self.own().iter().find(|own| own.entity_id == id) {
                let inside = |at: f64| at > from as f64 && at <= until as f64 + 1.0;
                let said = own.rows.iter().filter(|(at, _)| inside(*at));
                return said.map(|(at, attributes)| json!({"s": "on", "lu": at, "a": attributes})).collect();
            }
            (self.recorder)(id, from, until).into_iter().map(|(at, state)| json!({"s": state, "lu": at})).collect()
        };
        ids.map(|id| (id.to_owned(), rows(id))).collect::<Map<String, Value>>().into()
    }

    fn everything(&self) -> Value {
        let all: Map<String, Value> = self.sensors().iter().map(|(id, known)| (id.clone(), full(known))).collect();
        json!({ "a": all })
    }
}

fn full((sensor, at): &(Sensor, f64)) -> Value {
    json!({"s": sensor.state, "lc": at, "a": present(sensor)["attributes"]})
}

fn present(sensor: &Sensor) -> Value {
    let mut attributes = json!({"device_class": sensor.device_class, "friendly_name": sensor.entity_id});
    if !sensor.unit.is_empty() {
        attributes["unit_of_measurement"] = sensor.unit.clone().into();
    }
    json!({"entity_id": sensor.entity_id, "state": sensor.state, "attributes": attributes})
}

type Sender = SplitSink<WebSocketStream<TcpStream>, Message>;

async fn serve(shared: Arc<Shared>, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let Ok(socket) = tokio_tungstenite::accept_async(stream).await else { return };
    let (mut sender, mut receiver) = socket.split();
    let version = shared.version();
    if say(&mut sender, &json!({"type": "auth_required", "ha_version": version})).await.is_err() {
        return;
    }
    let Some(Ok(Message::Text(first))) = receiver.next().await else { return };
    let known = shared.lets_in(&first);
    let answer = match known {
        true => json!({"type": "auth_ok", "ha_version": version}),
        false => json!({"type": "auth_invalid", "message": "Invalid access token or password"}),
    };
    if say(&mut sender, &answer).await.is_err() || !known {
        return;
    }
    let mut events = shared.events.subscribe();
    let mut subscription = None;
    loop {
        let done = tokio::select! {
            asked = receiver.next() => {
                let Some(Ok(Message::Text(text))) = asked else { return };
                let Ok(asked) = serde_json::from_str::<Value>(&text) else { return };
                obey(&shared, &mut sender, &asked, &mut subscription).await
            }
            event = events.recv(), if subscription.is_some() => match event {
                Ok(Some(event)) => {
                    let id = subscription.unwrap_or_default();
                    let text = format!("{{\"id\":{id},\"type\":\"event\",\"event\":{event}}}");
                    sender.send(Message::text(text)).await
                }
                Ok(None) | Err(_) => {
                    // Gone either way.
                    let _ = sender.send(Message::Close(None)).await;
                    return;
                }
            },
        };
        if done.is_err() {
            return;
        }
    }
}

async fn obey(
    shared: &Shared,
    sender: &mut Sender,
    asked: &Value,
    subscription: &mut Option<u64>,
) -> Result<(), tokio_tungstenite::tungstenite::Error> {
    let (id, kind) = (asked["id"].as_u64().unwrap_or_default(), asked["type"].as_str().unwrap_or_default());
    if kind == "ping" {
        return say(sender, &json!({"id": id, "type": "pong"})).await;
    }
    say(sender, &json!({"id": id, "type": "result", "success": true, "result": shared.answer(kind, asked)})).await?;
    if kind == "subscribe_entities" {
        *subscription = Some(id);
        say(sender, &json!({"id": id, "type": "event", "event": shared.everything()})).await?;
    }
    Ok(())
}

async fn say(sender: &mut Sender, message: &Value) -> Result<(), tokio_tungstenite::tungstenite::Error> {
    sender.send(Message::text(message.to_string())).await
}

/// Unix seconds, as Home Assistant writes them.
fn now() -> f64 {
    jiff::Timestamp::now().as_millisecond() as f64 / 1000.0
}
