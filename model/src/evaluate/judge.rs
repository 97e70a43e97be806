//! What each detector says of each step.

use super::trace::{EntityTrace, HomeTrace};
use super::zscore;
use crate::network::{Scorer, WINDOW_VALUES};

/// Windows copied together before they are scored: 64 × 1,920 values are half a megabyte.
const GATHER: usize = 64;

/// A way to score, without thresholds.
#[derive(Debug, Clone, Copy)]
pub enum Detector<'a> {
    /// The routine detector alone.
    Routine,
    /// The network where it may judge, the routine detector elsewhere.
    Network(&'a Scorer),
    /// Distance from the mean of the first fortnight, in its standard deviations.
    StaticZ,
    /// Distance from an exponentially weighted mean, in its standard deviations.
    EwmaZ,
}

/// Who judged a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judge {
    /// Nobody: too little history.
    None,
    /// The detector's own score, held against its own calibration.
    Own,
    /// The routine detector's score, held against the routine calibration.
    Routine,
    /// A rule that needs no threshold: a value that cannot be.
    Rule,
}

/// One entity's judged steps.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The score of each step; meaningless where nobody judged.
    pub score: Vec<f32>,
    /// Who judged it.
    pub judge: Vec<Judge>,
}

impl Detector<'_> {
    /// Judges every step of every entity of a home.
    #[must_use]
    pub fn judge(&self, home: &HomeTrace) -> Vec<Judged> {
        home.entities
            .iter()
            .map(|entity| match self {
                Self::Routine => routine(entity),
                Self::Network(scorer) => network(scorer, entity),
                Self::StaticZ => z(entity, zscore::fixed(entity, home.from)),
                Self::EwmaZ => z(entity, zscore::ewma(entity)),
            })
            .collect()
    }
}

/// The routine detector judges from the first step on: before an entity is ready only its rules speak.
fn routine(entity: &EntityTrace) -> Judged {
    let judge = entity.kind.iter().map(|kind| if kind.immediate() { Judge::Rule } else { Judge::Own }).collect();
    Judged { score: entity.routine.clone(), judge }
}

fn network(scorer: &Scorer, entity: &EntityTrace) -> Judged {
    let mut score = entity.routine.clone();
    let mut judge: Vec<Judge> =
        entity.kind.iter().map(|kind| if kind.immediate() { Judge::Rule } else { Judge::Routine }).collect();
    let own: Vec<usize> =
        (0..entity.len()).filter(|index| judge[*index] != Judge::Rule && entity.network_ready(*index)).collect();
    let mut windows = Vec::with_capacity(GATHER * WINDOW_VALUES);
    for indices in own.chunks(GATHER) {
        windows.clear();
        for index in indices {
            windows.extend_from_slice(entity.window(*index).expect("network-ready steps have a window"));
        }
        let classes = vec![entity.class.index(); indices.len()];
        for (index, output) in indices.iter().zip(scorer.score(&windows, &classes)) {
            score[*index] = output.logit;
            judge[*index] = Judge::Own;
        }
    }
    Judged { score, judge }
}

fn z(entity: &EntityTrace, score: Vec<f32>) -> Judged {
    let judge = score
        .iter()
        .zip(&entity.ready)
        .map(|(score, ready)| if *ready && score.is_finite() { Judge::Own } else { Judge::None })
        .collect();
    Judged { score, judge }
}
