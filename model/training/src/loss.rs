//! What the network is trained to make small: quantile loss in normal time, cross-entropy on faults.

use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};
use hearthwatch_detector::network::{CLASS_SLOTS, Network, QUANTILE_LEVELS, WINDOW_VALUES, one_hot};
use serde::{Deserialize, Serialize};

use super::sampler::Batch;

/// Losses of one epoch: quantile loss, and cross-entropy times the run's anomaly weight.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Counted from 1.
    pub epoch: usize,
    /// Mean over the epoch's batches.
    pub training_loss: f32,
    /// On the fixed sample of calibration homes, after the epoch.
    pub validation_loss: f32,
}

/// The loss of a batch on a device: a scalar tensor.
///
/// Pinball loss (Koenker and Bassett 1978) of the next step's residual over windows from normal time, averaged over quantiles,
/// plus `anomaly_weight` times the weighted binary cross-entropy of the logit over all windows.
pub fn loss(network: &Network, batch: &Batch, anomaly_weight: f32, device: &Device) -> Tensor<1> {
    let n = batch.len();
    let column = |values: &[f32]| Tensor::<2>::from_data(TensorData::new(values.to_vec(), [n, 1]), device);
    let windows = Tensor::<2>::from_data(TensorData::new(batch.windows.clone(), [n, WINDOW_VALUES]), device);
    let classes = Tensor::<2>::from_data(TensorData::new(one_hot(&batch.classes), [n, CLASS_SLOTS]), device);
    let outputs = network.forward(windows, classes);
    let quantiles = outputs.clone().slice([0..n, 0..QUANTILE_LEVELS.len()]);
    let logits = outputs.slice([0..n, QUANTILE_LEVELS.len()..QUANTILE_LEVELS.len() + 1]);

    let levels = Tensor::<2>::from_data(TensorData::new(QUANTILE_LEVELS.to_vec(), [1, QUANTILE_LEVELS.len()]), device);
    let misses = column(&batch.targets) - quantiles;
    // τ·d for d > 0 and (τ − 1)·d for d < 0 in one expression.
    let pinball = misses.clone() * levels + relu(misses.neg());
    let known: f32 = batch.known.iter().sum();
    let pinball = (pinball * column(&batch.known)).sum().div_scalar(known.max(1.0) * QUANTILE_LEVELS.len() as f32);

    // max(x, 0) − x·y + ln(1 + e^−|x|): the cross-entropy that does not overflow.
    let entropy = relu(logits.clone()) - logits.clone() * column(&batch.labels) + logits.abs().neg().exp().log1p();
    let weight: f32 = batch.weights.iter().sum();
    let entropy = (entropy * column(&batch.weights)).sum().div_scalar(weight.max(1e-6));
    pinball + entropy.mul_scalar(anomaly_weight)
}
