//! The update as a state machine: what to do next, when to try again, what to report. Pure.
//!
//! ```text
//! Idle → Offered → Refreshing → Fetching → Proving → Staging → Shadowing → Swapping → Probation → Committed
//!                   │   └────────────┴──────────┴──────────────────┴─→ Refused  └──→ RolledBack
//!                   └─→ Waiting (for a resident's request)
//! ```
//!
//! A release is watched twice: first beside the model in charge (it scores the same live windows, but raises no alarms), then in charge
//! and on trial. An order of the fleet's director may call either watch off.

use std::time::Duration;

use hearthwatch_edge_cloud::pinned;
use hearthwatch_link::Backoff;
use hearthwatch_protocol::ModelVersion;
use hearthwatch_protocol::limits::TEXT_BYTES_MAX;
use hearthwatch_protocol::messages::{UpdateOutcome, UpdateStage};
use rand::Rng;

use crate::fetch::Busy;
use crate::policy::{Install, Policy};
use crate::slots::Trial;
use crate::trust::{Offer, TrustError};

/// The repository is asked so often without a notice, give or take the jitter: a retained notice usually comes first.
const CHECK: Backoff = Backoff { first: Duration::from_secs(6 * 3_600), longest: Duration::from_secs(6 * 3_600) };

/// After a failure of the line, the clock or our disk, and while a noticed release is not on the mirror yet: doubling from ten seconds.
const RETRY: Backoff = Backoff { first: Duration::from_secs(10), longest: Duration::from_secs(6 * 3_600) };

/// A model that is watched is judged once a grid step.
const JUDGE_SECONDS: i64 = 600;

/// The reason of a roll-back that the fleet asked for.
pub const CALLED_BACK: &str = "ordered: the fleet calls it back";

/// How long a new model is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watching {
    /// Beside the model in charge; 0 swaps as soon as it was compared on the home's stored windows.
    pub shadow_seconds: i64,
    /// In charge, on trial; 0 commits at once.
    pub probation_seconds: i64,
}

/// How far an update has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// No update goes on.
    Idle,
    /// A notice names a version; nothing in it is trusted.
    Offered(ModelVersion),
    /// The TUF metadata is fetched and verified.
    Refreshing,
    /// The artifact is downloaded.
    Fetching(Offer),
    /// Trusted and not yet asked for by a resident.
    Waiting(ModelVersion),
    /// The model is being tried on recent windows.
    Proving(Offer),
    /// The spare slot is filled.
    Staging(Offer),
    /// In the spare slot, scoring live windows beside the model in charge.
    Shadowing(ModelVersion),
    /// The pointer file is replaced.
    Swapping(ModelVersion),
    /// In use, on trial.
    Probation(ModelVersion),
    /// In use, its trial passed.
    Committed(ModelVersion),
    /// This version failed its trial or was called back; the one before is in use again.
    RolledBack(ModelVersion),
    /// This version never was in use here.
    Refused(ModelVersion),
}

/// The state of the slots, passed with each input: the machine holds no copy of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// The version in use.
    pub installed: ModelVersion,
    /// Older versions are refused, unless the director orders one.
    pub floor: ModelVersion,
    /// Set while what is in charge is on trial.
    pub trial: Option<Trial>,
    /// What is being watched in the spare slot, and until when.
    pub staged: Option<(ModelVersion, i64)>,
    /// Of the offer just made: it failed here before.
    pub offer_failed: bool,
    /// The version that the fleet's director assigns to this home; none without a director.
    pub assigned: Option<ModelVersion>,
    /// From `[cloud.updates]` of the configuration.
    pub policy: Policy,
}

/// What happened since the last task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A release notice; not to be trusted.
    Notice(ModelVersion),
    /// The director's order changed; it was verified ([`Standing::assigned`]).
    Assigned,
    /// A resident asks for this version, or for what is offered.
    Consent(Option<ModelVersion>),
    /// [`Machine::next_check`] has come.
    Tick,
    /// The result of [`Task::Refresh`]; none where the repository offers nothing for this home.
    Refreshed(Result<Option<Offer>, TrustError>),
    /// The result of [`Task::Fetch`].
    Fetched(Result<(), TrustError>),
    /// The result of [`Task::Prove`]; the cause in one line.
    Proved(Result<(), String>),
    /// The result of [`Task::Stage`]; the cause in one line.
    Staged(Result<(), String>),
    /// The result of [`Task::Compare`]: whether the watch has had enough looks; or the fault of the model in one line.
    Compared(Result<bool, String>),
    /// The result of [`Task::Drop`]; the cause in one line.
    Dropped(Result<(), String>),
    /// The result of [`Task::Swap`]; the cause in one line.
    Swapped(Result<(), String>),
    /// The result of [`Task::Judge`]; the fault of the model in one line.
    Judged(Result<(), String>),
    /// The result of [`Task::Commit`]; the cause in one line.
    Committed(Result<(), String>),
    /// The result of [`Task::Restore`] or [`Task::CallBack`]: the version that is in use again; or the cause in one line.
    Restored(Result<ModelVersion, String>),
}

/// What the updater has to do; its result is the next [`Input`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Nothing before [`Machine::next_check`].
    Rest,
    /// Fetch and verify the TUF metadata.
    Refresh,
    /// Download the artifact and compare its hash.
    Fetch(Offer),
    /// Load the model and try it on recent windows.
    Prove(Offer),
    /// Fill the spare slot with it, to be watched until then.
    Stage(Offer, i64),
    /// Score the newest windows with the staged model and with the one in charge.
    Compare,
    /// Forget the staged model; with a cause, it failed.
    Drop(Option<String>),
    /// Put the staged model in charge, on trial until then.
    Swap(i64),
    /// Try the model in charge on recent windows.
    Judge,
    /// End the trial: this version stays.
    Commit,
    /// Bring back the model before, for this reason.
    Restore(String),
    /// Bring back the model before because the director orders it.
    CallBack,
}

/// The repository's metadata is not trusted now: its dates are over, or it is older than what was seen before. That says nothing about
/// any release, and what is installed goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorFault {
    /// When it was found first, Unix seconds.
    pub since: i64,
    /// The newest cause, in one line.
    pub cause: String,
}

/// A task, and perhaps an outcome to report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Its result is the next input.
    pub task: Task,
    /// To be reported to the fleet; none for most turns.
    pub outcome: Option<UpdateOutcome>,
}

/// The state of the update. It lives in memory only; after a restart it is rebuilt from the slots.
#[derive(Debug)]
pub struct Machine {
    phase: Phase,
    watching: Watching,
    next_check: i64,
    failures: u32,
    noticed: Option<ModelVersion>,
    /// The newest version that a resident asked for.
    consented: Option<ModelVersion>,
    reason: String,
    /// Set while a model on trial is taken back because the director orders it.
    called_back: bool,
    /// The last refusal that was reported, so that a broken mirror is not reported at every attempt.
    reported: Option<(ModelVersion, &'static str)>,
    /// None while the metadata is trusted.
    mirror_fault: Option<MirrorFault>,
}

impl Machine {
    /// A machine at rest that will ask soon.
    #[must_use]
    pub fn new(watching: Watching, now: i64) -> Self {
        Self {
            phase: Phase::Idle,
            watching,
            next_check: now,
            failures: 0,
            noticed: None,
            consented: None,
            reason: String::new(),
            called_back: false,
            reported: None,
            mirror_fault: None,
        }
    }

    /// Why the repository's metadata is not trusted, while it is not.
    #[must_use]
    pub fn mirror_fault(&self) -> Option<&MirrorFault> {
        self.mirror_fault.as_ref()
    }

    /// How long a new model is watched.
    #[must_use]
    pub fn watching(&self) -> Watching {
        self.watching
    }

    /// Somebody took `version` back; nothing is under way any more.
    pub fn left(&mut self, version: ModelVersion) {
        self.phase = Phase::RolledBack(version);
    }

    /// Changed only by [`Machine::on`] and [`Machine::left`].
    #[must_use]
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// When [`Input::Tick`] is due, Unix seconds.
    #[must_use]
    pub fn next_check(&self) -> i64 {
        self.next_check
    }

    /// Whether the last try failed and another one is to come.
    #[must_use]
    pub fn is_hindered(&self) -> bool {
        self.failures > 0
    }

    /// What a resident's consent would be about: the version that waits for it, else the newest that was noticed.
    #[must_use]
    pub fn offered(&self) -> Option<ModelVersion> {
        match self.phase {
            Phase::Waiting(version) => Some(version),
            _ => self.noticed,
        }
    }

    /// Takes what happened and decides. A notice or a tick in the middle of an update begins it anew: the update was interrupted.
    pub fn on(&mut self, input: Input, standing: &Standing, now: i64, rng: &mut impl Rng) -> Turn {
        match input {
            Input::Notice(version) => self.on_notice(version, standing, now),
            Input::Assigned | Input::Tick | Input::Staged(Ok(())) => self.on_tick(standing, now, rng),
            Input::Consent(version) => {
                self.consented = self.consented.max(version.or(self.offered()));
                self.on_tick(standing, now, rng)
            }
            Input::Refreshed(answer) => self.on_refreshed(answer, standing, now, rng),
            Input::Fetched(answer) => self.on_fetched(answer, now, rng),
            Input::Proved(answer) => self.on_proved(answer, now, rng),
            Input::Compared(answer) => self.on_compared(answer, standing, now),
            Input::Dropped(Ok(())) => self.on_dropped(now, rng),
            Input::Swapped(Ok(())) => self.on_swapped(standing, now),
            Input::Judged(answer) => self.on_judged(answer, standing, now),
            Input::Committed(Ok(())) => self.on_committed(standing, now, rng),
            Input::Restored(Ok(to)) => self.on_restored(to, now, rng),
            // Work on the slots failed: the disk may be full or busy.
            Input::Staged(Err(_))
            | Input::Dropped(Err(_))
            | Input::Swapped(Err(_))
            | Input::Committed(Err(_))
            | Input::Restored(Err(_)) => self.try_again(now, rng),
        }
    }

    /// Goes on where things stand: a trial, a watch, or a look at the repository.
    fn on_tick(&mut self, standing: &Standing, now: i64, rng: &mut impl Rng) -> Turn {
        let unwanted = |version| standing.assigned.is_some_and(|assigned| assigned != version);
        match (standing.trial, standing.staged) {
            (Some(_), _) if unwanted(standing.installed) => {
                self.called_back = true;
                self.go(Phase::Probation(standing.installed), Task::CallBack)
            }
            (Some(_), _) => self.go(Phase::Probation(standing.installed), Task::Judge),
            (None, Some((version, _))) if unwanted(version) => {
                self.reason.clear();
                self.go(Phase::Shadowing(version), Task::Drop(None))
            }
            (None, _) if standing.policy.install == Install::Paused => self.rest(CHECK, now, rng),
            (None, Some((version, _))) => self.go(Phase::Shadowing(version), Task::Compare),
            (None, None) => self.go(Phase::Refreshing, Task::Refresh),
        }
    }

    fn on_notice(&mut self, version: ModelVersion, standing: &Standing, now: i64) -> Turn {
        let is_news = self.noticed < Some(version);
        self.noticed = self.noticed.max(Some(version));
        // During a watch both slots are taken; and a notice that repeats itself (it is retained) must not hasten a retry.
        let watching = standing.trial.is_some() || standing.staged.is_some();
        let wakes = version > standing.installed && !watching && standing.policy.install != Install::Paused;
        let waits = self.failures > 0 && now < self.next_check;
        if !wakes || (waits && !is_news) {
            return Turn { task: Task::Rest, outcome: None };
        }
        self.phase = Phase::Offered(version);
        self.go(Phase::Refreshing, Task::Refresh)
    }

    fn on_refreshed(
        &mut self,
        answer: Result<Option<Offer>, TrustError>,
        standing: &Standing,
        now: i64,
        rng: &mut impl Rng,
    ) -> Turn {
        match answer {
            Ok(offer) => {
                self.mirror_fault = None;
                self.on_offer(offer, standing, now, rng)
            }
            Err(error) => {
                if error.is_refusal() {
                    let since = self.mirror_fault.as_ref().map_or(now, |fault| fault.since);
                    self.mirror_fault = Some(MirrorFault { since, cause: error.to_string() });
                }
                self.on_distrust(self.sought(standing), UpdateStage::Verify, &error, now, rng)
            }
        }
    }

    /// The metadata is trusted, and names this release; none where it has nothing for this home.
    fn on_offer(&mut self, offer: Option<Offer>, standing: &Standing, now: i64, rng: &mut impl Rng) -> Turn {
        match offer {
            Some(offer) if offer.version < standing.floor && !offer.ordered => {
                let cause = format!("version {} is below {}, which ran here", offer.version, standing.floor);
                self.refuse(offer.version, (UpdateStage::Verify, "below_floor"), &cause, CHECK, now, rng)
            }
            Some(offer) if is_wanted(&offer, standing) => {
                // A roll-back that the fleet orders is a matter of safety and waits for nobody.
                let asked = self.consented >= Some(offer.version) || offer.ordered;
                if standing.policy.install == Install::Ask && !asked {
                    self.failures = 0;
                    self.phase = Phase::Waiting(offer.version);
                    return self.rest(CHECK, now, rng);
                }
                self.go(Phase::Fetching(offer.clone()), Task::Fetch(offer))
            }
            known => {
                let newest = known.map_or(standing.installed, |offer| offer.version);
                self.phase = Phase::Idle;
                let follows_notices = standing.assigned.is_none() && standing.policy.pin.is_none();
                if follows_notices && self.noticed > Some(newest) {
                    // The notice came before the mirror had the release; or it is a lie, and then this becomes rare.
                    return self.try_again(now, rng);
                }
                self.failures = 0;
                self.rest(CHECK, now, rng)
            }
        }
    }

    /// The version that the repository is asked for; none while it is only asked whether there is one. Never what is installed: that was
    /// trusted when it came, and whatever is wrong with the repository today is not its fault.
    fn sought(&self, standing: &Standing) -> Option<ModelVersion> {
        match standing.assigned.or(standing.policy.pin) {
            Some(wanted) => (wanted != standing.installed).then_some(wanted),
            None => self.noticed.filter(|noticed| *noticed > standing.installed),
        }
    }

    fn on_distrust(
        &mut self,
        version: Option<ModelVersion>,
        stage: UpdateStage,
        error: &TrustError,
        now: i64,
        rng: &mut impl Rng,
    ) -> Turn {
        // Not the end of the version: a mirror may be repaired, so it is asked again, ever more rarely.
        if let Some(version) = version.filter(|_| error.is_refusal()) {
            return self.refuse(version, (stage, error.reason()), &error.to_string(), RETRY, now, rng);
        }
        self.phase = Phase::Idle;
        let turn = self.try_again(now, rng);
        if let TrustError::Busy(Busy { retry_after: Some(wanted), .. }) = error {
            // Asked for by the server itself: not sooner.
            let pause = pinned::pause(RETRY, self.failures, rng.next_u64(), Some(*wanted)).as_secs();
            self.next_check = now.saturating_add(i64::try_from(pause).unwrap_or(i64::MAX)).max(self.next_check);
        }
        turn
    }

    fn on_fetched(&mut self, answer: Result<(), TrustError>, now: i64, rng: &mut impl Rng) -> Turn {
        let Phase::Fetching(offer) = self.phase.clone() else { return self.rest(CHECK, now, rng) };
        match answer {
            Ok(()) => self.go(Phase::Proving(offer.clone()), Task::Prove(offer)),
            Err(error) => self.on_distrust(Some(offer.version), UpdateStage::Fetch, &error, now, rng),
        }
    }

    fn on_proved(&mut self, answer: Result<(), String>, now: i64, rng: &mut impl Rng) -> Turn {
        let Phase::Proving(offer) = self.phase.clone() else { return self.rest(CHECK, now, rng) };
        match answer {
            Ok(()) => {
                let until = now.saturating_add(self.watching.shadow_seconds);
                self.go(Phase::Staging(offer.clone()), Task::Stage(offer, until))
            }
            Err(cause) => self.refuse(offer.version, (UpdateStage::Install, "not_proven"), &cause, CHECK, now, rng),
        }
    }

    fn on_compared(&mut self, answer: Result<bool, String>, standing: &Standing, now: i64) -> Turn {
        match (answer, standing.staged) {
            (Ok(true), Some((version, until))) if now >= until => {
                let until = now.saturating_add(self.watching.probation_seconds);
                self.go(Phase::Swapping(version), Task::Swap(until))
            }
            (Ok(_), staged) => self.rest_on_watch(staged.map(|(_, until)| until), now),
            (Err(cause), _) => {
                self.reason.clone_from(&cause);
                Turn { task: Task::Drop(Some(cause)), outcome: None }
            }
        }
    }

    fn on_dropped(&mut self, now: i64, rng: &mut impl Rng) -> Turn {
        match self.phase {
            Phase::Shadowing(version) if !self.reason.is_empty() => {
                let cause = std::mem::take(&mut self.reason);
                self.refuse(version, (UpdateStage::Install, "shadow"), &cause, CHECK, now, rng)
            }
            // Called off by the fleet: what it wants instead is asked for at once.
            _ => self.go(Phase::Refreshing, Task::Refresh),
        }
    }

    fn on_swapped(&mut self, standing: &Standing, now: i64) -> Turn {
        self.phase = Phase::Probation(standing.installed);
        if self.watching.probation_seconds <= 0 {
            return self.go(Phase::Probation(standing.installed), Task::Commit);
        }
        self.rest_on_watch(standing.trial.map(|trial| trial.until), now)
    }

    fn on_judged(&mut self, answer: Result<(), String>, standing: &Standing, now: i64) -> Turn {
        match (answer, standing.trial) {
            (Ok(()), Some(trial)) if now >= trial.until => self.go(Phase::Probation(standing.installed), Task::Commit),
            (Ok(()), trial) => self.rest_on_watch(trial.map(|trial| trial.until), now),
            (Err(cause), _) => {
                self.reason.clone_from(&cause);
                self.go(Phase::Probation(standing.installed), Task::Restore(cause))
            }
        }
    }

    fn on_committed(&mut self, standing: &Standing, now: i64, rng: &mut impl Rng) -> Turn {
        let version = standing.installed;
        self.phase = Phase::Committed(version);
        self.failures = 0;
        let turn = self.rest(CHECK, now, rng);
        self.look_again_if_newer_is_noticed(version, now);
        Turn { outcome: Some(UpdateOutcome::installed(version, now)), ..turn }
    }

    fn on_restored(&mut self, to: ModelVersion, now: i64, rng: &mut impl Rng) -> Turn {
        let Phase::Probation(version) = self.phase else { return self.rest(CHECK, now, rng) };
        self.phase = Phase::RolledBack(version);
        let turn = self.rest(CHECK, now, rng);
        self.look_again_if_newer_is_noticed(version, now);
        let reason = if std::mem::take(&mut self.called_back) {
            // What the fleet wants instead is asked for at once.
            self.next_check = now;
            CALLED_BACK.to_owned()
        } else {
            one_line("probation", &self.reason)
        };
        Turn { outcome: Some(UpdateOutcome::rolled_back(version, reason, to, now)), ..turn }
    }

    fn refuse(
        &mut self,
        version: ModelVersion,
        (stage, reason): (UpdateStage, &'static str),
        cause: &str,
        pause: Backoff,
        now: i64,
        rng: &mut impl Rng,
    ) -> Turn {
        self.phase = Phase::Refused(version);
        self.failures += 1;
        let again = self.reported == Some((version, reason));
        self.reported = Some((version, reason));
        let turn = self.rest(pause, now, rng);
        let outcome = UpdateOutcome::refused(version, stage, one_line(reason, cause), now);
        Turn { outcome: (!again).then_some(outcome), ..turn }
    }

    fn look_again_if_newer_is_noticed(&mut self, version: ModelVersion, now: i64) {
        if self.noticed > Some(version) {
            self.next_check = now;
        }
    }

    fn go(&mut self, phase: Phase, task: Task) -> Turn {
        self.phase = phase;
        Turn { task, outcome: None }
    }

    fn rest_on_watch(&mut self, until: Option<i64>, now: i64) -> Turn {
        // Past its end and still watched: it was not looked at often enough yet.
        let until = until.filter(|until| *until > now).unwrap_or(i64::MAX);
        self.next_check = until.min(now.saturating_add(JUDGE_SECONDS)).max(now);
        Turn { task: Task::Rest, outcome: None }
    }

    fn try_again(&mut self, now: i64, rng: &mut impl Rng) -> Turn {
        self.failures += 1;
        self.rest(RETRY, now, rng)
    }

    fn rest(&mut self, pause: Backoff, now: i64, rng: &mut impl Rng) -> Turn {
        let pause = pause.pause(self.failures.max(1), rng.next_u64()).as_secs().max(1);
        self.next_check = now.saturating_add(i64::try_from(pause).unwrap_or(i64::MAX));
        Turn { task: Task::Rest, outcome: None }
    }
}

/// Whether an offer is another model than the one in charge, newer or ordered, and none that failed here.
fn is_wanted(offer: &Offer, standing: &Standing) -> bool {
    let moves = offer.version > standing.installed || (offer.ordered && offer.version != standing.installed);
    let pinned_out = standing.policy.pin.is_some_and(|pin| pin != offer.version) && !offer.ordered;
    moves && !pinned_out && !standing.offer_failed
}

/// `word: cause` in one line, cut to [`TEXT_BYTES_MAX`].
pub fn one_line(word: &str, cause: &str) -> String {
    let mut text = format!("{word}: {}", cause.replace(['\n', '\r'], " "));
    while text.len() > TEXT_BYTES_MAX {
        text.pop();
    }
    text
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
