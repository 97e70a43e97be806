//! What is trained on in a fold of the detection benchmark, kept while the fold lasts: all seeds learn from the same.

use hearthwatch_evaluation::evaluate::{HomePair, Span, TrainingSplit, fan_out};
use hearthwatch_evaluation::inject::{Family, InjectionPlan};

use super::config::RetrainConfig;

/// Keeps training faults from being test faults: the benchmark injects with small seeds.
const COPY_SALT: u64 = 0x7075_7069_6c00;

/// The homes of one fold, with faulty copies.
#[derive(Debug)]
pub struct FoldHomes {
    fold: usize,
    /// Homes to learn from.
    pub train: Vec<HomePair>,
    /// Homes that take no part in training.
    pub calibrate: Vec<HomePair>,
}

impl FoldHomes {
    /// Extracts the fold's homes, with copies in which faults of these families were put.
    pub(super) fn of(split: &TrainingSplit<'_>, families: &[Family], config: &RetrainConfig) -> Self {
        let pairs = |spans: &[Span]| fan_out(spans, config.threads, |span| pair(span, families, config), |_| {});
        Self { fold: split.fold.number, train: pairs(split.train), calibrate: pairs(split.calibrate) }
    }

    /// Those in `kept` where they are this fold's; else they are made and kept there.
    pub fn kept<'a>(
        kept: &'a mut Option<Self>,
        split: &TrainingSplit<'_>,
        families: &[Family],
        config: &RetrainConfig,
    ) -> &'a Self {
        let same = kept.take().filter(|homes| homes.fold == split.fold.number);
        kept.insert(same.unwrap_or_else(|| Self::of(split, families, config)))
    }
}

fn pair(span: &Span, families: &[Family], config: &RetrainConfig) -> HomePair {
    let plan = |copy: usize| InjectionPlan {
        seed: COPY_SALT.wrapping_add(copy as u64),
        events_per_entity_week: config.faults.train_events_per_entity_week,
        families: families.to_vec(),
    };
    HomePair::extract(&span.home, span.from, (0..config.faults.train_copies.max(1)).map(plan))
}
