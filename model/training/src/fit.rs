//! The training loop: Adam, a cosine schedule, from a fresh start early stopping on calibration homes.

use std::ops::ControlFlow;

use burn::grad_clipping::GradientClippingConfig;
use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::Device;
use hearthwatch_detector::network::{DeviceKind, Network, Scorer, Weights};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::checkpoint::{Checkpoint, Checkpoints};
use super::config::RetrainConfig;
use super::error::TrainError;
use super::loss::{EpochRecord, loss};
use super::progress::{Progress, report_progress};
use super::sampler::{Batch, Sampler};

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

/// Windows from normal time that are looked at for hard ones in an epoch: a third of a default epoch's training.
const HARD_POOL: usize = 8192;

/// Windows of a validation batch.
const VALIDATION_BATCH: usize = 512;

/// How a fit differs from another one of the same run.
pub(super) struct Plan {
    pub epochs: usize,
    pub learning_rate: f64,
    pub feedback_share: f64,
    /// Whether the loss on calibration homes stops the training and chooses among its epochs. Not so where a champion is fine-tuned:
    /// it was chosen by that loss, any step away from it first raises it, and what is learnt from answers would be thrown away.
    pub stops_early: bool,
}

/// AdamW with clipped gradients, its moments empty.
pub fn optimizer() -> ModuleOptimizer {
    AdamWConfig::new()
        .with_weight_decay(WEIGHT_DECAY)
        .with_grad_clipping(Some(GradientClippingConfig::Norm(GRADIENT_NORM_MAX)))
        .init()
}

/// What a fit draws its windows from, and what it is stopped by.
pub(super) struct Samplers<'a> {
    pub train: Sampler<'a>,
    pub validate: Sampler<'a>,
}

/// Trains from `start` and returns the weights with the lowest validation loss, or the last ones where the plan does not stop early, and
/// the losses on the way. After each epoch it keeps a checkpoint; one of the very same fit is gone on from, and gives the same weights
/// as if it had never been cut off.
pub(super) fn fit(
    start: &Weights,
    samplers: &mut Samplers<'_>,
    plan: &Plan,
    config: &RetrainConfig,
    kept: &mut Kept<'_>,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<(Weights, Vec<EpochRecord>), TrainError> {
    let plain = DeviceKind::parse(&config.device)?.open()?;
    let validation = {
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed ^ VALIDATION_SALT);
        validation_batches(&samplers.validate, &mut rng, config)
    };
    let judge =
        |weights: &Weights| validation_loss(&Network::from_weights(weights, &plain), &validation, config, &plain);
    let mut optimizer = optimizer();
    let mut at = match kept.load() {
        Some(checkpoint) => {
            optimizer = checkpoint.restore(optimizer).ok_or(TrainError::Checkpoint)?;
            checkpoint
        }
        None => Checkpoint {
            epoch: 0,
            stale: 0,
            best_loss: judge(start),
            best: start.clone(),
            last: start.clone(),
            history: Vec::new(),
            rng: ChaCha8Rng::seed_from_u64(config.seed),
            optimizer: Vec::new(),
        },
    };
    while at.epoch < plan.epochs && (at.stale < config.fit.patience || !plan.stops_early) {
        if at.epoch > 0 {
            samplers.train.find_hard(&Scorer::on(&at.last, &plain), &mut at.rng, config.mix.hard_share, HARD_POOL);
        }
        let training_loss = epoch(&mut at, &mut optimizer, &samplers.train, plan, config, &plain, progress)?;
        let validation_loss = judge(&at.last);
        at.history.push(EpochRecord { epoch: at.epoch, training_loss, validation_loss });
        if validation_loss < at.best_loss {
            (at.best_loss, at.best, at.stale) = (validation_loss, at.last.clone(), 0);
        } else {
            at.stale += 1;
        }
        // Moments that cannot be written only cost a resumption.
        if let Ok(moments) = optimizer.into_bytes() {
            at.optimizer = moments.to_vec();
            kept.save(&at);
        }
    }
    Ok((if plan.stops_early { at.best } else { at.last }, at.history))
}

/// One epoch from the newest weights on, which it replaces and counts; returns its mean training loss. `plain` is the device without
/// gradients.
fn epoch(
    at: &mut Checkpoint,
    optimizer: &mut ModuleOptimizer,
    train: &Sampler<'_>,
    plan: &Plan,
    config: &RetrainConfig,
    plain: &Device,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<f32, TrainError> {
    let device = plain.clone().autodiff();
    let epoch = at.epoch + 1;
    let steps = (config.fit.windows_per_epoch / config.fit.batch).max(1);
    let mut network = Network::from_weights(&at.last, &device);
    let mut total = 0.0;
    for step in 1..=steps {
        let batch = train.draw(&mut at.rng, config.fit.batch, config.mix.faulty_share, plan.feedback_share);
        let loss = loss(&network, &batch, config.anomaly_weight, &device);
        total += loss.clone().into_scalar::<f32>();
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        let rate = rate_at((epoch - 1) * steps + step - 1, plan.epochs * steps, plan.learning_rate);
        network = optimizer.step(rate, network, gradients);
        if step % REPORT_EVERY == 0 || step == steps {
            let loss = total / step as f32;
            report_progress(progress, Progress::Training { epoch, epochs: plan.epochs, step, steps, loss })?;
        }
    }
    if !total.is_finite() {
        return Err(TrainError::Diverged { epoch });
    }
    at.last = network.to_weights()?;
    at.epoch = epoch;
    Ok(total / steps as f32)
}

/// The checkpoints of one fit: those of another corpus, configuration or start are not its own.
pub(super) struct Kept<'a> {
    pub checkpoints: &'a mut dyn Checkpoints,
    pub part: &'static str,
    pub fingerprint: String,
}

impl Kept<'_> {
    fn load(&mut self) -> Option<Checkpoint> {
        Checkpoint::parse(&self.checkpoints.load(self.part)?, &self.fingerprint)
    }

    fn save(&mut self, checkpoint: &Checkpoint) {
        self.checkpoints.save(self.part, &checkpoint.to_bytes(&self.fingerprint));
    }
}

/// Keeps the validation sample apart from the training draws of the same seed.
const VALIDATION_SALT: u64 = 0x00a1_1d00;

fn validation_batches(sampler: &Sampler<'_>, rng: &mut ChaCha8Rng, config: &RetrainConfig) -> Vec<Batch> {
    if !sampler.has_normal_time() {
        return Vec::new();
    }
    let count = config.validation_windows.div_ceil(VALIDATION_BATCH).max(1);
    (0..count).map(|_| sampler.draw(rng, VALIDATION_BATCH, config.mix.faulty_share, 0.0)).collect()
}

fn validation_loss(network: &Network, batches: &[Batch], config: &RetrainConfig, device: &Device) -> f32 {
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
