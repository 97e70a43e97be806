//! The agent's side of the fleet: answers go up by the uplink, models come down by the updater. All of it may be absent.

use std::sync::Arc;
use std::time::Duration;

use hearthwatch_link::{LinkConfig, TlsFiles};
use hearthwatch_model::detector::{Model, SHIPPED_VERSION};
use hearthwatch_protocol::messages::{AgentStatus, UpdateOutcome, UpdateResult};
use hearthwatch_protocol::{HomeId, ModelVersion};
use jiff::Timestamp;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::identity::StateDirectory;
use super::wiring::StartError;
use crate::brain::{BrainCommand, BrainGone, BrainHandle, FeedbackSink, HomeView};
use crate::config::{CloudConfig, CloudMqttConfig, UpdatesConfig};
use crate::discovery::UpdateView;
use crate::outbox::Outbox;
use crate::update::{ModelProof, PROBATION_SECONDS, Trigger, Updater, UpdaterConfig};
use crate::uplink::{self, UplinkConfig, UplinkHandle, UplinkState};

/// Largest TUF root that is read; an honest one has about 4 KiB.
const ROOT_BYTES_MAX: u64 = 64 * 1024;
/// A timer that is due long from now is looked at again after this: clocks are set, machines sleep.
const TIMER_MAX: Duration = Duration::from_secs(600);

/// What the agent starts with.
pub(super) struct Fleet {
    pub(super) model: Arc<Model>,
    pub(super) model_version: ModelVersion,
    pub(super) uplink: Option<UplinkHandle>,
    status: watch::Sender<AgentStatus>,
    updater: Option<Updater<ModelProof>>,
    /// What was found out about models while starting.
    outcomes: Vec<UpdateOutcome>,
    rng: SmallRng,
}

impl Fleet {
    /// Opens outbox, slots and links; nobody need be there.
    pub(super) fn start(
        cloud: Option<&CloudConfig>,
        budget: f64,
        state: &StateDirectory,
        seed: u64,
    ) -> Result<Self, StartError> {
        let own = own_model();
        let own_version = ModelVersion(SHIPPED_VERSION);
        let (mut model, mut model_version, mut outcomes, mut updater) = (own, own_version, Vec::new(), None);
        if let Some(updates) = cloud.and_then(|cloud| cloud.updates.as_ref()) {
            let config = updater_config(updates, state)?;
            let proof = ModelProof { budget_per_week: budget };
            let (opened, step) = Updater::boot(config, proof, Arc::clone(&model), own_version, unix_now())?;
            if let Some((version, chosen)) = step.model {
                (model_version, model) = (version, chosen);
            }
            (updater, outcomes) = (Some(opened), step.outcomes);
        }
        let (status, status_seen) = watch::channel(AgentStatus {
            online: true,
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            model_version,
            entities: 0,
            outbox: 0,
        });
        let uplink = match cloud.and_then(|cloud| Some((&cloud.home, cloud.mqtt.as_ref()?))) {
            None => None,
            Some((home, mqtt)) => {
                let outbox = uplink::share(Outbox::open(&state.file("outbox.sqlite"))?);
                Some(uplink::start(uplink_config(home, mqtt, seed), outbox, status_seen)?)
            }
        };
        Ok(Self { model, model_version, uplink, status, updater, outcomes, rng: SmallRng::seed_from_u64(seed) })
    }

    /// Where the brain's records go.
    pub(super) fn feedback(&self, home: &HomeId) -> Option<(HomeId, FeedbackSink)> {
        let uplink = self.uplink.clone()?;
        let runtime = tokio::runtime::Handle::current();
        // The brain's thread may wait for the disk; it is not one of the runtime's.
        let sink = move |record| runtime.block_on(uplink.push(record)).map(drop).map_err(|error| error.to_string());
        Some((home.clone(), Box::new(sink)))
    }

    /// How the fleet's broker is doing.
    pub(super) fn state(&self) -> Option<watch::Receiver<UplinkState>> {
        self.uplink.as_ref().map(UplinkHandle::state)
    }

    /// Keeps model and status up to date until `stop`; then says farewell.
    pub(super) async fn serve(
        mut self,
        brain: BrainHandle,
        mut view: watch::Receiver<HomeView>,
        updates: watch::Sender<UpdateView>,
        mut install: mpsc::Receiver<()>,
        stop: CancellationToken,
    ) {
        let outcomes = std::mem::take(&mut self.outcomes);
        self.report(outcomes, &updates).await;
        let mut notices = self.uplink.as_ref().map(UplinkHandle::release);
        loop {
            let trigger = tokio::select! {
                () = stop.cancelled() => break,
                Ok(()) = view.changed() => {
                    let entities = u32::try_from(view.borrow_and_update().entities).unwrap_or(u32::MAX);
                    self.status.send_if_modified(|status| std::mem::replace(&mut status.entities, entities) != entities);
                    continue;
                }
                version = next_notice(notices.as_mut()) => Trigger::Notice(version),
                Some(()) = install.recv() => Trigger::Timer,
                () = due(self.updater.as_ref()) => Trigger::Timer,
            };
            if let Trigger::Notice(version) = trigger {
                updates.send_modify(|view| view.latest = Some(version));
            }
            if self.update(trigger, &brain, &updates).await.is_err() {
                break;
            }
        }
        if let Some(uplink) = self.uplink {
            uplink.stop().await;
        }
    }

    async fn update(
        &mut self,
        trigger: Trigger,
        brain: &BrainHandle,
        updates: &watch::Sender<UpdateView>,
    ) -> Result<(), BrainGone> {
        let Some(updater) = &mut self.updater else { return Ok(()) };
        let windows = brain.ask(BrainCommand::RecentWindows).await?;
        let step = updater.run(trigger, &windows, unix_now(), &mut self.rng).await;
        if let Some((version, model)) = step.model {
            brain.ask(|reply| BrainCommand::ReplaceModel(model, version, reply)).await?;
            self.status.send_modify(|status| status.model_version = version);
        }
        self.report(step.outcomes, updates).await;
        Ok(())
    }

    /// Tells the fleet and the resident how updates ended.
    async fn report(&self, outcomes: Vec<UpdateOutcome>, updates: &watch::Sender<UpdateView>) {
        for outcome in outcomes {
            let summary = in_words(&outcome);
            tracing::info!(model.version = outcome.model_version.0, "{summary}");
            updates.send_modify(|view| view.summary = summary);
            if let Some(uplink) = &self.uplink
                && let Err(error) = uplink.report(outcome).await
            {
                tracing::error!(error = %error, "the fleet will not hear how an update ended");
            }
        }
    }
}

/// The network that ships where the tree holds one, else the routine detector.
fn own_model() -> Arc<Model> {
    Arc::new(Model::shipped().unwrap_or_else(|error| {
        tracing::info!(reason = %error, "no network ships with this program; the routine detector is in charge");
        Model::routine()
    }))
}

fn updater_config(updates: &UpdatesConfig, state: &StateDirectory) -> Result<UpdaterConfig, StartError> {
    let read = || -> std::io::Result<Vec<u8>> {
        use std::io::Read;
        let mut root = Vec::new();
        std::fs::File::open(&updates.root_file)?.take(ROOT_BYTES_MAX).read_to_end(&mut root)?;
        Ok(root)
    };
    let root = read().map_err(|source| StartError::Root { path: updates.root_file.clone(), source })?;
    Ok(UpdaterConfig {
        url: updates.url.clone(),
        ca: updates.ca_file.clone(),
        root,
        directory: state.file("update"),
        probation_seconds: PROBATION_SECONDS,
    })
}

fn uplink_config(home: &HomeId, mqtt: &CloudMqttConfig, seed: u64) -> UplinkConfig {
    let tls =
        TlsFiles { ca: mqtt.ca_file.clone(), cert: Some(mqtt.cert_file.clone()), key: Some(mqtt.key_file.clone()) };
    UplinkConfig {
        home: home.clone(),
        link: LinkConfig { tls: Some(tls), ..LinkConfig::new(mqtt.host.clone(), mqtt.port, home.as_str()) },
        clock: Arc::new(unix_now),
        seed,
    }
}

/// The version named by the next release notice; for ever where there is no uplink.
async fn next_notice(
    notices: Option<&mut watch::Receiver<Option<hearthwatch_protocol::messages::ReleaseNotice>>>,
) -> ModelVersion {
    if let Some(notices) = notices {
        while notices.changed().await.is_ok() {
            if let Some(notice) = &*notices.borrow_and_update() {
                return notice.model_version;
            }
        }
    }
    std::future::pending().await
}

/// Waits until the updater's timer is due; for ever where there is none.
async fn due(updater: Option<&Updater<ModelProof>>) {
    let Some(updater) = updater else { return std::future::pending().await };
    loop {
        let seconds = u64::try_from(updater.next_check() - unix_now()).unwrap_or(0);
        if seconds == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_secs(seconds).min(TIMER_MAX)).await;
    }
}

fn in_words(outcome: &UpdateOutcome) -> String {
    let version = outcome.model_version;
    match &outcome.result {
        UpdateResult::Installed => format!("Model {version} is installed and proven on this home."),
        UpdateResult::Refused { reason } => format!("Model {version} was refused: {reason}."),
        UpdateResult::RolledBack { reason, to } => {
            format!("Model {version} was taken back ({reason}); {to} is in charge again.")
        }
    }
}

fn unix_now() -> i64 {
    Timestamp::now().as_second()
}
