//! Which sensors a round is about: pure.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use hearthwatch_detector::class::DeviceClass;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;

/// A sensor with enough history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Its number in the job.
    pub number: u32,
    /// Its class: the choice is spread over classes.
    pub class: DeviceClass,
    /// Days on which it reported numbers.
    pub days: u32,
}

/// At most `most` numbers, in rising order: of each class in turn the sensor that reported on most days. Among equal ones the seed
/// decides, so that a home of hundreds of sensors trains on each of them in some round.
#[must_use]
pub fn choose(candidates: &[Candidate], most: usize, seed: u64) -> Vec<u32> {
    let mut classes: BTreeMap<DeviceClass, Vec<Candidate>> = BTreeMap::new();
    for candidate in candidates {
        classes.entry(candidate.class).or_default().push(*candidate);
    }
    let mut rng = StdRng::seed_from_u64(seed);
    let mut turns: Vec<(usize, Candidate)> = Vec::with_capacity(candidates.len());
    for class in classes.values_mut() {
        class.shuffle(&mut rng);
        class.sort_by_key(|one| Reverse(one.days));
        turns.extend(class.iter().copied().enumerate());
    }
    turns.sort_by_key(|(turn, one)| (*turn, one.class));
    let mut chosen: Vec<u32> = turns.into_iter().take(most).map(|(_, one)| one.number).collect();
    chosen.sort_unstable();
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(number: u32, class: DeviceClass, days: u32) -> Candidate {
        Candidate { number, class, days }
    }

    #[test]
    fn each_class_has_its_turn_and_of_a_class_the_longest_known_comes_first() {
        let (temperature, power) = (DeviceClass::Temperature, DeviceClass::Power);
        let mut all: Vec<Candidate> = (0..10).map(|number| candidate(number, temperature, 20 + number)).collect();
        all.push(candidate(10, power, 18));
        assert_eq!(choose(&all, 3, 1), [8, 9, 10]);
        assert_eq!(choose(&all, 20, 1).len(), 11);
        assert!(choose(&all, 0, 1).is_empty());
    }

    #[test]
    fn among_equals_the_seed_decides_so_that_all_have_their_round() {
        let all: Vec<Candidate> = (0..100).map(|number| candidate(number, DeviceClass::Power, 28)).collect();
        assert_eq!(choose(&all, 24, 5), choose(&all, 24, 5));
        let seen: std::collections::BTreeSet<u32> = (0..40).flat_map(|seed| choose(&all, 24, seed)).collect();
        assert_eq!(seen.len(), 100);
    }
}
