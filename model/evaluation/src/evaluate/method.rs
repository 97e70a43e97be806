//! What can be put on the bench: anything that scores the steps of a home.

use std::ops::Deref;

use hearthwatch_detector::alarm::Blend;
use hearthwatch_detector::finding::Band;
use hearthwatch_detector::network::Scorer;

use super::protocol::{Fold, Span};
use super::scores::{baseline_scores, blended, score_fault_checks};
use super::trace::HomeTrace;
use crate::inject::Family;

/// A detector's scores of one entity: as many items as the trace has steps.
#[derive(Debug, Clone, Default)]
pub struct EntityScores {
    /// The higher, the more unusual; NaN where there is no score. Of any scale: the bench sets the thresholds.
    pub scores: Vec<f32>,
    /// What was expected, in the unit of [`EntityTrace::observed`](super::EntityTrace::observed); empty where the detector
    /// expects nothing in particular.
    pub bands: Vec<Option<Band>>,
}

/// What scores a home. It sees the whole trace and must look at no step later than the one it scores.
pub trait Detector: Sync {
    /// One item for each entity of the home.
    fn score(&self, home: &HomeTrace) -> Vec<EntityScores>;

    /// Whether the baseline detector's rules (standstill, silence, impossible values) speak beside it and the baseline
    /// detector fills its gaps, as in the deployed detector. Their alarms count as its own.
    fn beside_baseline(&self) -> bool {
        false
    }

    /// What it says at the end of each small fault that was put into a copy of an entity, where its scores must first prove themselves
    /// on each, as homes ask of a network; none where they speak from the start.
    fn fault_checks(&self, home: &HomeTrace) -> Option<Vec<Vec<f32>>> {
        let _ = home;
        None
    }
}

/// What a fold lets a detector learn from.
#[derive(Debug)]
pub struct TrainingSplit<'a> {
    /// The fold: names, roles, left-out families.
    pub fold: &'a Fold,
    /// Homes to train on, cut to their time.
    pub train: &'a [Span],
    /// Homes to stop training by. The bench itself sets the thresholds on them.
    pub calibrate: &'a [Span],
    /// Families that may be trained against: all but those left out.
    pub families: Vec<Family>,
    /// One of [`Method::seeds`].
    pub seed: u64,
}

/// Why a detector could not be made ready.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotReady(pub String);

/// One line of the table: makes a detector for each fold.
pub trait Method: Sync {
    /// Its name in the table.
    fn name(&self) -> &str;

    /// Training seeds; all are measured. One for what is not left to chance.
    fn seeds(&self) -> Vec<u64> {
        vec![0]
    }

    /// The detector for a fold, trained on it where it trains at all.
    ///
    /// # Errors
    /// [`NotReady`] with what was wrong; the bench ends with it.
    fn prepare<'a>(&'a self, split: &TrainingSplit<'_>) -> Result<Box<dyn Detector + 'a>, NotReady>;
}

/// A detector that is the same in every fold.
pub struct Fixed<D> {
    name: String,
    detector: D,
}

impl<D: Detector> Fixed<D> {
    /// Under a name for the table.
    pub fn new(name: &str, detector: D) -> Self {
        Self { name: name.to_owned(), detector }
    }
}

impl<D: Detector> Method for Fixed<D> {
    fn name(&self) -> &str {
        &self.name
    }

    fn prepare<'a>(&'a self, _: &TrainingSplit<'_>) -> Result<Box<dyn Detector + 'a>, NotReady> {
        Ok(Box::new(&self.detector))
    }
}

/// Whatever points to a detector is one.
impl<P: Deref + Sync> Detector for P
where
    P::Target: Detector,
{
    fn score(&self, home: &HomeTrace) -> Vec<EntityScores> {
        (**self).score(home)
    }

    fn beside_baseline(&self) -> bool {
        (**self).beside_baseline()
    }

    fn fault_checks(&self, home: &HomeTrace) -> Option<Vec<Vec<f32>>> {
        (**self).fault_checks(home)
    }
}

/// The baseline detector by its scores in the trace, under thresholds that the bench sets.
#[derive(Debug, Clone, Copy)]
pub struct Baseline;

impl Detector for Baseline {
    fn score(&self, home: &HomeTrace) -> Vec<EntityScores> {
        baseline_scores(home).into_iter().map(|scores| EntityScores { scores, bands: Vec::new() }).collect()
    }

    fn beside_baseline(&self) -> bool {
        true
    }
}

/// A network with its share of the baseline score, as homes run it.
#[derive(Debug, Clone)]
pub struct Blended {
    /// Runs on whole series of rows ([`Scorer::score_series`]).
    pub scorer: Scorer,
    /// How the baseline score joins the logit.
    pub blend: Blend,
}

impl Detector for Blended {
    fn score(&self, home: &HomeTrace) -> Vec<EntityScores> {
        let scores = blended(&self.scorer, &self.blend, home, None);
        scores.into_iter().map(|scores| EntityScores { scores, bands: Vec::new() }).collect()
    }

    fn fault_checks(&self, home: &HomeTrace) -> Option<Vec<Vec<f32>>> {
        Some(score_fault_checks(&self.scorer, &self.blend, home))
    }

    fn beside_baseline(&self) -> bool {
        true
    }
}
