//! When a part last made progress, in atomics: written by the part, read by its probe.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// When a part last came on, and since when it is at one piece of work. By the monotonic clock: a wall clock that is set does not
/// look like a part that stands still.
#[derive(Debug)]
pub struct Progress {
    began: Instant,
    /// Milliseconds after `began`, plus one; 0: never.
    last: AtomicU64,
    /// The same of the work in hand; 0: none.
    busy: AtomicU64,
}

impl Default for Progress {
    fn default() -> Self {
        Self { began: Instant::now(), last: AtomicU64::new(0), busy: AtomicU64::new(0) }
    }
}

impl Progress {
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    fn age(&self, at: u64) -> Option<Duration> {
        (at > 0).then(|| Duration::from_millis(self.now().saturating_sub(at)))
    }

    /// A piece of work begins; ended by [`Progress::done`] or [`Progress::give_up`].
    pub fn begin(&self) {
        self.busy.store(self.now(), Ordering::Relaxed);
    }

    /// It is done: the part has come on.
    pub fn done(&self) {
        self.busy.store(0, Ordering::Relaxed);
        self.advance();
    }

    /// It came to nothing: the part has not come on.
    pub fn give_up(&self) {
        self.busy.store(0, Ordering::Relaxed);
    }

    /// Progress without a begin.
    pub fn advance(&self) {
        self.last.store(self.now(), Ordering::Relaxed);
    }

    /// Forgets when it came on: from now on nothing is expected.
    pub fn rest(&self) {
        self.last.store(0, Ordering::Relaxed);
    }

    /// How long ago the part came on; none where nothing is expected of it yet.
    #[must_use]
    pub fn since_last(&self) -> Option<Duration> {
        self.age(self.last.load(Ordering::Relaxed))
    }

    /// How long the work in hand has taken; none between two pieces.
    #[must_use]
    pub fn busy_for(&self) -> Option<Duration> {
        self.age(self.busy.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_late_before_it_began_or_after_it_rests() {
        let progress = Progress::default();
        assert_eq!((progress.since_last(), progress.busy_for()), (None, None));
        progress.begin();
        assert!(progress.busy_for().is_some() && progress.since_last().is_none());
        progress.done();
        assert!(progress.busy_for().is_none() && progress.since_last().is_some());
        progress.rest();
        assert_eq!(progress.since_last(), None);
    }
}
