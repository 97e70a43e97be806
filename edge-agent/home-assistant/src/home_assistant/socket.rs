//! One authenticated WebSocket to Home Assistant: numbered commands, their results, and the events between them.
//!
//! A single owner sends commands one after another; what arrives in between is kept in order for
//! [`Socket::next_event`]. Closed by any error: a new one is opened, never the old one mended.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hearthwatch_configuration::Secret;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use url::Url;

/// Largest message accepted. A full state list has about 1 kB an entity (2,000 entities: 2 MB); a slice of history has
/// about 60 bytes a row, and [`super::history`] asks for at most 16 entities × 6 h, 20 MB if all report each second.
const MESSAGE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Buffers of a connection; messages larger than this grow the buffer for their time only.
const BUFFER_BYTES: usize = 16 * 1024;
/// TCP, TLS, upgrade and authentication together. Home Assistant itself gives up on authentication after 10 s.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A result. History of a chatty home on a small computer takes seconds.
const RESULT_TIMEOUT: Duration = Duration::from_secs(30);
/// Silence after which the other side is asked whether it still lives. Home Assistant pings every 55 s by itself.
const SILENCE: Duration = Duration::from_secs(30);
/// After a ping without an answer the connection is given up.
const PONG_TIMEOUT: Duration = Duration::from_secs(10);
/// Events kept while a result is awaited. Home Assistant drops a client that lags 4,096 messages; so do we.
const PENDING_EVENTS_MAX: usize = 4096;

/// Why a connection ended, or never began.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Nobody answers there, or TLS or the upgrade failed.
    #[error("cannot connect: {0}")]
    Connect(#[source] Box<tokio_tungstenite::tungstenite::Error>),
    /// The token is not accepted; trying again is useless and would raise alarms in Home Assistant.
    #[error("Home Assistant refused the access token: {0}")]
    Token(String),
    /// Home Assistant closed the connection.
    #[error("closed by Home Assistant")]
    Closed,
    /// TCP, TLS or the WebSocket protocol failed.
    #[error("connection lost: {0}")]
    Transport(#[source] Box<tokio_tungstenite::tungstenite::Error>),
    /// Home Assistant did not answer in time.
    #[error("no answer to {what} within {seconds} s")]
    Timeout {
        /// For example `a result`.
        what: String,
        /// The time that was allowed.
        seconds: u64,
    },
    /// The answer is not what the protocol says.
    #[error("unexpected answer to {what}: {source}")]
    Malformed {
        /// The command that was answered.
        what: String,
        /// What the parser found.
        #[source]
        source: serde_json::Error,
    },
    /// Home Assistant refused a command; the connection is still good.
    #[error("{command} was refused: {code}: {message}")]
    Refused {
        /// Type of the command.
        command: String,
        /// For example `unknown_command`.
        code: String,
        /// Home Assistant's text.
        message: String,
    },
    /// More events than can be kept arrived while a result was awaited.
    #[error("fell behind by {PENDING_EVENTS_MAX} events")]
    Lagging,
}

/// An event of one subscription; its content is parsed by the subscriber.
#[derive(Debug)]
pub struct SocketEvent {
    /// The number that [`Socket::subscribe`] returned.
    pub subscription: u64,
    text: Box<str>,
}

impl SocketEvent {
    /// Parses the content.
    ///
    /// # Errors
    /// [`SocketError::Malformed`] when it is not a `T`.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, SocketError> {
        #[derive(Deserialize)]
        struct Body<T> {
            event: T,
        }
        serde_json::from_str::<Body<T>>(&self.text)
            .map(|body| body.event)
            .map_err(|source| SocketError::Malformed { what: "a subscription".to_owned(), source })
    }
}

/// One message of the server: its outline read, its body left as text until somebody knows its type.
///
/// The text is a copy: a slice of the socket's read buffer would keep the whole buffer, and one that has held a list of
/// every entity is large, for as long as a small event waits.
#[derive(Debug)]
struct Incoming {
    outline: Outline,
    text: Box<str>,
}

#[derive(Debug, Deserialize)]
struct Outline {
    #[serde(default)]
    id: u64,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    success: bool,
    error: Option<RefusedCommand>,
    message: Option<String>,
    ha_version: Option<String>,
}

impl Incoming {
    fn read(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text).map(|outline| Self { outline, text: text.into() })
    }

    fn is_event(&self) -> bool {
        self.outline.kind == "event"
    }
}

#[derive(Debug, Default, Deserialize)]
struct RefusedCommand {
    #[serde(default)]
    code: Value,
    #[serde(default)]
    message: String,
}

/// An authenticated WebSocket connection.
#[derive(Debug)]
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    last_id: u64,
    /// Messages of a frame that held several, not yet looked at.
    unread: VecDeque<Incoming>,
    pending: VecDeque<SocketEvent>,
    version: String,
}

impl Socket {
    /// Connects and authenticates.
    ///
    /// # Errors
    /// [`SocketError::Token`] when the token is refused, else whatever stood in the way.
    pub async fn connect(url: &Url, token: &Secret) -> Result<Self, SocketError> {
        let late = |_| SocketError::Timeout { what: "the connection".to_owned(), seconds: CONNECT_TIMEOUT.as_secs() };
        timeout(CONNECT_TIMEOUT, Self::open(url, token)).await.map_err(late)?
    }

    async fn open(url: &Url, token: &Secret) -> Result<Self, SocketError> {
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let (stream, _) = tokio_tungstenite::connect_async_with_config(url.as_str(), Some(config), true)
            .await
            .map_err(|error| SocketError::Connect(Box::new(error)))?;
        let mut socket =
            Self { stream, last_id: 0, unread: VecDeque::new(), pending: VecDeque::new(), version: String::new() };
        socket.receive().await?;
        socket.send(&json!({"type": "auth", "access_token": token.expose()})).await?;
        let answer = socket.receive().await?.outline;
        match answer.kind.as_str() {
            "auth_ok" => socket.version = answer.ha_version.unwrap_or_default(),
            _ => return Err(SocketError::Token(answer.message.unwrap_or(answer.kind))),
        }
        // Several messages in one frame: fewer wake-ups when many sensors report at once. Must be the first command.
        socket.command::<Value>("supported_features", json!({"features": {"coalesce_messages": 1}})).await?;
        Ok(socket)
    }

    /// Home Assistant's version, from the greeting.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Sends the command `kind` with `arguments` (an object) and waits for its result.
    ///
    /// # Errors
    /// [`SocketError::Refused`] when Home Assistant refuses the command: the connection is still good. Any other: it is not.
    pub async fn command<T: DeserializeOwned>(&mut self, kind: &str, arguments: Value) -> Result<T, SocketError> {
        let id = self.send_command(kind, arguments).await?;
        #[derive(Deserialize)]
        struct Body<T> {
            result: T,
        }
        let message = self.result(id, kind).await?;
        serde_json::from_str::<Body<T>>(&message.text)
            .map(|body| body.result)
            .map_err(|source| SocketError::Malformed { what: kind.to_owned(), source })
    }

    /// Sends a subscribing command and returns its number, which its events carry.
    ///
    /// # Errors
    /// As [`Socket::command`].
    pub async fn subscribe(&mut self, kind: &str, arguments: Value) -> Result<u64, SocketError> {
        let id = self.send_command(kind, arguments).await?;
        self.result(id, kind).await.map(|_| id)
    }

    /// The next event that was received while a result was awaited.
    pub fn received_event(&mut self) -> Option<SocketEvent> {
        self.pending.pop_front()
    }

    /// Waits for the next event, however long that takes, and finds out when nobody is there any more.
    ///
    /// Cancel-safe: an event is either returned or still pending.
    ///
    /// # Errors
    /// [`SocketError`] when the connection ended.
    pub async fn next_event(&mut self) -> Result<SocketEvent, SocketError> {
        if let Some(event) = self.pending.pop_front() {
            return Ok(event);
        }
        loop {
            let message = match timeout(SILENCE, self.receive()).await {
                Ok(message) => message?,
                Err(_) => {
                    let id = self.send_command("ping", json!({})).await?;
                    self.await_pong(id).await?;
                    match self.pending.pop_front() {
                        Some(event) => return Ok(event),
                        None => continue,
                    }
                }
            };
            if message.is_event() {
                return Ok(SocketEvent { subscription: message.outline.id, text: message.text });
            }
        }
    }

    /// Closes the connection; the answer is not awaited.
    pub async fn close(mut self) {
        // Leaving: an error here changes nothing.
        let _ = timeout(Duration::from_secs(1), self.stream.close(None)).await;
    }

    async fn send_command(&mut self, kind: &str, mut arguments: Value) -> Result<u64, SocketError> {
        self.last_id += 1;
        arguments["id"] = self.last_id.into();
        arguments["type"] = kind.into();
        self.send(&arguments).await?;
        Ok(self.last_id)
    }

    async fn result(&mut self, id: u64, kind: &str) -> Result<Incoming, SocketError> {
        let mut message = self.await_answer(id, kind, RESULT_TIMEOUT).await?;
        if message.outline.success {
            return Ok(message);
        }
        let error = message.outline.error.take().unwrap_or_default();
        let code = error.code.as_str().map_or_else(|| error.code.to_string(), str::to_owned);
        Err(SocketError::Refused { command: kind.to_owned(), code, message: error.message })
    }

    async fn await_pong(&mut self, id: u64) -> Result<(), SocketError> {
        self.await_answer(id, "ping", PONG_TIMEOUT).await.map(|_| ())
    }

    /// The result or pong numbered `id`; events that come before it are kept.
    async fn await_answer(&mut self, id: u64, what: &str, within: Duration) -> Result<Incoming, SocketError> {
        let deadline = Instant::now() + within;
        loop {
            let late = |_| SocketError::Timeout { what: what.to_owned(), seconds: within.as_secs() };
            let message = timeout_at(deadline, self.receive()).await.map_err(late)??;
            if message.is_event() {
                if self.pending.len() >= PENDING_EVENTS_MAX {
                    return Err(SocketError::Lagging);
                }
                self.pending.push_back(SocketEvent { subscription: message.outline.id, text: message.text });
            } else if message.outline.id == id {
                return Ok(message);
            }
            // Anything else is an answer that came after its time-out: nobody waits for it.
        }
    }

    async fn send(&mut self, message: &Value) -> Result<(), SocketError> {
        let sent = timeout(PONG_TIMEOUT, self.stream.send(Message::text(message.to_string()))).await;
        match sent {
            Ok(sent) => sent.map_err(|error| SocketError::Transport(Box::new(error))),
            Err(_) => Err(SocketError::Timeout { what: "a write".to_owned(), seconds: PONG_TIMEOUT.as_secs() }),
        }
    }

    /// The next message; a frame holds one or, coalesced, an array of them. Pings are answered by the library.
    async fn receive(&mut self) -> Result<Incoming, SocketError> {
        loop {
            if let Some(message) = self.unread.pop_front() {
                return Ok(message);
            }
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => self.unread.extend(parse_frame(&text)?),
                Some(Ok(Message::Close(_))) | None => return Err(SocketError::Closed),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(SocketError::Transport(Box::new(error))),
            }
        }
    }
}

fn parse_frame(text: &str) -> Result<Vec<Incoming>, SocketError> {
    let messages = if text.trim_start().starts_with('[') {
        let list: Result<Vec<Value>, _> = serde_json::from_str(text);
        list.and_then(|list| list.into_iter().map(|one| Incoming::read(&one.to_string())).collect())
    } else {
        Incoming::read(text).map(|message| vec![message])
    };
    messages.map_err(|source| SocketError::Malformed { what: "a frame".to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_holds_one_message_or_an_array_of_them() {
        let one = parse_frame(r#"{"id":3,"type":"event","event":{"a":{}}}"#).unwrap();
        assert_eq!((one.len(), one[0].outline.id, one[0].is_event()), (1, 3, true));
        let two = r#"[{"id":3,"type":"event","event":{}},{"id":4,"type":"result","success":true,"result":null}]"#;
        let two = parse_frame(two).unwrap();
        assert_eq!((two.len(), two[1].outline.success), (2, true));
    }

    #[test]
    fn a_frame_that_is_not_the_protocol_is_malformed() {
        assert!(matches!(parse_frame("{\"id\":"), Err(SocketError::Malformed { .. })));
        assert!(matches!(parse_frame("[1]"), Err(SocketError::Malformed { .. })));
    }
}
