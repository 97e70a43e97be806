//! What the detectors say of each step of a trace.

use hearthwatch_detector::alarm::Blend;
use hearthwatch_detector::finding::BaselineScore;
use hearthwatch_detector::network::Scorer;

use super::trace::{EntityTrace, FaultCheck, HomeTrace};

/// The logit of every step of every entity of a home, or only of those marked in `wanted`; NaN where it was not computed
/// or the network has no score.
#[must_use]
pub fn logits(scorer: &Scorer, home: &HomeTrace, wanted: Option<&[Vec<bool>]>) -> Vec<Vec<f32>> {
    let of = |(place, entity): (usize, &EntityTrace)| entity_logits(scorer, entity, of_entity(wanted, place));
    home.entities.iter().enumerate().map(of).collect()
}

/// The score that a network's thresholds are held against: each of its [`logits`] with its share of the baseline score; NaN
/// for entities of classes that it does not judge.
#[must_use]
pub fn blended(scorer: &Scorer, blend: &Blend, home: &HomeTrace, wanted: Option<&[Vec<bool>]>) -> Vec<Vec<f32>> {
    let of = |(place, entity): (usize, &EntityTrace)| {
        if !blend.judges(entity.class) {
            return vec![f32::NAN; entity.len()];
        }
        let logits = entity_logits(scorer, entity, of_entity(wanted, place));
        let score = |(logit, baseline): (f32, &f32)| blend.score(entity.class, logit, *baseline);
        logits.into_iter().zip(&entity.baseline).map(score).collect()
    };
    home.entities.iter().enumerate().map(of).collect()
}

/// What a network's thresholds are held against at the end of each small fault that was put into a copy of an entity; NaN for entities
/// of classes that it does not judge, and where a window is not whole.
#[must_use]
pub fn score_fault_checks(scorer: &Scorer, blend: &Blend, home: &HomeTrace) -> Vec<Vec<f32>> {
    let of = |entity: &EntityTrace| {
        let score = |one: &FaultCheck| {
            let window = Some(one).filter(|_| blend.judges(entity.class)).and_then(|one| entity.window_of(one))?;
            let output = scorer.score(&window, &[entity.class.index()]).pop()?;
            Some(blend.score(entity.class, output.logit, one.baseline.score))
        };
        entity.fault_checks.iter().map(|one| score(one).unwrap_or(f32::NAN)).collect()
    };
    home.entities.iter().map(of).collect()
}

fn of_entity(wanted: Option<&[Vec<bool>]>, place: usize) -> Option<&[bool]> {
    wanted.map(|wanted| wanted[place].as_slice())
}

/// The baseline score of every step of every entity of a home; NaN where the entity was not judged.
#[must_use]
pub fn baseline_scores(home: &HomeTrace) -> Vec<Vec<f32>> {
    let of = |entity: &EntityTrace| {
        let judged =
            |(score, ready): (&f32, &bool)| if *ready || *score > BaselineScore::FLOOR { *score } else { f32::NAN };
        entity.baseline.iter().zip(&entity.ready).map(judged).collect()
    };
    home.entities.iter().map(of).collect()
}

fn entity_logits(scorer: &Scorer, entity: &EntityTrace, wanted: Option<&[bool]>) -> Vec<f32> {
    let mut logits = vec![f32::NAN; entity.len()];
    let asked = |index: &usize| wanted.is_none_or(|wanted| wanted[*index]) && entity.network_ready(*index);
    let mut next = 0;
    while let Some(first) = (next..entity.len()).find(asked) {
        next = (first..entity.len()).find(|index| !asked(index)).unwrap_or(entity.len());
        let rows = entity.series(first..next).expect("network-ready steps have their rows");
        for (logit, output) in logits[first..next].iter_mut().zip(scorer.score_series(rows, entity.class.index())) {
            *logit = output.logit;
        }
    }
    logits
}
