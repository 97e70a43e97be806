//! Which sensors a round is about: pure.

use std::collections::BTreeMap;

use hearthwatch_detector::class::DeviceClass;

/// A sensor with enough history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Its number in the job.
    pub number: u32,
    /// Sensors are spread over classes.
    pub class: DeviceClass,
    /// Days on which it reported numbers.
    pub days: u32,
}

/// At most `most` numbers, in rising order: of each class in turn the sensor that reported on most days, and of those equal another one
/// with another seed, so that a home of hundreds of sensors learns from each of them in some round.
#[must_use]
pub fn choose(candidates: &[Candidate], most: usize, seed: u64) -> Vec<u32> {
    let mut classes: BTreeMap<DeviceClass, Vec<Candidate>> = BTreeMap::new();
    for candidate in candidates {
        classes.entry(candidate.class).or_default().push(*candidate);
    }
    let mut turns: Vec<(usize, Candidate)> = Vec::with_capacity(candidates.len());
    for class in classes.values_mut() {
        class.sort_by_key(|one| (std::cmp::Reverse(one.days), mixed(seed, one.number), one.number));
        turns.extend(class.iter().copied().enumerate());
    }
    turns.sort_by_key(|(turn, one)| (*turn, one.class));
    let mut chosen: Vec<u32> = turns.into_iter().take(most).map(|(_, one)| one.number).collect();
    chosen.sort_unstable();
    chosen
}

/// A number that looks drawn by chance (SplitMix64, Steele et al. 2014).
fn mixed(seed: u64, number: u32) -> u64 {
    let mut state = seed.wrapping_add(u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
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
