//! Isolation forest on windows (Liu, Ting and Zhou 2008), scored as scikit-learn scores it.

use std::ops::Range;

use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::grid::Grid;
use super::refitted::ReferenceMethod;

/// Euler's constant, in the mean depth of an unsuccessful search.
const EULER: f64 = 0.577_215_664_901_532_9;
/// Windows below which nothing is fitted.
const WINDOWS_MIN: usize = 128;

/// One tree, node by node; the root is node 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tree {
    /// The left child of each node; −1 for a leaf.
    pub left: Vec<i32>,
    /// The right child.
    pub right: Vec<i32>,
    /// The column that a node asks for.
    pub feature: Vec<i32>,
    /// Values up to this go left.
    pub threshold: Vec<f64>,
    /// Samples of the training that came through.
    pub samples: Vec<u32>,
}

/// A fitted forest. Its fields are those that scikit-learn keeps, so that one fitted there can be scored here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forest {
    /// Each grown on its own subsample.
    pub trees: Vec<Tree>,
    /// Samples that each tree was grown from.
    pub sample_size: u32,
}

/// Mean depth at which a search among so many ends without success.
fn mean_depth(samples: u32) -> f64 {
    match samples {
        0 | 1 => 0.0,
        2 => 1.0,
        many => {
            let n = f64::from(many);
            2.0 * ((n - 1.0).ln() + EULER) - 2.0 * (n - 1.0) / n
        }
    }
}

impl Tree {
    /// Depth at which a row comes to rest, leaves counted for the samples that they never parted.
    fn depth(&self, row: &[f32]) -> f64 {
        let (mut node, mut depth) = (0, 0.0);
        while let (Ok(left), Ok(right)) = (usize::try_from(self.left[node]), usize::try_from(self.right[node])) {
            let value = row[self.feature[node].unsigned_abs() as usize];
            node = if f64::from(value) <= self.threshold[node] { left } else { right };
            depth += 1.0;
        }
        depth + mean_depth(self.samples[node])
    }

    fn grow(rows: &mut [&[f32]], height: u32, rng: &mut ChaCha8Rng) -> Self {
        let mut tree = Self {
            left: Vec::new(),
            right: Vec::new(),
            feature: Vec::new(),
            threshold: Vec::new(),
            samples: Vec::new(),
        };
        tree.branch(rows, height, rng);
        tree
    }

    fn branch(&mut self, rows: &mut [&[f32]], height: u32, rng: &mut ChaCha8Rng) -> i32 {
        let node = self.left.len();
        self.left.push(-1);
        self.right.push(-1);
        self.feature.push(-2);
        self.threshold.push(0.0);
        self.samples.push(rows.len() as u32);
        let Some((feature, threshold)) = (if height > 0 { cut(rows, rng) } else { None }) else { return node as i32 };
        rows.sort_unstable_by(|left, right| left[feature].total_cmp(&right[feature]));
        let parted = rows.partition_point(|row| f64::from(row[feature]) <= threshold);
        self.feature[node] = feature as i32;
        self.threshold[node] = threshold;
        let (low, high) = rows.split_at_mut(parted);
        let left = self.branch(low, height - 1, rng);
        let right = self.branch(high, height - 1, rng);
        (self.left[node], self.right[node]) = (left, right);
        node as i32
    }
}

/// A column drawn among those that still differ, and a place between its ends; none when all rows are alike.
fn cut(rows: &[&[f32]], rng: &mut ChaCha8Rng) -> Option<(usize, f64)> {
    let columns = rows.first()?.len();
    let ends = |column: usize| {
        rows.iter()
            .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), row| (low.min(row[column]), high.max(row[column])))
    };
    let start = rng.random_range(0..columns);
    for column in (0..columns).map(|ahead| (start + ahead) % columns) {
        let (low, high) = ends(column);
        if low < high {
            let (low, high) = (f64::from(low), f64::from(high));
            // Below the upper end, so that both sides keep something.
            return Some((column, low + (high - low) * rng.random::<f64>()));
        }
    }
    None
}

impl Forest {
    /// Grows `trees` trees from `sample_size` rows each, drawn without replacement.
    #[must_use]
    pub fn fit(rows: &[Vec<f32>], trees: usize, sample_size: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let size = sample_size.min(rows.len());
        let height = (size.max(2) as f64).log2().ceil() as u32;
        let grow = |_| {
            let mut places: Vec<usize> = (0..rows.len()).collect();
            for place in 0..size {
                places.swap(place, rng.random_range(place..rows.len()));
            }
            let mut chosen: Vec<&[f32]> = places[..size].iter().map(|place| rows[*place].as_slice()).collect();
            Tree::grow(&mut chosen, height, &mut rng)
        };
        Self { trees: (0..trees).map(grow).collect(), sample_size: size as u32 }
    }

    /// Between nought and one, higher being easier to isolate: minus scikit-learn's `score_samples`.
    #[must_use]
    pub fn score(&self, row: &[f32]) -> f64 {
        let depth: f64 = self.trees.iter().map(|tree| tree.depth(row)).sum::<f64>() / self.trees.len().max(1) as f64;
        (-depth / mean_depth(self.sample_size).max(f64::MIN_POSITIVE)).exp2()
    }
}

/// How easily the last steps are told from all other windows.
#[derive(Debug, Clone, Copy)]
pub struct IsolationForest {
    /// Steps of a window.
    pub window: usize,
    /// Number of trees.
    pub trees: usize,
    /// Windows that each is grown from.
    pub sample_size: usize,
    /// Decides what is left to chance.
    pub seed: u64,
}

impl Default for IsolationForest {
    fn default() -> Self {
        Self { window: 12, trees: 50, sample_size: 256, seed: 1 }
    }
}

impl ReferenceMethod for IsolationForest {
    fn score(&self, home: &Grid, entity: usize, learn: Range<usize>, until: usize) -> Vec<f32> {
        let values = &home.values[entity][learn.start..until];
        let known = |window: &[f32]| window.iter().all(|value| value.is_finite());
        let past: Vec<Vec<f32>> =
            values[..learn.len()].windows(self.window).filter(|window| known(window)).map(<[f32]>::to_vec).collect();
        let mut scores = vec![f32::NAN; values.len()];
        if past.len() < WINDOWS_MIN {
            return scores;
        }
        let forest = Forest::fit(&past, self.trees, self.sample_size, self.seed);
        for (begin, window) in values.windows(self.window).enumerate().filter(|(_, window)| known(window)) {
            scores[begin + self.window - 1] = forest.score(window) as f32;
        }
        scores
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cloud() -> Vec<Vec<f32>> {
        (0..400_i32).map(|i| vec![(i * 37 % 101) as f32 / 100.0, (i * 53 % 97) as f32 / 100.0]).collect()
    }

    #[test]
    fn what_lies_apart_is_isolated_sooner() {
        for seed in 0..5 {
            let forest = Forest::fit(&cloud(), 50, 128, seed);
            assert!(forest.score(&[5.0, 5.0]) > 1.3 * forest.score(&[0.5, 0.5]), "seed {seed}");
        }
    }

    #[test]
    fn a_tree_by_hand_gives_the_depth_by_hand() {
        let tree = Tree {
            left: vec![1, -1, -1],
            right: vec![2, -1, -1],
            feature: vec![0, -2, -2],
            threshold: vec![0.5, 0.0, 0.0],
            samples: vec![4, 1, 3],
        };
        assert_eq!(tree.depth(&[0.5]), 1.0);
        assert!((tree.depth(&[0.6]) - (1.0 + 2.0 * (2f64.ln() + EULER) - 4.0 / 3.0)).abs() < 1e-12);
    }

    #[test]
    fn the_same_seed_grows_the_same_forest() {
        assert_eq!(Forest::fit(&cloud(), 5, 64, 3), Forest::fit(&cloud(), 5, 64, 3));
        assert_ne!(Forest::fit(&cloud(), 5, 64, 3), Forest::fit(&cloud(), 5, 64, 4));
    }
}
