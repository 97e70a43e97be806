//! The agent's side of the fleet: answers go up by the uplink, models come down by the updater. All of it may be absent.

mod parts;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hearthwatch_model::detector::{Model, SHIPPED_VERSION};
use hearthwatch_protocol::messages::{AgentStatus, UpdateOutcome, UpdateResult};
use hearthwatch_protocol::{HomeId, ModelVersion};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::manifest::{Facts, Signer, vitals};
use super::unix_now;
use super::wiring::{HISTORY_FILE, StartError};
use crate::audit::{self, AUDIT_FILE};
use crate::brain::{BrainCommand, BrainGone, BrainHandle, FeedbackSink, HomeDetail, HomeView, ToFleet};
use crate::config::CloudConfig;
use crate::discovery::{UpdateView, UpdateWish};
use crate::history::HistoryReader;
use crate::outbox::{Admission, Outbox, SharingLevel};
use crate::rehearse;
use crate::state_directory::StateDirectory;
use crate::update::{ModelProof, RollBackError, Step, Trigger, Updater};
use crate::uplink::{self, Uplink, UplinkHandle, UplinkState};
pub(super) use parts::uplink_config;
use parts::{Entry, own_model};

/// The outbox's file in the state directory.
pub(super) const OUTBOX_FILE: &str = "outbox.sqlite";
/// The folder of models in the state directory.
const UPDATE_FOLDER: &str = "update";
/// A manifest is said anew so often even when nothing changed: its vitals do.
const MANIFEST_SECONDS: i64 = 86_400;
/// A timer that is due long from now is looked at again after this: clocks are set, machines sleep.
const TIMER_MAX: Duration = Duration::from_secs(600);

/// What the agent starts with.
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
    /// What the updater is made of anew after this part has ended before its time; the flag: it has begun.
    entry: Option<(Entry, CancellationToken)>,
    begun: bool,
    /// Signs what this home runs; none without a director.
    signer: Option<Signer>,
    /// When the manifest was said last.
    declared: i64,
    /// What was found out about models while starting.
    outcomes: Vec<UpdateOutcome>,
    rng: SmallRng,
    /// The memory's file, for rehearsals.
    history: PathBuf,
    /// Where decisions of people are written down.
    audit: PathBuf,
}

impl Fleet {
    /// Opens outbox, slots and links; nobody need be there. What needs the fleet's word waits until `joined`.
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

    /// Where the brain's records go.
    pub(super) fn feedback(&self, home: &HomeId) -> Option<(HomeId, FeedbackSink)> {
        let uplink = self.uplink.clone()?;
        let runtime = tokio::runtime::Handle::current();
        // The brain's thread may wait for the disk; it is not one of the runtime's.
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

    /// How the fleet's broker is doing.
    pub(super) fn state(&self) -> Option<watch::Receiver<UplinkState>> {
        self.uplink.as_ref().map(UplinkHandle::state)
    }

    /// Keeps model and status up to date until `stop`; then says farewell. May be begun again when it has ended before: what it knows of
    /// models then comes from the disk anew.
    pub(super) async fn serve(
        &mut self,
        brain: BrainHandle,
        mut view: watch::Receiver<HomeView>,
        updates: watch::Sender<UpdateView>,
        wishes: &mut mpsc::Receiver<UpdateWish>,
        stop: CancellationToken,
    ) {
        if std::mem::replace(&mut self.begun, true) {
            self.updater = None;
            self.entering.clone_from(&self.entry);
        }
        let outcomes = std::mem::take(&mut self.outcomes);
        self.report(outcomes, &updates).await;
        self.show_contribution(&updates).await;
        self.show_way_back(&updates);
        let mut notices = self.uplink.as_ref().map(UplinkHandle::release);
        let mut assignments = self.uplink.as_ref().map(UplinkHandle::assignment);
        if self.declare(&brain).await.is_err() {
            return;
        }
        loop {
            let trigger = tokio::select! {
                () = stop.cancelled() => break,
                entry = entered(&mut self.entering) => {
                    if self.enter(&entry, &brain, &updates, &stop).await.is_err() || self.declare(&brain).await.is_err() {
                        break;
                    }
                    continue;
                }
                Ok(()) = view.changed() => {
                    let entities = u32::try_from(view.borrow_and_update().entities).unwrap_or(u32::MAX);
                    self.status.send_if_modified(|status| std::mem::replace(&mut status.entities, entities) != entities);
                    continue;
                }
                notice = next_of(notices.as_mut()) => Trigger::Notice(notice.model_version),
                signed = next_of(assignments.as_mut()) => Trigger::Assigned(signed),
                Some(wish) = wishes.recv() => match wish {
                    UpdateWish::Install => Trigger::Consent,
                    UpdateWish::RollBack => {
                        if self.roll_back(&brain, &updates, &stop).await.is_err() || self.declare(&brain).await.is_err() {
                            break;
                        }
                        continue;
                    }
                },
                () = due(self.updater.as_ref()) => Trigger::Timer,
            };
            if let Trigger::Notice(version) = trigger {
                updates.send_modify(|view| view.latest = Some(version));
            }
            let updated = self.update(trigger, &brain, &updates, &stop).await;
            if updated.is_err() || self.declare(&brain).await.is_err() {
                break;
            }
        }
        if let Some(uplink) = self.uplink.take() {
            uplink.stop().await;
        }
    }

    /// In the fleet at last: from now on its models are taken.
    async fn enter(
        &mut self,
        entry: &Entry,
        brain: &BrainHandle,
        updates: &watch::Sender<UpdateView>,
        stop: &CancellationToken,
    ) -> Result<(), BrainGone> {
        match entry.boot() {
            Ok((updater, mut step)) => {
                self.updater = Some(updater);
                // What is in charge already need not take charge.
                let in_charge = self.status.borrow().model_version;
                step.model = step.model.filter(|(version, _)| *version != in_charge);
                self.take_over(step, brain, updates, stop).await
            }
            Err(error) => {
                tracing::error!(error = %error, "no models come from the fleet");
                Ok(())
            }
        }
    }

    async fn update(
        &mut self,
        trigger: Trigger,
        brain: &BrainHandle,
        updates: &watch::Sender<UpdateView>,
        stop: &CancellationToken,
    ) -> Result<(), BrainGone> {
        let Some(updater) = &mut self.updater else { return Ok(()) };
        let now = unix_now();
        let windows = brain.ask(|reply| BrainCommand::TrialWindows(now, reply)).await?;
        let step = updater.run(trigger, &windows, now, &mut self.rng).await;
        self.take_over(step, brain, updates, stop).await
    }

    /// A resident wants the model before: written down, done, told to the fleet. Why not is said where updates are.
    async fn roll_back(
        &mut self,
        brain: &BrainHandle,
        updates: &watch::Sender<UpdateView>,
        stop: &CancellationToken,
    ) -> Result<(), BrainGone> {
        match self.back_by_one(unix_now()) {
            Ok(step) => self.take_over(step, brain, updates, stop).await,
            Err(why) => {
                tracing::warn!(reason = why, "a roll-back is not done");
                updates.send_modify(|view| view.summary = format!("Not rolled back: {why}."));
                Ok(())
            }
        }
    }

    fn back_by_one(&mut self, now: i64) -> Result<Step<Model>, String> {
        let Some(updater) = &mut self.updater else { return Err(RollBackError::Nothing.to_string()) };
        let (from, to) = updater.roll_back_leads().map_err(|error| error.to_string())?;
        let at = jiff::Timestamp::from_second(now).unwrap_or_default();
        let detail = format!("from model {from} to {to}");
        let entry = audit::Entry { at, deed: "roll_back", account: "resident", detail: &detail };
        audit::note(&self.audit, &entry).map_err(|error| format!("it cannot be written down: {error}"))?;
        updater.roll_back(now).map_err(|error| error.to_string())
    }

    /// Puts the model of a step in charge, and tells everybody how it came about.
    async fn take_over(
        &mut self,
        step: Step<Model>,
        brain: &BrainHandle,
        updates: &watch::Sender<UpdateView>,
        stop: &CancellationToken,
    ) -> Result<(), BrainGone> {
        if let Some((version, model)) = step.model {
            let home = brain.ask(BrainCommand::Look).await?;
            let after = (version, Arc::clone(&model));
            brain.ask(|reply| BrainCommand::ReplaceModel(model, version, reply)).await?;
            rehearse_aside(&self.history, home, after, brain.clone(), stop.clone());
            self.status.send_modify(|status| status.model_version = version);
        }
        self.report(step.outcomes, updates).await;
        self.show_contribution(updates).await;
        self.show_way_back(updates);
        Ok(())
    }

    fn show_way_back(&self, updates: &watch::Sender<UpdateView>) {
        let leads = self.updater.as_ref().and_then(|updater| updater.roll_back_leads().ok()).map(|(_, to)| to);
        updates.send_if_modified(|view| std::mem::replace(&mut view.fallback, leads) != leads);
    }

    /// Shows which model holds how many of this home's answers.
    async fn show_contribution(&self, updates: &watch::Sender<UpdateView>) {
        let Some(uplink) = &self.uplink else { return };
        match uplink.with_outbox(|outbox| outbox.contributions()).await {
            Ok(list) => {
                let newest = list.first().map(|one| (one.model_version, one.examples));
                updates.send_if_modified(|view| std::mem::replace(&mut view.contribution, newest) != newest);
            }
            Err(error) => tracing::debug!(error = %error, "the receipts of answers are not read"),
        }
    }

    /// Says what this home runs when that changed, or was said long ago.
    async fn declare(&mut self, brain: &BrainHandle) -> Result<(), BrainGone> {
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
        let tally = brain.ask(|reply| BrainCommand::Tally(since, reply)).await?;
        match signer.sign(facts, vitals(tally, updater.watch(), since, now), now) {
            Ok(manifest) => {
                uplink.declare(manifest);
                self.declared = now;
            }
            Err(error) => tracing::error!(error = %error, "the fleet is not told what runs here"),
        }
        Ok(())
    }

    /// Tells the fleet and the resident how updates ended.
    async fn report(&mut self, outcomes: Vec<UpdateOutcome>, updates: &watch::Sender<UpdateView>) {
        for outcome in outcomes {
            let summary = in_words(&outcome);
            tracing::info!(model.version = outcome.model_version.0, "{summary}");
            updates.send_modify(|view| view.summary = summary);
            if let Some(uplink) = &self.uplink
                && let Err(error) = uplink.report(outcome).await
            {
                // Kept by the slots, and told at the next start.
                tracing::error!(error = %error, "the fleet does not hear yet how an update ended");
                return;
            }
        }
        if let Some(updater) = &mut self.updater {
            updater.told();
        }
    }
}

/// Finds out what a new model would have changed last month, on a thread of its own that nobody waits for.
fn rehearse_aside(
    history: &Path,
    home: Box<HomeDetail>,
    after: (ModelVersion, Arc<Model>),
    brain: BrainHandle,
    stop: CancellationToken,
) {
    let (path, (tell, told)) = (history.to_owned(), oneshot::channel());
    let work = move || {
        let before = (home.model_version, Arc::clone(&home.model));
        let compared = HistoryReader::open(&path)
            .and_then(|mut reader| rehearse::compare(&mut reader, &home, before, after, unix_now()));
        match compared {
            // Nobody listens when the agent stops meanwhile.
            Ok(Some(rehearsal)) => drop(tell.send(rehearsal)),
            Ok(None) => tracing::info!("too little is remembered to compare the new model with the one before"),
            Err(error) => tracing::warn!(error = %error, "the new model is not compared with the one before"),
        }
    };
    if let Err(error) = std::thread::Builder::new().name("rehearsal".to_owned()).spawn(work) {
        tracing::warn!(error = %error, "the new model is not compared with the one before");
        return;
    }
    tokio::spawn(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            Ok(rehearsal) = told => {
                // A brain that is gone keeps nothing.
                let _ = brain.tell(BrainCommand::KeepRehearsal(rehearsal)).await;
            }
            else => {}
        }
    });
}

/// Whether the fleet will hear of a record.
fn is_kept(admission: Admission) -> bool {
    !matches!(admission, Admission::NotShared | Admission::DroppedProbe | Admission::DroppedAnnouncement)
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

/// The next thing that the uplink heard; for ever where there is no uplink.
async fn next_of<T: Clone>(heard: Option<&mut watch::Receiver<Option<T>>>) -> T {
    if let Some(heard) = heard {
        while heard.changed().await.is_ok() {
            if let Some(value) = heard.borrow_and_update().clone() {
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
        UpdateResult::Refused { reason } => format!("Model {version} was refused: {reason}."),
        UpdateResult::RolledBack { reason, to } => {
            format!("Model {version} was taken back ({reason}); {to} is in charge again.")
        }
    }
}
