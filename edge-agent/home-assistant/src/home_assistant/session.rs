//! The session with Home Assistant, as states: connecting, waiting until it runs, learning from its recorder, listening, and again.
//!
//! One function per state. Nothing is judged before Home Assistant is `RUNNING` and its record of the time that we missed is
//! learned; when the connection is lost, judging stops at once: readings that are missing then are no finding.

mod past;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use hearthwatch_configuration::Secret;
use hearthwatch_detector::reading::{EntityInfo, Reading, Value};
use hearthwatch_edge_core::explain::Language;
use hearthwatch_edge_core::mode::SessionState;
use hearthwatch_edge_detection::service::{DetectorCommand, DetectorGone, DetectorHandle};
use hearthwatch_link::Backoff;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::entities::{EntitiesEvent, EntityChange, WATCHED_MAX, WatchedEntities};
use super::registry::{self, HomeAssistantState};
use super::socket::{Socket, SocketError};
use crate::config::HomeAssistantConfig;
use past::{BACKFILL_SETTLE, Backfill};

/// Between two questions whether Home Assistant is up yet.
const RUNNING_POLL: Duration = Duration::from_secs(1);
/// After a refused token: it helps only that a person writes a new one, and each try raises a warning at theirs.
const TOKEN_PAUSE: Duration = Duration::from_secs(600);
/// Between two looks at the file of a refused token.
const TOKEN_POLL: Duration = Duration::from_secs(5);
/// A connection that lasted this long was a good one: the next failure is the first again.
const GOOD_CONNECTION: Duration = Duration::from_secs(60);
/// So was one on which changes were received for this long. A revoked token ends it, and is refused at the next attempt: who reads the
/// page must not read for half a minute that Home Assistant does not answer.
const HEARD_CONNECTION: Duration = Duration::from_secs(5);

/// Changes of the registries are gathered this long: a new device brings a dozen.
const REGISTRY_SETTLE: Duration = Duration::from_secs(2);
/// Events on changes of the registries; a user without administrator rights may subscribe to them.
const REGISTRY_EVENTS: [&str; 3] = ["entity_registry_updated", "device_registry_updated", "area_registry_updated"];

/// Event on a change of the time zone or the language.
const CONFIG_EVENT: &str = "core_config_updated";

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum SessionEnd {
    #[error(transparent)]
    Socket(#[from] SocketError),
    #[error(transparent)]
    DetectorService(#[from] DetectorGone),
}

/// Keeps a session with Home Assistant until `stop`.
///
/// `forgetful` is the node of an agent without a disk: the alarms in the recorded states of its entities are requested once.
/// `who` spreads the attempts of agents that lost the same instance.
pub async fn run(
    config: HomeAssistantConfig,
    forgetful: Option<String>,
    detection: DetectorHandle,
    state: watch::Sender<SessionState>,
    who: u64,
    stop: CancellationToken,
) {
    let mut session = Session {
        config,
        detection,
        state,
        watched: WatchedEntities::default(),
        numbers: HashMap::new(),
        listening: false,
        late: Vec::new(),
        forgetful,
        published_by: Vec::new(),
        survey_at: None,
        backfill_at: None,
    };
    let backoff = Backoff { first: Duration::from_millis(500), longest: Duration::from_secs(30) };
    let mut failures: u32 = 0;
    loop {
        let began = tokio::time::Instant::now();
        let ended = tokio::select! {
            () = stop.cancelled() => return,
            ended = session.live() => ended,
        };
        // The detector service must know before anything else that silence means nothing from now on.
        if session.detection.send(DetectorCommand::Listening(false, unix_now())).await.is_err() {
            return;
        }
        let pause = match ended {
            SessionEnd::DetectorService(DetectorGone) => return,
            SessionEnd::Socket(SocketError::Token(message)) => {
                tracing::error!(
                    reason = message,
                    "Home Assistant refused the token; write a new one into the token file, it is read again by itself"
                );
                session.become_state(SessionState::TokenRefused);
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = another_token(&session.config.token) => {}
                    () = tokio::time::sleep(TOKEN_PAUSE) => {}
                }
                Duration::ZERO
            }
            SessionEnd::Socket(error) => {
                failures = if was_good(began.elapsed(), session.listening) { 1 } else { failures.saturating_add(1) };
                session.become_state(SessionState::Lost { reason: error.to_string() });
                backoff.pause(failures, who)
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Whether a connection that lasted so long is no failure among others; `listened`: changes were received at its end.
fn was_good(lasted: Duration, listened: bool) -> bool {
    lasted >= if listened { HEARD_CONNECTION } else { GOOD_CONNECTION }
}

/// Waits until the token's file holds another one.
async fn another_token(token: &Secret) {
    while token.read_again() == *token {
        tokio::time::sleep(TOKEN_POLL).await;
    }
}

struct Session {
    config: HomeAssistantConfig,
    detection: DetectorHandle,
    state: watch::Sender<SessionState>,
    watched: WatchedEntities,
    /// The detector's numbers of the watched entities.
    numbers: HashMap<String, u32>,
    /// All entities were received once in this connection: what comes now is new.
    listening: bool,
    /// Entities that came since then, whose past is still to be asked for.
    late: Vec<String>,
    /// Whose alarms are to be recovered from the recorder; none where there is nothing to recover any more.
    forgetful: Option<String>,
    /// Our own entities that showed alarms, by their present ids.
    published_by: Vec<String>,
    /// When the registries are read again; none while they have not changed.
    survey_at: Option<Instant>,
    /// When the past of the late ones is asked for.
    backfill_at: Option<Instant>,
}

impl Session {
    fn become_state(&self, state: SessionState) {
        self.state.send_if_modified(|known| {
            let changed = *known != state;
            *known = state;
            changed
        });
    }

    /// One connection, from its first byte to its end.
    async fn live(&mut self) -> SessionEnd {
        match self.try_live().await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn try_live(&mut self) -> Result<std::convert::Infallible, SessionEnd> {
        self.listening = false;
        self.config.token = self.config.token.read_again();
        let mut socket = Socket::connect(&self.config.websocket, &self.config.token).await?;
        self.wait_until_running(&mut socket).await?;
        self.survey(&mut socket).await?;
        self.recover(&mut socket).await?;
        self.remember(&mut socket).await?;
        self.listen(&mut socket).await
    }

    async fn wait_until_running(&mut self, socket: &mut Socket) -> Result<(), SessionEnd> {
        loop {
            let home = registry::get_config(socket).await?;
            if home.is_running() {
                return self.take_config(&home).await;
            }
            self.become_state(SessionState::Starting);
            tokio::time::sleep(RUNNING_POLL).await;
        }
    }

    /// Where the home is, and what it reads.
    async fn take_config(&self, home: &HomeAssistantState) -> Result<(), SessionEnd> {
        let language = home.language.as_deref().map_or_else(Language::default, Language::of);
        self.detection.send(DetectorCommand::Language(language)).await?;
        match TimeZone::get(&home.time_zone) {
            Ok(timezone) => self.detection.send(DetectorCommand::Timezone(timezone)).await?,
            Err(error) => tracing::warn!(error = %error, "Home Assistant's time zone is not known here"),
        }
        Ok(())
    }

    /// Finds what can be watched, in the order of the ids, and what has another name than before, or is no more.
    async fn survey(&mut self, socket: &mut Socket) -> Result<(), SessionEnd> {
        self.survey_at = None;
        if self.numbers.is_empty() {
            self.watched.remember(self.detection.request(DetectorCommand::KnownClasses).await?);
        }
        let mut register = registry::register(socket).await?;
        let mut states = registry::get_states(socket).await?;
        states.sort_by(|left, right| left.entity_id.cmp(&right.entity_id));
        register.name(&states);
        self.published_by = self.forgetful.as_deref().map(|node| register.published_by(node)).unwrap_or_default();
        let ignored: HashSet<String> = states
            .iter()
            .map(|state| &state.entity_id)
            .chain(register.places.keys())
            .filter(|entity_id| register.excludes(&self.config, entity_id))
            .cloned()
            .collect();
        let moves = self
            .detection
            .request(|reply| DetectorCommand::Register(register.places, register.ids, unix_now(), reply))
            .await?;
        for (from, to) in moves.renamed {
            self.watched.rename(&from, &to);
            if let Some(number) = self.numbers.remove(&from) {
                self.numbers.insert(to, number);
            }
        }
        for entity_id in moves.gone {
            self.watched.forget(&entity_id);
            self.numbers.remove(&entity_id);
        }
        let dropped = self.watched.set_ignored(ignored);
        let mut gaps: Vec<u32> = dropped.iter().filter_map(|entity_id| self.numbers.remove(entity_id)).collect();
        // One that the registry does not know is gone with its state. It keeps its number: it may be back in a second.
        let deleted = self.watched.missing_from(&states.iter().map(|state| state.entity_id.as_str()).collect());
        gaps.extend(deleted.iter().filter_map(|entity_id| self.numbers.get(entity_id)));
        // To the detector service it is as if they were not available: neither judged nor learnt from.
        let gaps = gaps.into_iter().map(|entity| Reading { at: unix_now(), entity, value: Value::Gap }).collect();
        self.detection.send(DetectorCommand::Ingest(gaps)).await?;
        let departed: Vec<String> = dropped.into_iter().chain(deleted).collect();
        if !departed.is_empty() {
            self.detection.send(DetectorCommand::Depart(departed)).await?;
        }
        let found = states.iter().filter_map(|state| self.watched.consider(&state.entity_id, &state.attributes));
        let found: Vec<EntityInfo> = found.collect();
        self.number(found).await?;
        if self.watched.refused() > 0 {
            tracing::warn!(limit = WATCHED_MAX, refused = self.watched.refused(), "more entities than can be watched");
        }
        Ok(())
    }

    async fn number(&mut self, found: Vec<EntityInfo>) -> Result<(), SessionEnd> {
        if found.is_empty() {
            return Ok(());
        }
        let ids: Vec<String> = found.iter().map(|info| info.entity_id.clone()).collect();
        // What goes on under another unit has no past that could be learnt from.
        let new: Vec<String> = ids.iter().filter(|id| !self.numbers.contains_key(*id)).cloned().collect();
        let numbers = self.detection.request(|reply| DetectorCommand::AddEntities(found, reply)).await?;
        if self.listening && !new.is_empty() {
            self.late.extend(new);
            self.backfill_at = Some(Instant::now() + BACKFILL_SETTLE);
        }
        self.numbers.extend(ids.into_iter().zip(numbers));
        Ok(())
    }

    async fn listen(&mut self, socket: &mut Socket) -> Result<std::convert::Infallible, SessionEnd> {
        let domains = json!({"include": {"domains": ["sensor", "binary_sensor"]}});
        let subscription = match socket.subscribe("subscribe_entities", domains).await {
            // Versions before filters existed: everything comes, and is sorted out here.
            Err(SocketError::Refused { .. }) => socket.subscribe("subscribe_entities", json!({})).await?,
            other => other?,
        };
        let mut registries = Vec::new();
        for kind in REGISTRY_EVENTS {
            registries.extend(subscribe_to(socket, kind).await?);
        }
        let config = subscribe_to(socket, CONFIG_EVENT).await?;
        let mut backfill: Option<Backfill> = None;
        loop {
            let event = if backfill.is_some() {
                // What was received meanwhile first, then the next slice.
                socket.received_event()
            } else {
                tokio::select! {
                    event = socket.next_event() => Some(event?),
                    () = until(self.survey_at) => {
                        self.survey(socket).await?;
                        continue;
                    }
                    () = until(self.backfill_at) => {
                        backfill = self.begin_backfill();
                        continue;
                    }
                }
            };
            match (event, &mut backfill) {
                (Some(event), _) if event.subscription == subscription => {
                    let event: EntitiesEvent = event.parse()?;
                    self.take_in(socket, &event).await?;
                }
                (Some(event), _) if registries.contains(&event.subscription) => {
                    self.survey_at.get_or_insert_with(|| Instant::now() + REGISTRY_SETTLE);
                }
                (Some(event), _) if config == Some(event.subscription) => {
                    let home = registry::get_config(socket).await?;
                    self.take_config(&home).await?;
                }
                (Some(_), _) | (None, None) => {}
                (None, Some(past)) => {
                    if !self.fill(socket, past).await? {
                        backfill = None;
                    }
                }
            }
        }
    }

    /// Handles one event of entities.
    async fn take_in(&mut self, socket: &mut Socket, event: &EntitiesEvent) -> Result<(), SessionEnd> {
        if self.listening && self.watched.finds_in(event) {
            // Something new may be our own, or excluded, or something old under another name.
            self.survey(socket).await?;
        }
        self.ingest(event).await?;
        if !self.listening {
            self.listening = true;
            self.detection.send(DetectorCommand::Listening(true, unix_now())).await?;
        }
        self.become_state(SessionState::Listening {
            version: socket.version().to_owned(),
            entities: self.watched.len(),
        });
        Ok(())
    }

    async fn ingest(&mut self, event: &EntitiesEvent) -> Result<(), SessionEnd> {
        let strange_before = self.watched.strange_times();
        let changes = self.watched.apply(event, unix_now());
        if strange_before == 0 && self.watched.strange_times() > 0 {
            tracing::warn!(
                "Home Assistant's clock and this machine's differ by more than ten minutes; this machine's counts"
            );
        }
        let mut found = Vec::new();
        let mut stated = Vec::with_capacity(changes.len());
        for change in changes {
            match change {
                EntityChange::Found(info) => found.push(info),
                EntityChange::Stated { entity_id, at, value } => stated.push((entity_id, at, value)),
            }
        }
        self.number(found).await?;
        let mut readings: Vec<Reading> = stated
            .into_iter()
            .filter_map(|(entity_id, at, value)| {
                self.numbers.get(&entity_id).map(|entity| Reading { at, entity: *entity, value })
            })
            .collect();
        readings.sort_by_key(|reading| reading.at);
        if !readings.is_empty() {
            self.detection.send(DetectorCommand::Ingest(readings)).await?;
        }
        Ok(())
    }
}

/// Subscribes to events of a kind; none where Home Assistant refuses: then what they are about is as old as the
/// connection.
async fn subscribe_to(socket: &mut Socket, kind: &str) -> Result<Option<u64>, SessionEnd> {
    match socket.subscribe("subscribe_events", json!({"event_type": kind})).await {
        Ok(subscription) => Ok(Some(subscription)),
        Err(SocketError::Refused { code, .. }) => {
            tracing::debug!(kind, code, "not told of changes");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Waits until `at`; for ever where there is nothing to wait for.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Seconds since 1970, by this machine's clock.
fn unix_now() -> i64 {
    Timestamp::now().as_second()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_heard_the_home_is_tried_again_at_once_however_many_failures_came_before() {
        assert!(was_good(Duration::from_secs(30), true), "a token that was revoked after half a minute");
        assert!(!was_good(Duration::from_secs(4), true), "it falls off as soon as it hears");
        assert!(!was_good(Duration::from_secs(30), false), "it never came so far");
        assert!(was_good(Duration::from_secs(60), false));
    }
}
