//! A thousand small homes out of a few recorded ones: one entity, two days each.

use hearthwatch_evaluation::dataset::Label;
use hearthwatch_evaluation::evaluate::{EntityTrace, HomePair, HomeTrace};
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

const DAY: i64 = 86_400;
/// Length of a small home's history.
const DAYS: i64 = 2;

/// Seconds of a fault within it below which there is nothing to learn from.
const SHORTEST: i64 = 2 * 3600;

/// A small home: [`DAYS`] of one entity of a recorded home.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shard {
    home: usize,
    entity: u32,
    from: i64,
}

/// As many small homes as there are, in random order, at most `most`. Each has a fault to learn from.
pub(super) fn shards(homes: &[HomePair], most: usize, rng: &mut ChaCha8Rng) -> Vec<Shard> {
    let mut found = Vec::new();
    for (home, pair) in homes.iter().enumerate() {
        for trace in pair.clean.entities.iter().filter(|trace| !trace.class.is_binary()) {
            let parts = (pair.clean.until - pair.clean.from) / (DAYS * DAY);
            let starts = (0..parts).map(|number| pair.clean.from + number * DAYS * DAY);
            let all = starts.map(|from| Shard { home, entity: trace.entity, from });
            found.extend(all.filter(|shard| shard.has_fault(homes)));
        }
    }
    found.shuffle(rng);
    found.truncate(most);
    found
}

impl Shard {
    fn inside(&self, at: i64) -> bool {
        self.from < at && at <= self.from + DAYS * DAY
    }

    fn has_fault(&self, homes: &[HomePair]) -> bool {
        homes[self.home].faulty.iter().flat_map(|copy| &copy.labels).any(|label| self.overlaps(label))
    }

    fn overlaps(&self, label: &Label) -> bool {
        let inside = label.end.min(self.from + DAYS * DAY) - label.start.max(self.from);
        label.entity == self.entity && inside >= SHORTEST
    }

    /// The history as homes train on it.
    pub(super) fn pair(&self, homes: &[HomePair]) -> HomePair {
        let whole = &homes[self.home];
        HomePair { clean: self.cut(&whole.clean), faulty: whole.faulty.iter().map(|copy| self.cut(copy)).collect() }
    }

    fn cut(&self, home: &HomeTrace) -> HomeTrace {
        let own = home.entities.iter().filter(|trace| trace.entity == self.entity);
        let mut labels = home.labels.clone();
        labels.retain(|label| self.overlaps(label));
        HomeTrace {
            home: home.home.clone(),
            infos: home.infos.clone(),
            entities: own.map(|trace| self.cut_entity(trace)).collect(),
            labels,
            from: home.from,
            until: home.until,
        }
    }

    /// Other steps stay in the trace, and the network is not asked about them.
    fn cut_entity(&self, trace: &EntityTrace) -> EntityTrace {
        let mut own = trace.clone();
        for index in 0..own.len() {
            own.asks[index] &= self.inside(trace.at(index));
        }
        own
    }
}

#[cfg(test)]
mod tests {
    use hearthwatch_evaluation::fixtures::home::made_home;
    use hearthwatch_evaluation::inject::{Family, InjectionPlan};
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn a_small_home_is_one_entity_for_two_days_with_a_fault() {
        let clean = made_home(3, 56);
        let from = clean.span().unwrap().0 + 14 * DAY;
        let plan = InjectionPlan { seed: 1, events_per_entity_week: 2.0, families: vec![Family::LevelShift] };
        let homes = [HomePair::extract(&clean, from, [plan])];
        let found = shards(&homes, 3, &mut ChaCha8Rng::seed_from_u64(1));
        assert_eq!(found.len(), 3);
        for shard in found {
            let pair = shard.pair(&homes);
            let [trace] = &pair.clean.entities[..] else { panic!("one entity") };
            let asked: Vec<i64> =
                (0..trace.len()).filter(|index| trace.asks[*index]).map(|index| trace.at(index)).collect();
            assert!(!asked.is_empty() && asked.iter().all(|at| shard.inside(*at)));
            assert!(!pair.faulty[0].labels.is_empty());
        }
    }
}
