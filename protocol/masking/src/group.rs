//! A group of homes whose words are added, and what it is bound to.

use hearthwatch_protocol::HomeId;
use hearthwatch_protocol::limits::{MASK_GROUP_MAX, MASK_GROUP_MIN};
use rand::seq::SliceRandom as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Fewest homes of a group: the threshold is then 3, so that no sum has the words of fewer than three homes. Two of three homes that conspire
/// with the server know the third's words from the sum; larger groups need more of them.
pub const GROUP_HOMES_MIN: usize = MASK_GROUP_MIN;

/// Most homes of a group. Robust aggregation sees group sums only: the larger a group, the fewer sums an attacker leaves untouched.
pub const GROUP_HOMES_MAX: usize = MASK_GROUP_MAX;

/// Most words that are added: the network may have 30,000 parameters, one word each, 60 KB.
pub const GROUP_WORDS_MAX: u32 = 30_000;

/// A home's place in its group's list, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place(pub u8);

/// What every message of a group carries: SHA-256 over the whole plan. A message of another round, group or list of homes has another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupDigest(#[serde(with = "serde_bytes")] pub [u8; 32]);

/// Whose words are added. The server makes it, every home checks it, and all messages are bound to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupPlan {
    /// Number of the round in the fleet; it only rises.
    pub round: u64,
    /// Number of the group in the round.
    pub group: u32,
    /// Drawn for this group: two plans are never the same.
    #[serde(with = "serde_bytes")]
    pub nonce: [u8; 16],
    /// In ascending order, each once, [`GROUP_HOMES_MIN`] to [`GROUP_HOMES_MAX`].
    pub homes: Vec<HomeId>,
    /// Homes that must answer in each exchange; more than two thirds of the group.
    pub threshold: u8,
    /// Words that each home sends, 1 to [`GROUP_WORDS_MAX`].
    pub words: u32,
}

/// Why a plan is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlanFault {
    /// Too few or too many.
    #[error("a group has {GROUP_HOMES_MIN} to {GROUP_HOMES_MAX} homes, this one {0}")]
    Homes(usize),
    /// Not in ascending order, or one twice.
    #[error("the homes of a group are listed in ascending order, each once")]
    Order,
    /// With a lower one a server could learn the words of single homes; a higher one cannot be reached.
    #[error("a threshold of {found}; it must lie between {least} and the number of homes")]
    Threshold {
        /// What the plan asks for.
        found: u8,
        /// [`GroupPlan::least_threshold`].
        least: u8,
    },
    /// None or too many.
    #[error("a home sends 1 to {GROUP_WORDS_MAX} words, this plan asks for {0}")]
    Words(u32),
}

impl GroupPlan {
    /// A plan with the least threshold. The homes may come in any order.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn new(round: u64, group: u32, nonce: [u8; 16], mut homes: Vec<HomeId>, words: u32) -> Result<Self, PlanFault> {
        homes.sort();
        let threshold = Self::least_threshold(homes.len());
        let plan = Self { round, group, nonce, homes, threshold, words };
        plan.check()?;
        Ok(plan)
    }

    /// Fewest answers that a home lets a group of so many do with: ⌊2n/3⌋ + 1.
    #[must_use]
    pub fn least_threshold(homes: usize) -> u8 {
        u8::try_from(homes.saturating_mul(2) / 3 + 1).unwrap_or(u8::MAX)
    }

    /// Whether the plan is within all limits.
    ///
    /// # Errors
    /// The first [`PlanFault`] that applies.
    pub fn check(&self) -> Result<(), PlanFault> {
        let homes = self.homes.len();
        if !(GROUP_HOMES_MIN..=GROUP_HOMES_MAX).contains(&homes) {
            return Err(PlanFault::Homes(homes));
        }
        if !self.homes.is_sorted_by(|left, right| left < right) {
            return Err(PlanFault::Order);
        }
        let least = Self::least_threshold(homes);
        if self.threshold < least || usize::from(self.threshold) > homes {
            return Err(PlanFault::Threshold { found: self.threshold, least });
        }
        if !(1..=GROUP_WORDS_MAX).contains(&self.words) {
            return Err(PlanFault::Words(self.words));
        }
        Ok(())
    }

    /// What messages of this group carry.
    #[must_use]
    pub fn digest(&self) -> GroupDigest {
        let mut hash = Sha256::new_with_prefix(b"hearthwatch masking group 1");
        hash.update(self.round.to_be_bytes());
        hash.update(self.group.to_be_bytes());
        hash.update(self.nonce);
        hash.update([self.threshold]);
        hash.update(self.words.to_be_bytes());
        for home in &self.homes {
            // Ids have no zero byte: the list can be read in one way only.
            hash.update(home.as_str().as_bytes());
            hash.update([0]);
        }
        GroupDigest(hash.finalize().into())
    }

    /// A home's place in the list; none where the plan does not have it.
    #[must_use]
    pub fn place(&self, home: &HomeId) -> Option<Place> {
        self.homes.binary_search(home).ok().and_then(|place| u8::try_from(place).ok()).map(Place)
    }

    /// The home at a place.
    #[must_use]
    pub fn home(&self, place: Place) -> Option<&HomeId> {
        self.homes.get(usize::from(place.0))
    }
}

/// Draws groups of about `size` homes, which is brought between [`GROUP_HOMES_MIN`] and [`GROUP_HOMES_MAX`]; sizes differ by at most one.
/// No groups where there are fewer homes than [`GROUP_HOMES_MIN`].
#[must_use]
pub fn into_groups(mut homes: Vec<HomeId>, size: usize, rng: &mut impl rand::Rng) -> Vec<Vec<HomeId>> {
    let size = size.clamp(GROUP_HOMES_MIN, GROUP_HOMES_MAX);
    if homes.len() < GROUP_HOMES_MIN {
        return Vec::new();
    }
    homes.shuffle(rng);
    // Groups may be larger than asked for, so that the last one is not too small; never beyond the most.
    let fewest = homes.len().div_ceil(GROUP_HOMES_MAX);
    let count = (homes.len() / size).max(fewest).max(1);
    let mut groups = vec![Vec::new(); count];
    for (place, home) in homes.into_iter().enumerate() {
        groups[place % count].push(home);
    }
    groups
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn homes(count: usize) -> Vec<HomeId> {
        (0..count).map(|home| HomeId::new(format!("home-{home}")).unwrap()).collect()
    }

    #[test]
    fn a_plan_that_could_expose_a_home_is_refused() {
        let plan = |count| GroupPlan::new(1, 0, [1; 16], homes(count), 8);
        assert_eq!(plan(3), Err(PlanFault::Homes(3)));
        assert_eq!(plan(17), Err(PlanFault::Homes(17)));
        let good = plan(12).unwrap();
        assert_eq!(good.threshold, 9);
        let lower = GroupPlan { threshold: 8, ..good.clone() };
        assert_eq!(lower.check(), Err(PlanFault::Threshold { found: 8, least: 9 }));
        assert_eq!(
            GroupPlan { threshold: 13, ..good.clone() }.check(),
            Err(PlanFault::Threshold { found: 13, least: 9 })
        );
        let mut twice = good.clone();
        twice.homes[1] = twice.homes[0].clone();
        assert_eq!(twice.check(), Err(PlanFault::Order));
        assert_eq!(GroupPlan { words: 0, ..good }.check(), Err(PlanFault::Words(0)));
    }

    #[test]
    fn every_home_comes_into_one_group_of_a_size_that_a_plan_takes() {
        for (count, size) in [(4, 8), (7, 4), (20, 8), (31, 16), (33, 16), (1000, 12)] {
            let groups = into_groups(homes(count), size, &mut ChaCha8Rng::seed_from_u64(1));
            let mut all: Vec<_> = groups.iter().flatten().cloned().collect();
            all.sort();
            let mut expected = homes(count);
            expected.sort();
            assert_eq!(all, expected);
            for group in groups {
                assert!(GroupPlan::new(1, 0, [1; 16], group, 8).is_ok(), "{count} homes in groups of {size}");
            }
        }
        assert!(into_groups(homes(3), 8, &mut ChaCha8Rng::seed_from_u64(1)).is_empty());
    }
}
