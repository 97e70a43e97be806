//! An entity from the home's others at the same step: a ridge regression.

use std::ops::Range;

use super::ar_ridge::{Linear, scaled};
use super::grid::Grid;
use super::refitted::ReferenceMethod;
use super::static_z::moments;

/// Rows below which nothing is fitted: two days.
const ROWS_MIN: usize = 288;
/// Steps between two rows that are learnt from: neighbours say the same.
const STRIDE: usize = 3;

/// |value − what the others make of it| in robust scales; no score in a home of one entity.
#[derive(Debug, Clone, Copy)]
pub struct CrossRidge {
    /// Penalty on the squared weights of standardised columns.
    pub lambda: f64,
}

impl Default for CrossRidge {
    fn default() -> Self {
        Self { lambda: 1.0 }
    }
}

/// What an entity is made of, by the others.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    /// Each other entity with its mean and standard deviation.
    others: Vec<(usize, f64, f64)>,
    /// Over the standardised others.
    pub(super) line: Linear,
}

impl Shared {
    fn row(others: &[(usize, f64, f64)], home: &Grid, step: usize) -> Vec<f64> {
        let standard = |(other, mean, deviation): &(usize, f64, f64)| {
            let value = (f64::from(home.values[*other][step]) - mean) / deviation;
            // What is not known of another is taken for its mean.
            if value.is_finite() { value } else { 0.0 }
        };
        others.iter().map(standard).collect()
    }
}

impl CrossRidge {
    /// Fits an entity to the others; none in a home without others, or with too little of a past.
    pub(super) fn fit(&self, home: &Grid, entity: usize, learn: Range<usize>) -> Option<Shared> {
        let others: Vec<(usize, f64, f64)> = (0..home.values.len())
            .filter(|other| *other != entity)
            .map(|other| {
                let (mean, deviation) = moments(home.values[other][learn.clone()].iter().copied());
                (other, mean, deviation)
            })
            .collect();
        let own = &home.values[entity];
        let (rows, targets): (Vec<Vec<f64>>, Vec<f64>) = learn
            .step_by(STRIDE)
            .filter(|step| own[*step].is_finite())
            .map(|step| (Shared::row(&others, home, step), f64::from(own[step])))
            .unzip();
        if others.is_empty() || rows.len() < ROWS_MIN / STRIDE {
            return None;
        }
        let line = Linear::fit(&rows, &targets, self.lambda)?;
        Some(Shared { others, line })
    }
}

impl ReferenceMethod for CrossRidge {
    fn score(&self, home: &Grid, entity: usize, learn: Range<usize>, until: usize) -> Vec<f32> {
        let Some(shared) = self.fit(home, entity, learn.clone()) else { return vec![f32::NAN; until - learn.start] };
        let residual = |step: usize| {
            let row = Shared::row(&shared.others, home, step);
            (f64::from(home.values[entity][step]) - shared.line.predict(&row)) as f32
        };
        scaled((learn.start..until).map(residual).collect(), learn.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_leaves_the_others_is_seen_and_one_alone_is_not_judged() {
        let base: Vec<f32> =
            (0..2000).map(|step| (step as f32 * 0.05).sin() + (step * 31 % 17) as f32 * 0.01).collect();
        let mut follows: Vec<f32> = base.iter().map(|value| 2.0 * value + 5.0).collect();
        follows[1900] = 5.0;
        follows[1901] = 20.0;
        let grid = Grid { values: vec![follows, base], log: vec![false; 2], first: 600 };
        let scores = CrossRidge::default().score(&grid, 0, 0..1800, 2000);
        assert!(scores[1901] > 100.0 * scores[1850].max(0.01), "{} {}", scores[1901], scores[1850]);
        let alone = Grid { values: vec![grid.values[0].clone()], ..grid };
        assert!(CrossRidge::default().score(&alone, 0, 0..1800, 2000).iter().all(|score| score.is_nan()));
    }
}
