//! The intake: takes messages off the wire in batches, commits them, and only then says so.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use hearthwatch_link::{LinkEvent, LinkEvents, LinkHandle, Publication};
use hearthwatch_protocol::messages::ReleaseNotice;
use hearthwatch_protocol::{HomeId, Message, ModelVersion, Sequence, Topic, encode};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::batch::{BatchReport, BatchTaker};
use super::contributions::{contributions, say_all};
use super::receipts::{RECEIPTS_WAITING_MAX, Word, send_all};
use crate::clock::Clock;
use crate::event::{Event, LinkDown, LinkUp, StoreFailing, WordUnsent};
use crate::metrics::Metrics;

/// Most messages in one transaction: 256 records of 8 KiB are 2 MiB of write-ahead log, and one disk flush.
pub const BATCH_MESSAGES_MAX: usize = 256;

/// Longest wait between two attempts to store a batch.
const STORE_AGAIN_SECONDS_MAX: u64 = 30;

/// How far each home has been heard, as of the last commit.
pub type Progress = BTreeMap<HomeId, Sequence>;

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

/// The listening end of a connection to the fleet's broker.
#[async_trait]
pub trait Ear: Send + 'static {
    /// The next event, `None` when there will be no more. Must be safe to cancel.
    async fn next(&mut self) -> Option<LinkEvent>;
}

#[async_trait]
impl Ear for LinkEvents {
    async fn next(&mut self) -> Option<LinkEvent> {
        Self::next(self).await
    }
}

/// Takes everything in.
pub struct Intake {
    taker: BatchTaker,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    wire: Arc<dyn Wire>,
    notices: watch::Receiver<Option<ReleaseNotice>>,
    progress: watch::Sender<Progress>,
    /// How often the broker was reached.
    connections: watch::Sender<u64>,
}

impl Intake {
    /// An intake that stores through `taker`, speaks through `wire`, keeps the newest of `notices` retained at the
    /// broker, and says in `progress` how far each home has been heard.
    #[must_use]
    pub fn new(
        taker: BatchTaker,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
        wire: Arc<dyn Wire>,
        notices: watch::Receiver<Option<ReleaseNotice>>,
        progress: watch::Sender<Progress>,
    ) -> Self {
        Self { taker, clock, metrics, wire, notices, progress, connections: watch::Sender::new(0) }
    }

    /// How often the broker was reached, now and from now on.
    #[must_use]
    pub fn connections(&self) -> watch::Receiver<u64> {
        self.connections.subscribe()
    }

    /// Runs until `stop`, or until the ear falls silent. What was taken off the wire by then is stored.
    pub async fn run(self, mut ear: impl Ear, stop: CancellationToken) {
        let (receipts, inbox) = mpsc::channel(RECEIPTS_WAITING_MAX);
        let sender = tokio::spawn(send_all(Arc::clone(&self.wire), inbox, Arc::clone(&self.metrics)));
        let intake = Arc::new(self);
        let announcer = tokio::spawn(Arc::clone(&intake).announce());
        loop {
            let first = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                event = ear.next() => event,
            };
            let Some(first) = first else { break };
            let mut messages = Vec::new();
            intake.sort(first, &mut messages);
            while messages.len() < BATCH_MESSAGES_MAX {
                match ear.next().now_or_never() {
                    Some(Some(event)) => intake.sort(event, &mut messages),
                    Some(None) | None => break,
                }
            }
            if messages.is_empty() {
                continue;
            }
            let Some(report) = intake.store(messages, &stop).await else { break };
            intake.tell(report, &receipts);
        }
        announcer.abort();
        drop(receipts);
        // A panic in there was reported by its own thread.
        let _ = sender.await;
    }

    fn sort(&self, event: LinkEvent, messages: &mut Vec<(String, Bytes)>) {
        match event {
            LinkEvent::Message { topic, payload, .. } => messages.push((topic, payload)),
            LinkEvent::Connected { session_present } => {
                LinkUp { session_present }.emit(&self.metrics);
                self.connections.send_modify(|count| *count += 1);
            }
            LinkEvent::Disconnected { reason } => LinkDown { reason: &reason }.emit(&self.metrics),
        }
    }

    /// Commits a batch, trying again for as long as the store fails: meanwhile nothing more is taken off the wire, so
    /// the broker, and then the homes, keep what comes. `None` if told to stop before it worked.
    async fn store(self: &Arc<Self>, messages: Vec<(String, Bytes)>, stop: &CancellationToken) -> Option<BatchReport> {
        let messages = Arc::new(messages);
        let mut wait = 1;
        loop {
            let (intake, batch) = (Arc::clone(self), Arc::clone(&messages));
            let work = move || intake.taker.take(&batch, intake.clock.now());
            let cause = match tokio::task::spawn_blocking(work).await {
                Ok(Ok(report)) => return Some(report),
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            };
            let again_in = Duration::from_secs(wait);
            StoreFailing { cause: &cause, again_in }.emit(&self.metrics);
            tokio::select! {
                () = stop.cancelled() => return None,
                () = tokio::time::sleep(again_in) => {}
            }
            wait = (wait * 2).min(STORE_AGAIN_SECONDS_MAX);
        }
    }

    fn tell(&self, report: BatchReport, words: &mpsc::Sender<Word>) {
        self.progress.send_modify(|progress| {
            for (home, receipt) in &report.receipts {
                progress.insert(home.clone(), receipt.through);
            }
        });
        let receipts = report.receipts.into_iter().map(|(home, receipt)| Word::Receipt(home, receipt));
        let withdrawn = report.withdrawn.into_iter().map(|(home, receipt)| Word::Withdrawn(home, receipt));
        for word in receipts.chain(withdrawn) {
            if words.try_send(word).is_err() {
                WordUnsent { kind: "receipt", cause: "too many wait for the broker" }.emit(&self.metrics);
            }
        }
    }

    /// Keeps the newest notice retained at the broker: says it when it changes, and again on every new connection. Then,
    /// once for each version, tells the homes what their answers did in it.
    async fn announce(self: Arc<Self>) {
        let mut notices = self.notices.clone();
        let mut connections = self.connections.subscribe();
        let mut credited = None;
        loop {
            tokio::select! {
                changed = notices.changed() => if changed.is_err() { return },
                changed = connections.changed() => if changed.is_err() { return },
            }
            if *connections.borrow_and_update() == 0 {
                continue;
            }
            let notice = notices.borrow_and_update().clone();
            let Some(notice) = notice else { continue };
            let version = notice.model_version;
            let result = match encode(&Message::Release(notice)) {
                Ok(payload) => self.wire.publish(&Topic::Release, payload).await.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            if let Err(cause) = result {
                // The next connection brings the next attempt.
                WordUnsent { kind: "release", cause: &cause }.emit(&self.metrics);
            } else if credited != Some(version) {
                credited = Some(version);
                self.credit(version).await;
            }
        }
    }

    async fn credit(&self, version: ModelVersion) {
        let store = self.taker.store();
        let found = crate::store::blocking(&store, move |store| contributions(store, version)).await;
        match found {
            Ok(said) => say_all(&self.wire, said, &self.metrics).await,
            Err(error) => {
                let cause = error.to_string();
                WordUnsent { kind: "contribution", cause: &cause }.emit(&self.metrics);
            }
        }
    }
}

#[cfg(test)]
mod tests;
