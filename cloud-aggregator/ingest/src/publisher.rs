//! Publishes to the fleet's broker; a trait, so that tests have a broker of their own.

use async_trait::async_trait;
use hearthwatch_link::{LinkHandle, Publication};
use hearthwatch_protocol::Topic;

/// Why something did not reach the broker.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct PublishError(pub String);

/// Publishes messages to homes.
#[async_trait]
pub trait MessagePublisher: Send + Sync + 'static {
    /// Publishes on `topic`, retained if the topic is; resolves when the broker has it.
    async fn publish(&self, topic: &Topic, payload: Vec<u8>) -> Result<(), PublishError>;
}

#[async_trait]
impl MessagePublisher for LinkHandle {
    async fn publish(&self, topic: &Topic, payload: Vec<u8>) -> Result<(), PublishError> {
        let publication = Publication { topic: topic.to_string(), payload, retain: topic.retained() };
        Self::publish(self, publication).await.map_err(|error| PublishError(error.to_string()))
    }
}
