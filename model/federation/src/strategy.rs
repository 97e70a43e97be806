//! How many homes' deltas become one.

mod coordinate;
mod direction;
mod krum;
mod mean;
mod vetted;

pub use coordinate::{CoordinateMedian, TrimmedMean};
pub use direction::TrustedDirection;
pub use krum::MultiKrum;
pub use mean::{ClippedMean, Mean};
pub use vetted::{Rise, VettedMean, VettedMedian, Vetting};

use super::delta::Delta;

/// Makes one delta of those of many homes, which are added one at a time.
pub trait Strategy: std::fmt::Debug + Send {
    /// As configuration, reports and tables name it.
    fn name(&self) -> &'static str;

    /// Takes one home's delta; a home is added once. A strategy that keeps deltas leaves out those after the first [`KEPT_MAX`].
    fn add(&mut self, home: &str, delta: Delta);

    /// Deltas of single homes that it keeps now. One that streams keeps none, whatever the cohort.
    fn kept(&self) -> usize;

    /// What all homes together changed; none without a home.
    fn finish(self: Box<Self>) -> Option<Aggregate>;
}

/// What a delta weighs whose base `staleness` versions were made after: 1 / √(1 + `staleness`) (FedBuff: Nguyen et al., AISTATS 2022).
#[must_use]
pub fn staleness_weight(staleness: u32) -> f64 {
    1.0 / (1.0 + f64::from(staleness)).sqrt()
}

/// Most deltas that a strategy keeps: 1,000 of 119 KB are 119 MB.
pub const KEPT_MAX: usize = 1_000;

/// The result of a round's deltas.
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

/// Norm of a delta, as a multiple of the server's own, far beyond what honest homes reached: 1.6 at most in
/// docs/measurements/2026-11-30-demonstration-rounds.md.
const HONEST_LENGTH: f64 = 3.0;

/// Rise of the loss, for each unit of a delta's norm, beyond what honest homes reached: .78 at most in the same runs, where .6 doubted them; flipped labels give 1.3 and
/// more.
const HONEST_RISE: f64 = 1.0;

/// Why a delta was not used.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// It is far from those of the other homes.
    FarFromOthers {
        /// Its mean distance to the nearest others, as a multiple of the median home's.
        times: f64,
    },
    /// Its direction is not that of training on the server's own recordings.
    AgainstReplay {
        /// Of the angle between the two, in [−1, 1].
        cosine: f64,
    },
    /// Its norm is larger than the recipe makes it.
    TooLong {
        /// As a multiple of the norm that the server's own training has.
        times: f64,
    },
    /// It makes the loss on the server's recordings rise.
    HarmsReplay {
        /// For each unit of its norm.
        rise: f64,
    },
    /// It is nearly what another home sent before.
    CopyOf {
        /// The other home.
        home: String,
        /// Of the angle between the two, in [−1, 1].
        cosine: f64,
    },
    /// It is nearly what the homes together changed in the round before.
    CopyOfAggregate {
        /// Of the angle between the two, in [−1, 1].
        cosine: f64,
    },
    /// It passed, but too many of the home's earlier ones did not ([`Reputation`](crate::Reputation)).
    EarlierRounds,
    /// It changes nothing, or next to nothing.
    NothingLearnt,
    /// The strategy already kept [`KEPT_MAX`].
    TooMany,
}

impl Reason {
    /// Whether it counts against the home. Where honest homes' noise is larger than what they learnt, many of their deltas do not have the
    /// direction of replay; a home with few sensors makes deltas somewhat longer than the server's, or raises its loss a little; and what room or earlier rounds decided is
    /// no fault of this round.
    #[must_use]
    pub fn is_suspect(&self) -> bool {
        match self {
            Self::AgainstReplay { .. } | Self::EarlierRounds | Self::TooMany => false,
            Self::TooLong { times } => *times > HONEST_LENGTH,
            Self::HarmsReplay { rise } => rise.is_nan() || *rise > HONEST_RISE,
            _ => true,
        }
    }
}

impl std::fmt::Display for Reason {
    /// For an operator.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::FarFromOthers { times } => write!(f, "{times:.1} times as far from the others as the median home"),
            Self::AgainstReplay { cosine } => write!(f, "not where replay goes: cosine {cosine:.2}"),
            Self::TooLong { times } => write!(f, "{times:.1} times as long as the recipe makes them"),
            Self::HarmsReplay { rise } => {
                write!(f, "the loss on the server's recordings rises by {rise:.2} for each unit of its norm")
            }
            Self::CopyOf { home, cosine } => write!(f, "nearly what {home} sent: cosine {cosine:.2}"),
            Self::CopyOfAggregate { cosine } => write!(f, "nearly the last round's aggregate: cosine {cosine:.2}"),
            Self::EarlierRounds => f.write_str("passed, after too many rounds that did not"),
            Self::NothingLearnt => f.write_str("nothing learnt"),
            Self::TooMany => write!(f, "more than {KEPT_MAX} homes"),
        }
    }
}

/// The deltas that a strategy keeps until the end, and the homes that it had no room for.
#[derive(Debug, Default)]
struct Kept {
    homes: Vec<(String, Delta)>,
    left_out: Vec<LeftOut>,
}

impl Kept {
    fn add(&mut self, home: &str, delta: Delta) {
        if self.homes.len() < KEPT_MAX {
            self.homes.push((home.to_owned(), delta));
        } else {
            self.left_out.push(LeftOut { home: home.to_owned(), reason: Reason::TooMany });
        }
    }
}

/// Where no delta could be used, the homes change nothing; none where there was no home.
fn with_left_out(used: Option<Aggregate>, left_out: Vec<LeftOut>) -> Option<Aggregate> {
    match used {
        None if left_out.is_empty() => None,
        None => Some(Aggregate { delta: Delta::zero(), homes: 0, left_out }),
        Some(aggregate) => Some(Aggregate { left_out, ..aggregate }),
    }
}

/// Deltas for tests: honest ones around a common direction, and those of attackers.
#[cfg(test)]
mod fixtures {
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// The direction that honest homes have in common.
    pub fn truth() -> Delta {
        Delta::zero().noised(0.01, &mut ChaCha8Rng::seed_from_u64(99))
    }

    /// An honest home's delta: the truth, and noise as long as it.
    pub fn honest(home: u64) -> Delta {
        let noise = Delta::zero().noised(0.01, &mut ChaCha8Rng::seed_from_u64(home));
        truth().plus(&noise)
    }

    /// Cosine between the aggregate and the truth.
    pub fn agreement(aggregate: &Delta) -> f64 {
        aggregate.cosine(&truth())
    }

    pub fn run(mut strategy: Box<dyn Strategy>, deltas: impl IntoIterator<Item = Delta>) -> Option<Aggregate> {
        for (home, delta) in deltas.into_iter().enumerate() {
            strategy.add(&format!("home-{home}"), delta);
        }
        strategy.finish()
    }

    /// Adds honest homes and gives the most deltas that were kept on the way.
    pub fn kept_of(mut strategy: Box<dyn Strategy>, homes: u64) -> usize {
        let keeps = |home: u64| {
            strategy.add(&format!("home-{home}"), honest(home));
            strategy.kept()
        };
        (0..homes).map(keeps).max().unwrap_or(0)
    }

    /// Seven honest homes, and three that turn the truth around and make it ten times as long.
    pub fn with_attackers() -> Vec<Delta> {
        (0..7).map(honest).chain((0..3).map(|home| honest(100 + home).scaled(-10.0))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::fixtures::{honest, kept_of};
    use super::*;

    #[test]
    fn a_delta_weighs_less_the_more_versions_it_is_behind() {
        assert_eq!([0, 3, 8].map(staleness_weight), [1.0, 0.5, 1.0 / 3.0]);
    }

    #[test]
    fn what_honest_homes_reached_does_not_count_against_a_home_and_what_they_never_reach_does() {
        use Reason::{AgainstReplay, HarmsReplay, NothingLearnt, TooLong};
        let honest = [AgainstReplay { cosine: -0.1 }, HarmsReplay { rise: 0.78 }, TooLong { times: 2.1 }];
        assert_eq!(honest.map(|reason| reason.is_suspect()), [false; 3]);
        let others = [HarmsReplay { rise: 1.3 }, HarmsReplay { rise: f64::NAN }, TooLong { times: 4.6 }, NothingLearnt];
        assert_eq!(others.map(|reason| reason.is_suspect()), [true; 4]);
    }

    #[test]
    fn what_a_streaming_strategy_keeps_does_not_depend_on_the_cohort() {
        let streaming: [fn() -> Box<dyn Strategy>; 4] = [
            || Box::<Mean>::default(),
            || Box::new(ClippedMean::new(1.0)),
            || Box::new(TrustedDirection::new(fixtures::truth())),
            || Box::new(VettedMean::new(Vetting::new(fixtures::truth(), Box::new(|_| 0.0), 1))),
        ];
        for make in streaming {
            assert_eq!((kept_of(make(), 1), kept_of(make(), 60)), (0, 0), "{}", make().name());
        }
    }

    #[test]
    fn what_other_strategies_keep_is_bounded_and_who_came_too_late_is_left_out_by_name() {
        let keeping: [fn() -> Box<dyn Strategy>; 4] = [
            || Box::<CoordinateMedian>::default(),
            || Box::new(TrimmedMean::new(0.3)),
            || Box::new(MultiKrum::new(0.3)),
            || Box::new(VettedMedian::new(Vetting::new(fixtures::truth(), Box::new(|_| 0.0), 1))),
        ];
        for make in keeping {
            assert_eq!(kept_of(make(), 60), 60, "{}", make().name());
        }
        let mut kept = Kept::default();
        let delta = honest(1);
        for home in 0..=KEPT_MAX {
            kept.add(&home.to_string(), delta.clone());
        }
        assert_eq!(kept.homes.len(), KEPT_MAX);
        assert_eq!(kept.left_out, [LeftOut { home: KEPT_MAX.to_string(), reason: Reason::TooMany }]);
    }
}
