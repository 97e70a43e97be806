//! How often one address or one home may try: token buckets, bounded in number. Pure; the time comes in.
//!
//! Our own, though `governor` is kept by others: its keyed limiters grow with the keys until somebody sweeps them, and it
//! takes the time from a clock of its own, where everything here is told what time it is.

use std::collections::HashMap;
use std::hash::Hash;

/// Most keys remembered at a time: 4,096 × some 128 bytes are 512 KiB. When full, the fullest buckets (those that
/// have been quiet for long) are forgotten, which costs nothing since a forgotten bucket starts full.
pub const KEYS_MAX: usize = 4096;

/// A burst of `burst` at once, then one every `refill_s` seconds.
#[derive(Debug)]
pub struct Limiter<K> {
    burst: u32,
    refill_s: i64,
    buckets: HashMap<K, Bucket>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: u32,
    /// When `left` was right.
    at: i64,
}

impl<K: Clone + Eq + Hash> Limiter<K> {
    /// A limiter that lets `burst` tries through at once and one more every `refill_s` seconds.
    #[must_use]
    pub fn new(burst: u32, refill_s: i64) -> Self {
        Self { burst, refill_s: refill_s.max(1), buckets: HashMap::new() }
    }

    /// Takes one try of `key`.
    ///
    /// # Errors
    /// The seconds to wait until there is one.
    pub fn take(&mut self, key: &K, now: i64) -> Result<(), u64> {
        let mut bucket = self.refilled(key, now);
        if bucket.left == 0 {
            return Err((bucket.at + self.refill_s - now).max(1).unsigned_abs());
        }
        bucket.left -= 1;
        if self.buckets.len() >= KEYS_MAX && !self.buckets.contains_key(key) {
            self.forget(now);
        }
        self.buckets.insert(key.clone(), bucket);
        Ok(())
    }

    fn refilled(&self, key: &K, now: i64) -> Bucket {
        let full = Bucket { left: self.burst, at: now };
        let Some(bucket) = self.buckets.get(key) else { return full };
        let gained = ((now - bucket.at) / self.refill_s).max(0);
        let left = i64::from(bucket.left).saturating_add(gained);
        match u32::try_from(left) {
            Ok(left) if left < self.burst => Bucket { left, at: bucket.at + gained * self.refill_s },
            _ => full,
        }
    }

    /// Drops full buckets; if none is full, all of them: an attacker with thousands of keys gains one burst more.
    fn forget(&mut self, now: i64) {
        let full: Vec<K> =
            self.buckets.keys().filter(|key| self.refilled(key, now).left >= self.burst).cloned().collect();
        if full.is_empty() {
            self.buckets.clear();
        }
        for key in full {
            self.buckets.remove(&key);
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
        assert_eq!(limiter.take(&A, 0), Ok(()));
        assert_eq!(limiter.take(&A, 10), Ok(()));
        assert_eq!(limiter.take(&A, 20), Err(40));
        assert_eq!(limiter.take(&A, 60), Ok(()));
        assert_eq!(limiter.take(&A, 61), Err(59));
    }

    #[test]
    fn one_address_does_not_use_up_the_tries_of_another() {
        let mut limiter = Limiter::new(1, 60);
        assert_eq!(limiter.take(&A, 0), Ok(()));
        assert_eq!(limiter.take(&B, 0), Ok(()));
    }

    #[test]
    fn the_number_of_remembered_addresses_is_bounded() {
        let mut limiter = Limiter::new(1, 60);
        for number in 0..3 * u32::try_from(KEYS_MAX).unwrap() {
            let _ = limiter.take(&IpAddr::V4(number.into()), 0);
            assert!(limiter.buckets.len() <= KEYS_MAX);
        }
    }

    #[test]
    fn a_clock_that_steps_back_gives_no_extra_tries() {
        let mut limiter = Limiter::new(1, 60);
        assert_eq!(limiter.take(&A, 100), Ok(()));
        assert_eq!(limiter.take(&A, 40), Err(120));
    }
}
