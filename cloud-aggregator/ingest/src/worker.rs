//! The intake: takes messages off the wire as they come, and commits them in batches that are fair to every home, and only then
//! says so.
//!
//! Taking is never held up by storing, as long as there is room: a broker that is not read drops what it cannot keep, whoever said
//! it. What a home sends beyond its quota goes no further than here.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt;
use hearthwatch_link::{LinkEvent, LinkEvents};
use hearthwatch_protocol::messages::ReleaseNotice;
use hearthwatch_protocol::{HomeId, Message, ModelVersion, Sequence, Topic, encode};
use hearthwatch_store::clock::Clock;
use hearthwatch_supervision::panic_text;
use hearthwatch_telemetry::event::Event;
use hearthwatch_telemetry::metrics::Metrics;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::batch::{BatchReport, BatchTaker};
use super::contributions::{contributions, publish_all};
use super::health::IntakeHealth;
use super::limiter::{Limiter, Limits, Traffic, Verdict};
use super::publisher::MessagePublisher;
use super::queue::{FairQueue, Queued, Waiting};
use super::receipts::{OutboundMessage, RECEIPTS_WAITING_MAX, send_all};
use super::storing::{STORE_AGAIN_FIRST, Storing};
use crate::event::{LinkDown, LinkUp, MessageUnsent, QueueFull, QuotaExceeded};

/// Events taken off the wire before looking again whether a batch can be begun: twice what a broker sends unacknowledged.
const EVENTS_AT_ONCE: usize = 512;

/// The last sequence number stored of each home, as of the last commit.
pub type Progress = BTreeMap<HomeId, Sequence>;

/// Receives messages of homes.
#[async_trait]
pub trait MessageSubscriber: Send + 'static {
    /// The next event, `None` when there will be no more. Must be safe to cancel.
    async fn next(&mut self) -> Option<LinkEvent>;
}

#[async_trait]
impl MessageSubscriber for LinkEvents {
    async fn next(&mut self) -> Option<LinkEvent> {
        Self::next(self).await
    }
}

/// The part that takes in what homes send: from the broker's messages to stored batches and receipts.
pub struct Intake {
    taker: Arc<BatchTaker>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    publisher: Arc<dyn MessagePublisher>,
    notices: watch::Receiver<Option<ReleaseNotice>>,
    progress: watch::Sender<Progress>,
    /// How often the broker was reached.
    connections: watch::Sender<u64>,
    health: watch::Sender<IntakeHealth>,
}

/// A batch that is being stored.
type InHand = Pin<Box<dyn Future<Output = Option<Vec<BatchReport>>> + Send>>;

impl Intake {
    /// An intake that stores through `taker`, speaks through `publisher`, keeps the newest of `notices` retained at the
    /// broker, and says in `progress` how far each home has been heard.
    #[must_use]
    pub fn new(
        taker: BatchTaker,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
        publisher: Arc<dyn MessagePublisher>,
        notices: watch::Receiver<Option<ReleaseNotice>>,
        progress: watch::Sender<Progress>,
    ) -> Self {
        let (connections, health) = (watch::Sender::new(0), watch::Sender::default());
        Self { taker: Arc::new(taker), clock, metrics, publisher, notices, progress, connections, health }
    }

    /// How often the broker was reached, now and from now on.
    #[must_use]
    pub fn connections(&self) -> watch::Receiver<u64> {
        self.connections.subscribe()
    }

    /// How storing goes, now and from now on. The sender is gone when the intake has ended.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<IntakeHealth> {
        self.health.subscribe()
    }

    /// Runs until `stop`, or until the subscriber has no more. What was received by then is stored.
    ///
    /// # Errors
    /// [`IntakeError`] when it ends before `stop`.
    pub async fn run(self, mut subscriber: impl MessageSubscriber, stop: CancellationToken) -> Result<(), IntakeError> {
        let (receipts, inbox) = mpsc::channel(RECEIPTS_WAITING_MAX);
        let (fault, mut faults) = mpsc::channel(1);
        let send = send_all(Arc::clone(&self.publisher), inbox, Arc::clone(&self.metrics));
        let sender = tokio::spawn(watched("receipts", send, fault.clone()));
        let intake = Arc::new(self);
        let announcer = tokio::spawn(watched("announcements", Arc::clone(&intake).announce(), fault));
        let mut ended = Ok(());
        let mut inbound = Inbound::new(&intake);
        let mut in_hand: Option<InHand> = None;
        let mut listening = true;
        loop {
            if in_hand.is_none() && !inbound.queue.is_empty() {
                let batch = inbound.queue.batch();
                let backlog = inbound.queue.len() + batch.len();
                intake.health.send_modify(|health| health.began(Instant::now(), backlog));
                in_hand = Some(Box::pin(intake.storing().store(batch, stop.clone())));
            }
            if in_hand.is_none() && !listening {
                break;
            }
            tokio::select! {
                biased;
                () = stop.cancelled(), if listening => listening = false,
                reports = wait_for(&mut in_hand) => {
                    in_hand = None;
                    intake.health.send_modify(|health| health.ended(inbound.queue.len()));
                    // Told to stop while the store failed: homes say again what was not receipted.
                    let Some(reports) = reports else { break };
                    reports.into_iter().for_each(|report| intake.tell(report, &receipts));
                }
                Some(fault) = faults.recv(), if listening => {
                    (listening, ended) = (false, Err(fault));
                }
                event = subscriber.next(), if listening && inbound.queue.takes_more() => match event {
                    None => (listening, ended) = (false, Err(IntakeError::Silent)),
                    Some(event) => {
                        inbound.take(event);
                        for _ in 0..EVENTS_AT_ONCE {
                            if !inbound.queue.takes_more() {
                                break;
                            }
                            match subscriber.next().now_or_never() {
                                Some(Some(event)) => inbound.take(event),
                                Some(None) | None => break,
                            }
                        }
                    }
                },
            }
        }
        announcer.abort();
        drop(receipts);
        // What it panicked with is in `faults`.
        let _ = sender.await;
        if stop.is_cancelled() { Ok(()) } else { ended }
    }

    fn storing(&self) -> Storing {
        Storing {
            taker: Arc::<BatchTaker>::clone(&self.taker),
            clock: Arc::clone(&self.clock),
            metrics: Arc::clone(&self.metrics),
            health: self.health.clone(),
            first_wait: STORE_AGAIN_FIRST,
        }
    }

    fn tell(&self, report: BatchReport, words: &mpsc::Sender<OutboundMessage>) {
        self.progress.send_modify(|progress| {
            for (home, receipt) in &report.receipts {
                progress.insert(home.clone(), receipt.through);
            }
        });
        let receipts = report.receipts.into_iter().map(|(home, receipt)| OutboundMessage::Receipt(home, receipt));
        let withdrawn = report.withdrawn.into_iter().map(|(home, receipt)| OutboundMessage::Withdrawn(home, receipt));
        let rounds = report.rounds.into_iter().map(|(home, receipt)| OutboundMessage::Round(home, receipt));
        for word in receipts.chain(withdrawn).chain(rounds) {
            if words.try_send(word).is_err() {
                MessageUnsent { kind: "receipt", cause: "too many wait for the broker" }.emit(&self.metrics);
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
                Ok(payload) => {
                    self.publisher.publish(&Topic::Release, payload).await.map_err(|error| error.to_string())
                }
                Err(error) => Err(error.to_string()),
            };
            if let Err(cause) = result {
                // The next connection brings the next attempt.
                MessageUnsent { kind: "release", cause: &cause }.emit(&self.metrics);
            } else if credited != Some(version) {
                credited = Some(version);
                self.credit(version).await;
            }
        }
    }

    async fn credit(&self, version: ModelVersion) {
        let store = self.taker.store();
        let found = hearthwatch_store::blocking(&store, move |store| contributions(store, version)).await;
        match found {
            Ok(said) => publish_all(&self.publisher, said, &self.metrics).await,
            Err(error) => {
                let cause = error.to_string();
                MessageUnsent { kind: "contribution", cause: &cause }.emit(&self.metrics);
            }
        }
    }
}

/// Why the intake ended before it was told to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IntakeError {
    /// The task that holds the connection is gone.
    #[error("the connection to the broker has ended by itself")]
    Silent,
    /// A task of its own is gone.
    #[error("its task for {task} panicked: {cause}")]
    Task {
        /// What the task sent: `receipts` or `announcements`.
        task: &'static str,
        /// The panic's message.
        cause: String,
    },
}

/// Tells of a panic of `work`.
async fn watched(task: &'static str, work: impl Future<Output = ()>, fault: mpsc::Sender<IntakeError>) {
    if let Err(panic) = AssertUnwindSafe(work).catch_unwind().await {
        // Refused when another was told before, or the intake has ended.
        let _ = fault.try_send(IntakeError::Task { task, cause: panic_text(&*panic) });
    }
}

/// The batch in hand, when it is done; never, while nothing is in hand.
async fn wait_for(in_hand: &mut Option<InHand>) -> Option<Vec<BatchReport>> {
    match in_hand {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}

/// What comes off the wire: held against its home's quota, then put in line.
struct Inbound {
    intake: Arc<Intake>,
    limiter: Limiter,
    queue: FairQueue,
    since: Instant,
}

impl Inbound {
    fn new(intake: &Arc<Intake>) -> Self {
        let limiter = Limiter::new(Limits::for_quota(intake.taker.quota()));
        Self { intake: Arc::clone(intake), limiter, queue: FairQueue::default(), since: Instant::now() }
    }

    fn take(&mut self, event: LinkEvent) {
        let metrics = &self.intake.metrics;
        match event {
            LinkEvent::Message { topic, payload, .. } => {
                let (home, traffic) = Traffic::of(&topic);
                let now = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
                let bytes = topic.len().saturating_add(payload.len());
                match self.limiter.weigh(home.as_ref(), traffic, bytes, now) {
                    Verdict::Over { tell } => QuotaExceeded { home: home.as_ref(), traffic, tell }.emit(metrics),
                    Verdict::Pass => {
                        let queued = self.queue.push(home, Waiting { traffic, topic, payload });
                        if let Queued::Dropped { home, traffic } = queued {
                            let tell = self.limiter.dropped(home.as_ref(), now);
                            QueueFull { home: home.as_ref(), traffic, tell }.emit(metrics);
                        }
                    }
                }
            }
            LinkEvent::Connected { session_present } => {
                LinkUp { session_present }.emit(metrics);
                self.intake.connections.send_modify(|count| *count += 1);
            }
            LinkEvent::Disconnected { reason } => LinkDown { reason: &reason }.emit(metrics),
        }
    }
}

#[cfg(test)]
mod tests;
