//! Ours against published programs, on vectors that both were given (model/evaluation/references/reference.py).

use serde::Deserialize;

use super::*;
use crate::evaluate::metrics::auc_pr::auc_pr;
use crate::evaluate::metrics::vus_pr::{Surface, vus_pr};
use crate::reference_methods::half_space_trees::HalfSpaces;

const LEARNT: usize = 14 * 144;

#[derive(Deserialize)]
struct Vectors {
    inputs: Inputs,
    expected: Expected,
}

#[derive(Deserialize)]
struct Inputs {
    series: Vec<f32>,
    other: Vec<f32>,
    third: Vec<f32>,
    labels: Vec<u8>,
    scores: Vec<f32>,
    rows: Vec<Vec<f32>>,
    strange: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct Expected {
    vus_pr: std::collections::BTreeMap<String, f64>,
    auc_pr: f64,
    static_z: [f64; 2],
    ewma: Vec<[f64; 2]>,
    slots: Vec<[f64; 2]>,
    band: Vec<[f64; 2]>,
    ar_ridge: Line,
    ar_plain: Line,
    cross_ridge: Line,
    sub_pca: Vec<f64>,
    forest: Forest,
    forest_scores: Vec<f64>,
    forest_auc: Spread,
    half_spaces: Vec<Halves>,
    half_space_scores: Vec<f64>,
    half_space_auc: Spread,
}

/// A tree of river's, as arrays: children of node `i` at `2i + 1` and `2i + 2`.
#[derive(Deserialize)]
struct Halves {
    column: Vec<usize>,
    middle: Vec<f32>,
    mass: Vec<u32>,
}

#[derive(Deserialize)]
struct Line {
    weights: Vec<f64>,
    intercept: f64,
}

#[derive(Deserialize)]
struct Spread {
    min: f64,
    mean: f64,
    max: f64,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../references/vectors.json")).expect("the vectors read")
}

fn grid(inputs: &Inputs) -> Grid {
    let values = vec![inputs.series.clone(), inputs.other.clone(), inputs.third.clone()];
    Grid { values, log: vec![false; 3], first: 600 }
}

fn close(ours: f64, theirs: f64, tolerance: f64) -> bool {
    (ours - theirs).abs() <= tolerance * (1.0 + theirs.abs())
}

fn assert_same_line(ours: &Linear, theirs: &Line) {
    assert!(close(ours.intercept, theirs.intercept, 1e-6), "{} and {}", ours.intercept, theirs.intercept);
    assert_eq!(ours.weights.len(), theirs.weights.len());
    for (ours, theirs) in ours.weights.iter().zip(&theirs.weights) {
        assert!(close(*ours, *theirs, 1e-7), "{ours} and {theirs}");
    }
}

#[test]
fn vus_pr_is_that_of_its_authors() {
    let Vectors { inputs, expected } = vectors();
    let labels: Vec<bool> = inputs.labels.iter().map(|label| *label == 1).collect();
    for (cut, theirs) in &expected.vus_pr {
        let (window, thresholds) = cut.split_once('/').unwrap();
        let surface = Surface { window: window.parse().unwrap(), thresholds: thresholds.parse().unwrap() };
        let ours = vus_pr(&labels, &inputs.scores, surface).unwrap();
        assert!(close(ours, *theirs, 1e-9), "{cut}: {ours} and {theirs}");
    }
}

#[test]
fn auc_pr_is_scikit_learns_average_precision() {
    let Vectors { inputs, expected } = vectors();
    let labels: Vec<bool> = inputs.labels.iter().map(|label| *label == 1).collect();
    assert!(close(auc_pr(&labels, &inputs.scores).unwrap(), expected.auc_pr, 1e-12));
}

#[test]
fn plain_statistics_are_those_of_numpy_and_pandas() {
    let Vectors { inputs, expected } = vectors();
    let grid = grid(&inputs);
    let (mean, deviation) = static_z::moments(inputs.series[..LEARNT].iter().copied());
    assert!(close(mean, expected.static_z[0], 1e-12) && close(deviation, expected.static_z[1], 1e-12));
    let ewma = EwmaZ::default().moments(&inputs.series);
    for ((mean, variance), theirs) in ewma[ewma.len() - 20..].iter().zip(&expected.ewma) {
        assert!(close(*mean, theirs[0], 1e-12) && close(*variance, theirs[1], 1e-12));
    }
    for ((mean, deviation), theirs) in SlotZ::slots(&grid, 0, 0..LEARNT).iter().zip(&expected.slots) {
        // Ours is never surer than a tenth of the whole.
        let floor = 0.1 * expected.static_z[1];
        assert!(close(*mean, theirs[0], 1e-12) && close(*deviation, theirs[1].max(floor), 1e-9));
    }
    for ((low, high), theirs) in SeasonalBand::bands(&grid, 0, 0..LEARNT).iter().zip(&expected.band) {
        assert_eq!([f64::from(*low), f64::from(*high)], *theirs);
    }
}

#[test]
fn regressions_are_those_of_scikit_learn_and_statsmodels() {
    let Vectors { inputs, expected } = vectors();
    let past = &inputs.series[..LEARNT];
    assert_same_line(&ArRidge { lambda: 1.0, ..ArRidge::default() }.fit(past).unwrap(), &expected.ar_ridge);
    assert_same_line(&ArRidge { lambda: 0.0, ..ArRidge::default() }.fit(past).unwrap(), &expected.ar_plain);
    let cross = CrossRidge::default().fit(&grid(&inputs), 0, 0..LEARNT).unwrap();
    assert_same_line(&cross.line, &expected.cross_ridge);
}

#[test]
fn what_components_cannot_rebuild_is_what_scikit_learn_cannot() {
    let Vectors { inputs, expected } = vectors();
    let grid = grid(&inputs);
    let ours = SubPca::default().score(&grid, 0, 0..LEARNT, inputs.series.len());
    // The first of theirs is the window that ends with the last step that was learnt from.
    for (ours, theirs) in ours[LEARNT - 1..].iter().zip(&expected.sub_pca) {
        assert!(close(f64::from(*ours).powi(2), *theirs, 1e-5), "{ours} and {theirs}");
    }
}

#[test]
fn a_forest_grown_by_scikit_learn_is_scored_to_the_digit() {
    let Vectors { inputs, expected } = vectors();
    let rows = inputs.rows[..30].iter().chain(&inputs.strange);
    for (row, theirs) in rows.zip(&expected.forest_scores) {
        let ours = expected.forest.score(row);
        assert!(close(ours, *theirs, 1e-12), "{ours} and {theirs}");
    }
}

/// The probability that something strange scores higher than something usual.
fn area_of(usual: &[f64], strange: &[f64]) -> f64 {
    let above = |one: &f64| usual.iter().map(|other| if one > other { 1.0 } else { 0.0 }).sum::<f64>();
    strange.iter().map(above).sum::<f64>() / (usual.len() * strange.len()) as f64
}

#[test]
fn forests_grown_here_are_as_good_as_those_grown_there() {
    let Vectors { inputs, expected } = vectors();
    let area = |seed: u64| {
        let forest = Forest::fit(&inputs.rows, 50, 256, seed);
        let score = |rows: &[Vec<f32>]| -> Vec<f64> { rows.iter().map(|row| forest.score(row)).collect() };
        area_of(&score(&inputs.rows), &score(&inputs.strange))
    };
    let areas: Vec<f64> = (0..10).map(area).collect();
    let mean = areas.iter().sum::<f64>() / areas.len() as f64;
    let spread = expected.forest_auc.max - expected.forest_auc.min;
    assert!((mean - expected.forest_auc.mean).abs() < spread, "{mean} and {}", expected.forest_auc.mean);
}

fn three(rows: &[Vec<f32>]) -> Vec<[f32; 3]> {
    rows.iter().map(|row| [row[0], row[1], row[2]]).collect()
}

#[test]
fn half_spaces_drawn_by_river_gather_the_same_mass_here_and_score_to_the_digit() {
    let Vectors { inputs, expected } = vectors();
    let (usual, strange) = (three(&inputs.rows), three(&inputs.strange));
    let range = HalfSpaceTrees { trees: 0, ..HalfSpaceTrees::default() }.fit(&usual);
    let depth = expected.half_spaces[0].mass.len().ilog2();
    let mut trees: Vec<HalfSpaces> = Vec::new();
    for theirs in &expected.half_spaces {
        let (column, middle) = (theirs.column.clone(), theirs.middle.clone());
        let mut tree = HalfSpaces { column, middle, mass: vec![0; theirs.mass.len()], depth };
        usual.iter().for_each(|row| tree.learn(&range.unit(row)));
        assert_eq!(tree.mass, theirs.mass);
        trees.push(tree);
    }
    // River adds up the masses on the way down, where the paper and we take the last one.
    let limit = 0.1 * usual.len() as f64;
    let most = (trees.len() * usual.len() * ((2 << depth) - 1)) as f64;
    for (row, theirs) in usual[..30].iter().chain(&strange).zip(&expected.half_space_scores) {
        let mut sum = 0.0;
        for tree in &trees {
            tree.walk(&range.unit(row), |node, level| {
                let mass = f64::from(tree.mass[node]);
                sum += mass * f64::from(level).exp2();
                mass >= limit
            });
        }
        assert!(close(1.0 - sum / most, *theirs, 1e-12), "{} and {theirs}", 1.0 - sum / most);
    }
}

/// The paper draws a range around the data and halves it; river cuts at random places within it.
#[test]
fn half_spaces_drawn_here_are_as_good_as_those_drawn_by_river() {
    let Vectors { inputs, expected } = vectors();
    let (usual, strange) = (three(&inputs.rows), three(&inputs.strange));
    let area = |seed: u64| {
        let fitted = HalfSpaceTrees { depth: 8, seed, ..HalfSpaceTrees::default() }.fit(&usual);
        let score = |rows: &[[f32; 3]]| -> Vec<f64> { rows.iter().map(|row| f64::from(fitted.score(row))).collect() };
        area_of(&score(&usual), &score(&strange))
    };
    let areas: Vec<f64> = (0..10).map(area).collect();
    let mean = areas.iter().sum::<f64>() / areas.len() as f64;
    let theirs = &expected.half_space_auc;
    assert!((mean - theirs.mean).abs() < theirs.max - theirs.min, "{mean} and {}", theirs.mean);
}
