//! When simulated homes are free and how long they take: pure arithmetic on a virtual clock, in seconds since the simulation began.

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

pub(super) const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
/// Homes train at night: so long from local midnight on.
const NIGHT: u64 = 5 * HOUR;
/// Hours that homes' midnight lies after that of the simulation's start, and how many in ten homes live there.
const ZONES: [(u64, u32); 4] = [(0, 5), (8, 2), (16, 1), (6, 2)];
/// What goes wrong with trainings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outages {
    /// Of a hundred trainings so many never answer: unplugged, offline, given up.
    pub dropped_percent: u32,
    /// Of a hundred so many answer a night later: paused for heat or load, or the upload was cut.
    pub late_percent: u32,
}

/// Shortest and longest training with its upload.
const TAKES: std::ops::RangeInclusive<u64> = 30..=900;

/// How one home behaves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Habits {
    midnight: u64,
}

/// The outcome of one training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// The answer arrives then.
    At(u64),
    /// No answer arrives.
    Never,
}

impl Habits {
    pub(super) fn draw(rng: &mut ChaCha8Rng) -> Self {
        let mut place = rng.random_range(0..ZONES.iter().map(|(_, homes)| homes).sum());
        for (midnight, homes) in ZONES {
            if place < homes {
                return Self { midnight: midnight * HOUR };
            }
            place -= homes;
        }
        Self { midnight: 0 }
    }

    /// The first moment from `now` on at which the home is free.
    pub(super) fn free_from(self, now: u64) -> u64 {
        let since_midnight = (now + DAY - self.midnight % DAY) % DAY;
        if since_midnight < NIGHT { now } else { now + DAY - since_midnight }
    }

    /// When a home that begins at `start` answers, if it does.
    pub(super) fn answer(self, start: u64, outages: Outages, rng: &mut ChaCha8Rng) -> Answer {
        let fate = rng.random_range(0..100);
        let takes = rng.random_range(TAKES);
        if fate < outages.dropped_percent {
            Answer::Never
        } else if fate < outages.dropped_percent + outages.late_percent {
            Answer::At(self.free_from(start + NIGHT) + takes)
        } else {
            Answer::At(start + takes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_free_in_its_own_night_alone() {
        let home = Habits { midnight: 8 * HOUR };
        assert_eq!(home.free_from(0), 8 * HOUR);
        assert_eq!(home.free_from(9 * HOUR), 9 * HOUR);
        assert_eq!(home.free_from(13 * HOUR), 32 * HOUR);
    }
}
