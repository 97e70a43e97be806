//! How the uplink is started, and started again: what outlives one life of it, and what each life begins with.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::Shared;
use hearthwatch_link::{Backoff, LinkConfig, LinkError, LinkEvents, LinkHandle, open, open_after};
use hearthwatch_protocol::assignment::SignedAssignment;
use hearthwatch_protocol::manifest::SignedManifest;
use hearthwatch_protocol::messages::{AgentStatus, ReleaseNotice};
use hearthwatch_protocol::{HomeId, Topic};
use hearthwatch_supervision::Progress;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::client::{
    Clock, SharedOutbox, Task, UplinkError, UplinkHandle, UplinkState, lock, status_publication, with,
};
use super::rounds::{Cursor, TaskChannels, channels};
use super::session::Session;

/// What [`start`] needs.
pub struct UplinkConfig {
    /// The home's pseudonym: client id, and part of every topic.
    pub home: HomeId,
    /// Where the fleet's broker is; client id, will and subscriptions are set by the uplink.
    pub link: LinkConfig,
    /// Whether a director assigns releases to this home and plans its rounds; brokers of older fleets refuse these topics.
    pub directed: bool,
    /// Patience for a receipt before a record is sent again; [`crate::uplink::RESEND`] but for tests.
    pub resend: Backoff,
    /// The time, for the dates of refusals.
    pub clock: Clock,
    /// Seeds the jitter of resending; anything that differs from home to home.
    pub seed: u64,
}

/// What ends when the home is in its fleet.
type Joined = Shared<Pin<Box<dyn Future<Output = ()> + Send>>>;

/// The uplink's work, for whoever has it [run](Uplink::run): again, where a life of it has ended before its time.
pub struct Uplink {
    home: HomeId,
    link: LinkConfig,
    joined: Option<Joined>,
    /// Opened when the configuration was looked at; the first life takes it.
    opened: Option<(LinkHandle, LinkEvents)>,
    resend: Backoff,
    clock: Clock,
    seed: u64,
    outbox: SharedOutbox,
    status: watch::Receiver<AgentStatus>,
    wake: Arc<Notify>,
    state: watch::Sender<UplinkState>,
    release: watch::Sender<Option<ReleaseNotice>>,
    assignment: watch::Sender<Option<SignedAssignment>>,
    manifest: watch::Receiver<Option<SignedManifest>>,
    rounds: TaskChannels,
    settled: watch::Sender<u64>,
    present: Arc<Mutex<LinkHandle>>,
    backlog: Arc<Progress>,
    stop: CancellationToken,
    /// Tells [`UplinkHandle::stop`] that there will be no further life.
    _ended: DropGuard,
}

/// Starts the uplink's task, without a supervisor. `status` is published (retained) on each connection and whenever it changes; the number of waiting
/// records is filled in. The will is the status of this moment, offline.
///
/// Must be called within a Tokio runtime.
///
/// # Errors
/// [`UplinkError`] when files or configuration are wrong; never because the broker is away.
pub fn start(
    config: UplinkConfig,
    outbox: SharedOutbox,
    status: watch::Receiver<AgentStatus>,
) -> Result<UplinkHandle, UplinkError> {
    let (handle, mut uplink) = prepare(config, outbox, status, None)?;
    tokio::spawn(async move {
        let home = uplink.home.clone();
        if let Err(error) = uplink.run().await {
            tracing::error!(home.id = %home, %error, "the uplink has ended");
        }
    });
    Ok(handle)
}

/// As [`start`], but it does not run yet. With `joined` the fleet is not looked for before that ends, and key and certificate need not
/// be there until then.
///
/// # Errors
/// As [`start`].
pub fn prepare(
    config: UplinkConfig,
    outbox: SharedOutbox,
    status: watch::Receiver<AgentStatus>,
    joined: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
) -> Result<(UplinkHandle, Uplink), UplinkError> {
    let UplinkConfig { home, link, directed, resend, clock, seed } = config;
    let offline = AgentStatus { online: false, ..status.borrow().clone() };
    let (waiting, level) = {
        let mut outbox = lock(&outbox);
        outbox.mend_withdrawals(&home)?;
        (outbox.waiting()?, outbox.sharing()?)
    };
    let will = status_publication(&home, AgentStatus { outbox: waiting, ..offline })?;
    let subscriptions = subscriptions(&home, directed);
    let link = LinkConfig { client_id: home.to_string(), will: Some(will), subscriptions, clean_start: true, ..link };
    let joined = joined.map(FutureExt::shared);
    let opened = open_link(&link, joined.as_ref())?;
    let present = Arc::new(Mutex::new(opened.0.clone()));
    let (state, state_seen) = watch::channel(UplinkState::Connecting);
    let (release, release_seen) = watch::channel(None);
    let (assignment, assignment_seen) = watch::channel(None);
    let (manifest, manifest_seen) = watch::channel(None);
    let (settled, settled_seen) = watch::channel(0);
    let (sharing, sharing_seen) = watch::channel(level);
    let (rounds, round_ends) = channels(sharing_seen);
    let (wake, stop, ended) = (Arc::new(Notify::new()), CancellationToken::new(), CancellationToken::new());
    let backlog = Arc::<Progress>::default();
    let handle = UplinkHandle {
        outbox: Arc::clone(&outbox),
        wake: Arc::clone(&wake),
        state: state_seen,
        release: release_seen,
        assignment: assignment_seen,
        manifest,
        settled: settled_seen,
        rounds: round_ends,
        sharing,
        home: home.clone(),
        link: Arc::clone(&present),
        backlog: Arc::clone(&backlog),
        stop: stop.clone(),
        ended: ended.clone(),
    };
    let uplink = Uplink {
        home,
        link,
        joined,
        opened: Some(opened),
        resend,
        clock,
        seed,
        outbox,
        status,
        wake,
        state,
        release,
        assignment,
        manifest: manifest_seen,
        rounds,
        settled,
        present,
        backlog,
        stop,
        _ended: ended.drop_guard(),
    };
    Ok((handle, uplink))
}

/// What the aggregator sends to this home.
fn subscriptions(home: &HomeId, directed: bool) -> Vec<String> {
    let mut topics = vec![
        Topic::Receipt(home.clone()),
        Topic::Withdrawn(home.clone()),
        Topic::Contribution(home.clone()),
        Topic::Release,
    ];
    if directed {
        topics.extend([
            Topic::Assignment(home.clone()),
            Topic::RoundPlan(home.clone()),
            Topic::RoundReceipt(home.clone()),
            Topic::RoundRequest(home.clone()),
        ]);
    }
    topics.iter().map(Topic::to_string).collect()
}

fn open_link(link: &LinkConfig, joined: Option<&Joined>) -> Result<(LinkHandle, LinkEvents), LinkError> {
    match joined {
        None => open(link.clone()),
        Some(joined) => Ok(open_after(link.clone(), joined.clone())),
    }
}

impl Uplink {
    /// One life, from what the outbox holds now until [`UplinkHandle::stop`].
    pub fn run(&mut self) -> impl Future<Output = Result<(), UplinkError>> + Send + use<> {
        let opened = self.opened.take().map_or_else(|| open_link(&self.link, self.joined.as_ref()), Ok);
        if let Ok((link, _)) = &opened {
            self.present.lock().unwrap_or_else(PoisonError::into_inner).clone_from(link);
        }
        let (outbox, status) = (Arc::clone(&self.outbox), self.status.clone());
        let (wake, stop) = (Arc::clone(&self.wake), self.stop.clone());
        let (home, clock, resend, seed) = (self.home.clone(), Arc::clone(&self.clock), self.resend, self.seed);
        let (state, release, assignment) = (self.state.clone(), self.release.clone(), self.assignment.clone());
        let (manifest, settled, backlog) = (self.manifest.clone(), self.settled.clone(), Arc::clone(&self.backlog));
        let rounds = self.rounds.clone();
        state.send_replace(UplinkState::Connecting);
        async move {
            let (link, events) = opened?;
            let in_flight = with(&outbox, |outbox| outbox.numbered()).await?;
            let task = Task {
                home,
                link,
                clock,
                outbox,
                session: Session::new(in_flight.iter().map(|record| record.sequence), resend),
                payloads: in_flight.into_iter().map(|record| (record.sequence, record.payload)).collect(),
                rng: SmallRng::seed_from_u64(seed),
                started: Instant::now(),
                state,
                release,
                assignment,
                manifest,
                rounds,
                cursor: Cursor::default(),
                settled,
                backlog,
            };
            task.note_backlog(false).await;
            task.run(events, status, wake, stop).await;
            Ok(())
        }
    }
}
