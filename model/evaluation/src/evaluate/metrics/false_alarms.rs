//! How often a home is disturbed for nothing, how that spreads over homes, and whether chance alone would spread it so.

use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Random assignments that the spread is held against.
const DRAWS: usize = 4000;

/// One home's clean weeks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Disturbed {
    /// Alarms on the clean twins outside labelled stretches.
    pub count: u32,
    /// Weeks in which they came.
    pub weeks: f64,
}

/// Realised false alarms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FalseAlarms {
    /// A home-week, all homes together.
    pub per_week: f64,
    /// The calmest home's rate.
    pub min: f64,
    /// The rate that half of the homes do not exceed.
    pub median: f64,
    /// The rate that nine in ten homes do not exceed.
    pub p90: f64,
    /// The most disturbed home's rate.
    pub max: f64,
    /// How likely homes with one common rate would differ at least this much by chance (Poisson counts given their total,
    /// by seeded simulation): small means that homes truly differ.
    pub poisson_p: f64,
}

/// Rates over homes; none without a week.
#[must_use]
pub fn false_alarms(homes: &[Disturbed], seed: u64) -> Option<FalseAlarms> {
    let homes: Vec<Disturbed> = homes.iter().copied().filter(|home| home.weeks > 0.0).collect();
    let weeks: f64 = homes.iter().map(|home| home.weeks).sum();
    let total: u32 = homes.iter().map(|home| home.count).sum();
    let mut rates: Vec<f64> = homes.iter().map(|home| f64::from(home.count) / home.weeks).collect();
    rates.sort_by(f64::total_cmp);
    let at = |share: f64| rates[((rates.len() as f64 * share).ceil() as usize).clamp(1, rates.len()) - 1];
    if rates.is_empty() {
        return None;
    }
    Some(FalseAlarms {
        per_week: f64::from(total) / weeks,
        min: rates[0],
        median: at(0.5),
        p90: at(0.9),
        max: rates[rates.len() - 1],
        poisson_p: poisson_p(&homes, total, weeks, seed),
    })
}

/// Given their total, independent Poisson counts fall on homes in proportion to their weeks: the dispersion of such draws
/// is what the seen one is ranked among.
fn poisson_p(homes: &[Disturbed], total: u32, weeks: f64, seed: u64) -> f64 {
    if total == 0 || homes.len() < 2 {
        return 1.0;
    }
    let dispersion = |counts: &[u32]| -> f64 {
        homes
            .iter()
            .zip(counts)
            .map(|(home, count)| {
                let expected = f64::from(total) * home.weeks / weeks;
                (f64::from(*count) - expected).powi(2) / expected
            })
            .sum()
    };
    let seen = dispersion(&homes.iter().map(|home| home.count).collect::<Vec<_>>());
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut counts = vec![0; homes.len()];
    let as_wild = (0..DRAWS)
        .filter(|_| {
            counts.fill(0);
            for _ in 0..total {
                let mut rest = rng.random::<f64>() * weeks;
                let place = homes.iter().position(|home| {
                    rest -= home.weeks;
                    rest < 0.0
                });
                counts[place.unwrap_or(homes.len() - 1)] += 1;
            }
            dispersion(&counts) >= seen - 1e-9
        })
        .count();
    (as_wild + 1) as f64 / (DRAWS + 1) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn homes(counts: &[u32]) -> Vec<Disturbed> {
        counts.iter().map(|count| Disturbed { count: *count, weeks: 4.0 }).collect()
    }

    #[test]
    fn an_example_by_hand() {
        let seen = false_alarms(&homes(&[0, 2, 4, 10]), 1).unwrap();
        assert_eq!((seen.per_week, seen.min, seen.median, seen.p90, seen.max), (1.0, 0.0, 0.5, 2.5, 2.5));
        assert_eq!(false_alarms(&[], 1), None);
    }

    #[test]
    fn homes_alike_are_consistent_with_chance_and_one_that_is_ten_times_as_bad_is_not() {
        assert!(false_alarms(&homes(&[3, 5, 4, 4, 6, 2, 3, 5]), 1).unwrap().poisson_p > 0.5);
        assert!(false_alarms(&homes(&[2, 2, 2, 2, 2, 2, 2, 20]), 1).unwrap().poisson_p < 0.001);
    }

    proptest! {
        #[test]
        fn the_pooled_rate_lies_between_the_homes_and_the_order_of_homes_does_not_matter(
            counts in prop::collection::vec(0u32..12, 1..12),
        ) {
            let seen = false_alarms(&homes(&counts), 1).unwrap();
            prop_assert!(seen.min <= seen.per_week && seen.per_week <= seen.max);
            prop_assert!((0.0..=1.0).contains(&seen.poisson_p));
            let turned: Vec<u32> = counts.iter().rev().copied().collect();
            prop_assert_eq!(seen.max, false_alarms(&homes(&turned), 1).unwrap().max);
        }
    }
}
