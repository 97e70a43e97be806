//! The uplink's IO: one task that owns the link, the session and the way to the outbox.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hearthwatch_edge_store::outbox::{Admission, Numbered, Outbox, OutboxError, SharingLevel};
use hearthwatch_link::{LinkError, LinkEvent, LinkEvents, LinkHandle, Publication};
use hearthwatch_protocol::assignment::SignedAssignment;
use hearthwatch_protocol::manifest::SignedManifest;
use hearthwatch_protocol::messages::{AgentStatus, Announcement, FeedbackRecord, ReleaseNotice, UpdateOutcome};
use hearthwatch_protocol::{HomeId, Message, Sequence, Topic, decode, encode};
use hearthwatch_supervision::Progress;
use rand::rngs::SmallRng;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::uplink::rounds::{Cursor, RoundChannels, TaskChannels};
use crate::uplink::session::{Next, Sent, Session};

/// The outbox as the detector service and the uplink share it.
pub type SharedOutbox = Arc<Mutex<Outbox>>;

/// Unix seconds; the homes of the demonstration have a time of their own.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Wraps an outbox so that several tasks can use it, one at a time.
#[must_use]
pub fn share(outbox: Outbox) -> SharedOutbox {
    Arc::new(Mutex::new(outbox))
}

/// Why the uplink cannot start, or an answer was not kept.
#[derive(Debug, thiserror::Error)]
pub enum UplinkError {
    /// The link cannot be opened with its configuration: a file is missing or wrong.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The outbox cannot be read or written.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The status is not a valid message.
    #[error(transparent)]
    Status(#[from] hearthwatch_protocol::EncodeError),
    /// The runtime is shutting down; nothing was done.
    #[error("the agent is stopping")]
    Stopping,
}

/// The connection to the fleet's broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UplinkState {
    /// No attempt has ended yet.
    Connecting,
    /// The broker accepted the connection.
    Connected,
    /// It does not; why, in one line. Records wait.
    Away(String),
}

/// The uplink as the rest of the agent sees it.
#[derive(Clone)]
pub struct UplinkHandle {
    pub(super) outbox: SharedOutbox,
    pub(super) wake: Arc<Notify>,
    pub(super) state: watch::Receiver<UplinkState>,
    pub(super) release: watch::Receiver<Option<ReleaseNotice>>,
    pub(super) assignment: watch::Receiver<Option<SignedAssignment>>,
    pub(super) manifest: watch::Sender<Option<SignedManifest>>,
    pub(super) settled: watch::Receiver<u64>,
    pub(super) rounds: RoundChannels,
    /// What leaves the home, as chosen last.
    pub(super) sharing: watch::Sender<SharingLevel>,
    pub(super) home: HomeId,
    /// The link of the uplink's present life.
    pub(super) link: Arc<Mutex<LinkHandle>>,
    pub(super) backlog: Arc<Progress>,
    pub(super) stop: CancellationToken,
    pub(super) ended: CancellationToken,
}

impl fmt::Debug for UplinkHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UplinkHandle").field("state", &*self.state.borrow()).finish_non_exhaustive()
    }
}

impl UplinkHandle {
    /// Keeps an answer for the cloud; on `Ok` it is on disk (or dropped; see [`Admission`]).
    ///
    /// # Errors
    /// [`UplinkError::Outbox`], for example when the outbox is full; [`UplinkError::Stopping`].
    pub async fn push(&self, record: FeedbackRecord) -> Result<Admission, UplinkError> {
        let admission = with(&self.outbox, move |outbox| outbox.push(record)).await?;
        self.wake.notify_one();
        Ok(admission)
    }

    /// Keeps the announcement of an alarm for the cloud, as [`UplinkHandle::push`] does an answer.
    ///
    /// # Errors
    /// As [`UplinkHandle::push`].
    pub async fn announce(&self, announcement: Announcement) -> Result<Admission, UplinkError> {
        let admission = with(&self.outbox, move |outbox| outbox.announce(announcement)).await?;
        self.wake.notify_one();
        Ok(admission)
    }

    /// Keeps an update's outcome until the broker has it.
    ///
    /// # Errors
    /// As [`UplinkHandle::push`].
    pub async fn report(&self, outcome: UpdateOutcome) -> Result<(), UplinkError> {
        with(&self.outbox, move |outbox| outbox.push_outcome(outcome)).await?;
        self.wake.notify_one();
        Ok(())
    }

    /// Who this home is to the fleet.
    #[must_use]
    pub fn home(&self) -> &HomeId {
        &self.home
    }

    /// Counts the withdrawals that were confirmed since the start.
    #[must_use]
    pub fn confirmed_withdrawals(&self) -> watch::Receiver<u64> {
        self.settled.clone()
    }

    /// Does something with the outbox, on a thread that may wait for the disk, and then looks whether there is more or
    /// less to send.
    ///
    /// # Errors
    /// [`UplinkError::Outbox`], [`UplinkError::Stopping`].
    pub async fn with_outbox<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Outbox) -> Result<T, OutboxError> + Send + 'static,
    ) -> Result<T, UplinkError> {
        let done = with(&self.outbox, work).await?;
        self.wake.notify_one();
        Ok(done)
    }

    /// Takes the resident's choice of what leaves the home.
    ///
    /// # Errors
    /// [`UplinkError::Outbox`], [`UplinkError::Stopping`].
    pub async fn choose_sharing(&self, level: SharingLevel) -> Result<(), UplinkError> {
        let sharing = self.sharing.clone();
        // Both in the work itself, which ends also where nobody waits for it: rounds must not go on at a level that was left.
        self.with_outbox(move |outbox| {
            outbox.choose_sharing(level)?;
            sharing.send_replace(level);
            Ok(())
        })
        .await
    }

    /// What leaves the home, now and later.
    #[must_use]
    pub fn sharing(&self) -> watch::Receiver<SharingLevel> {
        self.sharing.subscribe()
    }

    /// How the uplink stands, now and later.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<UplinkState> {
        self.state.clone()
    }

    /// The newest release notice. Nothing in it is trusted: it only wakes the updater.
    #[must_use]
    pub fn release(&self) -> watch::Receiver<Option<ReleaseNotice>> {
        self.release.clone()
    }

    /// The newest assignment as it came. Nothing in it is trusted: the updater verifies it.
    #[must_use]
    pub fn assignment(&self) -> watch::Receiver<Option<SignedAssignment>> {
        self.assignment.clone()
    }

    /// Publishes the manifest (retained), now and on each connection, until the next one.
    pub fn declare(&self, manifest: SignedManifest) {
        self.manifest.send_replace(Some(manifest));
    }

    /// Connects anew: key and certificate are read again.
    pub fn reconnect(&self, reason: &'static str) {
        self.link.lock().unwrap_or_else(PoisonError::into_inner).renew(reason);
    }

    /// For how long something has waited without the fleet having taken anything; none while nothing waits.
    #[must_use]
    pub fn backlog(&self) -> Option<Duration> {
        self.backlog.since_last()
    }

    /// Cancelled to make the uplink go offline, as [`UplinkHandle::stop`] does.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Says that the agent goes offline, and waits until the uplink has ended.
    pub async fn stop(self) {
        self.stop.cancel();
        self.ended.cancelled().await;
    }
}

pub(super) struct Task {
    pub(super) home: HomeId,
    pub(super) link: LinkHandle,
    pub(super) clock: Clock,
    pub(super) outbox: SharedOutbox,
    pub(super) session: Session,
    pub(super) payloads: BTreeMap<Sequence, Vec<u8>>,
    pub(super) rng: SmallRng,
    pub(super) started: Instant,
    pub(super) state: watch::Sender<UplinkState>,
    pub(super) release: watch::Sender<Option<ReleaseNotice>>,
    pub(super) assignment: watch::Sender<Option<SignedAssignment>>,
    pub(super) manifest: watch::Receiver<Option<SignedManifest>>,
    pub(super) rounds: TaskChannels,
    /// Which part of a round's answer goes next.
    pub(super) cursor: Cursor,
    /// Withdrawals that were confirmed since the start.
    pub(super) settled: watch::Sender<u64>,
    /// When the fleet took something last; rests while nothing waits.
    pub(super) backlog: Arc<Progress>,
}

/// How long the task rests when only an event can give it work; any event wakes it earlier.
const REST: Duration = Duration::from_secs(3_600);

/// Time for the last publication, of the five seconds that a stopping agent has; the link takes two more.
const FAREWELL: Duration = Duration::from_secs(2);

impl Task {
    pub(super) async fn run(
        mut self,
        mut events: LinkEvents,
        mut status: watch::Receiver<AgentStatus>,
        wake: Arc<Notify>,
        stop: CancellationToken,
    ) {
        self.take_delivery();
        loop {
            let rest = match self.session.next(self.now()) {
                Next::Number | Next::Send(_) | Next::Renew => Duration::ZERO,
                Next::Wait(until) => until.saturating_sub(self.now()),
                Next::Idle => REST,
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                event = events.next() => match event {
                    Some(event) => self.on_event(event, &status).await,
                    None => break,
                },
                Ok(()) = status.changed() => self.publish_newest_status(&status).await,
                Ok(()) = self.manifest.changed() => {
                    self.publish_manifest().await;
                    // Once a day, then, everything that no receipt covers: a broker may have lost what it acknowledged.
                    self.publish_newest_status(&status).await;
                    self.publish_outcomes(true).await;
                }
                () = wake.notified() => {
                    self.take_stock().await;
                    self.publish_outcomes(false).await;
                    self.publish_withdrawals().await;
                }
                Ok(()) = self.rounds.offer.changed() => self.publish_offer().await,
                Ok(()) = self.rounds.delivery.changed() => self.take_delivery(),
                // Parts of a round come last: a round has days.
                () = std::future::ready(()), if rest > Duration::ZERO && self.has_part() => self.publish_part().await,
                () = tokio::time::sleep(rest) => self.step().await,
            }
        }
        let offline = AgentStatus { online: false, ..status.borrow().clone() };
        // Where the broker does not answer, it publishes the will instead.
        let _ = tokio::time::timeout(FAREWELL, self.publish_status(offline)).await;
        self.link.close().await;
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    async fn on_event(&mut self, event: LinkEvent, status: &watch::Receiver<AgentStatus>) {
        match event {
            LinkEvent::Connected { .. } => {
                tracing::info!(home.id = %self.home, "connected to the fleet");
                self.state.send_replace(UplinkState::Connected);
                self.publish_newest_status(status).await;
                self.publish_manifest().await;
                self.publish_offer().await;
                self.publish_outcomes(true).await;
                self.publish_withdrawals().await;
                self.session.connected(self.now());
                self.cursor.connected();
            }
            LinkEvent::Disconnected { reason } => {
                tracing::warn!(home.id = %self.home, uplink.reason = %reason, "no connection to the fleet; answers wait on disk");
                self.session.disconnected();
                self.state.send_replace(UplinkState::Away(reason));
            }
            LinkEvent::Message { topic, payload, .. } => self.on_message(&topic, &payload).await,
        }
    }

    async fn on_message(&mut self, topic: &str, payload: &[u8]) {
        match (Topic::parse(topic), decode(payload)) {
            (Ok(Topic::Receipt(home)), Ok(Message::Receipt(receipt))) if home == self.home => {
                let at = (self.clock)();
                let settled =
                    with(&self.outbox, move |outbox| Ok((outbox.settle(&receipt, at)?, outbox.numbered()?))).await;
                match settled {
                    Ok((settled, left)) => {
                        tracing::debug!(home.id = %self.home, outbox.settled = ?settled, "receipt");
                        if settled.refused > 0 || settled.renumbered > 0 {
                            tracing::warn!(home.id = %self.home, outbox.refused = settled.refused,
                                outbox.renumbered = settled.renumbered, "the aggregator did not take some answers");
                        }
                        self.payloads = left.into_iter().map(|record| (record.sequence, record.payload)).collect();
                        let now = self.now();
                        self.session.settled(self.payloads.keys().copied(), now);
                        self.note_backlog(true).await;
                    }
                    Err(error) => tracing::error!(home.id = %self.home, %error, "receipt not settled"),
                }
            }
            (Ok(Topic::Assignment(home)), Ok(Message::Assignment(signed))) if home == self.home => {
                self.assignment.send_replace(Some(signed));
            }
            (Ok(Topic::RoundPlan(home)), Ok(Message::RoundPlan(signed))) if home == self.home => {
                self.rounds.plan.send_replace(Some(signed));
            }
            (Ok(Topic::RoundReceipt(home)), Ok(Message::RoundReceipt(receipt))) if home == self.home => {
                self.rounds.receipt.send_replace(Some(receipt));
            }
            (Ok(Topic::RoundRequest(home)), Ok(Message::RoundRequest(request))) if home == self.home => {
                self.rounds.request.send_replace(Some(request));
            }
            (Ok(Topic::Withdrawn(home)), Ok(Message::WithdrawalReceipt(receipt))) if home == self.home => {
                tracing::info!(home.id = %self.home, withdrawal.id = receipt.id, records.removed = receipt.removed,
                    "what was taken back is gone");
                if let Err(error) = with(&self.outbox, move |outbox| outbox.withdrawal_done(&receipt)).await {
                    tracing::error!(home.id = %self.home, %error, "the receipt of a withdrawal is not kept");
                }
                self.settled.send_modify(|count| *count += 1);
            }
            (Ok(Topic::Contribution(home)), Ok(Message::Contribution(contribution))) if home == self.home => {
                if let Err(error) = with(&self.outbox, move |outbox| outbox.credit(&contribution)).await {
                    tracing::error!(home.id = %self.home, %error, "what answers did is not kept");
                }
            }
            (Ok(Topic::Release), Ok(Message::Release(notice))) => drop(self.release.send_replace(Some(notice))),
            (_, Err(error)) => tracing::warn!(home.id = %self.home, message.topic = topic, %error, "message refused"),
            (_, Ok(message)) => {
                let kind = message.kind();
                tracing::warn!(home.id = %self.home, message.topic = topic, message.kind = kind, "message on a wrong topic refused");
            }
        }
    }

    /// One step of the session: number a record, or send one.
    async fn step(&mut self) {
        match self.session.next(self.now()) {
            Next::Number => match with(&self.outbox, Outbox::number_next).await {
                Ok(Some(Numbered { sequence, payload })) => {
                    self.payloads.insert(sequence, payload);
                    self.session.numbered(Some(sequence), self.now());
                }
                Ok(None) => self.session.numbered(None, self.now()),
                Err(error) => {
                    tracing::error!(home.id = %self.home, %error, "cannot take an answer from the outbox");
                    // Not asked again before something new is pushed or the link returns.
                    self.session.numbered(None, self.now());
                }
            },
            Next::Send(sequence) => {
                let payload = self.payloads.get(&sequence).cloned().unwrap_or_default();
                let topic = Topic::Feedback(self.home.clone()).to_string();
                let sent = match self.link.publish(Publication { topic, payload, retain: false }).await {
                    Ok(()) => Sent::Acknowledged,
                    Err(LinkError::Refused(reason)) => {
                        tracing::warn!(home.id = %self.home, record.sequence = sequence.0, reason, "the broker refuses an answer");
                        Sent::Refused
                    }
                    Err(_) => Sent::Lost,
                };
                let now = self.now();
                self.session.sent(sequence, sent, now, &mut self.rng);
            }
            Next::Renew => {
                tracing::warn!(home.id = %self.home, "the broker takes answers and no receipt comes: connecting anew");
                self.session.disconnected();
                self.link.renew("no receipts");
            }
            Next::Wait(_) | Next::Idle => {}
        }
    }

    async fn publish_newest_status(&self, status: &watch::Receiver<AgentStatus>) {
        let online = status.borrow().clone();
        self.publish_status(online).await;
    }

    async fn publish_manifest(&mut self) {
        let Some(manifest) = self.manifest.borrow_and_update().clone() else { return };
        match encode(&Message::Manifest(manifest)) {
            Ok(payload) => {
                let topic = Topic::Manifest(self.home.clone()).to_string();
                self.publish(Publication { topic, payload, retain: true }).await;
            }
            Err(error) => tracing::error!(home.id = %self.home, %error, "manifest not said"),
        }
    }

    async fn publish_status(&self, status: AgentStatus) {
        let waiting = with(&self.outbox, |outbox| outbox.waiting()).await.unwrap_or(status.outbox);
        let status = AgentStatus { outbox: waiting, ..status };
        match status_publication(&self.home, status) {
            Ok(publication) => {
                self.publish(publication).await;
            }
            Err(error) => tracing::error!(home.id = %self.home, %error, "status not said"),
        }
    }

    /// Looks at the outbox again: there may be more to send, or less.
    async fn take_stock(&mut self) {
        match with(&self.outbox, |outbox| outbox.numbered()).await {
            Ok(left) => {
                self.payloads = left.into_iter().map(|record| (record.sequence, record.payload)).collect();
                self.session.restock(self.payloads.keys().copied());
            }
            Err(error) => tracing::error!(home.id = %self.home, %error, "the outbox is not read"),
        }
        self.session.queued();
        self.note_backlog(false).await;
    }

    /// Notes whether something waits, and whether the fleet has just taken something.
    pub(super) async fn note_backlog(&self, taken: bool) {
        match with(&self.outbox, |outbox| outbox.waiting()).await {
            Ok(0) => self.backlog.rest(),
            Ok(_) if taken || self.backlog.since_last().is_none() => self.backlog.advance(),
            Ok(_) => {}
            Err(error) => tracing::error!(home.id = %self.home, %error, "the outbox is not read"),
        }
    }

    /// Publishes the withdrawals that no receipt confirms yet.
    async fn publish_withdrawals(&self) {
        match with(&self.outbox, |outbox| outbox.unconfirmed_withdrawals()).await {
            Ok(withdrawals) => {
                for withdrawal in withdrawals {
                    let topic = Topic::Withdrawal(self.home.clone()).to_string();
                    if !self.publish(Publication { topic, payload: withdrawal.payload, retain: false }).await {
                        return;
                    }
                }
            }
            Err(error) => tracing::error!(home.id = %self.home, %error, "withdrawals not read"),
        }
    }

    async fn publish_outcomes(&self, again: bool) {
        let outcomes = match with(&self.outbox, move |outbox| outbox.outcomes(again)).await {
            Ok(outcomes) => outcomes,
            Err(error) => {
                tracing::error!(home.id = %self.home, %error, "outcomes not read");
                return;
            }
        };
        for (id, payload) in outcomes {
            let topic = Topic::Outcome(self.home.clone()).to_string();
            if !self.publish(Publication { topic, payload, retain: false }).await {
                return;
            }
            if let Err(error) = with(&self.outbox, move |outbox| outbox.outcome_published(id)).await {
                tracing::error!(home.id = %self.home, %error, "outcome said but not noted");
            }
        }
    }

    /// Whether the broker took it. What it did not take is published again on the next connection.
    pub(super) async fn publish(&self, publication: Publication) -> bool {
        let topic = publication.topic.clone();
        match self.link.publish(publication).await {
            Ok(()) => true,
            Err(LinkError::NotConnected) => false,
            Err(error) => {
                tracing::warn!(home.id = %self.home, message.topic = topic, %error, "not said");
                false
            }
        }
    }
}

pub(super) fn status_publication(
    home: &HomeId,
    status: AgentStatus,
) -> Result<Publication, hearthwatch_protocol::EncodeError> {
    let topic = Topic::Status(home.clone()).to_string();
    Ok(Publication { topic, payload: encode(&Message::Status(status))?, retain: true })
}

pub(super) fn lock(outbox: &SharedOutbox) -> std::sync::MutexGuard<'_, Outbox> {
    // A panic while holding the lock leaves at most an open transaction, which SQLite rolls back.
    outbox.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a short piece of disk work off the async threads.
pub(super) async fn with<T: Send + 'static>(
    outbox: &SharedOutbox,
    work: impl FnOnce(&mut Outbox) -> Result<T, OutboxError> + Send + 'static,
) -> Result<T, UplinkError> {
    let outbox = Arc::clone(outbox);
    let done = tokio::task::spawn_blocking(move || work(&mut lock(&outbox))).await;
    Ok(done.map_err(|_| UplinkError::Stopping)??)
}
