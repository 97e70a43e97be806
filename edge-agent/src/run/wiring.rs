//! Starts every part with its channels, and stops them in the order in which they depend on one another.

mod parts;
mod rounds;

use std::path::PathBuf;
use std::sync::Arc;

use hearthwatch_edge_cloud::identity::pair::PairError;
use hearthwatch_edge_cloud::uplink::UplinkError;
use hearthwatch_edge_core::mode::Mode;
use hearthwatch_edge_store::history::HistoryError;
use hearthwatch_edge_store::outbox::OutboxError;
use hearthwatch_edge_update::UpdateView;
use hearthwatch_edge_update::{UpdateRequests, UpdaterError};
use hearthwatch_supervision::{Board, FaultPlan, PartFailed, Supervisor};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::DRAIN;
use super::fleet::Fleet;
use super::modes::Sides;
use crate::config::Config;
use crate::diskless::Joining;
use crate::state_directory::spread;
use crate::state_directory::{StateDirectory, StateError};
use parts::{Shared, Wiring, identity_of};

/// Node in topics and entity ids of a home without a fleet.
pub(super) const LONE_NODE: &str = "home";
/// File of the history, in the state directory.
pub(super) const HISTORY_FILE: &str = "history.sqlite";
/// File of what this home remembers of rounds, in the state directory.
pub(super) const ROUNDS_FILE: &str = "rounds.sqlite";
/// File of [`UpdateRequests`]; stored, so it has the name of earlier versions.
const REQUESTS_FILE: &str = "wishes.json";
/// File that notes what was published on the home's broker.
pub(super) const NOTE_FILE: &str = "discovery.json";

/// Why the agent did not start; the text goes into the log.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The history cannot be opened or read.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The outbox cannot be opened.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The file of residents' requests about models can neither be read nor set aside.
    #[error("the wishes about models: {0}")]
    UpdateRequests(#[source] std::io::Error),
    /// The link to the fleet's broker cannot be opened with its configuration.
    #[error("cloud.mqtt: {0}")]
    Uplink(#[from] UplinkError),
    /// The folder of models or the repository's address cannot be used.
    #[error("cloud.updates: {0}")]
    Updater(#[from] UpdaterError),
    /// The first TUF root, or the director's keys, cannot be read.
    #[error("cloud.updates: {path}: {source}")]
    Trusted {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// A half-finished renewal of the certificate cannot be finished.
    #[error("cloud.mqtt: {0}")]
    Identity(#[from] PairError),
    /// No randomness or no thread; the text names which.
    #[error("the system gave no {0}")]
    System(&'static str),
}

/// A running agent. Which parts are vital and which are not: `docs/reference/supervision.md`.
pub struct Agent {
    parts: Supervisor,
    /// Stops all parts when the agent is dropped without [`Agent::join`].
    _ends: DropGuard,
    _state: StateDirectory,
}

impl Agent {
    /// Starts everything that `config` asks for; `stop` ends it, and `leave` receives a resident's request to remove the agent. With `joining` the
    /// home is enrolled meanwhile, and what needs a certificate begins then.
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
        // Files are opened here on a worker: once, before any part runs that could wait for it.
        let state = StateDirectory::take(&config.state)?;
        let mut fresh = [0; 32];
        aws_lc_rs::rand::fill(&mut fresh).map_err(|_| StartError::System("randomness"))?;
        let salt = state.salt(|| fresh)?;
        let seed = spread(&salt);
        let cloud = config.cloud.as_ref();
        if let Some(identity) = cloud.and_then(|cloud| identity_of(cloud, seed)) {
            // What a power cut left of a renewal is finished before anybody reads the files.
            identity.pair.settle()?;
        }
        let joined = CancellationToken::new();
        if joining.is_none() {
            joined.cancel();
        }
        let mut fleet = Fleet::start(cloud, &state, seed, &joined)?;
        let wiring = Wiring { config, parts: &parts, state: &state, seed, joined };
        let (detection, view, notices) = wiring.detector(&fleet, salt)?;
        wiring.clock(&detection);
        let session = wiring.home_assistant(&detection);
        let membership = wiring.enrolment(joining);
        let (mode, mode_seen) = watch::channel(Mode::default());
        let (updates, updates_seen) = watch::channel(UpdateView::default());
        let shared = Shared {
            detection,
            view,
            updates: updates_seen,
            mode: mode_seen,
            history: state.file(HISTORY_FILE),
            requests: UpdateRequests::open(&state.file(REQUESTS_FILE)).map_err(StartError::UpdateRequests)?,
        };
        let uplink = fleet.uplink.clone();
        let rounds = wiring.rounds(&shared, uplink.as_ref());
        wiring.page(&shared, uplink.clone(), rounds, leave)?;
        wiring.certificate(uplink);
        wiring.uplink(&mut fleet);
        let cloud = cloud.map(|_| fleet.state());
        wiring.updates(fleet, &shared, updates);
        let home_broker = wiring.discovery(shared, notices);
        wiring.mode(Sides { session, home_broker, membership, cloud }, mode);
        let ends = parts.stop().clone().drop_guard();
        Ok(Self { parts, _ends: ends, _state: state })
    }

    /// Waits until a vital part has ended before its time; for ever where none does.
    pub async fn failed(&self) -> PartFailed {
        self.parts.failed().await
    }

    /// The states of all parts, for the health endpoints.
    #[must_use]
    pub fn board(&self) -> &Arc<Board> {
        self.parts.board()
    }

    /// Stops every part, and waits at most [`DRAIN`] for their ends. Gives the parts that have not ended by then.
    pub async fn join(self) -> Vec<&'static str> {
        self.parts.drain(DRAIN).await
    }
}
