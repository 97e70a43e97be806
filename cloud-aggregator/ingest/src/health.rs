//! How the intake is doing, for those who answer for the program: `/healthz` and `/readyz` read it.

use tokio::time::Instant;

/// The intake's own progress. Times are of the monotonic clock: neither a step of the machine's clock nor replayed years move them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IntakeHealth {
    /// When messages were last committed; none before the first time.
    pub last_commit_at: Option<Instant>,
    /// Since when every attempt to store has failed; none while storing works.
    pub failing_since: Option<Instant>,
    /// The store's words at the last failed attempt; empty while storing works.
    pub cause: String,
    /// Since when the batch in hand is being stored, attempts that failed included; none while nothing is in hand.
    pub busy_since: Option<Instant>,
    /// Messages taken off the wire and not stored yet, those in hand included.
    pub backlog: usize,
}

impl IntakeHealth {
    /// A batch of which `backlog` messages are part is taken in hand.
    pub(super) fn began(&mut self, now: Instant, backlog: usize) {
        self.busy_since = Some(now);
        self.backlog = backlog;
    }

    /// An attempt to store failed.
    pub(super) fn failed(&mut self, now: Instant, cause: &str) {
        self.failing_since.get_or_insert(now);
        cause.clone_into(&mut self.cause);
    }

    /// Something of the batch in hand was committed.
    pub(super) fn committed(&mut self, now: Instant) {
        self.last_commit_at = Some(now);
        self.failing_since = None;
        self.cause.clear();
    }

    /// Nothing is in hand any more; `backlog` messages wait.
    pub(super) fn ended(&mut self, backlog: usize) {
        self.busy_since = None;
        self.backlog = backlog;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_failure_is_timed_from_its_first_attempt_and_ends_with_a_commit() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut health = IntakeHealth::default();
        health.began(at(1), 3);
        health.failed(at(2), "database is locked");
        health.failed(at(4), "disk is full");
        assert_eq!((health.failing_since, health.cause.as_str(), health.backlog), (Some(at(2)), "disk is full", 3));
        health.committed(at(5));
        health.ended(0);
        let done = IntakeHealth { last_commit_at: Some(at(5)), ..IntakeHealth::default() };
        assert_eq!(health, done);
    }
}
