//! Detection delay: from an event's start to the first alarm that finds it.

use serde::{Deserialize, Serialize};

/// Delays of the events that were found, seconds. What was not found has none: read it beside recall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delay {
    /// Half of them are not longer.
    pub median_s: i64,
    /// Nine in ten are not longer.
    pub p90_s: i64,
}

/// The delays' median and 90 % quantile (nearest rank); none without any.
#[must_use]
pub fn delay(delays: impl IntoIterator<Item = i64>) -> Option<Delay> {
    let mut delays: Vec<i64> = delays.into_iter().collect();
    delays.sort_unstable();
    let at = |share: f64| delays.get(((delays.len() as f64 * share).ceil() as usize).saturating_sub(1)).copied();
    Some(Delay { median_s: at(0.5)?, p90_s: at(0.9)? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_example_by_hand() {
        let delays = [3000, 600, 1200, 1800, 2400, 4200, 3600, 4800, 5400, 6000];
        assert_eq!(delay(delays), Some(Delay { median_s: 3000, p90_s: 5400 }));
        assert_eq!(delay([]), None);
    }

    proptest! {
        #[test]
        fn both_are_delays_that_were_seen_and_the_median_is_not_the_longer(
            delays in prop::collection::vec(0i64..100_000, 1..50),
        ) {
            let value = delay(delays.clone()).unwrap();
            prop_assert!(value.median_s <= value.p90_s);
            prop_assert!(delays.contains(&value.median_s) && delays.contains(&value.p90_s));
        }
    }
}
