//! Whether data still look like those that a model was trained on: two textbook measures, both pure.
//!
//! The population stability index compares two samples bin by bin; Page and Hinkley's test watches one figure that comes
//! in bit by bit. Neither says why: both say when to look.

use serde::{Deserialize, Serialize};

use crate::grid::FEATURES;

/// Bins of a profile: deciles of the reference.
const PROFILE_BINS: usize = 10;

/// Share that an empty bin counts as, so that the index stays finite.
const SHARE_MIN: f64 = 1e-4;

/// An index from here on is a change worth looking at (Siddiqi 2006: below 0.1 none, up to 0.25 some, above it much).
pub const PSI_ALARM: f64 = 0.25;

/// How each feature is distributed: the deciles of a reference sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureProfile {
    /// Rows of the reference.
    pub rows: usize,
    /// For each feature the nine inner deciles, rising; equal neighbours where a value is common.
    pub edges: Vec<Vec<f32>>,
    /// For each feature the reference's own share in each bin: not a tenth each where values are common.
    pub shares: Vec<Vec<f64>>,
}

impl FeatureProfile {
    /// Measures rows of [`FEATURES`] values; `None` without any whole row. Values that are no numbers are left out.
    #[must_use]
    pub fn of(rows: &[f32]) -> Option<Self> {
        let count = rows.len() / FEATURES;
        if count == 0 {
            return None;
        }
        let mut profile = Self { rows: count, edges: Vec::new(), shares: Vec::new() };
        for feature in 0..FEATURES {
            let mut values = column(rows, feature);
            values.sort_by(f32::total_cmp);
            let edges: Vec<f32> = (1..PROFILE_BINS)
                .map(|bin| values.get(values.len() * bin / PROFILE_BINS).copied().unwrap_or_default())
                .collect();
            profile.shares.push(shares(&values, &edges));
            profile.edges.push(edges);
        }
        Some(profile)
    }

    /// The population stability index of each feature of `rows` against this profile: Σ (a − b)·ln(a / b) over bins.
    /// Empty without any row.
    #[must_use]
    pub fn psi(&self, rows: &[f32]) -> Vec<f64> {
        let mut binned = Binned::new(self);
        binned.add(rows);
        binned.psi()
    }
}

/// Rows counted into a profile's bins, a few at a time: what the index needs of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Binned<'a> {
    profile: &'a FeatureProfile,
    rows: usize,
    /// For each feature, how many values lie in each bin.
    counts: Vec<Vec<usize>>,
}

impl<'a> Binned<'a> {
    /// No row yet.
    #[must_use]
    pub fn new(profile: &'a FeatureProfile) -> Self {
        let counts = profile.edges.iter().map(|edges| vec![0; edges.len() + 1]).collect();
        Self { profile, rows: 0, counts }
    }

    /// Counts rows of [`FEATURES`] values. What is no whole row, and values that are no numbers, are left out.
    pub fn add(&mut self, rows: &[f32]) {
        for row in rows.chunks_exact(FEATURES) {
            self.rows += 1;
            for ((value, edges), counts) in row.iter().zip(&self.profile.edges).zip(&mut self.counts) {
                if value.is_finite() {
                    counts[bin(edges, *value)] += 1;
                }
            }
        }
    }

    /// The population stability index of each feature; empty without any row.
    #[must_use]
    pub fn psi(&self) -> Vec<f64> {
        if self.rows == 0 {
            return Vec::new();
        }
        let features = self.profile.shares.iter().zip(&self.counts);
        features.map(|(before, counts)| psi(before, &of_all(counts))).collect()
    }
}

fn column(rows: &[f32], feature: usize) -> Vec<f32> {
    rows.chunks_exact(FEATURES).filter_map(|row| row.get(feature).copied()).filter(|value| value.is_finite()).collect()
}

/// The share of values in each bin; a value at an edge belongs to the bin above it.
fn shares(values: &[f32], edges: &[f32]) -> Vec<f64> {
    let mut counts = vec![0_usize; edges.len() + 1];
    for value in values {
        counts[bin(edges, *value)] += 1;
    }
    of_all(&counts)
}

fn bin(edges: &[f32], value: f32) -> usize {
    edges.partition_point(|edge| *edge <= value)
}

fn of_all(counts: &[usize]) -> Vec<f64> {
    let all: usize = counts.iter().sum();
    counts.iter().map(|count| *count as f64 / all.max(1) as f64).collect()
}

/// The population stability index of two lists of shares.
#[must_use]
pub fn psi(before: &[f64], after: &[f64]) -> f64 {
    before
        .iter()
        .zip(after)
        .map(|(before, after)| {
            let (before, after) = (before.max(SHARE_MIN), after.max(SHARE_MIN));
            (after - before) * (after / before).ln()
        })
        .sum()
}

/// Page and Hinkley's test for a mean that moves, in either direction (Page 1954; Hinkley 1971).
#[derive(Debug, Clone, PartialEq)]
pub struct PageHinkley {
    /// Moves of the mean up to this are no news.
    tolerance: f64,
    /// Cumulated surprise at which it speaks.
    limit: f64,
    seen: u64,
    mean: f64,
    rise: f64,
    fall: f64,
}

impl PageHinkley {
    /// A test that has seen nothing.
    #[must_use]
    pub fn new(tolerance: f64, limit: f64) -> Self {
        Self { tolerance, limit, seen: 0, mean: 0.0, rise: 0.0, fall: 0.0 }
    }

    /// Takes a figure; says whether the mean has moved. It then begins anew. What is no number is passed over.
    pub fn step(&mut self, value: f64) -> bool {
        if !value.is_finite() {
            return false;
        }
        self.seen += 1;
        self.mean += (value - self.mean) / self.seen as f64;
        self.rise = (self.rise + value - self.mean - self.tolerance).max(0.0);
        self.fall = (self.fall + self.mean - value - self.tolerance).max(0.0);
        let moved = self.rise > self.limit || self.fall > self.limit;
        if moved {
            *self = Self::new(self.tolerance, self.limit);
        }
        moved
    }

    /// How far the larger of the two sums has come towards the limit: 0 to 1.
    #[must_use]
    pub fn level(&self) -> f64 {
        (self.rise.max(self.fall) / self.limit).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows whose every feature runs through 0, 1, …, 99, moved by `by`.
    fn rows(by: f32) -> Vec<f32> {
        (0..100).flat_map(|row| vec![row as f32 + by; FEATURES]).collect()
    }

    #[test]
    fn the_same_sample_has_no_index_and_a_moved_one_has() {
        let profile = FeatureProfile::of(&rows(0.0)).unwrap();
        assert_eq!(profile.rows, 100);
        assert_eq!(profile.edges[3], [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0]);
        assert!(profile.psi(&rows(0.0)).iter().all(|index| *index == 0.0));
        assert!(profile.psi(&rows(50.0)).iter().all(|index| *index > PSI_ALARM));
        assert!(profile.psi(&[]).is_empty());
    }

    #[test]
    fn the_index_of_a_worked_example() {
        // (0.2 − 0.5)·ln(0.2/0.5) + (0.8 − 0.5)·ln(0.8/0.5) = 0.27489 + 0.14100
        assert!((psi(&[0.5, 0.5], &[0.2, 0.8]) - 0.415_888).abs() < 1e-6);
    }

    #[test]
    fn a_value_that_nearly_all_rows_share_does_not_break_the_bins() {
        let mut constant = rows(0.0);
        constant.iter_mut().take(95 * FEATURES).for_each(|value| *value = 7.0);
        let profile = FeatureProfile::of(&constant).unwrap();
        assert!(profile.psi(&constant).iter().all(|index| index.abs() < 1e-12));
    }

    #[test]
    fn values_that_are_no_numbers_are_left_out() {
        let mut bad = rows(0.0);
        bad[0] = f32::NAN;
        bad[FEATURES] = f32::INFINITY;
        assert!(FeatureProfile::of(&bad).unwrap().edges[0].iter().all(|edge| edge.is_finite()));
    }

    #[test]
    fn a_mean_that_moves_is_noticed_and_one_that_stays_is_not() {
        let mut test = PageHinkley::new(0.1, 5.0);
        let calm = |step: u32| if step.is_multiple_of(2) { 0.2 } else { -0.2 };
        assert!(!(0..1000).any(|step| test.step(calm(step))));
        let noticed = (0..100).position(|step| test.step(1.0 + calm(step)));
        assert!(noticed.is_some_and(|steps| steps < 10), "{noticed:?}");
        assert!(test.level() < 1.0);
    }

    #[test]
    fn a_fall_is_noticed_as_well_as_a_rise_and_no_number_is_passed_over() {
        let mut test = PageHinkley::new(0.1, 5.0);
        assert!(!(0..100).any(|_| test.step(1.0)));
        assert!(!test.step(f64::NAN));
        assert!((0..20).any(|_| test.step(0.0)));
    }
}
