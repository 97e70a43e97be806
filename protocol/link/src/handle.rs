//! The two ends of a link that a program holds: one to publish, one to receive.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use rumqttc::{AsyncClient, ClientError, Publish, PublishNoticeError, PublishOptions, QoS};
use tokio::sync::{mpsc, oneshot, watch};

use crate::config::{LinkConfig, Publication};
use crate::connection::{self, Command, Connection, Queued, Ready};
use crate::error::LinkError;

/// How long a broker may take to acknowledge. A broker that answers pings but acknowledges nothing for so long
/// has lost our packets; the connection is replaced.
const ACK_SECONDS_MAX: u64 = 30;

/// Commands waiting for the connection's task: replacement requests (any number of callers, one suffices) and a farewell.
const COMMANDS_MAX: usize = 8;

/// The reason of [`LinkEvent::Disconnected`] where the broker does not accept user name and password.
pub const CREDENTIALS_REFUSED: &str = "the MQTT broker refuses the user name or password";

/// A change of the connection, or a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// Connected and subscribed; publications go through from now on.
    Connected {
        /// From the broker's CONNACK: it kept the subscriptions and messages of the session before.
        session_present: bool,
    },
    /// Not connected any more, or still not; sent once for each new reason. Attempts go on by themselves.
    Disconnected {
        /// One line, for logs and pages.
        reason: String,
    },
    /// A message on a subscribed topic.
    Message {
        /// Topic on which it was published.
        topic: String,
        /// Not checked in any way.
        payload: Bytes,
        /// Whether it is a retained message from before the subscription.
        retain: bool,
    },
}

/// Opens a link: checks the configuration and starts the task that holds the connection. Returns before it is connected.
///
/// Must be called within a Tokio runtime. Dropping [`LinkEvents`] ends the link without a DISCONNECT, so that the broker
/// publishes the will.
///
/// # Errors
/// [`LinkError`] when TLS files are missing or wrong, or the options are invalid; never because the broker is away.
pub fn open(config: LinkConfig) -> Result<(LinkHandle, LinkEvents), LinkError> {
    connection::options(&config)?;
    Ok(begin(config, None))
}

/// As [`open`], but nothing is tried and no file is read before `ready` ends: for a program that gets the files later. What is
/// wrong with them then is the reason of a [`LinkEvent::Disconnected`].
pub fn open_after(config: LinkConfig, ready: impl Future<Output = ()> + Send + 'static) -> (LinkHandle, LinkEvents) {
    begin(config, Some(Box::pin(ready)))
}

fn begin(config: LinkConfig, ready: Option<Ready>) -> (LinkHandle, LinkEvents) {
    let (queue, queued) = mpsc::unbounded_channel();
    let (commands, commands_received) = mpsc::channel(COMMANDS_MAX);
    let (current, client) = watch::channel(None);
    let unread = Arc::new(AtomicUsize::new(0));
    let connection = Connection { config, queue, commands: commands_received, current, unread: Arc::clone(&unread) };
    tokio::spawn(connection.run(ready));
    (LinkHandle { client, commands }, LinkEvents { queued, unread })
}

/// The publishing end. Cheap to clone; dropping it changes nothing.
#[derive(Debug, Clone)]
pub struct LinkHandle {
    client: watch::Receiver<Option<AsyncClient>>,
    commands: mpsc::Sender<Command>,
}

impl LinkHandle {
    /// Publishes with QoS 1 and waits until the broker has acknowledged.
    ///
    /// Fails at once when there is no connection: the caller decides whether it is still to be published later.
    ///
    /// # Errors
    /// [`LinkError::NotConnected`], [`LinkError::SessionLost`], [`LinkError::AckTimeout`], [`LinkError::Refused`],
    /// [`LinkError::Topic`], [`LinkError::TooLarge`] or [`LinkError::Closed`].
    pub async fn publish(&self, publication: Publication) -> Result<(), LinkError> {
        let found = publication.topic.len() + publication.payload.len();
        if found + HEADER_BYTES_MAX > crate::PACKET_BYTES_MAX as usize {
            return Err(LinkError::TooLarge { found });
        }
        if self.commands.is_closed() {
            return Err(LinkError::Closed);
        }
        let client = self.client.borrow().clone().ok_or(LinkError::NotConnected)?;
        let acknowledged = acknowledged(client, publication);
        if let Ok(result) = tokio::time::timeout(Duration::from_secs(ACK_SECONDS_MAX), acknowledged).await {
            return result;
        }
        self.renew("the broker acknowledges nothing");
        Err(LinkError::AckTimeout(ACK_SECONDS_MAX))
    }

    /// Whether publications can go through at this moment.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.client.borrow().is_some()
    }

    /// Throws the connection away and makes a new one, with the subscriptions: for a caller who sees that the old one does not work.
    pub fn renew(&self, reason: &'static str) {
        // A full queue means that others have asked already.
        let _ = self.commands.try_send(Command::Replace { reason });
    }

    /// Sends DISCONNECT (the will is not published) and ends the link for every clone of this handle.
    pub async fn close(self) {
        let (done, closed) = oneshot::channel();
        if self.commands.send(Command::Close { done }).await.is_ok() {
            // An error means that the task ended by itself, which is what was asked for.
            let _ = closed.await;
        }
    }
}

/// Fixed header, lengths, packet id and properties of a PUBLISH packet: 5 + 2 + 2 + 1, generously rounded.
const HEADER_BYTES_MAX: usize = 64;

async fn acknowledged(client: AsyncClient, publication: Publication) -> Result<(), LinkError> {
    let Publication { topic, payload, retain } = publication;
    let options = PublishOptions::new(QoS::AtLeastOnce).retain(retain);
    let notice = client.publish_tracked(topic.clone(), payload, options).await.map_err(|error| match error {
        ClientError::InvalidRequest(_) => LinkError::Topic(topic),
        _ => LinkError::SessionLost,
    })?;
    notice.wait_completion_async().await.map_err(|error| match error {
        PublishNoticeError::V5PubAck(reason) => LinkError::Refused(format!("{reason:?}")),
        PublishNoticeError::RetainNotSupported => LinkError::Refused("RetainNotSupported".to_owned()),
        _ => LinkError::SessionLost,
    })
}

/// The receiving end.
#[derive(Debug)]
pub struct LinkEvents {
    queued: mpsc::UnboundedReceiver<Queued>,
    unread: Arc<AtomicUsize>,
}

impl LinkEvents {
    /// The next event; a message is acknowledged to the broker by being taken. `None` after the link was closed.
    ///
    /// Cancel-safe.
    pub async fn next(&mut self) -> Option<LinkEvent> {
        loop {
            let (publish, client) = match self.queued.recv().await? {
                Queued::Event(event) => return Some(event),
                Queued::Message { publish, client } => (publish, client),
            };
            self.unread.fetch_sub(1, Ordering::Relaxed);
            // Fails only when that connection is gone, and with it the need to acknowledge.
            let _ = client.try_ack(&publish);
            let Publish { topic, payload, retain, .. } = publish;
            match String::from_utf8(topic.into()) {
                Ok(topic) => return Some(LinkEvent::Message { topic, payload, retain }),
                Err(_) => tracing::warn!(link.bytes = payload.len(), "message on a topic that is not UTF-8 ignored"),
            }
        }
    }
}
