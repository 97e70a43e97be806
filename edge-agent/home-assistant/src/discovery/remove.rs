//! Takes the device out of Home Assistant: every retained message of ours on the home's broker is emptied, the discovery
//! document first, so that the entities vanish at once and nothing of them comes back.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use hearthwatch_link::{LinkConfig, LinkError, LinkEvent, Publication};

use super::Device;
use super::stale::Published;
use crate::config::HomeMqttConfig;

/// Why something of ours may still be on the broker.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// The broker's CA file, or what the broker answered.
    #[error("the home's broker: {0}")]
    Link(#[from] LinkError),
    /// The broker could not be reached in time.
    #[error("the home's broker did not answer within {} s ({reason})", patience.as_secs())]
    Away {
        /// How long the attempt lasted.
        patience: Duration,
        /// The newest reason of the link, in one line.
        reason: String,
    },
}

/// Empties every topic of ours, also of an earlier run under another name (`note`). Returns how many there were.
///
/// # Errors
/// [`RemoveError`]; then it may be tried again.
pub async fn remove(
    config: &HomeMqttConfig,
    device: &Device,
    note: &Path,
    patience: Duration,
) -> Result<usize, RemoveError> {
    let mut topics = Published::topics(device);
    if let Some(before) = Published::read(note) {
        topics.extend(before.orphaned_by(&Published::of(device)));
    }
    let link_config =
        LinkConfig { will: None, subscriptions: Vec::new(), ..super::service::link_config(config, device) };
    let (link, mut events) = hearthwatch_link::open(link_config)?;
    let mut last_reason = String::from("no answer");
    let connected = async {
        loop {
            match events.next().await {
                Some(LinkEvent::Connected { .. }) => return true,
                Some(LinkEvent::Disconnected { reason }) => last_reason = reason,
                Some(LinkEvent::Message { .. }) => {}
                None => return false,
            }
        }
    };
    let connected = tokio::time::timeout(patience, connected).await.unwrap_or(false);
    let mut emptied = BTreeSet::new();
    let mut outcome = if connected { Ok(()) } else { Err(RemoveError::Away { patience, reason: last_reason }) };
    for topic in topics.into_iter().filter(|_| connected) {
        let publication = Publication { topic: topic.clone(), payload: Vec::new(), retain: true };
        if let Err(error) = link.publish(publication).await {
            outcome = Err(error.into());
            break;
        }
        emptied.insert(topic);
    }
    link.close().await;
    outcome.map(|()| emptied.len())
}
