//! When each fault starts and ends, of which family it is, and whether its edges are hard or soft.

use hearthwatch_detector::grid::STEP_SECONDS;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::family::Family;
use super::scale::Scale;

/// Time between two faults of an entity, and around faults that are known already: a day, so that one does not hide
/// in the other's shadow.
pub(super) const PEACE_SECONDS: i64 = 86_400;

/// Tries to place a fault before it is given up.
const TRIES: usize = 20;

/// One fault to be written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Slot {
    pub family: Family,
    /// First faulty second.
    pub start: i64,
    /// Last faulty second.
    pub end: i64,
    /// Seconds over which the fault comes and goes; zero for hard edges.
    pub edge: i64,
}

impl Slot {
    pub fn contains(&self, at: i64) -> bool {
        self.start <= at && at <= self.end
    }

    /// How much of the fault is there at `at`: 0 outside, 1 in the middle, between at soft edges.
    pub fn strength(&self, at: i64) -> f64 {
        if !self.contains(at) {
            return 0.0;
        }
        if self.edge == 0 {
            return 1.0;
        }
        let inside = (at - self.start).min(self.end - at) as f64;
        (inside / self.edge as f64).min(1.0)
    }
}

/// Draws the faults of one entity, sorted by start and never overlapping.
pub(super) fn draw(
    rng: &mut ChaCha8Rng,
    families: &[Family],
    events_per_week: f64,
    (from, until): (i64, i64),
    scale: &Scale,
    taken: &[(i64, i64)],
) -> Vec<Slot> {
    if families.is_empty() || until <= from {
        return Vec::new();
    }
    let expected = events_per_week * (until - from) as f64 / 604_800.0;
    let count = expected.floor() as usize + usize::from(rng.random::<f64>() < expected.fract());
    let mut slots: Vec<Slot> = Vec::new();
    for _ in 0..count {
        for _ in 0..TRIES {
            let slot = candidate(rng, families, (from, until), scale);
            let crowded = slots
                .iter()
                .map(|other| (other.start, other.end))
                .chain(taken.iter().copied())
                .any(|(start, end)| slot.start <= end + PEACE_SECONDS && start <= slot.end + PEACE_SECONDS);
            if !crowded && slot.end <= until {
                slots.push(slot);
                break;
            }
        }
    }
    slots.sort_by_key(|slot| slot.start);
    slots
}

fn candidate(rng: &mut ChaCha8Rng, families: &[Family], (from, until): (i64, i64), scale: &Scale) -> Slot {
    let family = families[rng.random_range(0..families.len())];
    let hours = family.hours();
    let drawn = hours.start() + (hours.end() - hours.start()) * rng.random::<f64>();
    // A slow reporter must report at least three times while it lasts, or there is nothing to see.
    let seconds = ((drawn * 3600.0) as i64).max(3 * scale.interval.max(STEP_SECONDS));
    let start = from + 1 + rng.random_range(0..(until - from).max(1));
    // Faults begin with a step: the second after a step's end.
    let start = start.div_euclid(STEP_SECONDS) * STEP_SECONDS + 1;
    let end = start - 1 + seconds.div_euclid(STEP_SECONDS) * STEP_SECONDS;
    let soft = rng.random::<bool>();
    let edge = if soft { (end - start) / 4 } else { 0 };
    Slot { family, start, end, edge }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    const SCALE: Scale = Scale { residual: 1.0, linear: 1.0, log: false, range: (0.0, 1.0), interval: 600 };
    const WEEK: i64 = 604_800;

    #[test]
    fn faults_keep_their_distance_from_each_other_and_from_known_ones() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let taken = [(3 * WEEK, 3 * WEEK + 7200)];
        let slots = draw(&mut rng, Family::ALL, 2.0, (0, 6 * WEEK), &SCALE, &taken);
        assert!(slots.len() >= 6, "{}", slots.len());
        for pair in slots.windows(2) {
            assert!(pair[0].end + PEACE_SECONDS < pair[1].start);
        }
        assert!(
            slots.iter().all(|slot| slot.start > taken[0].1 + PEACE_SECONDS || slot.end + PEACE_SECONDS < taken[0].0)
        );
        assert!(slots.iter().all(|slot| slot.start % STEP_SECONDS == 1 && slot.end % STEP_SECONDS == 0));
    }

    #[test]
    fn soft_edges_rise_and_fall_and_hard_ones_do_not() {
        let soft = Slot { family: Family::LevelShift, start: 0, end: 4000, edge: 1000 };
        assert_eq!(soft.strength(500), 0.5);
        assert_eq!(soft.strength(2000), 1.0);
        assert_eq!(soft.strength(3500), 0.5);
        let hard = Slot { edge: 0, ..soft };
        assert_eq!((hard.strength(0), hard.strength(4000), hard.strength(4001)), (1.0, 1.0, 0.0));
    }
}
