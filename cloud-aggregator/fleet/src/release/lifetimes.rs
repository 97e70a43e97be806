//! How long signed metadata lives and when it is renewed. Pure: times in, a decision out.

use hearthwatch_provision::ceremony::{SNAPSHOT_DAYS, TARGETS_DAYS, TIMESTAMP_DAYS};
use jiff::Timestamp;

const DAY_S: i64 = 24 * 3600;

/// How long each role's metadata is valid, in seconds.
///
/// By default as long as the ceremony's: the timestamp's life bounds a freeze attack (whoever holds an agent's line can
/// hide a release no longer), and half of it is how long an aggregator may be down before any agent refuses to update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// Seconds that `N.targets.json` is valid; signed by the signer process.
    pub targets_s: i64,
    /// Seconds that `N.snapshot.json` is valid; signed here.
    pub snapshot_s: i64,
    /// Seconds that `timestamp.json` is valid; signed here.
    pub timestamp_s: i64,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self { targets_s: TARGETS_DAYS * DAY_S, snapshot_s: SNAPSHOT_DAYS * DAY_S, timestamp_s: TIMESTAMP_DAYS * DAY_S }
    }
}

/// When the metadata in use expires, Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiries {
    /// Of the root role; its key is offline, so a ceremony renews it.
    pub root: i64,
    /// Of the targets role.
    pub targets: i64,
    /// Of the snapshot role.
    pub snapshot: i64,
    /// Of the timestamp role.
    pub timestamp: i64,
}

/// Which roles are to be signed anew. Each includes the roles below it, whose content names it.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Renewal {
    /// No role: each has at least half of its life left.
    Nothing,
    /// The timestamp alone; its key is here.
    Timestamp,
    /// Snapshot and timestamp; both keys are here.
    Snapshot,
    /// All three; the signer process is asked, with no new target.
    Targets,
}

impl Lifetimes {
    /// What must be renewed at `now`: every role with less than half of its life left.
    pub fn due(&self, expiries: Expiries, now: i64) -> Renewal {
        if expiries.targets - now < self.targets_s / 2 {
            Renewal::Targets
        } else if expiries.snapshot - now < self.snapshot_s / 2 {
            Renewal::Snapshot
        } else if expiries.timestamp - now < self.timestamp_s / 2 {
            Renewal::Timestamp
        } else {
            Renewal::Nothing
        }
    }
}

/// `now + life_s` as the format wants it: whole seconds, since other TUF implementations refuse fractions.
/// Times beyond the calendar's end are held at its end.
#[must_use]
pub fn expiry(now: i64, life_s: i64) -> Timestamp {
    Timestamp::from_second(now.saturating_add(life_s)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVES: Lifetimes = Lifetimes { targets_s: 1000, snapshot_s: 100, timestamp_s: 10 };

    fn due(targets: i64, snapshot: i64, timestamp: i64) -> Renewal {
        LIVES.due(Expiries { root: 10_000, targets, snapshot, timestamp }, 0)
    }

    #[test]
    fn fresh_metadata_is_left_alone() {
        assert_eq!(due(1000, 100, 10), Renewal::Nothing);
        assert_eq!(due(500, 50, 5), Renewal::Nothing);
    }

    #[test]
    fn a_role_past_half_of_its_life_is_renewed_with_those_that_name_it() {
        assert_eq!(due(1000, 100, 4), Renewal::Timestamp);
        assert_eq!(due(1000, 49, 4), Renewal::Snapshot);
        assert_eq!(due(499, 100, 10), Renewal::Targets);
    }

    #[test]
    fn an_expired_role_is_renewed() {
        assert_eq!(due(1000, 100, -5), Renewal::Timestamp);
    }

    #[test]
    fn an_expiry_has_no_fraction_of_a_second() {
        assert_eq!(expiry(1_767_225_600, 60).to_string(), "2026-01-01T00:01:00Z");
    }
}
