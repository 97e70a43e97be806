//! Carries out what the machine decides: the only place where metadata, bytes, slots and models meet.

mod roll_back;
mod view;

use std::path::PathBuf;
use std::sync::Arc;

use hearthwatch_edge_cloud::pinned::{self, PinnedError};
use hearthwatch_edge_core::trial::TrialWindows;
use hearthwatch_protocol::ModelVersion;
use hearthwatch_protocol::assignment::SignedAssignment;
use hearthwatch_protocol::messages::{UpdateOutcome, UpdateStage};
use rand::Rng;
use url::Url;

use crate::director::{Director, DirectorConfig, Taken, both_name};
use crate::disk::RealDisk;
use crate::event::{UpdateCounts, UpdateEvent};
use crate::fetch::{Patience, UpdateTransport};
use crate::machine::{CALLED_BACK, Input, Machine, MirrorFault, Standing, Task, Watching, one_line};
use crate::policy::Policy;
use crate::prove::{Prove, contained};
use crate::slots::{SlotError, Slots};
use crate::trust::{Offer, TrustError, TrustStore, Verified};
use crate::watch::{LOOKS_MIN, Margins, Watch};
pub use roll_back::{MANUAL, RollBackError};

/// How long a new model is watched unless said otherwise: an hour beside the one in charge, then six in charge, which see a morning or
/// an evening.
pub const WATCHING: Watching = Watching { shadow_seconds: 3_600, probation_seconds: 6 * 3_600 };

/// What [`Updater::boot`] needs.
#[derive(Debug, Clone)]
pub struct UpdaterConfig {
    /// Base address of the repository; `metadata/` and `targets/` are below it. `https` or `file`.
    pub url: Url,
    /// The authority of its HTTPS server; the system's without one.
    pub ca: Option<PathBuf>,
    /// The TUF root with which trust begins, JSON.
    pub root: Vec<u8>,
    /// Folder for slots, trusted metadata and half-fetched files.
    pub directory: PathBuf,
    /// Whose assignments are followed; without one, the newest release is taken.
    pub director: Option<DirectorConfig>,
    /// How long a new model is watched.
    pub watching: Watching,
    /// From `[cloud.updates]` of the configuration.
    pub policy: Policy,
}

/// Why there is no updater.
#[derive(Debug, thiserror::Error)]
pub enum UpdaterError {
    /// Neither `https` nor `file`.
    #[error("updates come by https:// or file://, not by {0}://")]
    Scheme(String),
    /// The address cannot have anything below it.
    #[error("{0} cannot be the base of a repository")]
    Base(Url),
    /// The file of the fleet's authority.
    #[error(transparent)]
    Client(#[from] PinnedError),
    /// The folder of the slots cannot be used.
    #[error(transparent)]
    Slots(#[from] SlotError),
}

/// Why the updater runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// An assignment came; nothing in it is believed before it is verified.
    Assigned(SignedAssignment),
    /// A release notice names this version.
    Notice(ModelVersion),
    /// [`Updater::next_check`] has come.
    Timer,
    /// A resident asks for this version, or for what is offered.
    Consent(Option<ModelVersion>),
}

/// The result of a run.
#[derive(Debug)]
pub struct Step<M> {
    /// The model that is in charge from now on, when that changed, and its version.
    pub model: Option<(ModelVersion, Arc<M>)>,
    /// To be reported to the fleet.
    pub outcomes: Vec<UpdateOutcome>,
}

impl<M> Default for Step<M> {
    fn default() -> Self {
        Self { model: None, outcomes: Vec::new() }
    }
}

/// Keeps the home's model up to date.
pub struct Updater<P: Prove> {
    prove: P,
    machine: Machine,
    slots: Slots<RealDisk>,
    trust: TrustStore,
    transport: UpdateTransport,
    counts: UpdateCounts,
    policy: Policy,
    director: Option<Director>,
    own: Arc<P::Model>,
    current: Arc<P::Model>,
    before: Option<Arc<P::Model>>,
    /// Set from refreshing to fetching.
    verified: Option<Verified>,
    /// The artifact; set from fetching to staging.
    fetched: Option<Vec<u8>>,
    /// From proving to swapping; what is staged, while something is.
    candidate: Option<Arc<P::Model>>,
    /// What the watch that is under way, or the last one, has seen.
    watch: Watch,
}

impl<P: Prove> Updater<P> {
    /// Opens slots and trust store and finds the model to start with: the second value, with what was thrown out on the way as
    /// outcomes. `own` is the model inside the program, of version `own_version`.
    ///
    /// # Errors
    /// [`UpdaterError`] when the configuration or the folder is no good.
    pub fn boot(
        config: UpdaterConfig,
        prove: P,
        own: Arc<P::Model>,
        own_version: ModelVersion,
        now: i64,
    ) -> Result<(Self, Step<P::Model>), UpdaterError> {
        let UpdaterConfig { url, ca, root, directory, director, watching, policy } = config;
        let client = match url.scheme() {
            "https" => Some(pinned::https_client(ca.as_deref())?),
            "file" => None,
            other => return Err(UpdaterError::Scheme(other.to_owned())),
        };
        let (metadata, targets) = (below(&url, "metadata/")?, below(&url, "targets/")?);
        let transport = UpdateTransport::new(client, targets.clone(), directory.join("partial"), Patience::default());
        let trust = TrustStore { root, metadata, targets, directory: directory.join("tuf") };
        let slots = Slots::open(RealDisk, &directory.join("slots"), own_version)?;
        let director = director.map(|director| Director::recall(director, slots.followed()));
        let mut updater = Self {
            prove,
            machine: Machine::new(watching, now),
            slots,
            trust,
            transport,
            counts: UpdateCounts::default(),
            policy,
            director,
            current: Arc::clone(&own),
            own,
            before: None,
            verified: None,
            fetched: None,
            candidate: None,
            watch: Watch::default(),
        };
        let step = updater.start(now)?;
        Ok((updater, step))
    }

    fn start(&mut self, now: i64) -> Result<Step<P::Model>, UpdaterError> {
        let mut step = Step::default();
        if let Some(outcome) = self.slots.unreported().cloned() {
            step.outcomes.push(outcome);
        }
        let boot = self.slots.boot()?;
        let (mut thrown_out, mut lost) = (boot.thrown_out, boot.lost);
        let mut found = boot.model;
        let mut given_up = boot.given_up;
        while let Some((version, bytes)) = found.take() {
            match contained(|| self.prove.load(&bytes, version)) {
                Ok(model) => {
                    self.current = Arc::clone(&model);
                    step.model = Some((version, model));
                }
                // This program cannot run what an earlier one could: not the disk's fault, so not to be fetched again.
                Err(cause) => {
                    thrown_out.push((version, cause));
                    self.slots.throw_out()?;
                    let boot = self.slots.boot()?;
                    lost.extend(boot.lost);
                    found = boot.model;
                }
            }
        }
        if self.slots.trial().is_some() {
            self.before = Some(self.load_fallback());
        }
        if let Some(version) = self.slots.staged().map(|staged| staged.held.version) {
            let bytes = self.slots.staged_bytes().unwrap_or_default();
            match contained(|| self.prove.load(&bytes, version)) {
                Ok(model) => self.candidate = Some(model),
                Err(cause) => {
                    self.slots.unstage(true)?;
                    given_up = Some((version, cause));
                }
            }
        }
        if let Some((model_version, reason)) = given_up {
            let reason = format!("start: {reason}");
            self.report(&mut step, UpdateOutcome::refused(model_version, UpdateStage::Install, reason, now));
        }
        let to = self.slots.installed();
        for (model_version, reason) in thrown_out {
            self.report(&mut step, UpdateOutcome::rolled_back(model_version, format!("start: {reason}"), to, now));
        }
        for (model_version, reason) in lost {
            let outcome = UpdateOutcome::rolled_back(model_version, format!("start: {reason}"), to, now);
            self.report(&mut step, UpdateOutcome { stage: Some(UpdateStage::Fetch), ..outcome });
        }
        if step.model.is_none() {
            step.model = Some((to, Arc::clone(&self.own)));
        }
        Ok(step)
    }

    /// Acts on what happened until there is nothing more to do now. `windows` are copies of the home's newest.
    ///
    /// May be dropped half-way; the next call begins anew, and what is on disk is whole.
    pub async fn run(
        &mut self,
        trigger: Trigger,
        windows: &TrialWindows,
        now: i64,
        rng: &mut (impl Rng + Send),
    ) -> Step<P::Model> {
        let mut step = Step::default();
        let fault = self.machine.mirror_fault().cloned();
        let mut input = match trigger {
            Trigger::Notice(version) => Input::Notice(version),
            Trigger::Timer => match self.director.as_mut().and_then(|director| director.due(now)) {
                Some(signed) => self.take(signed, now).unwrap_or(Input::Tick),
                None => Input::Tick,
            },
            Trigger::Consent(version) => Input::Consent(version),
            Trigger::Assigned(signed) => match self.take(signed, now) {
                Some(input) => input,
                None => return step,
            },
        };
        loop {
            let standing = self.standing(&input);
            let turn = self.machine.on(input, &standing, now, rng);
            if let Some(outcome) = turn.outcome {
                self.report(&mut step, outcome);
            }
            if turn.task == Task::Rest {
                break;
            }
            input = self.carry_out(turn.task, windows, now, &mut step).await;
        }
        self.report_mirror(fault.as_ref());
        if self.slots.staged().is_none() {
            (self.verified, self.fetched, self.candidate) = (None, None, None);
        }
        step
    }

    /// Verifies an assignment and remembers it; the machine's input when it changes what is to be done.
    fn take(&mut self, signed: SignedAssignment, now: i64) -> Option<Input> {
        let Some(director) = &mut self.director else {
            tracing::warn!("an assignment came, but no director is trusted here");
            return None;
        };
        match director.take(signed, now) {
            Ok(Taken::New(assignment, followed)) => {
                if let Err(error) = self.slots.follow(followed.clone()) {
                    // What cannot be remembered could be rolled back later: not followed.
                    self.hindered(&error);
                    return None;
                }
                director.follow(*assignment, followed);
                Some(Input::Assigned)
            }
            Ok(Taken::Again | Taken::Waiting) => None,
            Err(refusal) => {
                self.distrust(&TrustError::Assignment(refusal));
                None
            }
        }
    }

    /// When the timer is due, Unix seconds.
    #[must_use]
    pub fn next_check(&self) -> i64 {
        let early = self.director.as_ref().and_then(Director::wakes_at).unwrap_or(i64::MAX);
        self.machine.next_check().min(early)
    }

    /// The outcomes given so far are in the outbox.
    pub fn reported(&mut self) {
        if let Err(error) = self.slots.reported() {
            self.hindered(&error);
        }
    }

    fn standing(&self, input: &Input) -> Standing {
        let offer_failed = match input {
            Input::Refreshed(Ok(Some(offer))) => self.slots.has_failed(offer.version),
            _ => false,
        };
        Standing {
            installed: self.slots.installed(),
            floor: self.slots.floor(),
            trial: self.slots.trial(),
            staged: self.slots.staged().map(|staged| (staged.held.version, staged.until)),
            offer_failed,
            assigned: self.assignment().map(|assignment| assignment.model_version),
            policy: self.policy,
        }
    }

    async fn carry_out(&mut self, task: Task, windows: &TrialWindows, now: i64, step: &mut Step<P::Model>) -> Input {
        match task {
            Task::Rest => Input::Tick,
            Task::Refresh => Input::Refreshed(self.refresh(now).await),
            Task::Fetch(offer) => Input::Fetched(self.fetch(&offer).await.map(|bytes| self.fetched = Some(bytes))),
            Task::Prove(offer) => Input::Proved(self.prove(&offer, windows)),
            Task::Stage(offer, until) => Input::Staged(self.stage(&offer, until)),
            Task::Compare => Input::Compared(self.compare(windows)),
            Task::Drop(cause) => Input::Dropped(self.drop_staged(cause.as_deref())),
            Task::Swap(until) => Input::Swapped(self.swap(until, now, step)),
            Task::Judge => Input::Judged(self.judge(windows)),
            Task::Commit => {
                let outcome = UpdateOutcome::installed(self.slots.installed(), now);
                let committed = self.slots.owing(outcome).commit().map_err(|error| self.hindered(&error));
                if committed.is_ok() {
                    self.before = None;
                }
                Input::Committed(committed)
            }
            Task::Restore(cause) => {
                self.owe_roll_back(one_line("probation", &cause), now);
                Input::Restored(self.restore(&cause, step, Slots::throw_out))
            }
            Task::CallBack => {
                self.owe_roll_back(CALLED_BACK.to_owned(), now);
                Input::Restored(self.restore(CALLED_BACK, step, Slots::call_back))
            }
        }
    }

    fn owe_roll_back(&mut self, reason: String, now: i64) {
        let (model_version, to) = (self.slots.installed(), self.slots.fallback());
        self.slots.owing(UpdateOutcome::rolled_back(model_version, reason, to, now));
    }

    async fn refresh(&mut self, now: i64) -> Result<Option<Offer>, TrustError> {
        let offer = self.ask(now).await;
        offer.inspect_err(|error| self.distrust(error))
    }

    async fn ask(&mut self, now: i64) -> Result<Option<Offer>, TrustError> {
        let assignment = match &self.director {
            None => None,
            Some(director) => match director.current().cloned() {
                Some(assignment) => Some(assignment),
                // Nobody has assigned anything yet: what runs here stays.
                None => return Ok(None),
            },
        };
        let verified = self.trust.refresh(self.transport.clone(), now).await?;
        let offer = match (assignment, self.policy.pin) {
            (Some(assignment), _) if assignment.model_version == self.slots.installed() => Ok(None),
            (Some(assignment), _) => {
                let listed = verified.offer(assignment.model_version)?;
                both_name(&assignment, listed, now).map(Some)
            }
            (None, Some(pin)) => verified.offer(pin),
            (None, None) => verified.newest(),
        };
        self.verified = Some(verified);
        offer
    }

    async fn fetch(&mut self, offer: &Offer) -> Result<Vec<u8>, TrustError> {
        let Some(verified) = &self.verified else { return Err(TrustError::NotListed(offer.target.clone())) };
        if let Some(bytes) = self.slots.bytes_of(offer.version, &offer.sha256) {
            // Still in a slot, under the very hash that is signed now.
            return Ok(bytes);
        }
        let mut bytes = verified.fetch(offer).await;
        if matches!(bytes, Err(TrustError::Tampered { .. } | TrustError::TooLarge { .. })) {
            // Perhaps it was only our kept half that was wrong: once more, from the first byte.
            self.forget_halves();
            bytes = verified.fetch(offer).await;
            if bytes.is_err() {
                self.forget_halves();
            }
        }
        bytes.inspect_err(|error| self.distrust(error))
    }

    fn prove(&mut self, offer: &Offer, windows: &TrialWindows) -> Result<(), String> {
        self.watch = Watch::default();
        let bytes = self.fetched.as_deref().unwrap_or_default();
        let proven = contained(|| self.prove.load(bytes, offer.version))
            .and_then(|model| self.look(&model, Some(&self.current), windows).map(|_| model));
        match proven {
            Ok(model) => {
                self.candidate = Some(model);
                Ok(())
            }
            Err(cause) => {
                self.counts.emit(&UpdateEvent::Refused { reason: "not_proven", cause: &cause });
                if let Err(error) = self.slots.mark_failed(offer.version) {
                    self.hindered(&error);
                }
                self.forget_halves();
                Err(cause)
            }
        }
    }

    /// One more look at `model`, beside `before`: the watch with it.
    fn look(
        &self,
        model: &Arc<P::Model>,
        before: Option<&Arc<P::Model>>,
        windows: &TrialWindows,
    ) -> Result<Watch, String> {
        let margins = |model: &P::Model| {
            let of = |some: &[_]| self.prove.margins(model, some, windows.share);
            Margins { recent: of(&windows.recent), fault_checks: of(&windows.fault_checks) }
        };
        contained(|| {
            let mut watch = self.watch;
            let before = before.map(|before| margins(before));
            watch.look(&margins(model), before.as_ref()).map_err(|fault| fault.to_string())?;
            Ok(watch)
        })
    }

    fn stage(&mut self, offer: &Offer, until: i64) -> Result<(), String> {
        let Some(bytes) = self.fetched.take() else { return Err("nothing was fetched".to_owned()) };
        let staged = self.slots.stage(offer.version, &bytes, until, offer.ordered);
        staged.map_err(|error| self.hindered(&error))?;
        self.forget_halves();
        self.watch = Watch::default();
        self.counts.emit(&UpdateEvent::Staged(offer.version));
        Ok(())
    }

    fn compare(&mut self, windows: &TrialWindows) -> Result<bool, String> {
        let Some(staged) = self.slots.staged().cloned() else { return Err("nothing is staged".to_owned()) };
        let Some(model) = self.candidate.clone() else { return Err("nothing was proven".to_owned()) };
        self.watch = self.look(&model, Some(&self.current), windows)?;
        // A watch of no length was one look at the stored windows.
        let looks = self.watch.looks >= LOOKS_MIN || windows.recent.is_empty();
        Ok(looks || self.machine.watching().shadow_seconds == 0 || staged.ordered)
    }

    fn drop_staged(&mut self, cause: Option<&str>) -> Result<(), String> {
        if let Some(cause) = cause {
            self.counts.emit(&UpdateEvent::Refused { reason: "shadow", cause });
        }
        self.candidate = None;
        self.slots.unstage(cause.is_some()).map_err(|error| self.hindered(&error))
    }

    fn swap(&mut self, until: i64, now: i64, step: &mut Step<P::Model>) -> Result<(), String> {
        let Some(model) = self.candidate.take() else { return Err("nothing was proven".to_owned()) };
        self.slots.swap(until, now).map_err(|error| self.hindered(&error))?;
        let version = self.slots.installed();
        self.before = Some(Arc::clone(&self.current));
        self.take_charge(step, version, model);
        self.counts.emit(&UpdateEvent::Swapped(version));
        Ok(())
    }

    fn judge(&mut self, windows: &TrialWindows) -> Result<(), String> {
        self.watch = self.look(&self.current, self.before.as_ref(), windows)?;
        Ok(())
    }

    fn restore(
        &mut self,
        cause: &str,
        step: &mut Step<P::Model>,
        leave: impl FnOnce(&mut Slots<RealDisk>) -> Result<ModelVersion, SlotError>,
    ) -> Result<ModelVersion, String> {
        let model = self.load_fallback();
        let to = leave(&mut self.slots).map_err(|error| self.hindered(&error))?;
        tracing::warn!(model.restored = to.0, update.cause = cause, "model taken back");
        self.before = None;
        self.take_charge(step, to, model);
        Ok(to)
    }

    /// The model that a roll-back leads to; the program's own where the slot does not serve.
    fn load_fallback(&self) -> Arc<P::Model> {
        let version = self.slots.fallback();
        self.slots
            .fallback_bytes()
            .and_then(|bytes| contained(|| self.prove.load(&bytes, version)).ok())
            .unwrap_or_else(|| Arc::clone(&self.own))
    }

    fn take_charge(&mut self, step: &mut Step<P::Model>, version: ModelVersion, model: Arc<P::Model>) {
        self.current = Arc::clone(&model);
        step.model = Some((version, model));
    }

    fn forget_halves(&self) {
        if let Err(error) = self.transport.forget_halves() {
            tracing::warn!(%error, "half-fetched files stay");
        }
    }

    fn report(&mut self, step: &mut Step<P::Model>, outcome: UpdateOutcome) {
        self.counts.emit(&UpdateEvent::Ended(&outcome));
        step.outcomes.push(outcome);
    }

    /// Says once that the repository is not trusted any more, or again, or for another cause.
    fn report_mirror(&mut self, before: Option<&MirrorFault>) {
        let now = self.machine.mirror_fault().cloned();
        if before.map(|fault| &fault.cause) == now.as_ref().map(|fault| &fault.cause) {
            return;
        }
        self.counts.emit(&match &now {
            Some(fault) => UpdateEvent::MirrorFault { since: fault.since, cause: &fault.cause },
            None => UpdateEvent::MirrorRepaired,
        });
    }

    fn distrust(&mut self, error: &TrustError) {
        let (reason, cause) = (error.reason(), error.to_string());
        let cause = cause.as_str();
        self.counts.emit(&match error.is_refusal() {
            true => UpdateEvent::Refused { reason, cause },
            false => UpdateEvent::Hindered { reason, cause },
        });
    }

    fn hindered(&mut self, error: &SlotError) -> String {
        let cause = error.to_string();
        self.counts.emit(&UpdateEvent::Hindered { reason: "slots", cause: &cause });
        cause
    }
}

/// A folder below the repository's address, whether or not that ends with a slash.
fn below(url: &Url, folder: &str) -> Result<Url, UpdaterError> {
    let mut base = url.clone();
    if !base.path().ends_with('/') {
        base.set_path(&format!("{}/", url.path()));
    }
    base.join(folder).map_err(|_| UpdaterError::Base(url.clone()))
}
