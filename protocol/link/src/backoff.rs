//! How long to wait before trying again.

use std::time::Duration;

/// Doubling pauses with jitter. The jitter is computed from who waits and how often they have failed, so a fleet that
/// lost its broker at one instant comes back spread out, and a test needs no luck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure; doubled after each further one.
    pub first: Duration,
    /// Upper bound of the pause.
    pub longest: Duration,
}

impl Default for Backoff {
    /// Half a second, doubling to a minute: a broker's restart is noticed within seconds,
    /// a fleet of 10,000 makes at most about 220 attempts a second when the broker stays away.
    fn default() -> Self {
        Self { first: Duration::from_millis(500), longest: Duration::from_secs(60) }
    }
}

impl Backoff {
    /// The pause after `failures` failures in a row (at least 1): between half and all of `first * 2^(failures - 1)`,
    /// cut at `longest`. `who` is anything that differs between those who wait.
    #[must_use]
    pub fn pause(&self, failures: u32, who: u64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let ceiling = self.first.saturating_mul(1 << doublings).min(self.longest);
        let share = scatter(who ^ u64::from(failures)) >> 32;
        // Half, plus a share of the other half in 1/2^32 steps.
        let half = ceiling / 2;
        let nanos = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX);
        half + Duration::from_nanos(u64::try_from((u128::from(nanos) * u128::from(share)) >> 32).unwrap_or(nanos))
    }
}

/// A number for a name, for [`Backoff::pause`] (64-bit FNV-1a).
#[must_use]
pub(crate) fn who(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The finaliser of `SplitMix64`: each input bit reaches each output bit.
fn scatter(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_never_fall_below_half() {
        let backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) };
        for (failures, ceiling) in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (1000, 60)] {
            let pause = backoff.pause(failures, who("home-7"));
            let ceiling = Duration::from_secs(ceiling);
            assert!(pause >= ceiling / 2 && pause <= ceiling, "{failures}: {pause:?}");
        }
    }

    #[test]
    fn two_homes_wait_differently() {
        let backoff = Backoff::default();
        assert_ne!(backoff.pause(5, who("home-7")), backoff.pause(5, who("home-8")));
    }
}
