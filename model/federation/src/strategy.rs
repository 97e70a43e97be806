//! How many homes' deltas become one.

mod coordinate;
mod krum;
mod mean;

pub use coordinate::{CoordinateMedian, TrimmedMean};
pub use krum::MultiKrum;
pub use mean::{ClippedMean, Mean};

use super::delta::Delta;

/// Makes one delta of those of many homes, which are added one at a time.
pub trait Strategy: std::fmt::Debug + Send {
    /// As configuration, reports and tables name it.
    fn name(&self) -> &'static str;

    /// Takes one home's delta; a home is added once.
    fn add(&mut self, home: &str, delta: Delta);

    /// What all homes together changed; none without a home.
    fn finish(self: Box<Self>) -> Option<Aggregate>;
}

/// What became of a round's deltas.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    /// To be added to the round's start.
    pub delta: Delta,
    /// Homes whose delta is part of it.
    pub homes: usize,
    /// Homes whose delta is not, in the order in which they were added.
    pub left_out: Vec<LeftOut>,
}

/// A home whose delta was not used, or not in full.
#[derive(Debug, Clone, PartialEq)]
pub struct LeftOut {
    /// As it was added.
    pub home: String,
    /// For an operator.
    pub reason: Reason,
}

/// Why a delta was not used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reason {
    /// It lies far from those of the other homes.
    FarFromOthers {
        /// Its mean distance to the nearest others, as a multiple of the median home's.
        times: f64,
    },
}

/// Deltas of one test: `count` honest ones around a common direction, all of length one but for chance.
#[cfg(test)]
mod fixtures {
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// The direction in which honest homes go.
    pub fn truth() -> Delta {
        Delta::zero().noised(0.01, &mut ChaCha8Rng::seed_from_u64(99))
    }

    /// An honest home: the truth and as much chance.
    pub fn honest(home: u64) -> Delta {
        let chance = Delta::zero().noised(0.01, &mut ChaCha8Rng::seed_from_u64(home));
        let values = truth().values().iter().zip(chance.values()).map(|(one, other)| one + other).collect();
        Delta::new(values).unwrap()
    }

    /// Cosine between the aggregate and the truth.
    pub fn agreement(aggregate: &Delta) -> f64 {
        let truth = truth();
        let product: f64 =
            aggregate.values().iter().zip(truth.values()).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        product / (aggregate.norm() * truth.norm())
    }

    pub fn run(mut strategy: Box<dyn Strategy>, deltas: impl IntoIterator<Item = Delta>) -> Option<Aggregate> {
        for (home, delta) in deltas.into_iter().enumerate() {
            strategy.add(&format!("home-{home}"), delta);
        }
        strategy.finish()
    }

    /// Seven honest homes, and three that turn the truth around and make it ten times as long.
    pub fn with_liars() -> Vec<Delta> {
        (0..7).map(honest).chain((0..3).map(|home| honest(100 + home).scaled(-10.0))).collect()
    }
}
