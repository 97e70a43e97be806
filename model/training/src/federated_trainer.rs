//! Federated rounds in every fold of the detection benchmark: never shipped, only measured.

use std::sync::{Arc, Mutex};

use hearthwatch_detector::alarm::Blend;
use hearthwatch_detector::network::{Scorer, Weights};
use hearthwatch_evaluation::evaluate::{Blended, Detector, Method, NotReady, TrainingSplit};
use hearthwatch_federation::Strategy;

use super::config::RetrainConfig;
use super::federated::FederatedRounds;
use super::fold_homes::FoldHomes;
use super::prepare::Prepared;

/// What a line of the table does in each round.
#[derive(Debug, Clone, Copy)]
pub struct FederatedArm {
    /// For the table.
    pub name: &'static str,
    /// How the deltas of the fold's training homes become one; without one no home trains.
    pub strategy: Option<fn() -> Box<dyn Strategy>>,
    /// Whether the server trains on its recordings after each round.
    pub replay: bool,
}

/// Rounds over a fold's training homes.
#[derive(Debug)]
pub struct FederatedTrainer {
    arm: FederatedArm,
    rounds: usize,
    start: Weights,
    blend: Blend,
    replay: Arc<Prepared>,
    config: RetrainConfig,
    seeds: u64,
    /// Shared by all arms: they train on the same homes.
    homes: Arc<Mutex<Option<FoldHomes>>>,
}

impl FederatedTrainer {
    /// One for each arm, with the training seeds from 1 to `seeds`. `start`: the weights of the first round, and the blend with the baseline
    /// score. `replay`: the recordings of the server.
    pub fn each(
        arms: &[FederatedArm],
        rounds: usize,
        start: &(Weights, Blend),
        replay: &Arc<Prepared>,
        config: &RetrainConfig,
        seeds: u64,
    ) -> impl Iterator<Item = Self> {
        let homes = Arc::new(Mutex::new(None));
        arms.iter().map(move |arm| Self {
            arm: *arm,
            rounds,
            start: start.0.clone(),
            blend: start.1.clone(),
            replay: Arc::clone(replay),
            config: config.clone(),
            seeds,
            homes: Arc::clone(&homes),
        })
    }
}

impl Method for FederatedTrainer {
    fn name(&self) -> &str {
        self.arm.name
    }

    fn seeds(&self) -> Vec<u64> {
        (1..=self.seeds).collect()
    }

    fn prepare<'a>(&'a self, split: &TrainingSplit<'_>) -> Result<Box<dyn Detector + 'a>, NotReady> {
        let refused = |why: String| NotReady(format!("{}: {why}", self.arm.name));
        let mut homes = self.homes.lock().map_err(|_| refused("an earlier fold panicked".to_owned()))?;
        let homes = FoldHomes::kept(&mut homes, split, &split.families, &self.config);
        let rounds = FederatedRounds {
            rounds: self.rounds,
            homes: &homes.train,
            verdicts: &[],
            strategy: self.arm.strategy.as_ref().map(|strategy| strategy as &(dyn Fn() -> Box<dyn Strategy> + Sync)),
            replay: self.arm.replay.then_some(&*self.replay),
        };
        let weights = rounds.run(&self.start, &self.config, split.seed).map_err(|error| refused(error.to_string()))?;
        let scorer = Scorer::new(&weights).map_err(|error| refused(error.to_string()))?;
        Ok(Box::new(Blended { scorer, blend: self.blend.clone() }))
    }
}
