//! Carries out what the machine decides: the only place where metadata, bytes, slots and models meet.

use std::path::PathBuf;
use std::sync::Arc;

use hearthwatch_protocol::ModelVersion;
use hearthwatch_protocol::messages::{UpdateOutcome, UpdateResult};
use rand::Rng;
use url::Url;

use crate::pinned::{self, PinnedError};
use crate::update::disk::RealDisk;
use crate::update::event::{UpdateCounts, UpdateEvent};
use crate::update::fetch::{Patience, UpdateTransport};
use crate::update::machine::{Input, Machine, Phase, Standing, Task};
use crate::update::probation;
use crate::update::prove::{Prove, Window, contained};
use crate::update::slots::{SlotError, Slots};
use crate::update::trust::{Offer, TrustError, TrustStore, Verified};

/// How long a new model is on trial unless said otherwise: six hours see a morning or an evening.
pub const PROBATION_SECONDS: i64 = 6 * 3_600;

/// What the updater needs to know.
#[derive(Debug, Clone)]
pub struct UpdaterConfig {
    /// Base address of the repository; `metadata/` and `targets/` are below it. `https` or `file`.
    pub url: Url,
    /// The authority of its HTTPS server; the system's without one.
    pub ca: Option<PathBuf>,
    /// The first trusted TUF root, JSON.
    pub root: Vec<u8>,
    /// Folder for slots, trusted metadata and half-fetched files.
    pub directory: PathBuf,
    /// How long a new model is on trial; 0 keeps it at once, after it was proven on recent windows.
    pub probation_seconds: i64,
}

/// Why there is no updater.
#[derive(Debug, thiserror::Error)]
pub enum UpdaterError {
    /// The address is of another kind.
    #[error("updates come by https:// or file://, not by {0}://")]
    Scheme(String),
    /// The address cannot have anything below it.
    #[error("{0} cannot be the base of a repository")]
    Base(Url),
    /// The authority's file.
    #[error(transparent)]
    Client(#[from] PinnedError),
    /// The slots.
    #[error(transparent)]
    Slots(#[from] SlotError),
}

/// What makes the updater act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// A release notice naming this version.
    Notice(ModelVersion),
    /// [`Updater::next_check`] has come.
    Timer,
}

/// What came of it.
#[derive(Debug)]
pub struct Step<M> {
    /// The model that is in charge from now on, when that changed, and its version.
    pub model: Option<(ModelVersion, Arc<M>)>,
    /// What to tell the fleet.
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
    own: Arc<P::Model>,
    current: Arc<P::Model>,
    before: Option<Arc<P::Model>>,
    /// From refreshing to fetching.
    verified: Option<Verified>,
    /// From fetching to swapping.
    fetched: Option<Vec<u8>>,
    /// From proving to swapping.
    candidate: Option<Arc<P::Model>>,
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
        let UpdaterConfig { url, ca, root, directory, probation_seconds } = config;
        let client = match url.scheme() {
            "https" => Some(pinned::https_client(ca.as_deref())?),
            "file" => None,
            other => return Err(UpdaterError::Scheme(other.to_owned())),
        };
        let (metadata, targets) = (below(&url, "metadata/")?, below(&url, "targets/")?);
        let transport = UpdateTransport::new(client, targets.clone(), directory.join("partial"), Patience::default());
        let trust = TrustStore { root, metadata, targets, directory: directory.join("tuf") };
        let slots = Slots::open(RealDisk, &directory.join("slots"), own_version)?;
        let mut updater = Self {
            prove,
            machine: Machine::new(probation_seconds, now),
            slots,
            trust,
            transport,
            counts: UpdateCounts::default(),
            current: Arc::clone(&own),
            own,
            before: None,
            verified: None,
            fetched: None,
            candidate: None,
        };
        let step = updater.start(now)?;
        Ok((updater, step))
    }

    fn start(&mut self, now: i64) -> Result<Step<P::Model>, UpdaterError> {
        let mut step = Step::default();
        let boot = self.slots.boot()?;
        let mut thrown_out = boot.thrown_out;
        let mut found = boot.model;
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
                    found = self.slots.boot()?.model;
                }
            }
        }
        if self.slots.trial().is_some() {
            self.before = Some(self.load_fallback());
        }
        let to = self.slots.installed();
        for (model_version, reason) in thrown_out {
            let result = UpdateResult::RolledBack { reason: format!("start: {reason}"), to };
            self.tell(&mut step, UpdateOutcome { model_version, result, at: now });
        }
        if step.model.is_none() {
            step.model = Some((to, Arc::clone(&self.own)));
        }
        Ok(step)
    }

    /// Acts on a notice or the timer until there is nothing more to do now. `windows` are the home's newest
    /// ([`hearthwatch_model::detector::HomeDetector::recent_windows`]).
    ///
    /// May be dropped half-way; the next call begins anew, and what is on disk is whole.
    pub async fn run(
        &mut self,
        trigger: Trigger,
        windows: &[Window],
        now: i64,
        rng: &mut (impl Rng + Send),
    ) -> Step<P::Model> {
        let mut step = Step::default();
        let mut input = match trigger {
            Trigger::Notice(version) => Input::Notice(version),
            Trigger::Timer => Input::Tick,
        };
        loop {
            let standing = self.standing(&input);
            let turn = self.machine.on(input, &standing, now, rng);
            if let Some(outcome) = turn.outcome {
                self.tell(&mut step, outcome);
            }
            if turn.task == Task::Rest {
                break;
            }
            input = self.carry_out(turn.task, windows, now, &mut step).await;
        }
        if !matches!(self.machine.phase(), Phase::Probation(_)) {
            (self.verified, self.fetched, self.candidate) = (None, None, None);
        }
        step
    }

    /// When the timer is due, Unix seconds.
    #[must_use]
    pub fn next_check(&self) -> i64 {
        self.machine.next_check()
    }

    /// Where the update stands.
    #[must_use]
    pub fn phase(&self) -> &Phase {
        self.machine.phase()
    }

    /// The version in charge.
    #[must_use]
    pub fn installed(&self) -> ModelVersion {
        self.slots.installed()
    }

    /// What was refused, hindered and done since the start.
    #[must_use]
    pub fn counts(&self) -> &UpdateCounts {
        &self.counts
    }

    /// A person's decision on this machine: back to the model before.
    ///
    /// # Errors
    /// [`SlotError`].
    pub fn roll_back_by_hand(&mut self, now: i64) -> Result<Step<P::Model>, SlotError> {
        let mut step = Step::default();
        let model_version = self.slots.installed();
        let model = self.load_fallback();
        let to = self.slots.roll_back_by_hand()?;
        self.take_charge(&mut step, to, model);
        let result = UpdateResult::RolledBack { reason: "by hand".to_owned(), to };
        self.tell(&mut step, UpdateOutcome { model_version, result, at: now });
        Ok(step)
    }

    /// A person's word that the clock is right now, after it had run ahead.
    ///
    /// # Errors
    /// [`TrustError::Store`].
    pub fn forget_time(&self) -> Result<(), TrustError> {
        self.trust.forget_time()
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
            offer_failed,
        }
    }

    async fn carry_out(&mut self, task: Task, windows: &[Window], now: i64, step: &mut Step<P::Model>) -> Input {
        match task {
            Task::Rest => Input::Tick,
            Task::Refresh => Input::Refreshed(self.refresh(now).await),
            Task::Fetch(offer) => Input::Fetched(self.fetch(&offer).await.map(|bytes| self.fetched = Some(bytes))),
            Task::Prove(offer) => Input::Proved(self.prove(&offer, windows)),
            Task::Swap(offer, until) => Input::Swapped(self.swap(&offer, until, step)),
            Task::Judge => Input::Judged(self.judge(&self.current, self.before.as_ref(), windows)),
            Task::Commit => {
                let committed = self.slots.commit().map_err(|error| self.hindered(&error));
                if committed.is_ok() {
                    self.before = None;
                }
                Input::Committed(committed)
            }
            Task::Restore(cause) => Input::Restored(self.restore(&cause, step)),
        }
    }

    async fn refresh(&mut self, now: i64) -> Result<Option<Offer>, TrustError> {
        let newest = match self.trust.refresh(self.transport.clone(), now).await {
            Ok(verified) => {
                let newest = verified.newest();
                self.verified = Some(verified);
                newest
            }
            Err(error) => Err(error),
        };
        newest.inspect_err(|error| self.distrust(error))
    }

    async fn fetch(&mut self, offer: &Offer) -> Result<Vec<u8>, TrustError> {
        let Some(verified) = &self.verified else { return Err(TrustError::NotListed(offer.target.clone())) };
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

    fn prove(&mut self, offer: &Offer, windows: &[Window]) -> Result<(), String> {
        let bytes = self.fetched.as_deref().unwrap_or_default();
        let proven = contained(|| self.prove.load(bytes, offer.version))
            .and_then(|model| self.judge(&model, Some(&self.current), windows).map(|()| model));
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

    fn judge(&self, model: &Arc<P::Model>, before: Option<&Arc<P::Model>>, windows: &[Window]) -> Result<(), String> {
        contained(|| {
            let Some(margins) = self.prove.margins(model, windows) else { return Ok(()) };
            let before = before.and_then(|before| self.prove.margins(before, windows));
            probation::judge(&margins, before.as_deref()).map_err(|fault| fault.to_string())
        })
    }

    fn swap(&mut self, offer: &Offer, until: i64, step: &mut Step<P::Model>) -> Result<(), String> {
        let (Some(bytes), Some(model)) = (self.fetched.take(), self.candidate.take()) else {
            return Err("nothing was proven".to_owned());
        };
        self.slots.install(offer.version, &bytes, until).map_err(|error| self.hindered(&error))?;
        self.forget_halves();
        self.before = Some(Arc::clone(&self.current));
        self.take_charge(step, offer.version, model);
        self.counts.emit(&UpdateEvent::Swapped(offer.version));
        Ok(())
    }

    fn restore(&mut self, cause: &str, step: &mut Step<P::Model>) -> Result<ModelVersion, String> {
        let model = self.load_fallback();
        let to = self.slots.throw_out().map_err(|error| self.hindered(&error))?;
        tracing::warn!(model.restored = to.0, update.cause = cause, "model failed its trial");
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

    fn tell(&mut self, step: &mut Step<P::Model>, outcome: UpdateOutcome) {
        self.counts.emit(&UpdateEvent::Ended(&outcome));
        step.outcomes.push(outcome);
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
