//! Uncertainty over homes: the percentile bootstrap (Efron 1979), seeded.

use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::outcome::{Evaluation, HomeResult, Share};

/// A figure with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// The figure on all homes.
    pub point: f64,
    /// Upper end.
    pub high: f64,
}

/// The difference in strict recall, `left` − `right`, with a percentile interval of the given coverage. Homes are drawn with
/// replacement, the same homes on both sides, so what makes a home hard cancels out. Homes are paired by position.
///
/// With fewer than two homes the interval is as wide as recall itself: one home proves nothing about another.
#[must_use]
pub fn paired_difference(
    left: &Evaluation,
    right: &Evaluation,
    coverage: f64,
    resamples: usize,
    seed: u64,
) -> Interval {
    let pairs: Vec<(Share, Share)> =
        left.homes.iter().zip(&right.homes).map(|(left, right)| (left.recall(), right.recall())).collect();
    let interval = bootstrap(&pairs, coverage, resamples, seed, &|pairs: &[&(Share, Share)]| difference(pairs));
    if pairs.len() < 2 || resamples == 0 { Interval { low: -1.0, high: 1.0, ..interval } } else { interval }
}

/// The same of false alarms a home-week.
#[must_use]
pub fn paired_false_alarms(
    left: &Evaluation,
    right: &Evaluation,
    coverage: f64,
    resamples: usize,
    seed: u64,
) -> Interval {
    let of = |home: &HomeResult| (f64::from(home.false_alarms), home.weeks);
    let pairs: Vec<_> = left.homes.iter().zip(&right.homes).map(|(left, right)| (of(left), of(right))).collect();
    let rate = |homes: &mut dyn Iterator<Item = (f64, f64)>| {
        let (alarms, weeks) = homes.fold((0.0, 0.0), |sum, (alarms, weeks)| (sum.0 + alarms, sum.1 + weeks));
        if weeks > 0.0 { alarms / weeks } else { 0.0 }
    };
    bootstrap(&pairs, coverage, resamples, seed, &|pairs| {
        rate(&mut pairs.iter().map(|pair| pair.0)) - rate(&mut pairs.iter().map(|pair| pair.1))
    })
}

/// A figure of all `units` with a percentile interval: units are drawn with replacement, as many as there are. With fewer
/// than two units the interval is the point: there is nothing to draw from.
#[must_use]
pub fn bootstrap<T>(
    units: &[T],
    coverage: f64,
    resamples: usize,
    seed: u64,
    figure: &dyn Fn(&[&T]) -> f64,
) -> Interval {
    let point = figure(&units.iter().collect::<Vec<_>>());
    if units.len() < 2 || resamples == 0 {
        return Interval { low: point, point, high: point };
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut drawn: Vec<f64> = (0..resamples)
        .map(|_| figure(&(0..units.len()).map(|_| &units[rng.random_range(0..units.len())]).collect::<Vec<_>>()))
        .collect();
    drawn.sort_by(f64::total_cmp);
    let tail = (1.0 - coverage) / 2.0;
    let at = |share: f64| drawn[((drawn.len() - 1) as f64 * share).round() as usize];
    Interval { low: at(tail), point, high: at(1.0 - tail) }
}

/// Recall pooled over the events of the given homes, left − right.
fn difference(pairs: &[&(Share, Share)]) -> f64 {
    let (mut left, mut right) = (Share::default(), Share::default());
    for (one, other) in pairs {
        left = Share { found: left.found + one.found, all: left.all + one.all };
        right = Share { found: right.found + other.found, all: right.all + other.all };
    }
    left.ratio() - right.ratio()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::evaluation::{events, made_up};

    fn evaluation(found_of_ten: &[usize]) -> Evaluation {
        made_up(1.0, 0, found_of_ten.iter().map(|found| events("spike", "power", *found, 10)))
    }

    #[test]
    fn the_same_detector_twice_differs_by_exactly_nothing() {
        let same = evaluation(&[3, 9, 5, 1]);
        assert_eq!(paired_difference(&same, &same, 0.9, 500, 1), Interval { low: 0.0, point: 0.0, high: 0.0 });
    }

    #[test]
    fn an_advantage_on_every_home_excludes_zero_and_one_on_a_single_home_does_not() {
        let base = evaluation(&[3, 4, 5, 4, 3, 5]);
        let everywhere = paired_difference(&evaluation(&[5, 6, 7, 6, 5, 7]), &base, 0.9, 1000, 1);
        let once = paired_difference(&evaluation(&[9, 4, 5, 4, 3, 5]), &base, 0.9, 1000, 1);
        assert!(everywhere.low > 0.0, "{everywhere:?}");
        assert!(once.low <= 0.0, "{once:?}");
    }

    #[test]
    fn one_home_proves_nothing() {
        let interval = paired_difference(&evaluation(&[10]), &evaluation(&[0]), 0.9, 100, 1);
        assert_eq!(interval, Interval { low: -1.0, point: 1.0, high: 1.0 });
    }

    #[test]
    fn the_same_seed_gives_the_same_interval() {
        let (left, right) = (evaluation(&[5, 6, 7, 1]), evaluation(&[3, 4, 5, 4]));
        assert_eq!(paired_difference(&left, &right, 0.9, 300, 9), paired_difference(&left, &right, 0.9, 300, 9));
    }
}
