//! Federated rounds in one process: what the server and the homes do in turn, for measuring.

use burn::tensor::Device;
use hearthwatch_detector::network::{DeviceKind, Weights};
use hearthwatch_evaluation::evaluate::{HomePair, fan_out};
use hearthwatch_federation::{Delta, Quantised, Strategy};

use super::config::RetrainConfig;
use super::error::TrainError;
use super::prepare::Prepared;
use super::round::{RoundRecipe, home_seed, round_seed, train_round};
use super::sampler::HomeVerdict;

/// Rounds: who takes part, and what the server does.
#[derive(Clone, Copy)]
pub struct FederatedRounds<'a> {
    /// How many rounds.
    pub rounds: usize,
    /// The homes' histories with faults in copies; none of it leaves a home, only its quantised delta does.
    pub homes: &'a [HomePair],
    /// What residents answered, by the position of the home; may be shorter.
    pub verdicts: &'a [Vec<HomeVerdict>],
    /// How deltas become one; without one no home trains.
    pub strategy: Option<&'a (dyn Fn() -> Box<dyn Strategy> + Sync)>,
    /// Recordings that the server trains on after each round; without them it does not.
    pub replay: Option<&'a Prepared>,
}

impl std::fmt::Debug for FederatedRounds<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let strategy = self.strategy.map(|strategy| strategy().name());
        f.debug_struct("FederatedRounds")
            .field("rounds", &self.rounds)
            .field("strategy", &strategy)
            .finish_non_exhaustive()
    }
}

/// How homes and server train in the first round; the step size falls over the others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RoundRecipes {
    /// A home's.
    pub home: RoundRecipe,
    /// The server's.
    pub replay: RoundRecipe,
    /// How far the server goes along what the homes together changed; 1 is federated averaging. A mean over homes that pull in different
    /// directions is shorter than what one home with all histories would have learnt.
    pub server_step: f64,
}

impl RoundRecipes {
    /// The usual ones ([`RoundRecipe::home`], [`RoundRecipe::replay`]).
    #[must_use]
    pub fn usual(anomaly_weight: f32) -> Self {
        Self { home: RoundRecipe::home(anomaly_weight), replay: RoundRecipe::replay(anomaly_weight), server_step: 1.0 }
    }
}

impl FederatedRounds<'_> {
    /// The weights after the last round of [`RoundRecipes::usual`].
    ///
    /// # Errors
    /// As [`Self::run_by`].
    pub fn run(&self, start: &Weights, config: &RetrainConfig, seed: u64) -> Result<Weights, TrainError> {
        self.run_by(&RoundRecipes::usual(config.anomaly_weight), start, config, seed)
    }

    /// The weights after the last round.
    ///
    /// # Errors
    /// [`TrainError::Device`]; [`TrainError::NoFaults`] and [`TrainError::Diverged`] of the replay, [`TrainError::Artifact`] where weights
    /// overflow. A home that cannot train takes no part.
    pub fn run_by(
        &self,
        recipes: &RoundRecipes,
        start: &Weights,
        config: &RetrainConfig,
        seed: u64,
    ) -> Result<Weights, TrainError> {
        let device = DeviceKind::parse(&config.device)?.open()?;
        let mut weights = start.clone();
        for round in 0..self.rounds {
            let seed = round_seed(seed, round);
            let in_round = |recipe: RoundRecipe| recipe.in_round(round, self.rounds);
            if let Some(strategy) = self.strategy {
                let recipe = in_round(recipes.home);
                weights =
                    self.average(&weights, strategy(), (&recipe, recipes.server_step, config.threads), seed, &device)?;
            }
            if let Some(replay) = self.replay {
                let recipe = in_round(recipes.replay);
                weights = train_round(&weights, &replay.train, &[], &recipe, seed, &device)?;
            }
        }
        Ok(weights)
    }

    fn average(
        &self,
        start: &Weights,
        mut strategy: Box<dyn Strategy>,
        (recipe, server_step, threads): (&RoundRecipe, f64, usize),
        seed: u64,
        device: &Device,
    ) -> Result<Weights, TrainError> {
        let places: Vec<usize> = (0..self.homes.len()).collect();
        let train = |place: &usize| {
            let verdicts = self.verdicts.get(*place..=*place).unwrap_or(&[]);
            train_round(start, &self.homes[*place..=*place], verdicts, recipe, home_seed(seed, *place), device)
        };
        for (place, end) in fan_out(&places, threads, train, |_| {}).into_iter().enumerate() {
            // A home sends its delta in eight bits a value.
            let sent = end.ok().and_then(|end| Quantised::of(&Delta::between(start, &end)).restore().ok());
            if let Some(delta) = sent {
                strategy.add(&place.to_string(), delta);
            }
        }
        match strategy.finish() {
            Some(aggregate) => Ok(aggregate.delta.scaled(server_step).applied_to(start)?),
            None => Ok(start.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use hearthwatch_detector::network::initial_weights;
    use hearthwatch_federation::Mean;

    use super::*;
    use crate::fixtures::pair;

    fn rounds(homes: &[HomePair]) -> FederatedRounds<'_> {
        FederatedRounds { rounds: 1, homes, verdicts: &[], strategy: Some(&|| Box::<Mean>::default()), replay: None }
    }

    #[test]
    fn a_home_that_cannot_train_takes_no_part_and_without_any_the_weights_stay() {
        let (start, config) = (initial_weights(1), RetrainConfig::default());
        let ids = |homes: &[HomePair]| rounds(homes).run(&start, &config, 1).unwrap().id();
        assert_eq!(ids(&[]), start.id());
        assert_eq!(ids(&[pair(0)]), start.id());
        assert_ne!(ids(&[pair(1)]), start.id());
        assert_eq!(ids(&[pair(1), pair(0)]), ids(&[pair(1)]));
    }

    #[test]
    fn the_server_moves_by_its_step_times_what_homes_changed() {
        let (start, config, homes) = (initial_weights(1), RetrainConfig::default(), [pair(1)]);
        let usual = RoundRecipes::usual(config.anomaly_weight);
        let change = |server_step: f64| {
            let recipes = RoundRecipes { server_step, ..usual };
            Delta::between(&start, &rounds(&homes).run_by(&recipes, &start, &config, 1).unwrap()).norm()
        };
        assert_eq!(change(0.0), 0.0);
        assert!((change(2.0) / change(1.0) - 2.0).abs() < 1e-3);
    }
}
