//! The task that holds the connection: connect, subscribe, pass on, notice silence, wait, again.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rumqttc::{
    AckMode, AsyncClient, ConnectReturnCode, ConnectionError, Event, EventLoop, LastWill, MqttOptions, Packet, Publish,
    QoS, SubscribeFilterInput, SubscribeReasonCode, Transport,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout};

use crate::backoff;
use crate::config::{LinkConfig, shown};
use crate::error::LinkError;
use crate::handle::{CREDENTIALS_REFUSED, LinkEvent};
use crate::session::NothingUnfinished;
use crate::{PACKET_BYTES_MAX, UNREAD_MESSAGES_MAX, tls};

/// From the first TCP packet to CONNACK; a Pi on a bad line needs two or three seconds for TLS.
const CONNECT_SECONDS_MAX: u64 = 15;

/// A connection that lived so long was a good one: the next failure counts as the first.
const STABLE_SECONDS: u64 = 30;

/// Time for the farewell, of the five seconds that a stopping program has.
const FAREWELL_SECONDS_MAX: u64 = 2;

/// How long a broker keeps the session of a link that wants to find it again: an hour covers an upgrade of the program,
/// longer absences are covered by the outboxes at the other ends.
const SESSION_EXPIRY_SECONDS: u32 = 3_600;

/// Requests on their way to the task: at most [`UNREAD_MESSAGES_MAX`] acknowledgements, a subscription and a farewell fit
/// with as many publications again.
const REQUESTS_MAX: usize = 2 * UNREAD_MESSAGES_MAX as usize;

/// Messages held for the reader. The broker stops at [`UNREAD_MESSAGES_MAX`] (some overshoot); only QoS 0 can exceed it.
const QUEUED_MESSAGES_MAX: usize = 4 * UNREAD_MESSAGES_MAX as usize;

/// Publications that may wait for their acknowledgement at once. The client keeps a table for all of them from the start,
/// about 240 bytes each: 1,024 take 240 KiB, where MQTT's own bound of 65,535 takes 16 MiB of a small computer.
const IN_FLIGHT_MAX: u16 = 1024;

/// Ends when the first attempt may be made.
pub type Ready = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What the handle asks of the task.
#[derive(Debug)]
pub enum Command {
    /// Throw the connection away and make a new one.
    Replace { reason: &'static str },
    /// Send DISCONNECT, then end.
    Close { done: oneshot::Sender<()> },
}

/// A message for the reader of the link.
#[derive(Debug)]
pub enum Queued {
    /// Passed on as it is.
    Event(LinkEvent),
    /// Acknowledged on the connection it came by, once taken.
    Message { publish: Publish, client: AsyncClient },
}

/// Why the loop over one connection ended.
enum End {
    /// The program closed the link.
    Closed(Option<oneshot::Sender<()>>),
    /// The connection failed, with the cause in one line; it is tried again.
    Lost(String),
}

/// Holds the connection and makes it anew; one task.
pub struct Connection {
    pub config: LinkConfig,
    pub queue: mpsc::UnboundedSender<Queued>,
    pub commands: mpsc::Receiver<Command>,
    pub current: watch::Sender<Option<AsyncClient>>,
    pub unread: Arc<AtomicUsize>,
}

/// The options of one connection attempt; reads the TLS files.
pub fn options(config: &LinkConfig) -> Result<MqttOptions, LinkError> {
    let mut options = MqttOptions::new(config.client_id.clone(), (config.host.clone(), config.port));
    options
        .set_keep_alive(config.keep_alive_seconds)
        .set_connect_timeout(Duration::from_secs(CONNECT_SECONDS_MAX))
        .set_clean_start(config.clean_start)
        .set_max_packet_size(Some(PACKET_BYTES_MAX))
        .set_receive_maximum(Some(UNREAD_MESSAGES_MAX))
        .set_outgoing_inflight_upper_limit(IN_FLIGHT_MAX)
        .set_ack_mode(AckMode::Manual)
        .set_request_channel_capacity(REQUESTS_MAX);
    if !config.clean_start {
        options.set_session_expiry_interval(Some(SESSION_EXPIRY_SECONDS));
        options.set_session_store(NothingUnfinished {
            expiry_seconds: SESSION_EXPIRY_SECONDS,
            in_flight_max: IN_FLIGHT_MAX,
        });
    }
    if let Some(files) = &config.tls {
        let config = tls::client_config(files)?;
        options.set_transport(Transport::tls_with_config(rumqttc::TlsConfiguration::Rustls(config)));
    }
    if let Some((username, password)) = &config.credentials {
        options.set_credentials(username.clone(), config.password_now().unwrap_or_else(|| password.clone()));
    }
    if let Some(will) = &config.will {
        let will = LastWill::new(will.topic.clone(), will.payload.clone(), QoS::AtLeastOnce, will.retain, None);
        options.set_last_will(will);
    }
    options.validate().map_err(|error| LinkError::Config(error.to_string()))?;
    Ok(options)
}

impl Connection {
    /// Runs until closed, or until nobody listens any more; tries nothing before `ready`.
    pub async fn run(mut self, ready: Option<Ready>) {
        if let Some(ready) = ready
            && let Some(done) = self.wait(ready).await
        {
            return finish(done);
        }
        let who = backoff::who(&self.config.client_id);
        let mut failures = 0;
        let mut told = String::new();
        loop {
            let mut connected_at = None;
            let end = self.once(&mut connected_at).await;
            self.current.send_replace(None);
            let reason = match end {
                End::Closed(done) => return finish(done),
                End::Lost(reason) => reason,
            };
            let stable = connected_at.is_some_and(|at: Instant| at.elapsed().as_secs() >= STABLE_SECONDS);
            failures = if stable { 1 } else { failures + 1 };
            if connected_at.is_some() || told != reason {
                tracing::info!(link.host = %self.config.host, link.reason = %reason, "not connected to the broker");
                told.clone_from(&reason);
                let _ = self.queue.send(Queued::Event(LinkEvent::Disconnected { reason }));
            }
            if let Some(done) = self.wait(sleep(self.config.backoff.pause(failures, who))).await {
                return finish(done);
            }
        }
    }

    /// Waits; `Some` when the link is to end.
    async fn wait(&mut self, until: impl Future<Output = ()>) -> Option<Option<oneshot::Sender<()>>> {
        tokio::pin!(until);
        loop {
            tokio::select! {
                () = &mut until => return None,
                () = self.queue.closed() => return Some(None),
                Some(command) = self.commands.recv() => {
                    if let Command::Close { done } = command {
                        return Some(Some(done));
                    }
                }
            }
        }
    }

    /// One connection, from the attempt to its end.
    async fn once(&mut self, connected_at: &mut Option<Instant>) -> End {
        let options = match options(&self.config) {
            Ok(options) => options,
            Err(error) => return End::Lost(error.to_string()),
        };
        let (client, mut events) = AsyncClient::builder(options).build();
        // Every ping makes an event, so two missed ones and the time to connect are the longest honest silence.
        let silence = Duration::from_secs(CONNECT_SECONDS_MAX + 2 * u64::from(self.config.keep_alive_seconds));
        let certified = self.config.tls.as_ref().is_some_and(|tls| tls.cert.is_some());
        let mut greeting = Greeting::default();
        loop {
            tokio::select! {
                () = self.queue.closed() => return End::Closed(None),
                Some(command) = self.commands.recv() => match command {
                    Command::Replace { reason } => return End::Lost(reason.to_owned()),
                    Command::Close { done } => {
                        self.current.send_replace(None);
                        farewell(&client, &mut events).await;
                        return End::Closed(Some(done));
                    }
                },
                polled = timeout(silence, events.poll()) => {
                    let event = match polled {
                        Ok(Ok(event)) => event,
                        Ok(Err(error)) => return End::Lost(explain(&error, certified)),
                        Err(_) => return End::Lost("no sign of life from the broker".to_owned()),
                    };
                    if let Err(reason) = self.on_event(event, &client, &mut greeting) {
                        return End::Lost(reason);
                    }
                    if greeting.complete && connected_at.is_none() {
                        *connected_at = Some(Instant::now());
                    }
                }
            }
        }
    }

    fn on_event(&self, event: Event, client: &AsyncClient, greeting: &mut Greeting) -> Result<(), String> {
        match event {
            Event::Incoming(Packet::ConnAck(connack)) => {
                greeting.session_present = connack.session_present;
                if self.config.subscriptions.is_empty() {
                    self.greet(client, greeting);
                    return Ok(());
                }
                if connack.session_present {
                    // Before the new ones, which the broker takes next: some brokers know a shared subscription by its filter alone,
                    // and would take off the new one with the old.
                    for filter in &self.config.forgotten {
                        client
                            .try_unsubscribe(filter.as_str())
                            .map_err(|error| format!("cannot unsubscribe from {}: {error}", shown(filter)))?;
                    }
                }
                let filters = self.config.subscriptions.iter();
                client
                    .try_subscribe_many(filters.map(|filter| SubscribeFilterInput::new(filter, QoS::AtLeastOnce)))
                    .map_err(|error| format!("cannot subscribe: {error}"))
            }
            Event::Incoming(Packet::SubAck(suback)) => {
                for (filter, code) in self.config.subscriptions.iter().zip(&suback.return_codes) {
                    if !matches!(code, SubscribeReasonCode::Success(_)) {
                        return Err(format!("subscription to {} refused: {code:?}", shown(filter)));
                    }
                }
                self.greet(client, greeting);
                Ok(())
            }
            Event::Incoming(Packet::Publish(publish)) => {
                if greeting.complete {
                    self.pass_on(publish, client);
                } else {
                    greeting.early.push_back(publish);
                }
                Ok(())
            }
            Event::Incoming(Packet::Disconnect(disconnect)) => {
                Err(format!("the broker closed the connection: {:?}", disconnect.reason_code))
            }
            _ => Ok(()),
        }
    }

    /// Tells that the link stands, then what the broker had sent before we could.
    fn greet(&self, client: &AsyncClient, greeting: &mut Greeting) {
        if greeting.complete {
            return;
        }
        greeting.complete = true;
        // First the client, then the event: who receives it may publish at once.
        self.current.send_replace(Some(client.clone()));
        tracing::info!(link.host = %self.config.host, "connected to the broker");
        let event = LinkEvent::Connected { session_present: greeting.session_present };
        let _ = self.queue.send(Queued::Event(event));
        for publish in greeting.early.drain(..) {
            self.pass_on(publish, client);
        }
    }

    fn pass_on(&self, publish: Publish, client: &AsyncClient) {
        if self.unread.fetch_add(1, Ordering::Relaxed) >= QUEUED_MESSAGES_MAX {
            self.unread.fetch_sub(1, Ordering::Relaxed);
            tracing::warn!(link.queued = QUEUED_MESSAGES_MAX, "message dropped: the reader is too slow");
            return;
        }
        let _ = self.queue.send(Queued::Message { publish, client: client.clone() });
    }
}

/// Where a connection stands between CONNACK and SUBACK.
#[derive(Default)]
struct Greeting {
    session_present: bool,
    complete: bool,
    /// Messages that came before SUBACK; the broker sends no more than the receive maximum.
    early: VecDeque<Publish>,
}

fn finish(done: Option<oneshot::Sender<()>>) {
    if let Some(done) = done {
        // The caller may have stopped waiting.
        let _ = done.send(());
    }
}

/// Sends what is queued and DISCONNECT, but does not wait for long.
async fn farewell(client: &AsyncClient, events: &mut EventLoop) {
    let patience = Duration::from_secs(FAREWELL_SECONDS_MAX);
    if client.try_disconnect_with_timeout(patience).is_ok() {
        let _ = timeout(patience, async { while events.poll().await.is_ok() {} }).await;
    }
}

/// The error with its causes, in one line.
fn explain(error: &ConnectionError, certified: bool) -> String {
    // Who has a certificate is known by it, and has no password that could be wrong.
    if !certified
        && let ConnectionError::ConnectionRefused(
            ConnectReturnCode::NotAuthorized | ConnectReturnCode::BadUserNamePassword,
        ) = error
    {
        return CREDENTIALS_REFUSED.to_owned();
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
