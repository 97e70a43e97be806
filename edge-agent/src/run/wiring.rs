//! Starts every part with its channels, and stops them in the order in which they depend on one another.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::fleet::Fleet;
use super::modes::{self, Sides};
use super::unix_now;
use crate::brain::{self, Brain, BrainCommand, BrainHandle, BrainParts, HomeView};
use crate::config::{CloudConfig, Config};
use crate::discovery::{self, BrokerState, Device, Discovery, UpdateView};
use crate::diskless::{Joining, Membership};
use crate::history::{History, HistoryError};
use crate::home_assistant::{self, SessionState};
use crate::identity::pair::{Pair, PairError};
use crate::identity::{self, Identity};
use crate::outbox::OutboxError;
use crate::page::guard::Door;
use crate::page::{self, PageParts};
use crate::state_directory::{StateDirectory, StateError};
use crate::update::{UpdaterError, Wishes};
use crate::uplink::UplinkError;

/// Notices that wait for the home's broker; see the bound on waiting events in [`crate::discovery`].
const NOTICES_MAX: usize = 64;
/// The node without a fleet.
pub(super) const LONE_NODE: &str = "home";
/// The memory's file in the state directory.
pub(super) const HISTORY_FILE: &str = "history.sqlite";
/// What residents wish of the models.
const WISHES_FILE: &str = "wishes.json";
/// The note on what was published on the home's broker.
pub(super) const NOTE_FILE: &str = "discovery.json";
/// Steps end at whole multiples of ten minutes; asking each second closes one at most a second after its grace.
const TICK: Duration = Duration::from_secs(1);

/// Why the agent did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// The agent's memory.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The answers that wait for the fleet.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// What residents wish of the models.
    #[error("the wishes about models: {0}")]
    Wishes(#[source] std::io::Error),
    /// The way to the fleet.
    #[error("cloud.mqtt: {0}")]
    Uplink(#[from] UplinkError),
    /// The way of models.
    #[error("cloud.updates: {0}")]
    Updater(#[from] UpdaterError),
    /// The first trusted root, or the director's keys.
    #[error("cloud.updates: {path}: {source}")]
    Trusted {
        /// The file.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: std::io::Error,
    },
    /// The home's key and certificate.
    #[error("cloud.mqtt: {0}")]
    Identity(#[from] PairError),
    /// No randomness, no thread.
    #[error("the system gave no {0}")]
    System(&'static str),
}

/// A running agent.
pub struct Agent {
    tasks: JoinSet<()>,
    brain: JoinHandle<()>,
    _state: StateDirectory,
}

impl Agent {
    /// Starts everything that `config` asks for; `stop` ends it, and `leave` is told when a resident wants us gone. With `joining` the
    /// home is enrolled meanwhile, and what needs the fleet's word begins then.
    ///
    /// # Errors
    /// [`StartError`]; never because somebody on the network is away.
    pub async fn start(
        config: &Config,
        joining: Option<Joining>,
        leave: mpsc::Sender<()>,
        stop: CancellationToken,
    ) -> Result<Self, StartError> {
        let state = StateDirectory::take(&config.state)?;
        let mut fresh = [0; 32];
        aws_lc_rs::rand::fill(&mut fresh).map_err(|_| StartError::System("randomness"))?;
        let salt = state.salt(|| fresh)?;
        let who = spread(&salt);
        let cloud = config.cloud.as_ref();
        if let Some(identity) = cloud.and_then(|cloud| identity_of(cloud, who)) {
            // What a power cut left of a renewal is finished before anybody reads the files.
            identity.pair.settle()?;
        }
        let (membership, membership_seen) = watch::channel(Membership::default());
        let joined = CancellationToken::new();
        if joining.is_none() {
            joined.cancel();
        }
        let fleet = Fleet::start(cloud, &state, who, &joined)?;
        let (view, view_seen) = watch::channel(HomeView::default());
        let (notices, notices_heard) = mpsc::channel(NOTICES_MAX);
        let parts = BrainParts {
            model: Arc::clone(&fleet.model),
            model_version: fleet.model_version,
            history: History::open(&state.file(HISTORY_FILE))?,
            salt,
            budget: config.budget,
            timezone: config.timezone.clone(),
            feedback: cloud.and_then(|cloud| fleet.feedback(&cloud.home)),
        };
        let brain = Brain::new(parts, view, notices)?;
        let (brain, thread) = brain::start(brain).map_err(|_| StartError::System("thread"))?;

        let mut tasks = JoinSet::new();
        if let Some(joining) = joining {
            membership.send_replace(Membership::Outside(String::new()));
            tasks.spawn(join(joining, membership, joined.clone(), stop.clone()));
        }
        tasks.spawn(tick(brain.clone(), stop.clone()));
        let (session, session_seen) = watch::channel(SessionState::default());
        let node = cloud.map_or(LONE_NODE.to_owned(), |cloud| cloud.home.to_string());
        let forgetful = cloud.and_then(|cloud| cloud.enrolment.as_ref()).map(|_| node.clone());
        let home_assistant =
            home_assistant::run(config.home_assistant.clone(), forgetful, brain.clone(), session, who, stop.clone());
        tasks.spawn(home_assistant);

        let (line, line_seen) = watch::channel(String::new());
        let (updates, updates_seen) = watch::channel(UpdateView::default());
        let wishes = Wishes::open(&state.file(WISHES_FILE)).map_err(StartError::Wishes)?;
        let cloud_state = cloud.map(|_| fleet.state());
        let page = PageParts {
            door: Door::Ingress,
            brain: brain.clone(),
            view: view_seen.clone(),
            updates: updates_seen.clone(),
            mode: line_seen.clone(),
            history: state.file(HISTORY_FILE),
            uplink: fleet.uplink.clone(),
            leave,
            wishes: wishes.clone(),
            token: secret()?,
            clock: unix_now,
        };
        if let Some(config) = &config.page {
            tasks.spawn(serve_page(PageParts { door: config.door.clone(), ..page }, config.listen, stop.clone()));
        }
        if let Some(identity) = cloud.and_then(|cloud| identity_of(cloud, who)) {
            let (uplink, joined, stop) = (fleet.uplink.clone(), joined.clone(), stop.clone());
            tasks.spawn(async move {
                let keep = identity::keep(identity, uplink, unix_now, stop.clone());
                // Before that there is no certificate to be kept.
                if stop.run_until_cancelled(joined.cancelled()).await.is_some() {
                    keep.await;
                }
            });
        }
        tasks.spawn(fleet.serve(brain.clone(), view_seen.clone(), updates, wishes.clone(), stop.clone()));
        let home_broker = config.home_mqtt.clone().map(|mqtt| {
            let (broker, broker_seen) = watch::channel(BrokerState::default());
            let discovery = Discovery {
                config: mqtt,
                device: Device::new(node),
                note: state.file(NOTE_FILE),
                brain,
                view: view_seen,
                updates: updates_seen,
                mode: line_seen,
                notices: notices_heard,
                history: state.file(HISTORY_FILE),
                wishes,
            };
            tasks.spawn(show(discovery, broker, stop.clone()));
            broker_seen
        });
        let sides = Sides { session: session_seen, home_broker, membership: membership_seen, cloud: cloud_state };
        tasks.spawn(modes::watch(sides, line, stop));
        Ok(Self { tasks, brain: thread, _state: state })
    }

    /// Waits until every part has stopped, after `stop` was cancelled.
    pub async fn join(mut self) {
        while self.tasks.join_next().await.is_some() {}
        // Every handle is gone with the tasks, so the thread is at its end.
        let thread = self.brain;
        let _ = tokio::task::spawn_blocking(move || thread.join()).await;
    }
}

/// Enrols, and says so.
async fn join(
    joining: Joining,
    membership: watch::Sender<Membership>,
    joined: CancellationToken,
    stop: CancellationToken,
) {
    if stop.run_until_cancelled(joining.join(&membership)).await == Some(true) {
        joined.cancel();
    }
    // Whoever watches goes on hearing what was said last.
    stop.cancelled().await;
}

/// The home's key and certificate, where it has any.
fn identity_of(cloud: &CloudConfig, seed: u64) -> Option<Identity> {
    let mqtt = cloud.mqtt.as_ref()?;
    let pair = Pair { ca: mqtt.ca_file.clone(), cert: mqtt.cert_file.clone(), key: mqtt.key_file.clone() };
    Some(Identity { home: cloud.home.clone(), pair, place: cloud.renew_url.clone(), seed })
}

async fn show(discovery: Discovery, state: watch::Sender<BrokerState>, stop: CancellationToken) {
    if let Err(error) = discovery::run(discovery, state.clone(), stop).await {
        tracing::error!(error = %error, "the home's broker cannot be used");
        state.send_replace(BrokerState::Away { reason: error.to_string() });
    }
}

/// The page is a convenience: where it cannot be served, everything else goes on.
async fn serve_page(parts: PageParts, listen: SocketAddr, stop: CancellationToken) {
    let listener = match TcpListener::bind(listen).await {
        Ok(listener) => listener,
        Err(error) => {
            tracing::warn!(error = %error, page.listen = %listen, "no local page: nobody can listen there");
            return;
        }
    };
    tracing::info!("local page at http://{listen}/");
    if let Err(error) = page::serve(parts, listener, stop).await {
        tracing::error!(error = %error, "the local page has ended");
    }
}

/// Text that nobody guesses.
fn secret() -> Result<String, StartError> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| StartError::System("randomness"))?;
    Ok(hex::encode(bytes))
}

/// Tells the brain the time.
async fn tick(brain: BrainHandle, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {
                if brain.tell(BrainCommand::Tick(Timestamp::now().as_second())).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// A number that differs from home to home, for jitter.
pub(crate) fn spread(salt: &[u8]) -> u64 {
    salt.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}
