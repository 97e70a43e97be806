//! The training loop: Adam, a cosine schedule, early stopping on calibration homes.

use burn::grad_clipping::GradientClippingConfig;
use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::config::RetrainConfig;
use super::loss::loss;
use super::sampler::{Batch, Sampler};
use super::{Progress, TrainError};
use crate::network::{DeviceKind, PatchTree, Weights};

/// Share of the highest step size that the schedule ends with.
const FINAL_RATE_SHARE: f64 = 0.05;

/// Steps over which the step size rises from zero.
const RISE_STEPS: usize = 30;

/// Largest norm of a parameter's gradient.
const GRADIENT_NORM_MAX: f32 = 1.0;

/// Decoupled weight decay (Loshchilov and Hutter 2019).
const WEIGHT_DECAY: f32 = 0.02;

/// Batches between two reports of progress.
const REPORT_EVERY: usize = 8;

/// Windows of a validation batch.
const VALIDATION_BATCH: usize = 512;

/// One epoch's losses.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// From 1.
    pub epoch: usize,
    /// Mean over the epoch's batches.
    pub training_loss: f32,
    /// On the fixed sample of calibration homes, after the epoch.
    pub validation_loss: f32,
}

/// How a fit differs from another one of the same run.
pub(super) struct Plan {
    pub epochs: usize,
    pub learning_rate: f64,
    pub feedback_share: f64,
}

/// Trains from `start` and returns the weights with the lowest validation loss, and the losses on the way.
pub(super) fn fit(
    start: &Weights,
    train: &Sampler<'_>,
    validate: &Sampler<'_>,
    plan: &Plan,
    config: &RetrainConfig,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Weights, Vec<EpochRecord>), TrainError> {
    let plain = DeviceKind::parse(&config.device)?.open()?;
    let device = plain.clone().autodiff();
    let mut network = PatchTree::from_weights(start, &device);
    let mut optimizer = AdamWConfig::new()
        .with_weight_decay(WEIGHT_DECAY)
        .with_grad_clipping(Some(GradientClippingConfig::Norm(GRADIENT_NORM_MAX)))
        .init();
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
    let validation = {
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed ^ VALIDATION_SALT);
        validation_batches(validate, &mut rng, config)
    };
    let steps = (config.windows_per_epoch / config.batch).max(1);
    let mut best =
        (validation_loss(&PatchTree::from_weights(start, &plain), &validation, config, &plain), start.clone());
    let mut history = Vec::new();
    let mut stale = 0;
    for epoch in 1..=plan.epochs {
        let mut total = 0.0;
        for step in 1..=steps {
            let batch = train.draw(&mut rng, config.batch, config.faulty_share, plan.feedback_share);
            let loss = loss(&network, &batch, config.anomaly_weight, &device);
            total += loss.clone().into_scalar::<f32>();
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            let rate = rate_at((epoch - 1) * steps + step - 1, plan.epochs * steps, plan.learning_rate);
            network = optimizer.step(rate, network, gradients);
            if step % REPORT_EVERY == 0 || step == steps {
                let loss = total / step as f32;
                progress(Progress::Training { epoch, epochs: plan.epochs, step, steps, loss });
            }
        }
        if !total.is_finite() {
            return Err(TrainError::Diverged { epoch });
        }
        let weights = network.clone().to_weights()?;
        let validation_loss = validation_loss(&PatchTree::from_weights(&weights, &plain), &validation, config, &plain);
        history.push(EpochRecord { epoch, training_loss: total / steps as f32, validation_loss });
        if validation_loss < best.0 {
            best = (validation_loss, weights);
            stale = 0;
        } else {
            stale += 1;
            if stale >= config.patience {
                break;
            }
        }
    }
    Ok((best.1, history))
}

/// Keeps the validation sample apart from the training draws of the same seed.
const VALIDATION_SALT: u64 = 0x00a1_1d00;

fn validation_batches(sampler: &Sampler<'_>, rng: &mut ChaCha8Rng, config: &RetrainConfig) -> Vec<Batch> {
    if !sampler.has_peace() {
        return Vec::new();
    }
    let count = config.validation_windows.div_ceil(VALIDATION_BATCH).max(1);
    (0..count).map(|_| sampler.draw(rng, VALIDATION_BATCH, config.faulty_share, 0.0)).collect()
}

fn validation_loss(
    network: &PatchTree,
    batches: &[Batch],
    config: &RetrainConfig,
    device: &burn::tensor::Device,
) -> f32 {
    let network = network.valid();
    let total: f32 =
        batches.iter().map(|batch| loss(&network, batch, config.anomaly_weight, device).into_scalar::<f32>()).sum();
    total / batches.len().max(1) as f32
}

/// Rises linearly, then falls along a half cosine.
fn rate_at(step: usize, steps: usize, highest: f64) -> f64 {
    if step < RISE_STEPS {
        return highest * (step + 1) as f64 / RISE_STEPS as f64;
    }
    let share = (step - RISE_STEPS) as f64 / (steps.saturating_sub(RISE_STEPS)).max(1) as f64;
    let cosine = 0.5 * (1.0 + (std::f64::consts::PI * share.min(1.0)).cos());
    highest * (FINAL_RATE_SHARE + (1.0 - FINAL_RATE_SHARE) * cosine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_step_size_rises_and_falls() {
        assert!(rate_at(0, 1000, 1.0) < 0.05);
        assert!((rate_at(RISE_STEPS, 1000, 1.0) - 1.0).abs() < 1e-9);
        assert!((rate_at(1000, 1000, 1.0) - FINAL_RATE_SHARE).abs() < 1e-9);
    }
}
