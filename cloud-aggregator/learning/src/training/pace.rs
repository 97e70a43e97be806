//! How long a run still takes, from how long it has taken. Pure.

/// Seconds of a phase below which nothing is foretold: the first steps say little.
const KNOWN_AFTER_SECONDS: i64 = 2;

/// The pace of one phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace {
    phase: &'static str,
    began_at: i64,
}

impl Pace {
    /// Takes note of where a run is and says how many seconds its phase still takes; `None` while there is no telling.
    pub fn remaining(&mut self, phase: &'static str, done: u64, total: u64, now: i64) -> Option<u64> {
        if self.phase != phase {
            *self = Self { phase, began_at: now };
        }
        let elapsed = now.saturating_sub(self.began_at);
        if elapsed < KNOWN_AFTER_SECONDS || done == 0 || total < done {
            return None;
        }
        let left = (elapsed as f64 * (total - done) as f64 / done as f64).round();
        Some(left as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_takes_as_long_as_its_share_has_taken() {
        let mut pace = Pace::default();
        assert_eq!(pace.remaining("training", 0, 10, 100), None);
        assert_eq!(pace.remaining("training", 1, 10, 101), None, "a second tells nothing");
        assert_eq!(pace.remaining("training", 4, 10, 120), Some(30));
        assert_eq!(pace.remaining("training", 10, 10, 150), Some(0));
    }

    #[test]
    fn another_phase_has_a_pace_of_its_own_and_a_clock_set_back_tells_nothing() {
        let mut pace = Pace::default();
        assert_eq!(pace.remaining("preparing", 5, 10, 100), None);
        assert_eq!(pace.remaining("training", 5, 10, 200), None);
        assert_eq!(pace.remaining("training", 6, 10, 206), Some(4));
        assert_eq!(pace.remaining("training", 6, 10, 0), None);
    }
}
