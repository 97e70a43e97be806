//! A reference method as it is put on the bench: refitted every week on the weeks before, causal, calibrated for each entity.

use std::ops::Range;

use hearthwatch_detector::finding::Band;
use hearthwatch_detector::grid::DAY_STEPS;
use hearthwatch_detector::statistics::tail::Tail;

use super::grid::Grid;
use crate::evaluate::{Detector, EntityScores, HomeTrace};

/// Steps between two fits: a week.
const REFIT_STEPS: usize = 7 * DAY_STEPS;

/// Steps that a fit looks back on: four weeks.
const LEARN_STEPS: usize = 28 * DAY_STEPS;

/// Something that learns from a stretch of a home and scores what follows.
pub trait ReferenceMethod: Sync + Send {
    /// Scores of an entity for the steps `learn.start..until`, higher being more unusual; NaN where it has no score. What
    /// it learns comes from `learn` alone; a later step's score may use that step and what was before it.
    fn score(&self, home: &Grid, entity: usize, learn: Range<usize>, until: usize) -> Vec<f32>;

    /// What it expected at the steps `learn.end..until`, low and high, transformed as the grid is; empty where it has no
    /// such thing.
    fn expect(&self, home: &Grid, entity: usize, learn: Range<usize>, until: usize) -> Vec<(f32, f32)> {
        let _ = (home, entity, learn, until);
        Vec::new()
    }
}

/// A reference method on the bench.
#[derive(Debug, Clone)]
pub struct Refitted<R> {
    reference: R,
}

impl<R: ReferenceMethod> Refitted<R> {
    /// The reference method, refitted and calibrated.
    #[must_use]
    pub fn new(reference: R) -> Self {
        Self { reference }
    }

    fn entity(&self, home: &HomeTrace, grid: &Grid, entity: usize) -> EntityScores {
        let steps = home.steps();
        let mut scores = vec![f32::NAN; steps];
        let mut bands = Vec::new();
        let log = grid.log[entity];
        let mut begin = (0..steps).find(|index| home.at(*index) > home.from).unwrap_or(steps);
        while begin < steps {
            let until = (begin + REFIT_STEPS).min(steps);
            let learn = begin.saturating_sub(LEARN_STEPS)..begin;
            let mut fresh = self.reference.score(grid, entity, learn.clone(), until);
            on_own_scale(&mut fresh, learn.len());
            scores[begin..until].copy_from_slice(&fresh[learn.len()..]);
            let expected = self.reference.expect(grid, entity, learn, until);
            if !expected.is_empty() {
                bands.resize(begin, None);
                bands.extend(expected.into_iter().map(|(low, high)| band(low, high, log)));
            }
            begin = until;
        }
        EntityScores { scores, bands }
    }
}

impl<R: ReferenceMethod> Detector for Refitted<R> {
    fn score(&self, home: &HomeTrace) -> Vec<EntityScores> {
        let grid = Grid::of(home);
        (0..home.entities.len()).map(|entity| self.entity(home, &grid, entity)).collect()
    }
}

fn on_own_scale(scores: &mut [f32], learnt: usize) {
    let mut past: Vec<f32> = scores[..learnt].iter().copied().filter(|score| score.is_finite()).collect();
    let tail = Tail::fit(&mut past);
    for score in scores.iter_mut().filter(|score| score.is_finite()) {
        *score = tail.surprise(*score);
    }
}

fn band(low: f32, high: f32, log: bool) -> Option<Band> {
    let shown = |value: f32| if log { value.signum() * value.abs().exp_m1() } else { value };
    let band = Band { low: shown(low), expected: shown(f32::midpoint(low, high)), high: shown(high) };
    band.is_finite().then_some(band)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::home::made_home;
    use crate::reference_methods::{
        ArRidge, CrossRidge, EwmaZ, HalfSpaceTrees, IsolationForest, SeasonalBand, SlotZ, StaticZ, SubPca,
    };

    const DAY: i64 = 86_400;

    fn trace(days: i64) -> HomeTrace {
        let home = made_home(3, days);
        let first = home.span().unwrap().0;
        HomeTrace::extract(&home, first + 15 * DAY)
    }

    /// Scores of a shorter recording are the first scores of a longer one.
    fn assert_causal(reference: impl ReferenceMethod, name: &str) {
        let (short, long) = (trace(20), trace(24));
        let reference = Refitted::new(reference);
        let judged = |home: &HomeTrace| -> Vec<Vec<u32>> {
            let of = |one: EntityScores| one.scores.into_iter().map(f32::to_bits).collect();
            reference.score(home).into_iter().map(of).collect()
        };
        let (short_scores, long_scores) = (judged(&short), judged(&long));
        for (short, long) in short_scores.iter().zip(&long_scores) {
            assert_eq!(short[..], long[..short.len()], "{name}");
        }
        let spoken =
            reference.score(&long).iter().flat_map(|one| &one.scores).filter(|score| score.is_finite()).count();
        assert!(spoken > 3000, "{name} said {spoken} words");
    }

    #[test]
    fn no_rival_looks_ahead() {
        assert_causal(StaticZ, "static z");
        assert_causal(EwmaZ::default(), "EWMA z");
        assert_causal(SlotZ, "slot z");
        assert_causal(SeasonalBand, "seasonal band");
        assert_causal(ArRidge::default(), "AR ridge");
        assert_causal(CrossRidge::default(), "cross ridge");
        assert_causal(SubPca::default(), "PCA");
        assert_causal(HalfSpaceTrees::default(), "half-space trees");
        assert_causal(IsolationForest::default(), "isolation forest");
    }

    #[test]
    fn a_jump_is_louder_than_anything_learnt_from() {
        let mut home = trace(20);
        let jump = home.steps() - 40;
        for value in &mut home.entities[0].observed[jump..] {
            *value += 12.0;
        }
        let highest_score = |reference: &dyn Detector| {
            let scores = &reference.score(&home)[0].scores;
            let before = scores[..jump].iter().copied().filter(|score| score.is_finite()).fold(f32::MIN, f32::max);
            let after = scores[jump..].iter().copied().filter(|score| score.is_finite()).fold(f32::MIN, f32::max);
            (before, after)
        };
        let reference_methods: [(&str, Box<dyn Detector>); 7] = [
            ("static z", Box::new(Refitted::new(StaticZ))),
            ("EWMA z", Box::new(Refitted::new(EwmaZ::default()))),
            ("slot z", Box::new(Refitted::new(SlotZ))),
            ("seasonal band", Box::new(Refitted::new(SeasonalBand))),
            ("AR ridge", Box::new(Refitted::new(ArRidge::default()))),
            ("cross ridge", Box::new(Refitted::new(CrossRidge::default()))),
            ("PCA", Box::new(Refitted::new(SubPca::default()))),
        ];
        for (name, reference) in reference_methods {
            let (before, after) = highest_score(&*reference);
            assert!(after > before + 0.5, "{name}: {before} then {after}");
        }
    }
}
