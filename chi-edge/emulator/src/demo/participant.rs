//! A home that takes part in rounds: the agent's own round service, with a program that trains in a process of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use hearthwatch_detector::detector::Model;
use hearthwatch_edge_cloud::uplink::UplinkHandle;
use hearthwatch_edge_detection::service::{
    DetectorCommand, DetectorHandle, DetectorParts, DetectorService, HomeView, start,
};
use hearthwatch_edge_rounds::RoundsView;
use hearthwatch_edge_rounds::config::RoundsConfig;
use hearthwatch_edge_rounds::service::{RoundsError, RoundsParts, run};
use hearthwatch_edge_store::history::History;
use hearthwatch_protocol::ModelVersion;
use hearthwatch_protocol::seal::PublicKey;
use hearthwatch_store::clock::Clock as _;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::home::{BUDGET_PER_WEEK, SimulatedHome};
use super::memory::{HomeMemory, readiness};
use super::stage::Stage;

/// What a participant is made of.
pub struct Joining<'a> {
    /// The installation.
    pub stage: &'a Stage,
    /// The home that takes part.
    pub home: &'a SimulatedHome,
    /// Its connection.
    pub uplink: &'a UplinkHandle,
    /// Who may plan rounds.
    pub directors: Vec<PublicKey>,
    /// The home's state folder.
    pub state: &'a Path,
    /// The program that trains.
    pub program: PathBuf,
    /// The world's.
    pub seed: u64,
}

/// A home's part in rounds.
pub struct Participant {
    memory: HomeMemory,
    view: watch::Sender<HomeView>,
    stop: CancellationToken,
    service: JoinHandle<Result<(), RoundsError>>,
}

impl Participant {
    /// Starts the home's round service; it offers to take part at once.
    ///
    /// # Errors
    /// When a file of the home cannot be used.
    pub async fn start(joining: Joining<'_>) -> anyhow::Result<Self> {
        let Joining { stage, home, uplink, directors, state, program, seed } = joining;
        let history = state.join("history.sqlite");
        let memory = HomeMemory::open(&history)?;
        let detection = detection(home, &history).await?;
        let (view, seen) = watch::channel(HomeView::default());
        let files = stage.layout.home(&home.id);
        let clock = Arc::clone(&stage.round_clock);
        let parts = RoundsParts {
            home: home.id.clone(),
            // The owner's usual limits: the world's midnight is within their hours.
            config: RoundsConfig { program: Some(program), ..RoundsConfig::default() },
            directors,
            key_file: files.key(),
            repository: format!("{}/tuf/", stage.url).parse()?,
            ca_file: Some(files.ca()),
            history,
            state: state.join("rounds.sqlite"),
            folder: state.join("rounds"),
            channels: uplink.rounds(),
            detection,
            view: seen,
            show: watch::channel(RoundsView::default()).0,
            clock: Arc::new(move || clock.now()),
            seed: own_seed(seed, home),
            // Twenty homes share this machine, so its load is that of none of them: no sensors are here.
            system: state.to_owned(),
            rest_seconds: 0,
        };
        let stop = CancellationToken::new();
        let service = tokio::spawn(run(parts, stop.clone()));
        Ok(Self { memory, view, stop, service })
    }

    /// Writes what the home has lived through and tells the service how far it is learnt. Returns whether a sensor is known well enough
    /// to train on. Blocks.
    ///
    /// # Errors
    /// When the history cannot be written.
    pub fn remember(&mut self, home: &SimulatedHome) -> anyhow::Result<bool> {
        self.memory.write(home).with_context(|| format!("the history of {}", home.id))?;
        let readiness = readiness(home);
        let learnt = readiness.learnt() > 0;
        self.view.send_replace(HomeView { readiness: Arc::new(readiness), ..HomeView::default() });
        Ok(learnt)
    }

    /// Whether the service has ended before its time.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.service.is_finished()
    }

    /// Ends the service.
    ///
    /// # Errors
    /// Why it had ended before.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        Ok(self.service.await.context("a home's rounds")??)
    }
}

/// The agent's detector service, which tells rounds what entities there are. The replay drives a detector of its own and writes the
/// history; this service writes nothing more once it knows the entities.
async fn detection(home: &SimulatedHome, history: &Path) -> anyhow::Result<DetectorHandle> {
    let parts = DetectorParts {
        model: Arc::new(Model::baseline()),
        model_version: ModelVersion::ROUTINE,
        history: History::open(history)?,
        salt: home.id.as_str().as_bytes().to_vec(),
        budget: BUDGET_PER_WEEK,
        timezone: Some(jiff::tz::TimeZone::UTC),
        feedback: None,
    };
    let service = DetectorService::new(parts, watch::channel(HomeView::default()).0, mpsc::channel(1).0)?;
    let (handle, _thread) = start(service)?;
    let entities = home.recording.entities.clone();
    handle.request(|reply| DetectorCommand::AddEntities(entities, reply)).await?;
    Ok(handle)
}

/// The home's share of the seeds of training.
fn own_seed(seed: u64, home: &SimulatedHome) -> u64 {
    let digest = Sha256::digest([&seed.to_le_bytes()[..], home.id.as_str().as_bytes()].concat());
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}
