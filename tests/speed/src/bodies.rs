//! How far apart two builds are in what they would send for the same job, without noise.

use anyhow::{Context as _, bail, ensure};
use hearthwatch_federation::{Delta, HomeCounts, Quantised};
use hearthwatch_protocol::round::RoundWork;

/// Most that one level may differ, and the delta as a share of its norm.
const LEVELS_MAX: u16 = 4;
const SHARE_MAX: f64 = 0.01;
/// At most one score of so many may be in another bin: it was at the bin's edge.
const SCORES_ONE_IN: i64 = 200;

/// The difference between two bodies.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Apart {
    /// The same bytes.
    Nothing,
    /// Two deltas.
    Levels {
        /// Levels that differ, of `all`.
        differing: usize,
        all: usize,
        /// The largest difference of one, in levels.
        most: u16,
        /// Norm of the difference as a share of the first one's norm, from 0.
        share: f64,
    },
    /// Two homes' counts.
    Scores {
        /// Scores that one of them has in another bin, of `all`.
        moved: i64,
        all: i64,
    },
}

impl Apart {
    /// Whether sums in another order explain it: they differ in the seventh digit, and by more after twenty steps of training.
    #[must_use]
    pub(crate) fn by_last_digits(&self) -> bool {
        match *self {
            Self::Nothing => true,
            Self::Levels { most, share, .. } => most <= LEVELS_MAX && share <= SHARE_MAX,
            Self::Scores { moved, all } => moved * SCORES_ONE_IN <= all,
        }
    }
}

impl std::fmt::Display for Apart {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nothing => write!(to, "the same, byte for byte"),
            Self::Levels { differing, all, most, share } => {
                write!(
                    to,
                    "{differing} of {all} levels differ, by {most} at the most; the deltas by {share:.1e} of their norm"
                )
            }
            Self::Scores { moved, all } => write!(to, "{moved} of {all} scores are in another bin"),
        }
    }
}

/// How far apart two bodies of the same work are.
///
/// # Errors
/// When a body cannot be read, or counts are not of the same classes and as many scores.
pub(crate) fn apart(work: &RoundWork, one: &[u8], other: &[u8]) -> anyhow::Result<Apart> {
    if one == other {
        return Ok(Apart::Nothing);
    }
    match work {
        RoundWork::Train(_) => deltas(&Quantised::from_bytes(one)?, &Quantised::from_bytes(other)?),
        RoundWork::MaskedTrain(_) => bail!("words of a masked round are not compared"),
        RoundWork::Evaluate(work) => {
            let counts = |bytes| HomeCounts::from_bytes(bytes, work.models.len());
            histograms(&counts(one)?, &counts(other)?)
        }
    }
}

fn deltas(one: &Quantised, other: &Quantised) -> anyhow::Result<Apart> {
    let (values, others) = (one.restore()?, other.restore()?);
    let difference = values.values().iter().zip(others.values()).map(|(a, b)| a - b).collect();
    let apart: Vec<u16> =
        one.levels.iter().zip(&other.levels).map(|(a, b)| i16::from(*a).abs_diff(i16::from(*b))).collect();
    Ok(Apart::Levels {
        differing: apart.iter().filter(|levels| **levels > 0).count(),
        all: apart.len(),
        most: apart.iter().copied().max().unwrap_or(0),
        share: Delta::new(difference)?.norm() / values.norm(),
    })
}

fn histograms(one: &HomeCounts, other: &HomeCounts) -> anyhow::Result<Apart> {
    let (mut moved, mut all) = (0, 0);
    for (one, other) in one.models.iter().zip(&other.models) {
        ensure!(one.keys().eq(other.keys()), "other classes were counted");
        for (class, counts) in one {
            let others = other.get(class).context("a class is missing")?;
            for (bins, others) in [(&counts.days, &others.days), (&counts.faults, &others.faults)] {
                ensure!(bins.total() == others.total(), "another number of scores was counted");
                let apart = bins.counts().iter().zip(others.counts()).map(|(a, b)| i64::from(a.abs_diff(*b)));
                // One score in another bin is one too few in the one and one too many in the other.
                moved += apart.sum::<i64>() / 2;
                all += bins.total();
            }
        }
    }
    Ok(Apart::Scores { moved, all })
}

#[cfg(test)]
mod tests {
    use hearthwatch_detector::class::DeviceClass;
    use hearthwatch_detector::network::initial_weights;
    use hearthwatch_federation::ClassCounts;
    use hearthwatch_protocol::round::{EvaluateWork, RoundFile, TrainRecipe, TrainWork};

    use super::*;

    #[test]
    fn of_two_deltas_the_levels_that_differ_are_counted() {
        let recipe = TrainRecipe { steps: 1, batch: 1, learning_rate: 1e-3, rise_steps: 1, seed: 1 };
        let work =
            RoundWork::Train(TrainWork { base: RoundFile::of(&[]), recipe, clip: 1.0, noise: 0.0, server_noise: 0.0 });
        let one = Quantised::of(&Delta::between(&initial_weights(1), &initial_weights(2)));
        let mut other = one.clone();
        // Of a tensor that changed: others have scale nought.
        let place = one.levels.iter().position(|level| *level > 3).unwrap();
        other.levels[place] -= 3;
        let found = apart(&work, &one.to_bytes().unwrap(), &other.to_bytes().unwrap()).unwrap();
        let Apart::Levels { differing: 1, all: 29_798, most: 3, share } = found else { panic!("{found:?}") };
        assert!(share > 0.0 && share < SHARE_MAX, "{share}");
        assert_eq!(apart(&work, b"the same", b"the same").unwrap(), Apart::Nothing);
    }

    #[test]
    fn of_two_homes_counts_a_score_in_another_bin_counts_once_and_a_missing_one_is_refused() {
        let work = RoundWork::Evaluate(EvaluateWork { models: vec![RoundFile::of(&[])], seed: 1, noise: 0.0 });
        let body = |scores: &[f32]| {
            let mut counts = ClassCounts::default();
            scores.iter().for_each(|score| counts.days.add(*score));
            HomeCounts { models: vec![[(DeviceClass::Temperature, counts)].into()] }.to_bytes().unwrap()
        };
        let found = apart(&work, &body(&[0.1, 0.1, 1.0]), &body(&[0.1, 0.3, 1.0])).unwrap();
        assert_eq!(found, Apart::Scores { moved: 1, all: 3 });
        let error = apart(&work, &body(&[0.1, 0.3]), &body(&[0.1])).unwrap_err();
        assert_eq!(error.to_string(), "another number of scores was counted");
    }
}
