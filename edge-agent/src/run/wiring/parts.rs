//! One function for each part: its channels, its work, and the probe of its health.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hearthwatch_edge_cloud::identity::pair::Pair;
use hearthwatch_edge_cloud::identity::{self, Identity};
use hearthwatch_edge_cloud::uplink::UplinkHandle;
use hearthwatch_edge_core::mode::BrokerState;
use hearthwatch_edge_core::mode::Mode;
use hearthwatch_edge_core::mode::SessionState;
use hearthwatch_edge_detection::service::{
    self, DetectorCommand, DetectorHandle, DetectorParts, DetectorService, HomeView, Notice,
};
use hearthwatch_edge_home_assistant::discovery::{self, Device, Discovery};
use hearthwatch_edge_home_assistant::home_assistant;
use hearthwatch_edge_store::history::History;
use hearthwatch_edge_ui::guard::Door;
use hearthwatch_edge_ui::{PageParts, RoundsPage};
use hearthwatch_edge_update::UpdateRequests;
use hearthwatch_edge_update::UpdateView;
use hearthwatch_supervision::{Board, Supervisor};
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::super::fleet::Fleet;
use super::super::modes::{self, Sides};
use super::super::{health, unix_now};
use super::{HISTORY_FILE, LONE_NODE, NOTE_FILE, StartError};
use crate::config::{CloudConfig, Config};
use crate::diskless::{Joining, Membership};
use crate::state_directory::StateDirectory;

/// Notices that wait for the home's broker; see the bound on waiting events in [`hearthwatch_edge_home_assistant::discovery`].
const NOTICES_MAX: usize = 64;
/// Steps end at whole multiples of ten minutes; asking each second closes one at most a second after its grace.
const TICK: Duration = Duration::from_secs(1);
/// Ticks between two looks at how the parts are doing: "since when" is right to within this many seconds.
const LOOK_TICKS: u32 = 5;

/// What every part is started with.
pub(super) struct Wiring<'a> {
    pub(super) config: &'a Config,
    pub(super) parts: &'a Supervisor,
    pub(super) state: &'a StateDirectory,
    /// Spreads over time what all homes would otherwise do at once; another number in each home.
    pub(super) seed: u64,
    /// Cancelled when this home is in its fleet: at once, unless it is enrolled now.
    pub(super) joined: CancellationToken,
}

/// What the page, Home Assistant's device and the updates all use.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) detection: DetectorHandle,
    pub(super) view: watch::Receiver<HomeView>,
    pub(super) updates: watch::Receiver<UpdateView>,
    pub(super) mode: watch::Receiver<Mode>,
    /// The file of the home's history.
    pub(super) history: PathBuf,
    pub(super) requests: UpdateRequests,
}

impl Wiring<'_> {
    pub(super) fn stop(&self) -> CancellationToken {
        self.parts.stop().clone()
    }

    fn board(&self) -> &Arc<Board> {
        self.parts.board()
    }

    /// The home's pseudonym in its fleet; [`LONE_NODE`] without one.
    fn node(&self) -> String {
        self.config.cloud.as_ref().map_or(LONE_NODE.to_owned(), |cloud| cloud.home.to_string())
    }

    /// The detector service, on a thread of its own.
    pub(super) fn detector(
        &self,
        fleet: &Fleet,
        salt: Vec<u8>,
    ) -> Result<(DetectorHandle, watch::Receiver<HomeView>, mpsc::Receiver<Notice>), StartError> {
        let (view, view_seen) = watch::channel(HomeView::default());
        let (notices, notices_seen) = mpsc::channel(NOTICES_MAX);
        let detection = DetectorService::new(
            DetectorParts {
                model: Arc::clone(&fleet.model),
                model_version: fleet.model_version,
                history: History::open(&self.state.file(HISTORY_FILE))?,
                salt,
                budget: self.config.budget,
                timezone: self.config.timezone.clone(),
                feedback: self.config.cloud.as_ref().and_then(|cloud| fleet.feedback(&cloud.home)),
            },
            view,
            notices,
        )?;
        let (detection, thread) = service::prepare(detection);
        self.parts.thread("detector", move |strikes| thread.run(strikes)).map_err(|_| StartError::System("thread"))?;
        health::detector(self.board(), &detection);
        Ok((detection, view_seen, notices_seen))
    }

    /// Sends the detector service the time.
    pub(super) fn clock(&self, detection: &DetectorHandle) {
        let ticks = tick(detection.clone(), Arc::clone(self.board()), self.stop());
        self.parts.vital("clock", beside(detection.clone(), self.stop(), ticks));
    }

    /// Receives readings from Home Assistant.
    pub(super) fn home_assistant(&self, detection: &DetectorHandle) -> watch::Receiver<SessionState> {
        let (session, session_seen) = watch::channel(SessionState::default());
        let forgetful = self.config.cloud.as_ref().and_then(|cloud| cloud.enrolment.as_ref()).map(|_| self.node());
        let home_assistant = home_assistant::run(
            self.config.home_assistant.clone(),
            forgetful,
            detection.clone(),
            session,
            self.seed,
            self.stop(),
        );
        self.parts.vital("home-assistant", beside(detection.clone(), self.stop(), home_assistant));
        health::home_assistant(self.board(), session_seen.clone());
        session_seen
    }

    /// Enrols this home, where it is not in its fleet yet.
    pub(super) fn enrolment(&self, joining: Option<Joining>) -> watch::Receiver<Membership> {
        let (membership, membership_seen) = watch::channel(Membership::default());
        if let Some(joining) = joining {
            membership.send_replace(Membership::Outside(String::new()));
            let (joined, stop) = (self.joined.clone(), self.stop());
            self.parts
                .optional("enrolment", move || join(joining.clone(), membership.clone(), joined.clone(), stop.clone()));
            health::membership(self.board(), membership_seen.clone());
        }
        membership_seen
    }

    /// Serves the local page, where it is configured. `leave` receives a resident's request to remove the agent.
    pub(super) fn page(
        &self,
        shared: &Shared,
        uplink: Option<UplinkHandle>,
        rounds: Option<RoundsPage>,
        leave: mpsc::Sender<()>,
    ) -> Result<(), StartError> {
        let Shared { detection, view, updates, mode, history, requests } = shared.clone();
        let page = PageParts {
            door: Door::Ingress,
            detection,
            view,
            updates,
            mode,
            history,
            uplink,
            rounds,
            leave,
            requests,
            token: secret()?,
            clock: unix_now,
            health: Arc::clone(self.board()),
            metrics: false,
        };
        if let Some(config) = &self.config.page {
            let page = PageParts { door: config.door.clone(), metrics: config.metrics, ..page };
            let (listen, stop) = (config.listen, self.stop());
            self.parts.optional("page", move || serve_page(page.clone(), listen, stop.clone()));
        }
        Ok(())
    }

    /// Renews the home's certificate.
    pub(super) fn certificate(&self, uplink: Option<UplinkHandle>) {
        let Some(cloud) = self.config.cloud.clone().filter(|cloud| cloud.mqtt.is_some()) else { return };
        let (seed, joined, stop) = (self.seed, self.joined.clone(), self.stop());
        self.parts.optional("certificate", move || {
            keep(identity_of(&cloud, seed), uplink.clone(), joined.clone(), stop.clone())
        });
    }

    /// Runs the fleet's uplink, where there is one.
    pub(super) fn uplink(&self, fleet: &mut Fleet) {
        let (Some(handle), Some(mut uplink)) = (&fleet.uplink, fleet.lives.take()) else { return };
        // Also where the part that closes the uplink has ended.
        let (stopping, stop) = (handle.stopping(), self.stop());
        self.parts.optional("uplink", move || {
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
        health::fleet(self.board(), handle);
    }

    /// Takes models from the fleet, and carries out what residents request of them.
    pub(super) fn updates(&self, fleet: Fleet, shared: &Shared, updates: watch::Sender<UpdateView>) {
        let (fleet, shared, stop) = (Arc::new(Mutex::new(fleet)), shared.clone(), self.stop());
        self.parts.optional("updates", move || {
            let (fleet, updates, stop) = (Arc::clone(&fleet), updates.clone(), stop.clone());
            let Shared { detection, view, requests, .. } = shared.clone();
            async move {
                let mut fleet = fleet.lock().await;
                let serving = fleet.serve(detection.clone(), view, updates, requests, stop.clone());
                beside(detection, stop, serving).await;
            }
        });
    }

    /// Shows the agent in Home Assistant as a device, where a broker is configured.
    pub(super) fn discovery(
        &self,
        shared: Shared,
        notices: mpsc::Receiver<Notice>,
    ) -> Option<watch::Receiver<BrokerState>> {
        let config = self.config.home_mqtt.clone()?;
        let (broker, broker_seen) = watch::channel(BrokerState::default());
        let (device, note, stop) = (Device::new(self.node()), self.state.file(NOTE_FILE), self.stop());
        let notices = Arc::new(Mutex::new(notices));
        self.parts.optional("discovery", move || {
            let (config, device, note) = (config.clone(), device.clone(), note.clone());
            let Shared { detection, view, updates, mode, history, requests } = shared.clone();
            let (notices, broker, stop) = (Arc::clone(&notices), broker.clone(), stop.clone());
            async move {
                let notices = notices.lock_owned().await;
                let discovery =
                    Discovery { config, device, note, detection, view, updates, mode, notices, history, requests };
                let ended = discovery::run(discovery, broker.clone(), stop).await;
                if let Err(error) = &ended {
                    broker.send_replace(BrokerState::Away { reason: error.to_string() });
                }
                ended
            }
        });
        health::home_broker(self.board(), broker_seen.clone());
        Some(broker_seen)
    }

    /// Watches how each side is doing.
    pub(super) fn mode(&self, sides: Sides, mode: watch::Sender<Mode>) {
        let stop = self.stop();
        self.parts.optional("mode", move || modes::watch(sides.clone(), mode.clone(), stop.clone()));
    }
}

/// Runs a part that needs the detector. When the detector is gone, that is the failure to report, so this part ends only with the program.
async fn beside(detection: DetectorHandle, stop: CancellationToken, body: impl Future<Output = ()>) {
    body.await;
    if detection.is_gone() {
        stop.cancelled().await;
    }
}

/// Enrols the home; then cancels `joined`.
async fn join(
    joining: Joining,
    membership: watch::Sender<Membership>,
    joined: CancellationToken,
    stop: CancellationToken,
) {
    if stop.run_until_cancelled(joining.join(&membership)).await == Some(true) {
        joined.cancel();
    }
    // The sender lives on, so that watchers keep the last value.
    stop.cancelled().await;
}

/// Renews the certificate in time, once there is one.
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
pub(super) fn identity_of(cloud: &CloudConfig, seed: u64) -> Option<Identity> {
    let mqtt = cloud.mqtt.as_ref()?;
    let pair = Pair { ca: mqtt.ca_file.clone(), cert: mqtt.cert_file.clone(), key: mqtt.key_file.clone() };
    Some(Identity { home: cloud.home.clone(), pair, place: cloud.renew_url.clone(), seed })
}

/// The page is a convenience: where it cannot be served, everything else goes on, and it is tried again.
async fn serve_page(parts: PageParts, listen: SocketAddr, stop: CancellationToken) -> Result<(), String> {
    let listener =
        TcpListener::bind(listen).await.map_err(|error| format!("nobody can listen at {listen}: {error}"))?;
    tracing::info!("local page at http://{listen}/");
    hearthwatch_edge_ui::serve(parts, listener, stop).await.map_err(|error| error.to_string())
}

/// 32 random bytes, hexadecimal: the page's secret.
fn secret() -> Result<String, StartError> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| StartError::System("randomness"))?;
    Ok(hex::encode(bytes))
}

/// Sends the detector service a tick each second, and looks at the states of the parts.
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
                    // So that a state is known from its begin on.
                    let _ = board.look();
                }
            }
        }
    }
}
