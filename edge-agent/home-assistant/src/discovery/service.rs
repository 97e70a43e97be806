//! Keeps the device on the home's broker up to date (document, states, events), and passes residents' commands on.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hearthwatch_edge_core::explain::{DrawError, Theme};
use hearthwatch_edge_core::mode::BrokerState;
use hearthwatch_edge_core::mode::Mode;
use hearthwatch_edge_core::mode::SessionState;
use hearthwatch_edge_detection::miss;
use hearthwatch_edge_detection::service::{AlarmPicture, DetectorCommand, DetectorHandle, HomeView, Notice};
use hearthwatch_edge_update::UpdateView;
use hearthwatch_edge_update::{UpdateRequest, UpdateRequests};
use hearthwatch_link::{CREDENTIALS_REFUSED, LinkConfig, LinkEvent, LinkEvents, LinkHandle, Publication, TlsFiles};
use jiff::Timestamp;
use tokio::sync::{OwnedMutexGuard, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::commands::Command;
use super::device::{BIRTH_TOPIC, Device, OFFLINE, ONLINE};
use super::presence::Presence;
use super::stale::Published;
use super::states::{brief_event, event, states};
use crate::config::HomeMqttConfig;

/// Events that wait for a broker or for Home Assistant. A week's budget of alarms has a few; older ones are shown by
/// the alarm entity anyway.
const WAITING_EVENTS_MAX: usize = 32;
/// Longest wait for the broker when the agent stops.
const FAREWELL: Duration = Duration::from_secs(2);

/// What [`run`] needs.
pub struct Discovery {
    /// How to reach the broker.
    pub config: HomeMqttConfig,
    /// Names of topics and entities.
    pub device: Device,
    /// File that notes what was published, so that a later version can remove it.
    pub note: PathBuf,
    /// Takes answers and changes of preferences.
    pub detection: DetectorHandle,
    /// The newest state of the home.
    pub view: watch::Receiver<HomeView>,
    /// The newest state of model updates.
    pub updates: watch::Receiver<UpdateView>,
    /// The newest state of the connections.
    pub mode: watch::Receiver<Mode>,
    /// Notices to publish as events. Borrowed, so that none is lost when the service is started again.
    pub notices: OwnedMutexGuard<mpsc::Receiver<Notice>>,
    /// File of the history, for a look back at a declared miss.
    pub history: PathBuf,
    /// Takes residents' requests about models.
    pub requests: UpdateRequests,
}

/// Serves until `stop`; then publishes that the agent is offline.
///
/// # Errors
/// [`hearthwatch_link::LinkError`] when the broker's CA file is not usable. Never because the broker is away.
pub async fn run(
    discovery: Discovery,
    state: watch::Sender<BrokerState>,
    stop: CancellationToken,
) -> Result<(), hearthwatch_link::LinkError> {
    let (link, events) = hearthwatch_link::open(link_config(&discovery.config, &discovery.device))?;
    let now = Published::of(&discovery.device);
    // Read on the worker: a kilobyte, once.
    let before = Published::read(&discovery.note);
    let removed = before.as_ref().map(|before| now.removed_since(before)).unwrap_or_default();
    let orphaned = before.as_ref().map(|before| before.orphaned_by(&now)).unwrap_or_default();
    let service = Service {
        document: discovery.device.document(&removed).to_string(),
        discovery,
        link,
        published: now,
        orphaned,
        published_states: HashMap::new(),
        waiting: VecDeque::new(),
        home_assistant: Presence::new(),
        connected: false,
        pictured: None,
        briefed: None,
    };
    service.serve(events, state, stop).await;
    Ok(())
}

pub(super) fn link_config(config: &HomeMqttConfig, device: &Device) -> LinkConfig {
    let will = Publication { topic: device.availability_topic(), payload: OFFLINE.into(), retain: true };
    LinkConfig {
        tls: config.ca_file.clone().map(|ca| TlsFiles { ca, cert: None, key: None }),
        credentials: config.credentials.as_ref().map(|(user, password)| (user.clone(), password.expose().to_owned())),
        password_file: config.credentials.as_ref().and_then(|(_, password)| password.file().map(Path::to_owned)),
        will: Some(will),
        subscriptions: vec![device.command_filter(), BIRTH_TOPIC.to_owned()],
        ..LinkConfig::new(config.host.clone(), config.port, format!("hearthwatch-{}", device.node()))
    }
}

struct Service {
    discovery: Discovery,
    document: String,
    link: LinkHandle,
    published: Published,
    orphaned: Vec<String>,
    /// The retained states that the broker has acknowledged.
    published_states: HashMap<String, String>,
    waiting: VecDeque<Notice>,
    home_assistant: Presence,
    connected: bool,
    /// What the picture shows that the broker has; none before the first.
    pictured: Option<PictureKey>,
    /// [`hearthwatch_edge_detection::service::Brief::at`] of the newest brief that was published.
    briefed: Option<i64>,
}

/// A picture is drawn anew when one of these changes: the alarm, its end, the newest step.
type PictureKey = (String, Option<i64>, Option<i64>);

impl Service {
    async fn serve(mut self, mut events: LinkEvents, state: watch::Sender<BrokerState>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                event = events.next() => match event {
                    None => break,
                    Some(event) => self.on_link(event, &state).await,
                },
                notice = self.discovery.notices.recv() => match notice {
                    None => break,
                    Some(notice) => {
                        if self.waiting.len() >= WAITING_EVENTS_MAX {
                            self.waiting.pop_front();
                        }
                        self.waiting.push_back(notice);
                        // The alarm entity first: whoever reacts to the event reads its attributes.
                        self.publish_states().await;
                        // And what it is about, before anybody is called to look.
                        self.publish_picture().await;
                        self.publish_events().await;
                    }
                },
                Ok(()) = self.discovery.view.changed() => {
                    self.publish_states().await;
                    self.publish_picture().await;
                    self.publish_brief().await;
                }
                Ok(()) = self.discovery.updates.changed() => self.publish_states().await,
                Ok(()) = self.discovery.mode.changed() => {
                    let answers_again = self.home_assistant.note_connection(self.is_receiving());
                    self.publish_states().await;
                    if answers_again {
                        self.publish_events().await;
                    }
                }
            }
        }
        let farewell = async {
            self.publish(self.discovery.device.availability_topic(), OFFLINE.to_owned(), true).await;
            self.link.clone().close().await;
        };
        // The broker may be away; it then publishes the will, which is the same.
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
    }

    async fn on_link(&mut self, event: LinkEvent, state: &watch::Sender<BrokerState>) {
        match event {
            LinkEvent::Connected { .. } => {
                self.connected = true;
                self.home_assistant.back_on_broker(self.is_receiving());
                state.send_replace(BrokerState::Connected);
                self.introduce().await;
            }
            LinkEvent::Disconnected { reason } => {
                self.connected = false;
                state.send_replace(match &*reason {
                    CREDENTIALS_REFUSED => BrokerState::Refused { remedy: self.discovery.config.remedy() },
                    _ => BrokerState::Away { reason },
                });
            }
            LinkEvent::Message { topic, payload, retain } => {
                match Command::read(&self.discovery.device, &topic, &payload, retain) {
                    Ok(command) => self.obey(command).await,
                    Err(error) => tracing::warn!(mqtt.topic = topic, "a command is ignored: it {error}"),
                }
            }
        }
    }

    /// Whether Home Assistant answers on its own connection.
    fn is_receiving(&self) -> bool {
        matches!(self.discovery.mode.borrow().session, SessionState::Listening { .. })
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Answer { alarm, verdict, by, reason } => {
                let alarm = alarm.map(String::from);
                let at = Timestamp::now().as_second();
                let answer = DetectorCommand::Answer { alarm, verdict, by, reason, at };
                if self.discovery.detection.send(answer).await.is_err() {
                    tracing::error!("an answer came too late: the agent is stopping");
                }
            }
            Command::Snooze { alarm, hours } => {
                let now = Timestamp::now().as_second();
                let snooze = DetectorCommand::Snooze(String::from(alarm), now + i64::from(hours) * 3_600, now);
                if self.discovery.detection.send(snooze).await.is_err() {
                    tracing::error!("a snooze came too late: the agent is stopping");
                }
            }
            Command::Preference(change) => {
                let now = Timestamp::now().as_second();
                match self.discovery.detection.request(|reply| DetectorCommand::Change(change, now, reply)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::warn!(error = %error, "a wish is refused"),
                    Err(_) => tracing::error!("a wish came too late: the agent is stopping"),
                }
                // Also when nothing changed: Home Assistant waits for the new state.
                self.published_states.clear();
                self.publish_states().await;
            }
            Command::Miss { entity_id, at } => {
                let now = Timestamp::now().as_second();
                let (detection, history) = (self.discovery.detection.clone(), self.discovery.history.clone());
                // A look back takes seconds; other commands must not wait for it.
                tokio::spawn(async move {
                    if let Err(error) = miss::declare(&detection, &history, entity_id, at.unwrap_or(now), now).await {
                        tracing::warn!(error = %error, "a declared miss is not taken");
                    }
                });
            }
            Command::Install => self.request_update(UpdateRequest::Install).await,
            Command::RollBack => self.request_update(UpdateRequest::RollBack).await,
            Command::Birth { online } => {
                self.home_assistant.birth_or_will(online);
                if online {
                    self.introduce().await;
                }
            }
        }
    }

    /// The answer is published with the state of the updates.
    async fn request_update(&self, request: UpdateRequest) {
        if let Err(error) = self.discovery.requests.submit_aside(request, Timestamp::now().as_second()).await {
            tracing::error!(%error, wish = ?request, "a wish is not taken: it cannot be written down");
        }
    }

    /// Publishes everything anew: after each connection, and after each birth message of Home Assistant.
    async fn introduce(&mut self) {
        for topic in std::mem::take(&mut self.orphaned) {
            if !self.publish(topic.clone(), String::new(), true).await {
                self.orphaned.push(topic);
            }
        }
        self.published_states.clear();
        self.pictured = None;
        let device = self.discovery.device.clone();
        let introduced = self.publish(device.discovery_topic(), self.document.clone(), true).await
            && self.publish(device.availability_topic(), ONLINE.to_owned(), true).await;
        if !introduced {
            return;
        }
        if self.orphaned.is_empty() {
            self.note_published().await;
        }
        self.publish_states().await;
        self.publish_picture().await;
        self.publish_events().await;
    }

    async fn note_published(&self) {
        let (published, note) = (self.published.clone(), self.discovery.note.clone());
        let written = tokio::task::spawn_blocking(move || published.write(&note)).await;
        if let Err(error) = written.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
            tracing::warn!(error = %error, "what was published is not noted: a later version may leave entities behind");
        }
    }

    /// Draws the alarm that is shown, when there is something new to draw.
    async fn publish_picture(&mut self) {
        let key = {
            let view = self.discovery.view.borrow();
            let Some(shown) = &view.shown else { return };
            let step =
                view.most_unusual.as_ref().map(|most_unusual| most_unusual.at).filter(|_| shown.alarm.end.is_none());
            (shown.alarm.id.clone(), shown.alarm.end, step)
        };
        if !self.connected || self.pictured.as_ref() == Some(&key) {
            return;
        }
        let id = key.0.clone();
        let Ok(Some(picture)) = self.discovery.detection.request(|reply| DetectorCommand::Picture(id, reply)).await
        else {
            return;
        };
        // Some tenths of a second on a small computer.
        let drawn = tokio::task::spawn_blocking(move || draw(&picture)).await;
        match drawn {
            Ok(Ok((light, dark))) => {
                let picture = |name, payload| {
                    self.send(Publication { topic: self.discovery.device.topic(name), payload, retain: true })
                };
                if picture("picture_dark", dark).await && picture("picture", light).await {
                    self.pictured = Some(key);
                }
            }
            Ok(Err(error)) => tracing::warn!(error = %error, alarm.id = key.0, "an alarm without a picture"),
            Err(error) => tracing::error!(error = %error, alarm.id = key.0, "drawing failed"),
        }
    }

    /// Publishes the daily brief once.
    async fn publish_brief(&mut self) {
        let Some(brief) = self.discovery.view.borrow().brief.clone() else { return };
        if self.connected && self.home_assistant.is_online() && self.briefed != Some(brief.at) {
            let payload = brief_event(&brief).to_string();
            if self.publish(self.discovery.device.topic("event"), payload, false).await {
                self.briefed = Some(brief.at);
            }
        }
    }

    /// Publishes the states that differ from those that the broker has.
    async fn publish_states(&mut self) {
        if !self.connected {
            return;
        }
        let view = self.discovery.view.borrow_and_update().clone();
        let updates = self.discovery.updates.borrow_and_update().clone();
        let mode = self.discovery.mode.borrow_and_update().clone();
        for (topic, payload) in states(&self.discovery.device, &view, &updates, &mode) {
            if self.published_states.get(&topic) != Some(&payload)
                && self.publish(topic.clone(), payload.clone(), true).await
            {
                self.published_states.insert(topic, payload);
            }
        }
    }

    /// Publishes the events that wait, as long as Home Assistant is there.
    async fn publish_events(&mut self) {
        while self.connected && self.home_assistant.is_online() {
            let Some(notice) = self.waiting.front() else { return };
            let payload = event(&self.discovery.device, notice, &self.discovery.view.borrow()).to_string();
            if !self.publish(self.discovery.device.topic("event"), payload, false).await {
                return;
            }
            self.waiting.pop_front();
        }
    }

    async fn publish(&self, topic: String, payload: String, retain: bool) -> bool {
        self.send(Publication { topic, payload: payload.into_bytes(), retain }).await
    }

    /// True where the broker acknowledged it.
    async fn send(&self, publication: Publication) -> bool {
        match self.link.publish(publication).await {
            Ok(()) => true,
            // Everything is published again with the next connection.
            Err(error) => {
                tracing::debug!(error = %error, "not published to the home's broker");
                false
            }
        }
    }
}

/// The picture on a light and on a dark background.
fn draw(picture: &AlarmPicture) -> Result<(Vec<u8>, Vec<u8>), DrawError> {
    let drawn = (picture.png(Theme::Light)?, picture.png(Theme::Dark)?);
    // A renderer for vector graphics with its fonts, once for each alarm: megabytes that nothing else needs.
    hearthwatch_footprint::let_go_of_program();
    Ok(drawn)
}
