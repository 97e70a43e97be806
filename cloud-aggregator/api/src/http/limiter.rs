//! How often one address or one home may try: `governor`'s cell rate algorithm for each key, with a bounded number of keys and the time given by the caller.

use std::cell::Cell;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, Reference as _};
use governor::middleware::{NoOpMiddleware, StateInformationMiddleware};
use governor::nanos::Nanos;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

/// Most keys remembered at a time: 4,096 × some 128 bytes are 512 KiB. When full, those that have all their tries again are
/// forgotten, which costs nothing since a forgotten key starts with all of them.
pub const KEYS_MAX: usize = 4096;

/// A clock that shows the time that was last set.
#[derive(Debug, Default)]
struct SetClock(Cell<Nanos>);

impl Clock for SetClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.get()
    }
}

type Keyed<K> = RateLimiter<K, HashMapStateStore<K>, SetClock, StateInformationMiddleware>;

/// A burst at once, then one try after each pause.
#[derive(Debug)]
pub struct Limiter<K: Eq + Hash + Clone> {
    quota: Quota,
    keyed: Keyed<K>,
}

fn keyed<K: Clone + Eq + Hash>(quota: Quota) -> Keyed<K> {
    let plain: RateLimiter<K, _, _, NoOpMiddleware<Nanos>> =
        RateLimiter::new(quota, HashMapStateStore::default(), SetClock::default());
    plain.with_middleware()
}

impl<K: Clone + Eq + Hash> Limiter<K> {
    /// A limiter that lets `burst` tries through at once and one more every `refill_s` seconds. Less than one of either counts as one.
    #[must_use]
    pub fn new(burst: u32, refill_s: u32) -> Self {
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        let refill = Duration::from_secs(refill_s.max(1).into());
        let quota = Quota::with_period(refill).unwrap_or(Quota::per_second(NonZeroU32::MIN)).allow_burst(burst);
        Self { quota, keyed: keyed(quota) }
    }

    /// A limiter that lets `count` tries through at once, and as many in each minute after.
    #[must_use]
    pub fn per_minute(count: u32) -> Self {
        let quota = Quota::per_minute(NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN));
        Self { quota, keyed: keyed(quota) }
    }

    /// Takes one try of `key` at `now`, Unix seconds. Returns how many are left at this moment.
    ///
    /// # Errors
    /// The seconds to wait until there is one; at least 1.
    pub fn take(&mut self, key: &K, now: i64) -> Result<u32, u64> {
        let now = Nanos::from(Duration::from_secs(u64::try_from(now).unwrap_or(0)));
        self.keyed.clock().0.set(now);
        self.forget();
        self.keyed.check_key(key).map(|left| left.remaining_burst_capacity()).map_err(|refused| {
            let wait = Duration::from(refused.earliest_possible().duration_since(now));
            wait.as_secs().max(1)
        })
    }

    /// Keys that are remembered.
    fn keys(&self) -> usize {
        self.keyed.len()
    }

    /// Makes room: forgets those that have all their tries again; if there are none, everybody: an attacker with thousands of keys
    /// gains one burst more.
    fn forget(&mut self) {
        if self.keys() < KEYS_MAX {
            return;
        }
        self.keyed.retain_recent();
        if self.keys() >= KEYS_MAX {
            let now = self.keyed.clock().now();
            self.keyed = keyed(self.quota);
            self.keyed.clock().0.set(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn after_the_burst_an_address_waits_for_the_refill() {
        let mut limiter = Limiter::new(2, 60);
        assert_eq!(limiter.take(&A, 0), Ok(1));
        assert_eq!(limiter.take(&A, 10), Ok(0));
        assert_eq!(limiter.take(&A, 20), Err(40));
        assert_eq!(limiter.take(&A, 60), Ok(0));
        assert_eq!(limiter.take(&A, 61), Err(59));
    }

    #[test]
    fn one_address_does_not_use_up_the_tries_of_another() {
        let mut limiter = Limiter::new(1, 60);
        assert_eq!(limiter.take(&A, 0), Ok(0));
        assert_eq!(limiter.take(&B, 0), Ok(0));
    }

    #[test]
    fn the_number_of_remembered_addresses_is_bounded() {
        let mut limiter = Limiter::new(1, 60);
        for number in 0..3 * u32::try_from(KEYS_MAX).unwrap() {
            let _ = limiter.take(&IpAddr::V4(number.into()), 0);
            assert!(limiter.keys() <= KEYS_MAX);
        }
    }

    #[test]
    fn a_clock_that_steps_back_gives_no_extra_tries() {
        let mut limiter = Limiter::new(1, 60);
        assert_eq!(limiter.take(&A, 100), Ok(0));
        assert_eq!(limiter.take(&A, 40), Err(120));
    }
}
