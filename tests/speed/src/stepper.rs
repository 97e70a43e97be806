//! Optimizer steps on made-up windows: what benches time. Nothing is learnt.

use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Device;
use hearthwatch_detector::network::{DeviceKind, Network, WINDOW_VALUES, initial_weights};
use hearthwatch_training::{Batch, TrainError, loss, optimizer};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The step of a fit, over and over on one batch.
pub struct TrainStepBench {
    network: Network,
    optimizer: ModuleOptimizer,
    batch: Batch,
    device: Device,
}

impl std::fmt::Debug for TrainStepBench {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrainStepBench")
            .field("batch", &self.batch.len())
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

impl TrainStepBench {
    /// A bench for batches of so many windows on a device.
    ///
    /// # Errors
    /// [`TrainError::Device`].
    pub fn new(device: DeviceKind, batch: usize) -> Result<Self, TrainError> {
        let device = device.open()?.autodiff();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let faulty = |index: usize| f32::from(u8::from(index.is_multiple_of(3)));
        let batch = Batch {
            windows: (0..batch * WINDOW_VALUES).map(|_| 2.0 * rng.random::<f32>() - 1.0).collect(),
            classes: (0..batch).map(|index| index % 4).collect(),
            labels: (0..batch).map(faulty).collect(),
            weights: vec![1.0; batch],
            targets: vec![0.0; batch],
            known: (0..batch).map(|index| 1.0 - faulty(index)).collect(),
        };
        let network = Network::from_weights(&initial_weights(1), &device);
        Ok(Self { network, optimizer: optimizer(), batch, device })
    }

    /// One step: forward, loss, backward, AdamW. Returns the loss, which waits for the device.
    pub fn step(&mut self) -> f32 {
        /// The weight of the anomaly loss and the step size of a default run.
        const ANOMALY_WEIGHT: f32 = 4.0;
        const RATE: f64 = 1e-3;
        let loss = loss(&self.network, &self.batch, ANOMALY_WEIGHT, &self.device);
        let value = loss.clone().into_scalar::<f32>();
        let gradients = GradientsParams::from_grads(loss.backward(), &self.network);
        self.network = self.optimizer.step(RATE, self.network.clone(), gradients);
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_makes_the_loss_of_its_one_batch_smaller() {
        let mut bench = TrainStepBench::new(DeviceKind::Flex, 32).unwrap();
        let first = bench.step();
        let last = (0..20).map(|_| bench.step()).last().unwrap();
        assert!(last < first, "{first} then {last}");
    }
}
