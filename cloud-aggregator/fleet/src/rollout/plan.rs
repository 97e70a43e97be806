//! Which homes get the release now. Pure: what is known goes in, the decision comes out.

use std::fmt;

use hearthwatch_protocol::HomeId;
use sha2::{Digest as _, Sha256};

use super::gate::Finding;
use super::policy::Policy;

const HOUR: i64 = 3_600;

/// A home's place in the order of every rollout: follows from its name, so that waves are the same after a restart, on
/// every replica, and from one release to the next.
#[must_use]
pub fn seat(home: &HomeId) -> u64 {
    let digest = Sha256::new().chain_update("hearthwatch seat 1").chain_update(home.as_str()).finalize();
    u64::from_be_bytes(std::array::from_fn(|index| digest[index]))
}

/// One home, as far as a plan cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name; its seat follows from it.
    pub home: HomeId,
    /// Whether it was ordered to run the release.
    pub assigned: bool,
    /// Whether it told how that ended.
    pub reported: bool,
}

/// What is known when a plan is made.
#[derive(Debug, Clone)]
pub struct Situation<'a> {
    /// Waves, and what is done when a test alarms.
    pub policy: &'a Policy,
    /// Every home that may get the release, in any order.
    pub members: &'a [Member],
    /// When the rollout began, Unix seconds.
    pub started_at: i64,
    /// Seconds that it was paused.
    pub paused_seconds: i64,
    /// Whether a person opened every wave.
    pub forced: bool,
    /// What the tests found; an empty list lets it go on.
    pub findings: &'a [Finding],
    /// The time now, Unix seconds.
    pub now: i64,
}

/// What to do next, as [`plan`] decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Waves that are open, of all.
    pub open: usize,
    /// Homes to be ordered, in order of their seats.
    pub assign: Vec<HomeId>,
    /// What it waits for.
    pub next: Next,
}

/// What a rollout waits for, if it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// The time of the next wave, Unix seconds.
    Wave(i64),
    /// So many more homes that tell how the installation ended.
    Reports(u64),
    /// Nothing: every home is assigned.
    Complete,
    /// A test alarmed: it goes no further.
    Stopped,
}

/// Which homes get the release now, and what it waits for then. Pure; the same situation gives the same plan.
#[must_use]
pub fn plan(situation: &Situation<'_>) -> Plan {
    let Situation { policy, members, .. } = situation;
    if !situation.findings.is_empty() {
        return Plan { open: 0, assign: Vec::new(), next: Next::Stopped };
    }
    let mut order: Vec<&Member> = members.iter().collect();
    order.sort_by_cached_key(|member| (seat(&member.home), member.home.clone()));
    let elapsed = situation.now - situation.started_at - situation.paused_seconds;
    let reports = members.iter().filter(|member| member.reported).count() as u64;

    let mut open = 0;
    let mut next = Next::Complete;
    for (index, wave) in policy.waves.iter().enumerate() {
        let starts = i64::from(wave.start_after_hours) * HOUR;
        let before = index.checked_sub(1).map_or(0, |index| cohort(order.len(), policy.waves[index].percent));
        // A small cohort cannot tell more than it has homes.
        let wanted = policy.minimum_reports.min(before as u64);
        if situation.forced {
            open = index + 1;
        } else if elapsed < starts {
            next = Next::Wave(situation.started_at + situation.paused_seconds + starts);
            break;
        } else if index > 0 && reports < wanted {
            next = Next::Reports(wanted - reports);
            break;
        } else {
            open = index + 1;
        }
    }
    let reach = open.checked_sub(1).map_or(0, |index| cohort(order.len(), policy.waves[index].percent));
    let assign = order.iter().take(reach).filter(|member| !member.assigned).map(|member| member.home.clone()).collect();
    Plan { open, assign, next }
}

/// How many of `homes` a wave of `percent` reaches: at least one, so that no wave is empty in a small fleet.
pub(super) fn cohort(homes: usize, percent: u8) -> usize {
    (homes * usize::from(percent)).div_ceil(100).min(homes)
}

impl fmt::Display for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wave(at) => match jiff::Timestamp::from_second(*at) {
                Ok(at) => write!(f, "the next wave opens at {at}"),
                Err(_) => write!(f, "the next wave opens at {at}"),
            },
            Self::Reports(count) => write!(f, "waiting for {count} more reports"),
            Self::Complete => f.write_str("every home is assigned"),
            Self::Stopped => f.write_str("stopped by its tests"),
        }
    }
}

#[cfg(test)]
mod tests;
