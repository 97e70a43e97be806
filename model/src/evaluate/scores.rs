//! What the detectors say of each step of a trace.

use super::trace::{EntityTrace, HomeTrace};
use crate::alarm::Blend;
use crate::features::RoutineScore;
use crate::network::{Scorer, WINDOW_VALUES};

/// Windows copied together before they are scored: 64 × 1,920 values are half a megabyte.
const GATHER: usize = 64;

/// The logit of every step of every entity of a home, or only of those marked in `wanted`; NaN where it was not computed
/// or the network has no word.
#[must_use]
pub fn logits(scorer: &Scorer, home: &HomeTrace, wanted: Option<&[Vec<bool>]>) -> Vec<Vec<f32>> {
    let of = |(place, entity): (usize, &EntityTrace)| {
        entity_logits(scorer, entity, wanted.map(|wanted| wanted[place].as_slice()))
    };
    home.entities.iter().enumerate().map(of).collect()
}

/// The score that a network's thresholds are held against: each of its [`logits`] with its share of the routine score.
#[must_use]
pub fn blended(scorer: &Scorer, blend: &Blend, home: &HomeTrace, wanted: Option<&[Vec<bool>]>) -> Vec<Vec<f32>> {
    let mut scores = logits(scorer, home, wanted);
    for (scores, entity) in scores.iter_mut().zip(&home.entities) {
        for (score, routine) in scores.iter_mut().zip(&entity.routine) {
            *score = blend.score(entity.class, *score, *routine);
        }
    }
    scores
}

/// The routine score of every step of every entity of a home; NaN where the entity was not judged.
#[must_use]
pub fn routine_scores(home: &HomeTrace) -> Vec<Vec<f32>> {
    let of = |entity: &EntityTrace| {
        let judged =
            |(score, ready): (&f32, &bool)| if *ready || *score > RoutineScore::FLOOR { *score } else { f32::NAN };
        entity.routine.iter().zip(&entity.ready).map(judged).collect()
    };
    home.entities.iter().map(of).collect()
}

fn entity_logits(scorer: &Scorer, entity: &EntityTrace, wanted: Option<&[bool]>) -> Vec<f32> {
    let mut logits = vec![f32::NAN; entity.len()];
    let wanted = |index: usize| wanted.is_none_or(|wanted| wanted[index]);
    let steps: Vec<usize> = (0..entity.len()).filter(|index| wanted(*index) && entity.network_ready(*index)).collect();
    let mut windows = Vec::with_capacity(GATHER * WINDOW_VALUES);
    for steps in steps.chunks(GATHER) {
        windows.clear();
        for index in steps {
            windows.extend_from_slice(entity.window(*index).expect("network-ready steps have a window"));
        }
        let classes = vec![entity.class.index(); steps.len()];
        for (index, output) in steps.iter().zip(scorer.score(&windows, &classes)) {
            logits[*index] = output.logit;
        }
    }
    logits
}
