//! What to do next in a round. Pure: what is remembered, what is the case now, and the time go in; one step comes out.
//!
//! Everything that takes long or may be cut short is begun by a step and judged by the next one, from what is on disk. So a kill at any
//! moment is an ordinary way for a step to end.

use hearthwatch_protocol::round::{DeclineReason, RoundPlan, SignedRoundAnswer};

use crate::conditions::Unfit;
use crate::ledger::Outcome;
use crate::masks::Masks;

/// Times that the program that trains is begun in a round: one that was killed by a restart or by the system gets a second chance.
pub const TRIES_MAX: u8 = 2;

/// Downloads that are tried: the pauses between them, of 1 to 30 minutes, add up to an hour.
pub const FETCHES_MAX: u8 = 6;

/// Kept free before the deadline to sign and send, in seconds.
pub const SENDING_SECONDS: i64 = 30;

/// A run for which there would be less time than this is not begun, in seconds.
pub const RUN_SECONDS_MIN: i64 = 10;

/// How long an unfit machine is left alone, in seconds.
pub const LOOK_AGAIN_SECONDS: i64 = 300;

/// A plan that opens later than this is a sign that this machine's clock is behind, in seconds: directors plan for now.
pub const CLOCK_OFF_SECONDS: i64 = 86_400;

/// The pause before an answer without a receipt is sent again, in seconds; doubled each time up to [`RESEND_SECONDS_MAX`].
const RESEND_SECONDS: i64 = 60;

/// Longest pause before an answer is sent again, in seconds.
const RESEND_SECONDS_MAX: i64 = 900;

/// The pause after a failed download, in seconds; doubled each time up to [`FETCH_SECONDS_MAX`].
const FETCH_SECONDS: i64 = 60;

/// Longest pause after a failed download, in seconds.
const FETCH_SECONDS_MAX: i64 = 1_800;

/// The round that is in hand.
#[derive(Debug, Clone, PartialEq)]
pub struct Work {
    /// What is asked.
    pub plan: RoundPlan,
    /// How far it is.
    pub stage: Stage,
    /// What a masked round needs from its first answer to its end.
    pub masks: Option<Box<Masks>>,
}

impl Work {
    /// A round that was just taken in hand.
    #[must_use]
    pub fn new(plan: RoundPlan) -> Self {
        Self { plan, stage: Stage::Planned { begun: 0 }, masks: None }
    }

    /// When it is over for this home, whatever came of it, Unix seconds.
    #[must_use]
    pub fn until(&self) -> i64 {
        match (&self.stage, self.plan.work.masks()) {
            (Stage::Planned { .. }, _) | (_, None) => self.plan.deadline,
            (_, Some(terms)) => terms.until,
        }
    }
}

/// How far a round is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// There is no answer yet.
    Planned {
        /// How many times the program that trains was begun.
        begun: u8,
    },
    /// The answer is signed and waits for its receipt.
    Answered {
        /// The signed answer.
        answer: SignedRoundAnswer,
        /// What it names; empty where it declines.
        body: Vec<u8>,
        /// The parts before this one are stored by the aggregator.
        stored: u16,
    },
    /// What a masked round asked for is there, and its next request is waited for.
    Grouped,
}

/// Failures in a row, and when to try again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retry {
    /// How many.
    pub failures: u8,
    /// Unix seconds.
    pub again_at: i64,
}

impl Retry {
    /// After one more failed download at `now`.
    #[must_use]
    pub fn after_fetch(self, now: i64) -> Self {
        let again_at = now.saturating_add(doubled(FETCH_SECONDS, self.failures, FETCH_SECONDS_MAX));
        Self { failures: self.failures.saturating_add(1), again_at }
    }

    /// After the answer was handed over at `now`, once more.
    #[must_use]
    pub fn after_sending(self, now: i64) -> Self {
        let again_at = now.saturating_add(doubled(RESEND_SECONDS, self.failures, RESEND_SECONDS_MAX));
        Self { failures: self.failures.saturating_add(1), again_at }
    }
}

fn doubled(first: i64, times: u8, longest: i64) -> i64 {
    first.checked_shl(u32::from(times).min(32)).unwrap_or(longest).min(longest)
}

/// What is the case now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Around {
    /// Whether residents agree now.
    pub willing: bool,
    /// Whether the models that the plan names are here.
    pub fetched: bool,
    /// Failed downloads of this plan's models.
    pub fetching: Retry,
    /// What forbids to begin a run now.
    pub unfit: Option<Unfit>,
    /// No run is begun before this time, Unix seconds: after one that crashed the machine is left alone.
    pub rested_at: i64,
    /// When the answer was last sent, how often, and when again.
    pub sending: Retry,
}

/// The next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// There is nothing in hand.
    Rest,
    /// Not now: to be asked again at this time, Unix seconds, or when something changes.
    Wait(i64, Waits),
    /// Download the models that the plan names.
    Fetch,
    /// Begin the program that trains; it may run for so many seconds at most.
    Train(i64),
    /// Send what of the answer is not stored yet.
    Send,
    /// Sign an answer that there is nothing, and why.
    Decline(DeclineReason),
    /// The round is over for this home.
    End(Outcome),
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// A better moment.
    Fit(Unfit),
    /// The next try of a download.
    Models,
    /// The second try of a run that crashed.
    Rest,
    /// The aggregator's receipt.
    Receipt,
    /// What the aggregator asks of this home's group next.
    Group,
}

/// The next step of the round in hand.
#[must_use]
pub fn next(work: Option<&Work>, around: &Around, now: i64) -> Next {
    let Some(work) = work else { return Next::Rest };
    let (Work { plan, stage, .. }, over) = (work, work.until());
    let begun = match stage {
        Stage::Answered { body, .. } if !around.willing && !body.is_empty() => return Next::End(Outcome::Withdrawn),
        Stage::Grouped if !around.willing => return Next::End(Outcome::Withdrawn),
        _ if now >= over => return Next::End(Outcome::Missed),
        Stage::Grouped => return wait(over, Waits::Group, over),
        Stage::Answered { .. } => {
            let due = now >= around.sending.again_at;
            return if due { Next::Send } else { wait(around.sending.again_at, Waits::Receipt, over) };
        }
        Stage::Planned { begun } => *begun,
    };
    if !around.willing {
        return Next::Decline(DeclineReason::NoConsent);
    }
    if begun >= TRIES_MAX {
        return Next::Decline(DeclineReason::Crashed);
    }
    // From here on there is no time left to calculate and to send.
    let last = plan.deadline.saturating_sub(SENDING_SECONDS + RUN_SECONDS_MIN);
    if now > last {
        return Next::Decline(if around.fetched { DeclineReason::NoTime } else { DeclineReason::ModelUnavailable });
    }
    let until = last.saturating_add(1);
    if !around.fetched {
        return match around.fetching {
            Retry { failures: FETCHES_MAX.., .. } => Next::Decline(DeclineReason::ModelUnavailable),
            Retry { again_at, .. } if now < again_at => wait(again_at, Waits::Models, until),
            _ => Next::Fetch,
        };
    }
    if now < around.rested_at {
        return wait(around.rested_at, Waits::Rest, until);
    }
    match around.unfit {
        Some(unfit @ Unfit::Hours(begin)) => wait(begin, Waits::Fit(unfit), until),
        Some(unfit) => wait(now.saturating_add(LOOK_AGAIN_SECONDS), Waits::Fit(unfit), until),
        None => Next::Train(plan.deadline - SENDING_SECONDS - now),
    }
}

fn wait(at: i64, waits: Waits, latest: i64) -> Next {
    Next::Wait(at.min(latest), waits)
}

#[cfg(test)]
mod tests;
