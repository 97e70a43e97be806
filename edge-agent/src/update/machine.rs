//! The update as a state machine: what to do next, when to try again, what to report. Pure.
//!
//! ```text
//! Idle → Offered → Refreshing → Fetching → Proving → Swapping → Probation → Committed
//!                       └────────────┴──────────┴─→ Refused        └──────→ RolledBack
//! ```

use std::time::Duration;

use hearthwatch_link::Backoff;
use hearthwatch_protocol::ModelVersion;
use hearthwatch_protocol::limits::TEXT_BYTES_MAX;
use hearthwatch_protocol::messages::{UpdateOutcome, UpdateResult};
use rand::Rng;

use crate::update::slots::Trial;
use crate::update::trust::{Offer, TrustError};

/// The repository is asked so often without a notice, give or take the jitter: a retained notice makes this a second rope.
const CHECK: Backoff = Backoff { first: Duration::from_secs(6 * 3_600), longest: Duration::from_secs(6 * 3_600) };

/// After a failure of the line, the clock or our disk, and while a noticed release is not on the mirror yet: doubling from ten seconds.
const RETRY: Backoff = Backoff { first: Duration::from_secs(10), longest: Duration::from_secs(6 * 3_600) };

/// A model on trial is judged once a grid step.
const JUDGE_SECONDS: i64 = 600;

/// Where the update stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Nothing to do.
    Idle,
    /// A notice names a version; nothing in it is trusted.
    Offered(ModelVersion),
    /// Metadata is being verified.
    Refreshing,
    /// Bytes are being fetched.
    Fetching(Offer),
    /// The model is being tried on recent windows.
    Proving(Offer),
    /// Slots are being filled and flipped.
    Swapping(Offer),
    /// In charge, not yet for good.
    Probation(ModelVersion),
    /// In charge for good.
    Committed(ModelVersion),
    /// The one before is back.
    RolledBack(ModelVersion),
    /// Never got in.
    Refused(ModelVersion),
}

/// What the slots say, so that the machine keeps no second truth.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// In charge.
    pub installed: ModelVersion,
    /// Nothing below gets in.
    pub floor: ModelVersion,
    /// Set while what is in charge is on trial.
    pub trial: Option<Trial>,
    /// Of the offer just made: it failed here before.
    pub offer_failed: bool,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A release notice; not to be trusted.
    Notice(ModelVersion),
    /// Time passed.
    Tick,
    /// The answer to [`Task::Refresh`].
    Refreshed(Result<Option<Offer>, TrustError>),
    /// The answer to [`Task::Fetch`].
    Fetched(Result<(), TrustError>),
    /// The answer to [`Task::Prove`]; the cause in one line.
    Proved(Result<(), String>),
    /// The answer to [`Task::Swap`].
    Swapped(Result<(), String>),
    /// The answer to [`Task::Judge`].
    Judged(Result<(), String>),
    /// The answer to [`Task::Commit`].
    Committed(Result<(), String>),
    /// The answer to [`Task::Restore`].
    Restored(Result<ModelVersion, String>),
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Nothing before [`Machine::next_check`].
    Rest,
    /// Verify the metadata.
    Refresh,
    /// Fetch and verify the bytes.
    Fetch(Offer),
    /// Load the model and try it on recent windows.
    Prove(Offer),
    /// Install it, on trial until then.
    Swap(Offer, i64),
    /// Try the model in charge on recent windows.
    Judge,
    /// End the trial for good.
    Commit,
    /// Bring back the model before, for this reason.
    Restore(String),
}

/// A task, and perhaps an outcome to report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// What to do.
    pub task: Task,
    /// What to tell the fleet.
    pub outcome: Option<UpdateOutcome>,
}

/// The machine.
#[derive(Debug)]
pub struct Machine {
    phase: Phase,
    probation_seconds: i64,
    next_check: i64,
    failures: u32,
    noticed: Option<ModelVersion>,
    reason: String,
    /// The last refusal told, so that a broken mirror is not reported at every attempt.
    told: Option<(ModelVersion, &'static str)>,
}

impl Machine {
    /// A machine at rest that will ask soon. A new model stays on trial for `probation_seconds`; 0 commits at once.
    #[must_use]
    pub fn new(probation_seconds: i64, now: i64) -> Self {
        Self {
            phase: Phase::Idle,
            probation_seconds,
            next_check: now,
            failures: 0,
            noticed: None,
            reason: String::new(),
            told: None,
        }
    }

    /// Where the update stands.
    #[must_use]
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// When [`Input::Tick`] is due.
    #[must_use]
    pub fn next_check(&self) -> i64 {
        self.next_check
    }

    /// Takes what happened and decides. A notice or a tick in the middle of an update begins it anew: the update was interrupted.
    pub fn on(&mut self, input: Input, standing: &Standing, now: i64, rng: &mut impl Rng) -> Turn {
        match input {
            Input::Notice(version) => self.on_notice(version, standing, now),
            Input::Tick => match standing.trial {
                Some(_) => self.go(Phase::Probation(standing.installed), Task::Judge),
                None => self.go(Phase::Refreshing, Task::Refresh),
            },
            Input::Refreshed(Ok(offer)) => self.on_refreshed(offer, standing, now, rng),
            Input::Refreshed(Err(error)) => {
                let version = self.noticed.unwrap_or(standing.installed.next());
                self.on_distrust(version, &error, now, rng)
            }
            Input::Fetched(Ok(())) => match self.phase.clone() {
                Phase::Fetching(offer) => self.go(Phase::Proving(offer.clone()), Task::Prove(offer)),
                _ => self.rest(CHECK, now, rng),
            },
            Input::Fetched(Err(error)) => match self.phase {
                Phase::Fetching(Offer { version, .. }) => self.on_distrust(version, &error, now, rng),
                _ => self.rest(CHECK, now, rng),
            },
            Input::Proved(Ok(())) => match self.phase.clone() {
                Phase::Proving(offer) => {
                    let until = now.saturating_add(self.probation_seconds);
                    self.go(Phase::Swapping(offer.clone()), Task::Swap(offer, until))
                }
                _ => self.rest(CHECK, now, rng),
            },
            Input::Proved(Err(cause)) => match self.phase {
                Phase::Proving(Offer { version, .. }) => self.refuse(version, "not_proven", &cause, CHECK, now, rng),
                _ => self.rest(CHECK, now, rng),
            },
            Input::Swapped(Ok(())) => {
                self.phase = Phase::Probation(standing.installed);
                if self.probation_seconds <= 0 {
                    return self.go(Phase::Probation(standing.installed), Task::Commit);
                }
                self.rest_on_trial(standing, now)
            }
            Input::Swapped(Err(_)) => self.try_again(now, rng),
            Input::Judged(Ok(())) => match standing.trial {
                Some(trial) if now >= trial.until => self.go(Phase::Probation(standing.installed), Task::Commit),
                _ => self.rest_on_trial(standing, now),
            },
            Input::Judged(Err(cause)) => {
                self.reason.clone_from(&cause);
                self.go(Phase::Probation(standing.installed), Task::Restore(cause))
            }
            Input::Committed(Ok(())) => {
                let version = standing.installed;
                self.phase = Phase::Committed(version);
                self.failures = 0;
                let turn = self.rest(CHECK, now, rng);
                self.look_again_if_newer_is_noticed(version, now);
                Turn {
                    outcome: Some(UpdateOutcome { model_version: version, result: UpdateResult::Installed, at: now }),
                    ..turn
                }
            }
            Input::Restored(Ok(to)) => self.on_restored(to, now, rng),
            Input::Committed(Err(_)) | Input::Restored(Err(_)) => self.try_again(now, rng),
        }
    }

    fn on_notice(&mut self, version: ModelVersion, standing: &Standing, now: i64) -> Turn {
        let is_news = self.noticed < Some(version);
        self.noticed = self.noticed.max(Some(version));
        // During a trial both slots are taken; and a notice that repeats itself (it is retained) must not hasten a retry.
        let wakes = version > standing.installed && standing.trial.is_none();
        let waits = self.failures > 0 && now < self.next_check;
        if !wakes || (waits && !is_news) {
            return Turn { task: Task::Rest, outcome: None };
        }
        self.phase = Phase::Offered(version);
        self.go(Phase::Refreshing, Task::Refresh)
    }

    fn on_refreshed(&mut self, offer: Option<Offer>, standing: &Standing, now: i64, rng: &mut impl Rng) -> Turn {
        match offer {
            Some(offer) if offer.version < standing.floor => {
                let cause = format!("version {} is below {}, which ran here", offer.version, standing.floor);
                self.refuse(offer.version, "below_floor", &cause, CHECK, now, rng)
            }
            Some(offer) if offer.version > standing.installed && !standing.offer_failed => {
                self.go(Phase::Fetching(offer.clone()), Task::Fetch(offer))
            }
            known => {
                let newest = known.map_or(standing.installed, |offer| offer.version);
                self.phase = Phase::Idle;
                if self.noticed > Some(newest) {
                    // The notice came before the mirror had the release; or it is a lie, and then this becomes rare.
                    return self.try_again(now, rng);
                }
                self.failures = 0;
                self.rest(CHECK, now, rng)
            }
        }
    }

    fn on_distrust(&mut self, version: ModelVersion, error: &TrustError, now: i64, rng: &mut impl Rng) -> Turn {
        if error.is_refusal() {
            // Not the end of the version: a mirror may be repaired, so it is asked again, ever more rarely.
            return self.refuse(version, error.reason(), &error.to_string(), RETRY, now, rng);
        }
        self.phase = Phase::Idle;
        self.try_again(now, rng)
    }

    fn on_restored(&mut self, to: ModelVersion, now: i64, rng: &mut impl Rng) -> Turn {
        let Phase::Probation(version) = self.phase else { return self.rest(CHECK, now, rng) };
        self.phase = Phase::RolledBack(version);
        let turn = self.rest(CHECK, now, rng);
        self.look_again_if_newer_is_noticed(version, now);
        let result = UpdateResult::RolledBack { reason: one_line("probation", &self.reason), to };
        Turn { outcome: Some(UpdateOutcome { model_version: version, result, at: now }), ..turn }
    }

    fn refuse(
        &mut self,
        version: ModelVersion,
        reason: &'static str,
        cause: &str,
        pause: Backoff,
        now: i64,
        rng: &mut impl Rng,
    ) -> Turn {
        self.phase = Phase::Refused(version);
        self.failures += 1;
        let again = self.told == Some((version, reason));
        self.told = Some((version, reason));
        let turn = self.rest(pause, now, rng);
        let result = UpdateResult::Refused { reason: one_line(reason, cause) };
        let outcome = UpdateOutcome { model_version: version, result, at: now };
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

    fn rest_on_trial(&mut self, standing: &Standing, now: i64) -> Turn {
        let until = standing.trial.map_or(now, |trial| trial.until);
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

/// `word: cause`, cut to what a message may hold.
fn one_line(word: &str, cause: &str) -> String {
    let mut text = format!("{word}: {}", cause.replace(['\n', '\r'], " "));
    while text.len() > TEXT_BYTES_MAX {
        text.pop();
    }
    text
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
