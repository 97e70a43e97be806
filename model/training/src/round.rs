//! One home's part of a federated round: a few steps from the round's weights on its own history.

use burn::module::ParamId;
use burn::optim::GradientsParams;
use burn::tensor::Device;
use hearthwatch_detector::network::{DeviceKind, Network, Scorer, Weights};
use hearthwatch_evaluation::evaluate::HomePair;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::config::RetrainConfig;
use super::error::TrainError;
use super::fit::optimizer;
use super::loss::loss;
use super::sampler::{Batch, HomeVerdict, Sampler};

/// Seeds of the homes of a round lie this many bits apart.
const HOME_SHIFT: u32 = 40;

/// The seed of a round, counted from 0, in a run with this seed.
#[must_use]
pub fn round_seed(run: u64, round: usize) -> u64 {
    run.wrapping_mul(1_000_003).wrapping_add(round as u64)
}

/// The seed with which a home trains in a round, by its place among the homes.
#[must_use]
pub fn home_seed(round: u64, place: usize) -> u64 {
    round.wrapping_add((place as u64) << HOME_SHIFT)
}

/// How a home trains in a round, or the server on its replay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RoundRecipe {
    /// Steps of the optimizer.
    pub steps: usize,
    /// Windows of a step.
    pub batch: usize,
    /// Highest step size.
    pub learning_rate: f64,
    /// Steps over which the step size rises from zero.
    pub rise_steps: usize,
    /// Share of windows inside faults that were put into copies, in [0, 1].
    pub faulty_share: f64,
    /// Share of the windows from normal time that are drawn among the oddest, in [0, 1].
    pub hard_share: f64,
    /// Windows from normal time among which the oddest are looked for.
    pub hard_pool: usize,
    /// Weight of the label's part in the loss ([`RetrainConfig::anomaly_weight`](crate::RetrainConfig::anomaly_weight)).
    pub anomaly_weight: f32,
}

impl RoundRecipe {
    /// A home's: a fraction of a second of one core.
    #[must_use]
    pub fn home(anomaly_weight: f32) -> Self {
        Self {
            steps: 20,
            batch: 128,
            learning_rate: 1e-3,
            rise_steps: 5,
            faulty_share: 1.0 / 3.0,
            hard_share: 0.2,
            hard_pool: 1024,
            anomaly_weight,
        }
    }

    /// The server's, on recordings that may be learnt from, after the homes' of each round.
    #[must_use]
    pub fn replay(anomaly_weight: f32) -> Self {
        Self { steps: 30, batch: 256, ..Self::home(anomaly_weight) }
    }

    /// The same in one of many rounds: the step size falls along a half cosine to a tenth. `round` counts from 0.
    #[must_use]
    pub fn in_round(self, round: usize, rounds: usize) -> Self {
        let share = round as f64 / rounds.saturating_sub(1).max(1) as f64;
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * share.min(1.0)).cos());
        Self { learning_rate: self.learning_rate * (0.1 + 0.9 * cosine), ..self }
    }
}

/// Trains from `start` on homes with faults in copies, with fresh moments; `verdicts` go with the homes by position, and may be fewer.
///
/// # Errors
/// [`TrainError::NoFaults`] where there is nothing to draw from, [`TrainError::Diverged`] when the loss is no number,
/// [`TrainError::Artifact`].
pub fn train_round(
    start: &Weights,
    homes: &[HomePair],
    verdicts: &[Vec<HomeVerdict>],
    recipe: &RoundRecipe,
    seed: u64,
    plain: &Device,
) -> Result<Weights, TrainError> {
    train(start, (homes, verdicts), recipe, seed, plain, &Variation::default())
}

/// As [`train_round`], with every batch altered before the step: poisoned data.
///
/// # Errors
/// As [`train_round`].
pub fn train_round_altered(
    start: &Weights,
    homes: &[HomePair],
    recipe: &RoundRecipe,
    seed: u64,
    plain: &Device,
    alter: &dyn Fn(&mut Batch),
) -> Result<Weights, TrainError> {
    let variation = Variation { alter: Some(alter), ..Variation::default() };
    train(start, (homes, &[]), recipe, seed, plain, &variation)
}

/// As [`train_round`] for the last layer alone, on one home's history: weights that a home may keep for itself.
///
/// # Errors
/// As [`train_round`].
pub fn train_head(
    start: &Weights,
    home: &HomePair,
    recipe: &RoundRecipe,
    seed: u64,
    plain: &Device,
) -> Result<Weights, TrainError> {
    // A parameter's id is one more than its place in the layout, which is sorted by name.
    let of_head = |(_, (name, _)): &(usize, (&str, _))| name.starts_with("head.");
    let head: Vec<ParamId> =
        start.iter().enumerate().filter(of_head).map(|(place, _)| ParamId::from(place as u64 + 1)).collect();
    train(
        start,
        (std::slice::from_ref(home), &[]),
        recipe,
        seed,
        plain,
        &Variation { only: Some(&head), ..Variation::default() },
    )
}

/// How a training differs from [`train_round`].
#[derive(Default)]
struct Variation<'a> {
    /// The parameters that are trained; none trains all.
    only: Option<&'a [ParamId]>,
    /// Changes each batch before the step.
    alter: Option<&'a dyn Fn(&mut Batch)>,
}

fn train(
    start: &Weights,
    (homes, verdicts): (&[HomePair], &[Vec<HomeVerdict>]),
    recipe: &RoundRecipe,
    seed: u64,
    plain: &Device,
    variation: &Variation<'_>,
) -> Result<Weights, TrainError> {
    let mut sampler = Sampler::for_round(homes, verdicts);
    if !sampler.has_faults() || !sampler.has_normal_time() {
        return Err(TrainError::NoFaults);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    sampler.find_hard(&Scorer::on(start, plain), &mut rng, recipe.hard_share, recipe.hard_pool);
    let device = plain.clone().autodiff();
    let mut network = Network::from_weights(start, &device);
    let mut optimizer = optimizer();
    for step in 0..recipe.steps {
        let mut batch = sampler.draw(&mut rng, recipe.batch, recipe.faulty_share, 0.0);
        if let Some(alter) = variation.alter {
            alter(&mut batch);
        }
        let loss = loss(&network, &batch, recipe.anomaly_weight, &device);
        if !loss.clone().into_scalar::<f32>().is_finite() {
            return Err(TrainError::Diverged { epoch: 1 });
        }
        let mut gradients = loss.backward();
        let gradients = match variation.only {
            Some(ids) => GradientsParams::from_params(&mut gradients, &network, ids),
            None => GradientsParams::from_grads(gradients, &network),
        };
        let rate = recipe.learning_rate * ((step + 1) as f64 / recipe.rise_steps.max(1) as f64).min(1.0);
        network = optimizer.step(rate, network, gradients);
    }
    Ok(network.to_weights()?)
}

/// Windows of a batch of a held-out loss.
const HELD_OUT_WINDOWS: usize = 512;
/// Batches of a held-out loss.
const HELD_OUT_BATCHES: usize = 8;

/// The mean loss on homes that took no part, over windows without jitter, a third of them inside faults. One seed of the configuration
/// draws the same windows each time.
///
/// # Errors
/// [`TrainError::Device`]; [`TrainError::NoFaults`] where there is nothing to draw from.
pub fn held_out_loss(weights: &Weights, homes: &[HomePair], config: &RetrainConfig) -> Result<f32, TrainError> {
    let device = DeviceKind::parse(&config.device)?.open()?;
    let sampler = Sampler::for_validation(homes);
    if !sampler.has_faults() || !sampler.has_normal_time() {
        return Err(TrainError::NoFaults);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
    let share = RoundRecipe::home(config.anomaly_weight).faulty_share;
    let network = Network::from_weights(weights, &device);
    let total: f32 = (0..HELD_OUT_BATCHES)
        .map(|_| {
            let batch = sampler.draw(&mut rng, HELD_OUT_WINDOWS, share, 0.0);
            loss(&network, &batch, config.anomaly_weight, &device).into_scalar::<f32>()
        })
        .sum();
    Ok(total / HELD_OUT_BATCHES as f32)
}

#[cfg(test)]
mod tests {
    use hearthwatch_detector::network::{DeviceKind, initial_weights};

    use super::*;
    use crate::fixtures::pair;

    fn recipe() -> RoundRecipe {
        RoundRecipe { steps: 3, batch: 32, hard_pool: 64, ..RoundRecipe::home(4.0) }
    }

    #[test]
    fn a_home_changes_the_weights_the_same_way_each_time() {
        let (start, homes, device) = (initial_weights(1), [pair(1)], DeviceKind::open_cpu().unwrap());
        let trained = || train_round(&start, &homes, &[], &recipe(), 7, &device).unwrap();
        assert_ne!(trained().id(), start.id());
        assert_eq!(trained().id(), trained().id());
    }

    #[test]
    fn training_the_head_changes_nothing_else() {
        let (start, device) = (initial_weights(1), DeviceKind::open_cpu().unwrap());
        let trained = train_head(&start, &pair(1), &recipe(), 7, &device).unwrap();
        let changed: Vec<&str> =
            trained.iter().filter(|(name, tensor)| start.get(name) != Some(*tensor)).map(|(name, _)| name).collect();
        assert_eq!(changed, ["head.bias", "head.weight"]);
    }

    #[test]
    fn a_history_without_a_fault_to_learn_from_gives_nothing() {
        let device = DeviceKind::open_cpu().unwrap();
        let refused = train_round(&initial_weights(1), &[pair(0)], &[], &recipe(), 7, &device);
        assert_eq!(refused.unwrap_err(), TrainError::NoFaults);
    }

    #[test]
    fn the_step_size_falls_to_a_tenth_over_the_rounds() {
        let rate = |round| RoundRecipe::home(4.0).in_round(round, 15).learning_rate;
        assert!((rate(0) - 1e-3).abs() < 1e-9 && (rate(14) - 1e-4).abs() < 1e-9);
        assert!((1..15).all(|round| rate(round) < rate(round - 1)));
    }
}
