//! The agent's side of the fleet: answers go up by the uplink, models come down by the updater. All of it may be absent.

mod parts;
mod requests;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hearthwatch_detector::detector::{Model, SHIPPED_VERSION};
use hearthwatch_edge_cloud::off_the_workers;
use hearthwatch_edge_cloud::uplink::{self, Uplink, UplinkHandle, UplinkState};
use hearthwatch_edge_detection::backtest;
use hearthwatch_edge_detection::service::{
    DetectorCommand, DetectorGone, DetectorHandle, FeedbackSink, HomeDetail, HomeView, ToFleet,
};
use hearthwatch_edge_store::history::History;
use hearthwatch_edge_store::outbox::{Admission, Outbox, SharingLevel};
use hearthwatch_edge_update::UpdateView;
use hearthwatch_edge_update::{ModelProof, Step, Trigger, UpdateRequests, Updater};
use hearthwatch_protocol::messages::{AgentStatus, UpdateOutcome, UpdateResult};
use hearthwatch_protocol::{HomeId, ModelVersion};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::manifest::{Facts, Signer, vitals};
use super::unix_now;
use super::wiring::{HISTORY_FILE, StartError};
use crate::audit::AUDIT_FILE;
use crate::config::CloudConfig;
use crate::state_directory::StateDirectory;
use parts::{Entry, own_model};
pub(super) use parts::{directors, uplink_config};

/// The outbox's file in the state directory.
pub(super) const OUTBOX_FILE: &str = "outbox.sqlite";
/// The folder of models in the state directory.
const UPDATE_FOLDER: &str = "update";
/// A manifest is published anew so often even when nothing changed: its vitals do.
const MANIFEST_SECONDS: i64 = 86_400;
/// A timer that is due long from now is looked at again after this: clocks are set, machines sleep.
const TIMER_MAX: Duration = Duration::from_secs(10);

/// The uplink and the updater, and the model with which the agent starts.
pub(super) struct Fleet {
    pub(super) model: Arc<Model>,
    pub(super) model_version: ModelVersion,
    pub(super) uplink: Option<UplinkHandle>,
    /// The uplink's work, until a supervisor has it.
    pub(super) lives: Option<Uplink>,
    status: watch::Sender<AgentStatus>,
    updater: Option<Updater<ModelProof>>,
    /// What becomes the updater once this home is in the fleet.
    entering: Option<(Entry, CancellationToken)>,
    /// Makes the updater anew when this part has ended before its time; `begun`: it ran before.
    entry: Option<(Entry, CancellationToken)>,
    begun: bool,
    /// Signs what this home runs; none without a director.
    signer: Option<Signer>,
    /// When the last manifest was published, Unix seconds.
    declared: i64,
    /// What was found out about models while starting.
    outcomes: Vec<UpdateOutcome>,
    rng: SmallRng,
    /// File of the history, for backtests.
    history: PathBuf,
    /// The file of [`crate::audit`].
    audit: PathBuf,
}

impl Fleet {
    /// Opens outbox, slots and links; no server need be there. What needs an enrolled home waits until `joined`.
    pub(super) fn start(
        cloud: Option<&CloudConfig>,
        state: &StateDirectory,
        seed: u64,
        joined: &CancellationToken,
    ) -> Result<Self, StartError> {
        let (mut model, mut model_version) = (own_model(), ModelVersion(SHIPPED_VERSION));
        let (mut outcomes, mut updater, mut entering, mut again) = (Vec::new(), None, None, None);
        let updates = cloud.and_then(|cloud| Some((cloud.home.clone(), cloud.updates.clone()?)));
        let directed = updates.as_ref().is_some_and(|(_, updates)| updates.director_file.is_some());
        if let Some((home, updates)) = updates {
            let entry = Entry { home, updates, directory: state.file(UPDATE_FOLDER), own: Arc::clone(&model) };
            again = Some((entry.clone(), joined.clone()));
            if joined.is_cancelled() {
                let (opened, step) = entry.boot()?;
                if let Some((version, chosen)) = step.model {
                    (model_version, model) = (version, chosen);
                }
                (updater, outcomes) = (Some(opened), step.outcomes);
            } else {
                entering = Some((entry, joined.clone()));
            }
        }
        let (status, status_seen) = watch::channel(AgentStatus {
            online: true,
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            model_version,
            entities: 0,
            outbox: 0,
        });
        let (uplink, lives) = match cloud.and_then(|cloud| Some((&cloud.home, cloud.mqtt.as_ref()?))) {
            None => (None, None),
            Some((home, mqtt)) => {
                let mut outbox = Outbox::open(&state.file(OUTBOX_FILE))?;
                outbox.configure_sharing(cloud.map_or(SharingLevel::Off, |cloud| cloud.sharing));
                let outbox = uplink::share(outbox);
                let config = uplink_config(home, mqtt, directed, seed);
                let ready = (!joined.is_cancelled()).then(|| Box::pin(joined.clone().cancelled_owned()) as _);
                let (handle, lives) = uplink::prepare(config, outbox, status_seen, ready)?;
                (Some(handle), Some(lives))
            }
        };
        let signer = cloud.filter(|_| directed).and_then(Signer::of);
        let rng = SmallRng::seed_from_u64(seed);
        let (history, audit) = (state.file(HISTORY_FILE), state.file(AUDIT_FILE));
        let declared = 0;
        Ok(Self {
            model,
            model_version,
            uplink,
            lives,
            status,
            updater,
            entering,
            entry: again,
            begun: false,
            signer,
            declared,
            outcomes,
            rng,
            history,
            audit,
        })
    }

    /// Takes the detector service's records into the outbox; none without an uplink.
    pub(super) fn feedback(&self, home: &HomeId) -> Option<(HomeId, FeedbackSink)> {
        let uplink = self.uplink.clone()?;
        let runtime = tokio::runtime::Handle::current();
        // The detector service's thread may wait for the disk; it is not one of the runtime's.
        let sink = move |word| {
            let kept = runtime.block_on(async {
                match word {
                    ToFleet::Announcement(announcement) => uplink.announce(announcement).await,
                    ToFleet::Answer(record) => uplink.push(record).await,
                }
            });
            kept.map(is_kept).map_err(|error| error.to_string())
        };
        Some((home.clone(), Box::new(sink)))
    }

    /// The connection to the fleet's broker; none without an uplink.
    pub(super) fn state(&self) -> Option<watch::Receiver<UplinkState>> {
        self.uplink.as_ref().map(UplinkHandle::state)
    }

    /// Keeps model and status up to date until `stop`; then closes the uplink. Whatever is going on then ends where it stands: what is on disk
    /// is whole at any moment, and what was requested or has to be reported is taken up by the next start. May be begun again when it has ended before:
    /// what it knows of models then comes from the disk anew.
    pub(super) async fn serve(
        &mut self,
        detection: DetectorHandle,
        view: watch::Receiver<HomeView>,
        updates: watch::Sender<UpdateView>,
        requests: UpdateRequests,
        stop: CancellationToken,
    ) {
        if std::mem::replace(&mut self.begun, true) {
            self.updater = None;
            self.entering.clone_from(&self.entry);
        }
        let around = Around { detection, updates, requests, stop };
        if let Some(Err(error)) = around.stop.run_until_cancelled(self.live(&around, view)).await {
            tracing::debug!(%error, "the fleet's side ends");
        }
        if let Some(uplink) = self.uplink.take() {
            uplink.stop().await;
        }
    }

    /// Ends only when the detector service has ended.
    async fn live(&mut self, around: &Around, mut view: watch::Receiver<HomeView>) -> Result<Infallible, DetectorGone> {
        let outcomes = std::mem::take(&mut self.outcomes);
        self.report(outcomes, around).await;
        self.show_contribution(around).await;
        self.show_way_back(around);
        let mut notices = self.uplink.as_ref().map(UplinkHandle::release);
        let mut assignments = self.uplink.as_ref().map(UplinkHandle::assignment);
        let mut requested = around.requests.changes();
        self.declare(around).await?;
        // Of before the start.
        self.take_up(around).await?;
        loop {
            let trigger = tokio::select! {
                entry = entered(&mut self.entering) => {
                    self.enter(entry, around).await?;
                    self.declare(around).await?;
                    self.take_up(around).await?;
                    continue;
                }
                Ok(()) = view.changed() => {
                    let entities = u32::try_from(view.borrow_and_update().entities).unwrap_or(u32::MAX);
                    self.status.send_if_modified(|status| std::mem::replace(&mut status.entities, entities) != entities);
                    continue;
                }
                notice = next_of(notices.as_mut()) => Trigger::Notice(notice.model_version),
                signed = next_of(assignments.as_mut()) => Trigger::Assigned(signed),
                Ok(()) = requested.changed() => {
                    requested.mark_unchanged();
                    self.take_up(around).await?;
                    continue;
                }
                () = due(self.updater.as_ref()) => Trigger::Timer,
            };
            if let Trigger::Notice(version) = trigger {
                around.updates.send_modify(|view| view.latest = Some(version));
            }
            self.update(trigger, around).await?;
            self.settle_install(around).await;
            self.declare(around).await?;
        }
    }

    /// The home is enrolled now: from now on the fleet's models are taken.
    async fn enter(&mut self, entry: Entry, around: &Around) -> Result<(), DetectorGone> {
        match off_the_workers(move || entry.boot()).await {
            Ok((updater, mut step)) => {
                self.updater = Some(updater);
                // What is in charge already need not take charge.
                let in_charge = self.status.borrow().model_version;
                step.model = step.model.filter(|(version, _)| *version != in_charge);
                self.take_over(step, around).await
            }
            Err(error) => {
                tracing::error!(error = %error, "no models come from the fleet");
                Ok(())
            }
        }
    }

    /// Models are calculated with, disks and mirrors waited for: that is done on a thread of its own, so that stopping, the page and the
    /// brokers never wait for it. A download ends when the agent stops; the next start goes on with what came.
    async fn update(&mut self, trigger: Trigger, around: &Around) -> Result<(), DetectorGone> {
        if self.updater.is_none() {
            return Ok(());
        }
        let now = unix_now();
        let windows = around.detection.request(|reply| DetectorCommand::TrialWindows(now, reply)).await?;
        let mut rng = SmallRng::seed_from_u64(self.rng.next_u64());
        let (runtime, stop) = (Handle::current(), around.stop.clone());
        let run = move |updater: &mut Updater<ModelProof>| {
            runtime.block_on(stop.run_until_cancelled(updater.run(trigger, &windows, now, &mut rng)))
        };
        match self.with_updater(run).await.flatten() {
            Some(step) => self.take_over(step, around).await,
            // The agent stops, and whoever waits here is dropped: nothing may be concluded from a look that was cut short.
            None => std::future::pending().await,
        }
    }

    /// Does something with the updater where it may wait and calculate; none where there is no updater.
    async fn with_updater<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Updater<ModelProof>) -> T + Send + 'static,
    ) -> Option<T> {
        let mut updater = self.updater.take()?;
        let (updater, done) = off_the_workers(move || {
            let done = work(&mut updater);
            (updater, done)
        })
        .await;
        self.updater = Some(updater);
        Some(done)
    }

    /// Uses the model of a step, and reports how it came about.
    async fn take_over(&mut self, step: Step<Model>, around: &Around) -> Result<(), DetectorGone> {
        if let Some((version, model)) = step.model {
            let home = around.detection.request(DetectorCommand::Look).await?;
            let after = (version, Arc::clone(&model));
            around.detection.request(|reply| DetectorCommand::ReplaceModel(model, version, reply)).await?;
            backtest_aside(&self.history, home, after, around.detection.clone(), around.stop.clone());
            self.status.send_modify(|status| status.model_version = version);
        }
        self.report(step.outcomes, around).await;
        self.show_contribution(around).await;
        self.show_way_back(around);
        self.show_mirror(around);
        Ok(())
    }

    fn show_mirror(&self, around: &Around) {
        let fault = self.updater.as_ref().and_then(|updater| updater.mirror_fault().cloned());
        around.updates.send_if_modified(|view| {
            let changed = view.mirror != fault;
            view.mirror = fault;
            changed
        });
    }

    fn show_way_back(&self, around: &Around) {
        let leads = self.updater.as_ref().and_then(|updater| updater.roll_back_leads().ok()).map(|(_, to)| to);
        around.updates.send_if_modified(|view| std::mem::replace(&mut view.fallback, leads) != leads);
    }

    /// Shows which model holds how many of this home's answers.
    async fn show_contribution(&self, around: &Around) {
        let Some(uplink) = &self.uplink else { return };
        match uplink.with_outbox(|outbox| outbox.contributions()).await {
            Ok(list) => {
                let newest = list.first().map(|one| (one.model_version, one.examples));
                around.updates.send_if_modified(|view| std::mem::replace(&mut view.contribution, newest) != newest);
            }
            Err(error) => tracing::debug!(error = %error, "the receipts of answers are not read"),
        }
    }

    /// Publishes a manifest when something in it changed, or when the last one is a day old.
    async fn declare(&mut self, around: &Around) -> Result<(), DetectorGone> {
        let (Some(uplink), Some(updater), Some(signer)) = (&self.uplink, &self.updater, &mut self.signer) else {
            return Ok(());
        };
        let now = unix_now();
        let (sha256, since) = updater.in_charge().unwrap_or_default();
        let facts = Facts {
            assignment: updater.assignment().map(|assignment| (assignment.generation, assignment.nonce)),
            model_version: updater.installed(),
            sha256,
        };
        if !signer.is_news(&facts) && now.saturating_sub(self.declared) < MANIFEST_SECONDS {
            return Ok(());
        }
        let tally = around.detection.request(|reply| DetectorCommand::Tally(since, reply)).await?;
        match signer.sign(facts, vitals(tally, updater.watch(), since, now), now) {
            Ok(manifest) => {
                uplink.declare(manifest);
                self.declared = now;
            }
            Err(error) => tracing::error!(error = %error, "the fleet is not told what runs here"),
        }
        Ok(())
    }

    /// Reports to the fleet and to the residents how updates ended.
    async fn report(&mut self, outcomes: Vec<UpdateOutcome>, around: &Around) {
        for outcome in outcomes {
            let summary = in_words(&outcome);
            tracing::info!(model.version = outcome.model_version.0, "{summary}");
            around.updates.send_modify(|view| {
                view.summary = summary;
                view.ended.count(&outcome.result);
            });
            if let Some(uplink) = &self.uplink
                && let Err(error) = uplink.report(outcome).await
            {
                // Kept by the slots, and reported at the next start.
                tracing::error!(error = %error, "the fleet does not hear yet how an update ended");
                return;
            }
        }
        self.with_updater(Updater::reported).await;
    }
}

/// The channels and the token that all functions of the fleet's side use.
struct Around {
    detection: DetectorHandle,
    updates: watch::Sender<UpdateView>,
    requests: UpdateRequests,
    stop: CancellationToken,
}

/// Finds out what a new model would have changed last month, on a thread of its own that nobody waits for.
fn backtest_aside(
    history: &Path,
    home: Box<HomeDetail>,
    after: (ModelVersion, Arc<Model>),
    detection: DetectorHandle,
    stop: CancellationToken,
) {
    let (path, (report, reported)) = (history.to_owned(), oneshot::channel());
    let work = move || {
        let before = (home.model_version, Arc::clone(&home.model));
        let compared = History::open_to_read(&path)
            .and_then(|mut reader| backtest::compare(&mut reader, &home, before, after, unix_now()));
        match compared {
            // Nobody listens when the agent stops meanwhile.
            Ok(Some(backtested)) => drop(report.send(backtested)),
            Ok(None) => tracing::info!("too little is remembered to compare the new model with the one before"),
            Err(error) => tracing::warn!(error = %error, "the new model is not compared with the one before"),
        }
    };
    if let Err(error) = std::thread::Builder::new().name("backtest".to_owned()).spawn(work) {
        tracing::warn!(error = %error, "the new model is not compared with the one before");
        return;
    }
    tokio::spawn(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            Ok((backtest, record)) = reported => {
                // A detector service that is gone keeps nothing.
                let _ = detection.send(DetectorCommand::KeepBacktest(backtest, record)).await;
            }
            else => {}
        }
    });
}

/// Whether a record will be sent to the fleet.
fn is_kept(admission: Admission) -> bool {
    !matches!(admission, Admission::NotShared | Admission::DroppedAuditSample | Admission::DroppedAnnouncement)
}

/// Waits until this home is in the fleet; for ever where it has been from the start, or has no models from there.
async fn entered(entering: &mut Option<(Entry, CancellationToken)>) -> Entry {
    if let Some((_, joined)) = entering {
        joined.cancelled().await;
    }
    match entering.take() {
        Some((entry, _)) => entry,
        None => std::future::pending().await,
    }
}

/// The next value that the uplink receives; waits for ever where there is no uplink.
async fn next_of<T: Clone>(received: Option<&mut watch::Receiver<Option<T>>>) -> T {
    if let Some(received) = received {
        while received.changed().await.is_ok() {
            if let Some(value) = received.borrow_and_update().clone() {
                return value;
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
        UpdateResult::Refused { reason } if !outcome.weighs_on_release() => {
            format!("Model {version} cannot be had yet: {reason}.")
        }
        UpdateResult::Refused { reason } => format!("Model {version} was refused: {reason}."),
        UpdateResult::RolledBack { reason, to } => {
            format!("Model {version} was taken back ({reason}); {to} is in charge again.")
        }
    }
}
