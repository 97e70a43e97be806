//! Where the time comes from: the machine's clock, or one that a replayed world turns by hand.

use std::sync::atomic::{AtomicI64, Ordering};

/// Tells the time. Everything in the aggregator that needs "now" asks one of these, so that recorded years can be replayed.
pub trait Clock: Send + Sync + 'static {
    /// The time now, Unix seconds, UTC.
    fn now(&self) -> i64;
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> i64 {
        jiff::Timestamp::now().as_second()
    }
}

/// A clock that stands still until it is turned.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `at`, Unix seconds.
    #[must_use]
    pub fn new(at: i64) -> Self {
        Self(AtomicI64::new(at))
    }

    /// Turns the clock to `at`, Unix seconds.
    pub fn set(&self, at: i64) {
        self.0.store(at, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}
