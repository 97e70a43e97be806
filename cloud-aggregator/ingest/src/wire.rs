//! The speaking end of a connection to the fleet's broker.

use async_trait::async_trait;
use hearthwatch_link::{LinkHandle, Publication};
use hearthwatch_protocol::Topic;

/// Why something did not reach the broker.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct WireError(pub String);

/// The speaking end of a connection to the fleet's broker.
#[async_trait]
pub trait Wire: Send + Sync + 'static {
    /// Publishes on `topic`, retained if the topic is; resolves when the broker has it.
    async fn publish(&self, topic: &Topic, payload: Vec<u8>) -> Result<(), WireError>;
}

#[async_trait]
impl Wire for LinkHandle {
    async fn publish(&self, topic: &Topic, payload: Vec<u8>) -> Result<(), WireError> {
        let publication = Publication { topic: topic.to_string(), payload, retain: topic.retained() };
        Self::publish(self, publication).await.map_err(|error| WireError(error.to_string()))
    }
}
