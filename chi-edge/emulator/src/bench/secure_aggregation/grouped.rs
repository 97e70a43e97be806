//! The median over sums of groups, some homes of which attack.

use std::sync::{Arc, Mutex, PoisonError};

use hearthwatch_federation::{Aggregate, CoordinateMedian, Delta, FixedPoint, Mean, Strategy};
use hearthwatch_masking::into_groups;
use hearthwatch_protocol::HomeId;
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

/// What attackers send. All know the mean of the honest deltas and send its opposite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GroupAttack {
    /// As long as an honest delta: what a home that signs its norm can do.
    AsLong,
    /// So long that the sum of the group is as long as the server's bound on its norm allows: one attacker turns its group around.
    Bound,
}

impl GroupAttack {
    pub(super) const ALL: &[Self] = &[Self::AsLong, Self::Bound];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::AsLong => "opposite mean",
            Self::Bound => "opposite, to the bound",
        }
    }
}

/// Groups of a run, and how many had no attacker.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Tally {
    groups: usize,
    clean: usize,
}

impl Tally {
    pub(super) fn shared() -> Arc<Mutex<Self>> {
        Arc::default()
    }

    pub(super) fn of(shared: &Mutex<Self>) -> Self {
        *shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&mut self, other: Self) {
        self.groups += other.groups;
        self.clean += other.clean;
    }

    pub(super) fn share_clean(&self) -> f64 {
        self.clean as f64 / self.groups.max(1) as f64
    }
}

/// Homes in groups, without masks: these cancel in each sum.
#[derive(Debug)]
pub(super) struct Grouped {
    size: usize,
    attack: Option<GroupAttack>,
    /// By the name under which the homes are added.
    attackers: Vec<String>,
    seed: u64,
    sent: Vec<(String, Delta)>,
    tally: Arc<Mutex<Tally>>,
}

impl Grouped {
    pub(super) fn new(
        size: usize,
        attack: Option<(GroupAttack, usize)>,
        homes: usize,
        seed: u64,
        tally: Arc<Mutex<Tally>>,
    ) -> Self {
        let mut places: Vec<usize> = (0..homes).collect();
        places.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let count = attack.map_or(0, |(_, count)| count);
        let attackers = places.into_iter().take(count).map(|place| place.to_string()).collect();
        Self { size, attack: attack.map(|(attack, _)| attack), attackers, seed, sent: Vec::new(), tally }
    }

    fn attacks(&self, home: &str) -> bool {
        self.attackers.iter().any(|attacker| attacker == home)
    }

    /// Mean of the honest deltas, and the clip: the median of their norms, as a schedule would have it.
    fn honest(&self) -> (Delta, f64) {
        let honest = || self.sent.iter().filter(|(home, _)| !self.attacks(home));
        let mut mean = Box::<Mean>::default();
        honest().for_each(|(home, delta)| mean.add(home, delta.clone()));
        let mean = mean.finish().map_or_else(Delta::zero, |aggregate| aggregate.delta);
        let mut norms: Vec<f64> = honest().map(|(_, delta)| delta.norm()).collect();
        norms.sort_by(f64::total_cmp);
        (mean, norms.get(norms.len() / 2).copied().unwrap_or(1.0).max(1e-9))
    }

    /// What an attacker sends in a group of this size.
    fn delta(attack: GroupAttack, honest: &Delta, clip: f64, group: usize) -> Delta {
        let length = match attack {
            GroupAttack::AsLong => clip,
            // The sum of the others is about as long as so many honest means; a twentieth is left for their noise.
            GroupAttack::Bound => 0.95 * clip * group as f64 + honest.norm() * (group as f64 - 1.0),
        };
        honest.clone().scaled(-length / honest.norm().max(1e-9))
    }
}

impl Strategy for Grouped {
    fn name(&self) -> &'static str {
        "median over groups"
    }

    fn add(&mut self, home: &str, delta: Delta) {
        self.sent.push((home.to_owned(), delta));
    }

    fn kept(&self) -> usize {
        self.sent.len()
    }

    fn finish(self: Box<Self>) -> Option<Aggregate> {
        let (honest, clip) = self.honest();
        let grid = FixedPoint::of_clip(clip);
        let ids = self.sent.iter().filter_map(|(home, _)| HomeId::new(home.clone()).ok()).collect();
        // Groups are drawn anew in each round: the homes' deltas differ from round to round.
        let seed = self.seed ^ honest.norm().to_bits();
        let groups = match self.size {
            0 | 1 => self.sent.iter().filter_map(|(home, _)| Some(vec![HomeId::new(home.clone()).ok()?])).collect(),
            size => into_groups(ids, size, &mut ChaCha8Rng::seed_from_u64(seed)),
        };
        let mut median: Box<dyn Strategy> = Box::<CoordinateMedian>::default();
        let mut tally = Tally { groups: groups.len(), clean: 0 };
        for (number, group) in groups.iter().enumerate() {
            let members = self.sent.iter().filter(|(home, _)| group.iter().any(|id| id.as_str() == home));
            let mut sum = vec![0_u16; honest.values().len()];
            let mut clean = true;
            for (home, delta) in members {
                let words = match self.attack.filter(|_| self.attacks(home)) {
                    Some(attack) => {
                        clean = false;
                        unclipped(&Self::delta(attack, &honest, clip, group.len()), grid)
                    }
                    None => grid.words(delta.clone()),
                };
                sum.iter_mut().zip(words).for_each(|(sum, word)| *sum = sum.wrapping_add(word));
            }
            tally.clean += usize::from(clean);
            if let Ok(mean) = grid.mean(&sum, group.len()) {
                median.add(&number.to_string(), mean);
            }
        }
        let mut shared = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        shared.add(tally);
        drop(shared);
        median.finish()
    }
}

/// The words of a delta without the clip that an honest home's grid applies.
fn unclipped(delta: &Delta, grid: FixedPoint) -> Vec<u16> {
    delta.values().iter().map(|value| (f64::from(*value) / grid.step()).round() as i64 as u16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(size: usize, attack: Option<(GroupAttack, usize)>) -> (f64, Tally) {
        let tally = Tally::shared();
        let mut grouped: Box<dyn Strategy> = Box::new(Grouped::new(size, attack, 48, 1, Arc::clone(&tally)));
        let truth = Delta::zero().noised(0.005, &mut ChaCha8Rng::seed_from_u64(99));
        for home in 0..48_u64 {
            let chance = Delta::zero().noised(0.002, &mut ChaCha8Rng::seed_from_u64(home));
            let values = truth.values().iter().zip(chance.values()).map(|(one, other)| one + other).collect();
            grouped.add(&home.to_string(), Delta::new(values).unwrap());
        }
        let end = grouped.finish().unwrap().delta;
        (end.cosine(&truth), Tally::of(&tally))
    }

    #[test]
    fn honest_homes_in_groups_agree_with_the_truth() {
        let (agreement, tally) = run(8, None);
        assert!(agreement > 0.98 && tally.share_clean() == 1.0, "{agreement}");
    }

    #[test]
    fn a_few_attackers_that_go_to_the_bound_are_outvoted_in_small_groups_and_win_in_large_ones() {
        let attack = Some((GroupAttack::Bound, 5));
        assert!(run(4, attack).0 > 0.9);
        assert!(run(12, attack).0 < 0.0);
    }
}
