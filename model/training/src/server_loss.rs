//! The loss on the server's own recordings: homes' deltas are checked by it.

use std::sync::Arc;

use burn::tensor::Device;
use hearthwatch_detector::network::{DeviceKind, Network, Weights};
use hearthwatch_evaluation::evaluate::HomePair;
use hearthwatch_federation::{Delta, Rise};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::config::RetrainConfig;
use super::error::TrainError;
use super::loss::loss;
use super::round::RoundRecipe;
use super::sampler::{Batch, Sampler};

/// Windows of the loss: a vetted mean of 1,000 homes, which asks it for most of them, takes 3 s of one core
/// (docs/measurements/2026-11-30-attacks.md).
const WINDOWS: usize = 512;

/// The same windows for every delta: what differs is the weights alone.
#[derive(Debug, Clone)]
pub struct ServerLoss {
    batch: Arc<Batch>,
    anomaly_weight: f32,
    device: Device,
}

impl ServerLoss {
    /// Draws the windows, without jitter, with the share of faults that a home trains on.
    ///
    /// # Errors
    /// [`TrainError::Device`]; [`TrainError::NoFaults`] where there is nothing to draw from.
    pub fn new(homes: &[HomePair], config: &RetrainConfig, seed: u64) -> Result<Self, TrainError> {
        let device = DeviceKind::parse(&config.device)?.open()?;
        let sampler = Sampler::for_validation(homes);
        if !sampler.has_faults() || !sampler.has_normal_time() {
            return Err(TrainError::NoFaults);
        }
        let share = RoundRecipe::home(config.anomaly_weight).faulty_share;
        let batch = sampler.draw(&mut ChaCha8Rng::seed_from_u64(seed), WINDOWS, share, 0.0);
        Ok(Self { batch: Arc::new(batch), anomaly_weight: config.anomaly_weight, device })
    }

    /// The loss of these weights.
    #[must_use]
    pub fn of(&self, weights: &Weights) -> f64 {
        let network = Network::from_weights(weights, &self.device);
        loss(&network, &self.batch, self.anomaly_weight, &self.device).into_scalar::<f32>().into()
    }

    /// By how much a delta raises the loss of `start`; infinite where weights overflow.
    #[must_use]
    pub fn rise(&self, start: &Weights) -> Rise {
        let (own, start) = (self.clone(), start.clone());
        let before = own.of(&start);
        Box::new(move |delta: &Delta| {
            delta.applied_to(&start).map_or(f64::INFINITY, |weights| own.of(&weights) - before)
        })
    }
}

#[cfg(test)]
mod tests {
    use hearthwatch_detector::network::initial_weights;

    use super::super::round::{train_round, train_round_altered};
    use super::*;
    use crate::fixtures::pair;

    #[test]
    fn what_a_home_learnt_lowers_the_loss_and_flipped_labels_raise_it() {
        let homes = [pair(1)];
        let (start, config) = (initial_weights(1), RetrainConfig::default());
        let device = DeviceKind::open_cpu().unwrap();
        let recipe = RoundRecipe { steps: 10, batch: 64, hard_pool: 64, ..RoundRecipe::home(4.0) };
        let rise = ServerLoss::new(&homes, &config, 1).unwrap().rise(&start);
        let honest = train_round(&start, &homes, &[], &recipe, 7, &device).unwrap();
        let flip = |batch: &mut Batch| batch.labels.iter_mut().for_each(|label| *label = 1.0 - *label);
        let flipped = train_round_altered(&start, &homes, &recipe, 7, &device, &flip).unwrap();
        assert_eq!(rise(&Delta::zero()), 0.0);
        assert!(rise(&Delta::between(&start, &honest)) < 0.0);
        assert!(rise(&Delta::between(&start, &flipped)) > 0.0);
    }
}
