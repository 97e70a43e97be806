//! Federated rounds in every fold of the detection benchmark: never shipped, only measured.

use std::sync::{Arc, Mutex};

use hearthwatch_detector::alarm::Blend;
use hearthwatch_detector::network::{DeviceKind, Scorer, Weights};
use hearthwatch_evaluation::evaluate::{Blended, Detector, Method, NotReady, TrainingSplit, fan_out};
use hearthwatch_federation::{Delta, Quantised, Strategy};

use super::config::RetrainConfig;
use super::fold_homes::FoldHomes;
use super::prepare::Prepared;
use super::round::{RoundRecipe, train_round};

/// What a line of the table does in each round.
#[derive(Debug, Clone, Copy)]
pub enum FederatedArm {
    /// The server's replay alone: as many of its steps, without homes.
    Replay,
    /// The homes' deltas alone.
    Homes(fn() -> Box<dyn Strategy>),
    /// The homes' deltas, then replay.
    HomesAndReplay(fn() -> Box<dyn Strategy>),
}

/// Rounds over a fold's training homes, each of which keeps its history and gives a quantised delta.
#[derive(Debug)]
pub struct FederatedTrainer {
    name: String,
    arm: FederatedArm,
    rounds: usize,
    start: Weights,
    blend: Blend,
    replay: Arc<Prepared>,
    config: RetrainConfig,
    seeds: u64,
    homes: Mutex<Option<FoldHomes>>,
}

impl FederatedTrainer {
    /// `start` are the weights of the first round, `blend` how what comes of it is joined with the baseline score; `replay` holds the
    /// recordings of the server. Measured with the seeds from 1 to `seeds`.
    #[must_use]
    pub fn new(
        (name, arm): (&str, FederatedArm),
        rounds: usize,
        (start, blend): (Weights, Blend),
        replay: Arc<Prepared>,
        config: RetrainConfig,
        seeds: u64,
    ) -> Self {
        Self { name: name.to_owned(), arm, rounds, start, blend, replay, config, seeds, homes: Mutex::new(None) }
    }

    fn refused(&self, why: impl std::fmt::Display) -> NotReady {
        NotReady(format!("{}: {why}", self.name))
    }

    fn train(&self, homes: &FoldHomes, seed: u64) -> Result<Weights, NotReady> {
        let device = DeviceKind::parse(&self.config.device).and_then(DeviceKind::open);
        let device = device.map_err(|error| self.refused(error))?;
        let mut weights = self.start.clone();
        for round in 0..self.rounds {
            let seed = seed.wrapping_mul(1_000_003).wrapping_add(round as u64);
            let recipe = |recipe: RoundRecipe| recipe.in_round(round, self.rounds);
            if let FederatedArm::Homes(strategy) | FederatedArm::HomesAndReplay(strategy) = self.arm {
                let recipe = recipe(RoundRecipe::home(self.config.anomaly_weight));
                let numbered: Vec<(usize, _)> = homes.train.iter().enumerate().collect();
                let train = |(number, pair): &(usize, &_)| {
                    let seed = seed.wrapping_add((*number as u64) << HOME_SHIFT);
                    train_round(&weights, std::slice::from_ref(*pair), &[], &recipe, seed, &device)
                };
                let trained = fan_out(&numbered, self.config.threads, train, |_| {});
                let mut strategy = strategy();
                for (number, end) in trained.into_iter().enumerate() {
                    // A home whose history holds nothing to draw from has nothing to give.
                    let Ok(end) = end else { continue };
                    let sent = Quantised::of(&Delta::between(&weights, &end));
                    strategy.add(&number.to_string(), sent.restore().map_err(|error| self.refused(error))?);
                }
                if let Some(aggregate) = strategy.finish() {
                    weights = aggregate.delta.applied_to(&weights).map_err(|error| self.refused(error))?;
                }
            }
            if let FederatedArm::Replay | FederatedArm::HomesAndReplay(_) = self.arm {
                let recipe = recipe(RoundRecipe::replay(self.config.anomaly_weight));
                weights = train_round(&weights, &self.replay.train, &[], &recipe, seed, &device)
                    .map_err(|error| self.refused(error))?;
            }
        }
        Ok(weights)
    }
}

/// Seeds of the homes of a round lie this many bits apart.
const HOME_SHIFT: u32 = 40;

impl Method for FederatedTrainer {
    fn name(&self) -> &str {
        &self.name
    }

    fn seeds(&self) -> Vec<u64> {
        (1..=self.seeds).collect()
    }

    fn prepare<'a>(&'a self, split: &TrainingSplit<'_>) -> Result<Box<dyn Detector + 'a>, NotReady> {
        let mut homes = self.homes.lock().map_err(|_| self.refused("an earlier fold panicked"))?;
        let homes = FoldHomes::kept(&mut homes, split, &split.families, &self.config);
        let weights = self.train(homes, split.seed)?;
        let scorer = Scorer::new(&weights).map_err(|error| self.refused(error))?;
        Ok(Box::new(Blended { scorer, blend: self.blend.clone() }))
    }
}
