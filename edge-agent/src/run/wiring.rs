//! Starts every part with its channels, and stops them in the order in which they depend on one another.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hearthwatch_edge_cloud::identity::pair::{Pair, PairError};
use hearthwatch_edge_cloud::identity::{self, Identity};
use hearthwatch_edge_cloud::uplink::{UplinkError, UplinkHandle};
use hearthwatch_edge_core::mode::BrokerState;
use hearthwatch_edge_core::mode::Mode;
use hearthwatch_edge_core::mode::SessionState;
use hearthwatch_edge_detection::service::{
    self, DetectorCommand, DetectorHandle, DetectorParts, DetectorService, HomeView, Notice,
};
use hearthwatch_edge_home_assistant::config::HomeMqttConfig;
use hearthwatch_edge_home_assistant::discovery::{self, Device, Discovery};
use hearthwatch_edge_home_assistant::home_assistant::{self};
use hearthwatch_edge_store::history::{History, HistoryError};
use hearthwatch_edge_store::outbox::OutboxError;
use hearthwatch_edge_ui::PageParts;
use hearthwatch_edge_ui::guard::Door;
use hearthwatch_edge_update::UpdateView;
use hearthwatch_edge_update::{UpdateRequests, UpdaterError};
use hearthwatch_supervision::{Board, FaultPlan, PartFailed, Supervisor};
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::fleet::Fleet;
use super::modes::{self, Sides};
use super::{DRAIN, health, unix_now};
use crate::config::{CloudConfig, Config};
use crate::diskless::{Joining, Membership};
use crate::state_directory::spread;
use crate::state_directory::{StateDirectory, StateError};

/// Notices that wait for the home's broker; see the bound on waiting events in [`hearthwatch_edge_home_assistant::discovery`].
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
/// Ticks between two looks at how the parts are doing: "since when" is right to within this many seconds.
const LOOK_TICKS: u32 = 5;

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
    UpdateRequests(#[source] std::io::Error),
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

/// A running agent. Which parts are vital and which are not: `docs/reference/supervision.md`.
pub struct Agent {
    parts: Supervisor,
    /// Nobody is left to ask for the end when this value is gone.
    _ends: DropGuard,
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
        Self::start_under(config, joining, leave, Supervisor::new(stop, FaultPlan::default())).await
    }

    /// The same, its parts owned by `parts`.
    ///
    /// # Errors
    /// As [`Agent::start`].
    pub async fn start_under(
        config: &Config,
        joining: Option<Joining>,
        leave: mpsc::Sender<()>,
        parts: Supervisor,
    ) -> Result<Self, StartError> {
        let (board, stop) = (Arc::clone(parts.board()), parts.stop().clone());
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
        let mut fleet = Fleet::start(cloud, &state, who, &joined)?;
        let (view, view_seen) = watch::channel(HomeView::default());
        let (notices, notices_heard) = mpsc::channel(NOTICES_MAX);
        let detection = DetectorService::new(
            DetectorParts {
                model: Arc::clone(&fleet.model),
                model_version: fleet.model_version,
                history: History::open(&state.file(HISTORY_FILE))?,
                salt,
                budget: config.budget,
                timezone: config.timezone.clone(),
                feedback: cloud.and_then(|cloud| fleet.feedback(&cloud.home)),
            },
            view,
            notices,
        )?;
        let (detection, thread) = service::prepare(detection);
        parts.thread("detector", move |strikes| thread.run(strikes)).map_err(|_| StartError::System("thread"))?;
        health::detector(&board, &detection);
        parts.vital(
            "clock",
            beside(detection.clone(), stop.clone(), tick(detection.clone(), Arc::clone(&board), stop.clone())),
        );
        let (session, session_seen) = watch::channel(SessionState::default());
        let node = cloud.map_or(LONE_NODE.to_owned(), |cloud| cloud.home.to_string());
        let forgetful = cloud.and_then(|cloud| cloud.enrolment.as_ref()).map(|_| node.clone());
        let home_assistant = home_assistant::run(
            config.home_assistant.clone(),
            forgetful,
            detection.clone(),
            session,
            who,
            stop.clone(),
        );
        parts.vital("home-assistant", beside(detection.clone(), stop.clone(), home_assistant));
        health::home_assistant(&board, session_seen.clone());

        if let Some(joining) = joining {
            membership.send_replace(Membership::Outside(String::new()));
            let (joined, stop) = (joined.clone(), stop.clone());
            parts
                .optional("enrolment", move || join(joining.clone(), membership.clone(), joined.clone(), stop.clone()));
            health::membership(&board, membership_seen.clone());
        }
        let (mode, mode_seen) = watch::channel(Mode::default());
        let (updates, updates_seen) = watch::channel(UpdateView::default());
        let wishes = UpdateRequests::open(&state.file(WISHES_FILE)).map_err(StartError::UpdateRequests)?;
        let cloud_state = cloud.map(|_| fleet.state());
        let page = PageParts {
            door: Door::Ingress,
            detection: detection.clone(),
            view: view_seen.clone(),
            updates: updates_seen.clone(),
            mode: mode_seen.clone(),
            history: state.file(HISTORY_FILE),
            uplink: fleet.uplink.clone(),
            leave,
            wishes: wishes.clone(),
            token: secret()?,
            clock: unix_now,
            health: Arc::clone(&board),
        };
        if let Some(config) = &config.page {
            let page = PageParts { door: config.door.clone(), ..page };
            let (listen, stop) = (config.listen, stop.clone());
            parts.optional("page", move || serve_page(page.clone(), listen, stop.clone()));
        }
        if let Some(cloud) = cloud.filter(|cloud| cloud.mqtt.is_some()).cloned() {
            let (uplink, joined, stop) = (fleet.uplink.clone(), joined.clone(), stop.clone());
            parts.optional("certificate", move || {
                keep(identity_of(&cloud, who), uplink.clone(), joined.clone(), stop.clone())
            });
        }
        if let (Some(handle), Some(mut uplink)) = (&fleet.uplink, fleet.lives.take()) {
            // Also where the part that says farewell is not there to do so.
            let (stopping, stop) = (handle.stopping(), stop.clone());
            parts.optional("uplink", move || {
                let (life, stopping, stop) = (uplink.run(), stopping.clone(), stop.clone());
                async move {
                    tokio::pin!(life);
                    tokio::select! {
                        ended = &mut life => return ended,
                        () = stop.cancelled() => stopping.cancel(),
                    }
                    life.await
                }
            });
            health::fleet(&board, handle);
        }
        let models = Arc::new(Mutex::new(fleet));
        let (handle, view, ends) = (detection.clone(), view_seen.clone(), stop.clone());
        let wished = wishes.clone();
        parts.optional("updates", move || {
            let (models, detection, stop) = (Arc::clone(&models), handle.clone(), ends.clone());
            let (view, updates, wishes) = (view.clone(), updates.clone(), wished.clone());
            async move {
                let mut fleet = models.lock().await;
                let serving = fleet.serve(detection.clone(), view, updates, wishes, stop.clone());
                beside(detection, stop, serving).await;
            }
        });
        let home_broker = config.home_mqtt.clone().map(|mqtt| {
            let (broker, broker_seen) = watch::channel(BrokerState::default());
            let screen = Screen {
                config: mqtt,
                node,
                note: state.file(NOTE_FILE),
                detection,
                view: view_seen,
                updates: updates_seen,
                mode: mode_seen,
                notices: Arc::new(Mutex::new(notices_heard)),
                history: state.file(HISTORY_FILE),
                wishes,
            };
            let stop = stop.clone();
            parts.optional("discovery", move || screen.clone().show(broker.clone(), stop.clone()));
            health::home_broker(&board, broker_seen.clone());
            broker_seen
        });
        let sides = Sides { session: session_seen, home_broker, membership: membership_seen, cloud: cloud_state };
        let ends = stop.clone().drop_guard();
        parts.optional("mode", move || modes::watch(sides.clone(), mode.clone(), stop.clone()));
        Ok(Self { parts, _ends: ends, _state: state })
    }

    /// Waits until a vital part has ended before its time; for ever where none does.
    pub async fn failed(&self) -> PartFailed {
        self.parts.failed().await
    }

    /// How the parts are doing.
    #[must_use]
    pub fn board(&self) -> &Arc<Board> {
        self.parts.board()
    }

    /// Stops every part, and waits at most [`DRAIN`] for their ends. Gives the parts that have not ended by then.
    pub async fn join(self) -> Vec<&'static str> {
        self.parts.drain(DRAIN).await
    }
}

/// What needs the detector ends with it; that is the detector's failure, which its own supervisor tells.
async fn beside(detection: DetectorHandle, stop: CancellationToken, body: impl Future<Output = ()>) {
    body.await;
    if detection.is_gone() {
        stop.cancelled().await;
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

/// Keeps the certificate, once there is one.
async fn keep(
    identity: Option<Identity>,
    uplink: Option<UplinkHandle>,
    joined: CancellationToken,
    stop: CancellationToken,
) {
    if let Some(identity) = identity
        && stop.run_until_cancelled(joined.cancelled()).await.is_some()
    {
        identity::keep(identity, uplink, unix_now, stop).await;
    }
}

/// The home's key and certificate, where it has any.
fn identity_of(cloud: &CloudConfig, seed: u64) -> Option<Identity> {
    let mqtt = cloud.mqtt.as_ref()?;
    let pair = Pair { ca: mqtt.ca_file.clone(), cert: mqtt.cert_file.clone(), key: mqtt.key_file.clone() };
    Some(Identity { home: cloud.home.clone(), pair, place: cloud.renew_url.clone(), seed })
}

/// What each life of the discovery service is made of.
#[derive(Clone)]
struct Screen {
    config: HomeMqttConfig,
    node: String,
    note: PathBuf,
    detection: DetectorHandle,
    view: watch::Receiver<HomeView>,
    updates: watch::Receiver<UpdateView>,
    mode: watch::Receiver<Mode>,
    notices: Arc<Mutex<mpsc::Receiver<Notice>>>,
    history: PathBuf,
    wishes: UpdateRequests,
}

impl Screen {
    async fn show(
        self,
        state: watch::Sender<BrokerState>,
        stop: CancellationToken,
    ) -> Result<(), hearthwatch_link::LinkError> {
        let Self { config, node, note, detection, view, updates, mode, notices, history, wishes } = self;
        let (device, notices) = (Device::new(node), notices.lock_owned().await);
        let discovery = Discovery { config, device, note, detection, view, updates, mode, notices, history, wishes };
        let ended = discovery::run(discovery, state.clone(), stop).await;
        if let Err(error) = &ended {
            state.send_replace(BrokerState::Away { reason: error.to_string() });
        }
        ended
    }
}

/// The page is a convenience: where it cannot be served, everything else goes on, and it is tried again.
async fn serve_page(parts: PageParts, listen: SocketAddr, stop: CancellationToken) -> Result<(), String> {
    let listener =
        TcpListener::bind(listen).await.map_err(|error| format!("nobody can listen at {listen}: {error}"))?;
    tracing::info!("local page at http://{listen}/");
    hearthwatch_edge_ui::serve(parts, listener, stop).await.map_err(|error| error.to_string())
}

/// Text that nobody guesses.
fn secret() -> Result<String, StartError> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| StartError::System("randomness"))?;
    Ok(hex::encode(bytes))
}

/// Tells the detector service the time.
async fn tick(detection: DetectorHandle, board: Arc<Board>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut count = 0_u32;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {
                if detection.send(DetectorCommand::Tick(Timestamp::now().as_second())).await.is_err() {
                    return;
                }
                count = count.wrapping_add(1);
                if count.is_multiple_of(LOOK_TICKS) {
                    // Whoever asks later is then told since when.
                    let _ = board.look();
                }
            }
        }
    }
}
