//! One party at a broker: connects as itself or as somebody it is not, speaks, and listens with a limit on patience.

use std::path::PathBuf;
use std::time::Duration;

use hearthwatch_link::{LinkConfig, LinkError, LinkEvent, LinkEvents, LinkHandle, Publication, TlsFiles};

use crate::stand::Stand;

/// Far longer than anything here takes; reached only when a test fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What was heard: topic, payload, whether it had been retained.
pub type Heard = (String, Vec<u8>, bool);

pub struct Client {
    pub handle: LinkHandle,
    events: LinkEvents,
}

/// Who to be.
pub struct Party {
    pub client_id: String,
    pub cert: Option<(PathBuf, PathBuf)>,
    pub filters: Vec<String>,
    pub will: Option<Publication>,
    /// Filters of earlier days, for a party whose session the broker keeps; none for one that begins anew each time.
    pub former: Option<Vec<String>>,
}

impl Party {
    /// A home as it should be.
    pub fn home(stand: &Stand, name: &str, filters: &[&str]) -> Self {
        let filters = filters.iter().map(|filter| (*filter).to_owned()).collect();
        Self { client_id: name.to_owned(), cert: Some(stand.home(name)), filters, will: None, former: None }
    }

    /// The aggregator as it should be.
    pub fn aggregator(stand: &Stand, filters: &[&str]) -> Self {
        let cert = Some((stand.layout.aggregator_cert(), stand.layout.aggregator_key()));
        let filters = filters.iter().map(|filter| (*filter).to_owned()).collect();
        Self { client_id: "aggregator".to_owned(), cert, filters, will: None, former: None }
    }

    /// Connects and subscribes; the error is the reason that the link tells.
    pub async fn connect(self, stand: &Stand) -> Result<Client, String> {
        let (cert, key) = self.cert.unzip();
        let config = LinkConfig {
            tls: Some(TlsFiles { ca: stand.layout.ca_cert(), cert, key }),
            subscriptions: self.filters,
            will: self.will,
            clean_start: self.former.is_none(),
            forgotten: self.former.unwrap_or_default(),
            ..LinkConfig::new("localhost", stand.port, self.client_id)
        };
        let (handle, mut events) = hearthwatch_link::open(config).unwrap();
        let first = tokio::time::timeout(PATIENCE, events.next()).await.expect("the link says something");
        match first.expect("the link lives") {
            LinkEvent::Connected { .. } => Ok(Client { handle, events }),
            LinkEvent::Disconnected { reason } => Err(reason),
            LinkEvent::Message { topic, .. } => panic!("a message on {topic} before the connection was told"),
        }
    }
}

impl Client {
    pub async fn say(&self, topic: &str, payload: &[u8]) -> Result<(), LinkError> {
        let publication = Publication { topic: topic.to_owned(), payload: payload.to_vec(), retain: false };
        self.handle.publish(publication).await
    }

    pub async fn say_retained(&self, topic: &str, payload: &[u8]) -> Result<(), LinkError> {
        let publication = Publication { topic: topic.to_owned(), payload: payload.to_vec(), retain: true };
        self.handle.publish(publication).await
    }

    /// The next message; a lost connection is a failure.
    pub async fn hear(&mut self) -> Heard {
        match tokio::time::timeout(PATIENCE, self.events.next()).await.expect("a message in time") {
            Some(LinkEvent::Message { topic, payload, retain }) => (topic, payload.to_vec(), retain),
            other => panic!("a message was expected, not {other:?}"),
        }
    }
}
