//! An agent's way to the cloud: its own certificate, outbox, uplink and updater, all the product's own code.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use hearthwatch_detector::detector::Model;
use hearthwatch_edge_cloud::uplink::{self, UplinkConfig, UplinkHandle};
use hearthwatch_edge_core::trial::TrialWindows;
use hearthwatch_edge_detection::service::ToFleet;
use hearthwatch_edge_store::outbox::{Outbox, OutboxError, SharingLevel};
use hearthwatch_edge_update::{DirectorConfig, ModelProof, Policy, Trigger, Updater, UpdaterConfig, Watching};
use hearthwatch_link::{LinkConfig, TlsFiles};
use hearthwatch_protocol::assignment::SignedAssignment;
use hearthwatch_protocol::messages::{AgentStatus, UpdateResult};
use hearthwatch_protocol::seal::{PublicKey, trusted_keys};
use hearthwatch_protocol::{HomeId, ModelVersion};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tokio::sync::watch;

use super::home::SimulatedHome;
use super::participant::{Joining, Participant};
use super::stage::Stage;

/// How long a signed order may take to reach an agent on the same machine.
const ORDER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long receipts may take: on one machine they come within a second; a burdened one gets more than enough.
const OUTBOX_TIMEOUT: Duration = Duration::from_secs(60);

/// How often the outbox is looked at while it settles.
const OUTBOX_POLL: Duration = Duration::from_millis(2);

/// One home's agent, but for the detector, which the replay drives.
pub struct FleetAgent {
    uplink: UplinkHandle,
    outbox: uplink::SharedOutbox,
    status: watch::Sender<AgentStatus>,
    updater: Updater<ModelProof>,
    directors: Vec<PublicKey>,
    rng: ChaCha8Rng,
    state: PathBuf,
    participant: Option<Participant>,
}

impl FleetAgent {
    /// Connects the home under its own certificate; returns before the broker is reached.
    ///
    /// # Errors
    /// When a file of the home's bundle or its state folder cannot be used.
    pub fn start(
        stage: &Stage,
        home: &HomeId,
        entities: usize,
        folder: &Path,
        (seed, sharing): (u64, SharingLevel),
    ) -> anyhow::Result<Self> {
        let files = stage.layout.home(home);
        let state = folder.join("homes").join(home.as_str());
        std::fs::create_dir_all(&state).with_context(|| format!("making {}", state.display()))?;
        let mut outbox = Outbox::open(&state.join("outbox.db"))?;
        // What these residents agreed to.
        outbox.configure_sharing(sharing);
        let outbox = uplink::share(outbox);
        let (status, status_seen) = watch::channel(AgentStatus {
            online: true,
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            model_version: ModelVersion::ROUTINE,
            entities: u32::try_from(entities).unwrap_or(u32::MAX),
            outbox: 0,
        });
        let tls = TlsFiles { ca: files.ca(), cert: Some(files.cert()), key: Some(files.key()) };
        let clock = Arc::clone(&stage.clock);
        let config = UplinkConfig {
            home: home.clone(),
            link: LinkConfig { tls: Some(tls), ..LinkConfig::new("localhost", stage.broker.port(), home.as_str()) },
            directed: true,
            resend: uplink::RESEND,
            clock: Arc::new(move || hearthwatch_store::clock::Clock::now(clock.as_ref())),
            seed,
        };
        let directors = trusted_keys(&std::fs::read_to_string(files.director())?)?;
        let uplink = uplink::start(config, Arc::clone(&outbox), status_seen)?;
        let updates = UpdaterConfig {
            url: format!("{}/tuf/", stage.url).parse()?,
            ca: Some(files.ca()),
            root: std::fs::read(files.tuf_root())?,
            directory: state.join("update"),
            // Shadowing on the home's stored windows decides; the demo has no hours to wait.
            director: Some(DirectorConfig { home: home.clone(), keys: directors.clone() }),
            watching: Watching { shadow_seconds: 0, probation_seconds: 0 },
            policy: Policy::default(),
        };
        let now = jiff::Timestamp::now().as_second();
        let baseline = Arc::new(Model::baseline());
        let (updater, _) = Updater::boot(updates, ModelProof, baseline, ModelVersion::ROUTINE, now)?;
        let rng = ChaCha8Rng::seed_from_u64(seed);
        Ok(Self { uplink, outbox, status, updater, directors, rng, state, participant: None })
    }

    /// Starts the home's part in federated rounds, in which `program` trains.
    ///
    /// # Errors
    /// As [`Participant::start`].
    pub async fn join_rounds(
        &mut self,
        stage: &Stage,
        home: &SimulatedHome,
        program: PathBuf,
        seed: u64,
    ) -> anyhow::Result<()> {
        let (uplink, state, directors) = (&self.uplink, self.state.as_path(), self.directors.clone());
        let joining = Joining { stage, home, uplink, directors, state, program, seed };
        self.participant = Some(Participant::start(joining).await?);
        Ok(())
    }

    /// Puts down what `home` lived through, for its part in rounds. Returns whether it can take part. Blocks.
    ///
    /// # Errors
    /// As [`Participant::remember`].
    pub fn remember(&mut self, home: &SimulatedHome) -> anyhow::Result<bool> {
        self.participant.as_mut().map_or(Ok(false), |participant| participant.remember(home))
    }

    /// Whether the home's part in rounds has ended before its time.
    #[must_use]
    pub fn has_left_rounds(&self) -> bool {
        self.participant.as_ref().is_some_and(Participant::has_ended)
    }

    /// Puts announcements and answers into the outbox, one after the other; the uplink sends them.
    ///
    /// A record gets its number when it is first sent, and the uplink sends the newest first. So each waits for the number of
    /// the one before: the same seed then gives the same numbers, and snapshots sort by them.
    ///
    /// # Errors
    /// When the outbox does not take one, or it is never sent.
    pub async fn say(&self, words: Vec<ToFleet>) -> anyhow::Result<()> {
        for word in words {
            match word {
                ToFleet::Announcement(announcement) => self.uplink.announce(announcement).await?,
                ToFleet::Answer(record) => self.uplink.push(record).await?,
            };
            self.settled(Outbox::unsent, "an answer was not sent").await?;
        }
        Ok(())
    }

    /// Waits until the aggregator's receipts cover everything that was said.
    ///
    /// # Errors
    /// When the outbox cannot be read, or the receipts do not come.
    pub async fn all_stored(&self) -> anyhow::Result<()> {
        self.settled(Outbox::waiting, "no receipt for an answer").await
    }

    /// Waits until `count` of the outbox is 0.
    async fn settled(&self, count: fn(&Outbox) -> Result<u32, OutboxError>, fault: &str) -> anyhow::Result<()> {
        let empty = async {
            loop {
                if count(&self.outbox.lock().unwrap_or_else(std::sync::PoisonError::into_inner))? == 0 {
                    return anyhow::Ok(());
                }
                tokio::time::sleep(OUTBOX_POLL).await;
            }
        };
        tokio::time::timeout(OUTBOX_TIMEOUT, empty).await.with_context(|| {
            let seconds = OUTBOX_TIMEOUT.as_secs();
            format!("{fault} within {seconds} s; log.txt in the run's folder says what the parts did")
        })?
    }

    /// Waits for the order to run `version`, then verifies, fetches, proves and swaps; the home goes on with what came of it.
    ///
    /// # Errors
    /// When no order comes, or the outcome cannot be reported.
    pub async fn update(&mut self, home: &mut SimulatedHome, version: ModelVersion) -> anyhow::Result<UpdateResult> {
        let mut assignments = self.uplink.assignment();
        let directors = self.directors.clone();
        let ordered = |signed: &Option<SignedAssignment>| {
            let order = signed.as_ref().and_then(|signed| signed.read(&directors).ok());
            order.is_some_and(|order| order.model_version >= version)
        };
        let assignment = tokio::time::timeout(ORDER_TIMEOUT, assignments.wait_for(ordered))
            .await
            .with_context(|| format!("{} got no order within {} s", home.id, ORDER_TIMEOUT.as_secs()))??
            .clone();
        let assignment = assignment.context("the order that was waited for")?;
        let detector = home.detector();
        let (recent, fault_checks) = (detector.recent_windows(), detector.synthetic_faults(0));
        let windows = TrialWindows { recent, fault_checks, share: detector.share() };
        let now = jiff::Timestamp::now().as_second();
        let step = self.updater.run(Trigger::Assigned(assignment), &windows, now, &mut self.rng).await;
        if let Some((version, model)) = step.model {
            home.install(version, model);
            self.status.send_modify(|status| status.model_version = version);
        }
        let mut result = UpdateResult::Refused { reason: "the repository offered nothing".to_owned() };
        for outcome in step.outcomes {
            result = outcome.result.clone();
            self.uplink.report(outcome).await?;
        }
        self.updater.reported();
        Ok(result)
    }

    /// Says farewell to the broker.
    ///
    /// # Errors
    /// Why the home's part in rounds had ended before.
    pub async fn stop(self) -> anyhow::Result<()> {
        let left = match self.participant {
            Some(participant) => participant.stop().await,
            None => Ok(()),
        };
        self.uplink.stop().await;
        left
    }
}
