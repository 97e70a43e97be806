//! Streaming half-space trees (Tan, Ting and Liu 2011): how little of the last weeks lies where a value falls.

use std::ops::Range;

use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::grid::Grid;
use super::refitted::ReferenceMethod;

/// Columns: the value, its last change, its mean over six hours.
const COLUMNS: usize = 3;
const SIX_HOURS: usize = 36;
/// Rows below which nothing is fitted: a day.
const ROWS_MIN: usize = 144;

/// Half-space trees over value, change and six-hour mean, refitted as a whole rather than window by window.
#[derive(Debug, Clone, Copy)]
pub struct HalfSpaceTrees {
    /// More trees only steady the mean mass.
    pub trees: usize,
    /// Levels of halvings: a tree has 2^depth leaves.
    pub depth: u32,
    /// Nodes with less of the mass than this share are not looked below, as in the paper (its *size limit*).
    pub size_limit: f64,
    /// Decides what is left to chance.
    pub seed: u64,
}

impl Default for HalfSpaceTrees {
    fn default() -> Self {
        Self { trees: 25, depth: 10, size_limit: 0.01, seed: 1 }
    }
}

/// One tree over the unit cube: a full binary tree in an array, children of `i` at `2i + 1` and `2i + 2`.
pub(super) struct HalfSpaces {
    pub(super) column: Vec<usize>,
    pub(super) middle: Vec<f32>,
    pub(super) mass: Vec<u32>,
    pub(super) depth: u32,
}

impl HalfSpaces {
    /// Draws a work range around the data for each column, then halves it, column by column at random.
    fn draw(depth: u32, rng: &mut ChaCha8Rng) -> Self {
        let nodes = (1_usize << (depth + 1)) - 1;
        let range = |_| {
            let centre: f32 = rng.random();
            let reach = 2.0 * centre.max(1.0 - centre);
            (centre - reach, centre + reach)
        };
        let whole: Vec<(f32, f32)> = (0..COLUMNS).map(range).collect();
        let mut tree = Self { column: vec![0; nodes], middle: vec![0.0; nodes], mass: vec![0; nodes], depth };
        tree.halve(0, 0, &whole, rng);
        tree
    }

    fn halve(&mut self, node: usize, level: u32, ranges: &[(f32, f32)], rng: &mut ChaCha8Rng) {
        if level == self.depth {
            return;
        }
        let column = rng.random_range(0..COLUMNS);
        let (low, high) = ranges[column];
        let middle = f32::midpoint(low, high);
        (self.column[node], self.middle[node]) = (column, middle);
        for (child, half) in [(2 * node + 1, (low, middle)), (2 * node + 2, (middle, high))] {
            let mut ranges = ranges.to_vec();
            ranges[column] = half;
            self.halve(child, level + 1, &ranges, rng);
        }
    }

    /// Goes down from the root, telling node and level, for as long as `visit` wants to go on.
    pub(super) fn walk(&self, row: &[f32; COLUMNS], mut visit: impl FnMut(usize, u32) -> bool) {
        let mut node = 0;
        for level in 0..=self.depth {
            if !visit(node, level) {
                return;
            }
            if level < self.depth {
                node = 2 * node + if row[self.column[node]] < self.middle[node] { 1 } else { 2 };
            }
        }
    }

    pub(super) fn learn(&mut self, row: &[f32; COLUMNS]) {
        let mut path = Vec::with_capacity(self.depth as usize + 1);
        self.walk(row, |node, _| {
            path.push(node);
            true
        });
        path.into_iter().for_each(|node| self.mass[node] += 1);
    }

    /// Mass × 2^depth where the walk ends: at a leaf, or where little mass is left.
    fn mass_at(&self, row: &[f32; COLUMNS], limit: f64) -> f64 {
        let mut last = 0.0;
        self.walk(row, |node, level| {
            last = f64::from(self.mass[node]) * f64::from(level).exp2();
            f64::from(self.mass[node]) > limit
        });
        last
    }
}

/// Trees that have learnt, with the range of what they learnt.
pub(super) struct Fitted {
    trees: Vec<HalfSpaces>,
    low: [f32; COLUMNS],
    high: [f32; COLUMNS],
    limit: f64,
    most: f64,
}

impl HalfSpaceTrees {
    /// Draws trees over the range of `past` and lets each learn all of it.
    pub(super) fn fit(&self, past: &[[f32; COLUMNS]]) -> Fitted {
        let mut low = [f32::INFINITY; COLUMNS];
        let mut high = [f32::NEG_INFINITY; COLUMNS];
        for row in past {
            for column in 0..COLUMNS {
                low[column] = low[column].min(row[column]);
                high[column] = high[column].max(row[column]);
            }
        }
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let trees = (0..self.trees).map(|_| HalfSpaces::draw(self.depth, &mut rng)).collect();
        let limit = self.size_limit * past.len() as f64;
        let most = past.len() as f64 * f64::from(self.depth).exp2();
        let mut fitted = Fitted { trees, low, high, limit, most };
        for row in past {
            let row = fitted.unit(row);
            fitted.trees.iter_mut().for_each(|tree| tree.learn(&row));
        }
        fitted
    }
}

impl Fitted {
    /// Where a row lies in the unit cube of what was learnt.
    pub(super) fn unit(&self, row: &[f32; COLUMNS]) -> [f32; COLUMNS] {
        std::array::from_fn(|column| {
            (row[column] - self.low[column]) / (self.high[column] - self.low[column]).max(1e-6)
        })
    }

    /// The rarer a place, the higher: on a logarithmic scale from 0 up.
    pub(super) fn score(&self, row: &[f32; COLUMNS]) -> f32 {
        let row = self.unit(row);
        let mass: f64 = self.trees.iter().map(|tree| tree.mass_at(&row, self.limit)).sum::<f64>();
        (self.most.ln() - (mass / self.trees.len() as f64).max(0.1).ln()) as f32
    }
}

impl ReferenceMethod for HalfSpaceTrees {
    fn score(&self, home: &Grid, entity: usize, learn: Range<usize>, until: usize) -> Vec<f32> {
        let values = &home.values[entity][learn.start..until];
        let rows: Vec<Option<[f32; COLUMNS]>> = (0..values.len()).map(|step| row(values, step)).collect();
        let past: Vec<[f32; COLUMNS]> = rows[..learn.len()].iter().copied().flatten().collect();
        if past.len() < ROWS_MIN {
            return vec![f32::NAN; values.len()];
        }
        let fitted = self.fit(&past);
        rows.iter().map(|row| row.as_ref().map_or(f32::NAN, |row| fitted.score(row))).collect()
    }
}

/// Value, change and six-hour mean of a step; none while one of them is unknown.
fn row(values: &[f32], step: usize) -> Option<[f32; COLUMNS]> {
    let run = &values[(step + 1).checked_sub(SIX_HOURS)?..=step];
    let mean = run.iter().sum::<f32>() / SIX_HOURS as f32;
    let row = [run[SIX_HOURS - 1], run[SIX_HOURS - 1] - run[SIX_HOURS - 2], mean];
    row.iter().all(|value| value.is_finite()).then_some(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_where_nothing_ever_was_scores_higher_than_the_crowd() {
        let mut values: Vec<f32> = (0..1000).map(|step| (step as f32 * 0.04).sin()).collect();
        values.extend([6.0; 4]);
        let grid = Grid { values: vec![values], log: vec![false], first: 600 };
        for seed in 0..5 {
            let scores = HalfSpaceTrees { seed, ..HalfSpaceTrees::default() }.score(&grid, 0, 0..1000, 1004);
            assert!(scores[1003] > scores[900], "seed {seed}: {} against {}", scores[1003], scores[900]);
        }
    }
}
