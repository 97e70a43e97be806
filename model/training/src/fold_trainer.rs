//! A network that is trained anew in every fold of the detection benchmark: never shipped, only measured.

use std::sync::Mutex;

use hearthwatch_detector::alarm::Blend;
use hearthwatch_detector::network::{Scorer, initial_weights};
use hearthwatch_evaluation::evaluate::{Blended, Detector, Method, NotReady, TrainingSplit};
use hearthwatch_evaluation::inject::Family;

use super::checkpoint::NoCheckpoints;
use super::config::RetrainConfig;
use super::fit::{Kept, Plan, Samplers, fit};
use super::fold_homes::FoldHomes;
use super::progress::never_stops;
use super::sampler::Sampler;

/// Trains on a fold's training homes, stops by its calibration homes.
pub struct FoldTrainer {
    name: String,
    config: RetrainConfig,
    seeds: u64,
    every_family: bool,
    homes: Mutex<Option<FoldHomes>>,
}

impl std::fmt::Debug for FoldTrainer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FoldTrainer").field("name", &self.name).field("config", &self.config).finish_non_exhaustive()
    }
}

impl FoldTrainer {
    /// A trainer under a name for the table, trained with the seeds from 1 to `seeds`. The configuration's own families do
    /// not count: the fold has those that may be used.
    #[must_use]
    pub fn new(name: String, config: RetrainConfig, seeds: u64) -> Self {
        Self { name, config, seeds, every_family: false, homes: Mutex::new(None) }
    }

    /// Is trained on the families, too, that the fold would leave out: for the figure over all families.
    #[must_use]
    pub fn with_every_family(self) -> Self {
        Self { every_family: true, ..self }
    }

    fn families(&self, split: &TrainingSplit<'_>) -> Vec<Family> {
        if self.every_family { Family::EVERY.to_vec() } else { split.families.clone() }
    }
}

impl Method for FoldTrainer {
    fn name(&self) -> &str {
        &self.name
    }

    fn seeds(&self) -> Vec<u64> {
        (1..=self.seeds).collect()
    }

    fn prepare<'a>(&'a self, split: &TrainingSplit<'_>) -> Result<Box<dyn Detector + 'a>, NotReady> {
        let refused = |why: String| NotReady(format!("{}: {why}", self.name));
        let mut homes = self.homes.lock().map_err(|_| refused("an earlier fold panicked".to_owned()))?;
        let homes = FoldHomes::kept(&mut homes, split, &self.families(split), &self.config);
        let mut samplers = Samplers {
            train: Sampler::for_training(&homes.train, &[]),
            validate: Sampler::for_validation(&homes.calibrate),
        };
        if !samplers.train.has_faults() || !samplers.train.has_normal_time() {
            return Err(refused("the fold's training homes hold no fault or no normal time".to_owned()));
        }
        let config = RetrainConfig { seed: split.seed, ..self.config.clone() };
        let start = initial_weights(split.seed);
        let plan = Plan {
            epochs: config.fit.epochs,
            learning_rate: config.fit.learning_rate,
            feedback_share: 0.0,
            stops_early: true,
        };
        let mut kept = Kept { checkpoints: &mut NoCheckpoints, part: "trainer", fingerprint: String::new() };
        let (weights, _) = fit(&start, &mut samplers, &plan, &config, &mut kept, &mut never_stops(|_| {}))
            .map_err(|error| refused(error.to_string()))?;
        let scorer = Scorer::new(&weights).map_err(|error| refused(error.to_string()))?;
        let blend = Blend::uniform(config.blend_weights.first().copied().unwrap_or(0.0));
        Ok(Box::new(Blended { scorer, blend }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fit;
    use hearthwatch_evaluation::evaluate::{Fold, HomeTrace, Span};
    use hearthwatch_evaluation::fixtures::home::made_home;

    fn span(seed: u64) -> Span {
        let home = made_home(seed, 28);
        Span { from: home.span().unwrap().0 + 14 * 86_400, home }
    }

    fn trainer() -> FoldTrainer {
        let config = RetrainConfig {
            fit: Fit { epochs: 1, windows_per_epoch: 256, batch: 64, ..Fit::default() },
            validation_windows: 64,
            ..RetrainConfig::default()
        };
        FoldTrainer::new("trainer".to_owned(), config, 1)
    }

    #[test]
    fn a_family_that_is_left_out_is_not_trained_on_unless_every_one_is() {
        let (train, calibrate) = ([span(1)], [span(2)]);
        let fold = Fold { number: 0, left_out: vec![Family::Spike], homes: Vec::new() };
        let families = vec![Family::LevelShift];
        let split = TrainingSplit { fold: &fold, train: &train, calibrate: &calibrate, families, seed: 1 };
        let homes = |trainer: FoldTrainer| {
            let homes = FoldHomes::of(&split, &trainer.families(&split), &trainer.config);
            let pairs = homes.train.into_iter().chain(homes.calibrate);
            let labels = pairs.flat_map(|pair| pair.faulty).flat_map(|copy| copy.labels);
            labels.map(|label| label.family).collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(homes(trainer()), ["level_shift".to_owned()].into());
        assert!(homes(trainer().with_every_family()).len() > 3);
    }

    #[test]
    fn the_same_training_split_gives_the_same_detector() {
        let (train, calibrate) = ([span(1)], [span(2)]);
        let fold = Fold { number: 0, left_out: Vec::new(), homes: Vec::new() };
        let split = TrainingSplit {
            fold: &fold,
            train: &train,
            calibrate: &calibrate,
            families: Family::EVERY.to_vec(),
            seed: 1,
        };
        let home = HomeTrace::extract(&train[0].home, train[0].from);
        let bits = || -> Vec<u32> {
            let trainer = trainer();
            let scores = trainer.prepare(&split).unwrap().score(&home);
            scores.into_iter().flat_map(|one| one.scores).map(f32::to_bits).collect()
        };
        assert_eq!(bits(), bits());
    }
}
