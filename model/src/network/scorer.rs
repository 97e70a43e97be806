//! Runs the network on windows: the only part of it an agent needs.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

use super::device::{DeviceError, DeviceKind};
use super::form::{CLASS_SLOTS, Network, OUTPUTS, WINDOW_VALUES, one_hot, tame};
use super::weights::Weights;

/// Windows in one pass. The inputs of 8 windows are 60 KiB and their widest activations 24 KiB: what a core keeps close.
/// Measured on a shared two-core machine: 18 µs a window at batch 1, 7 in passes of 8, 12 to 15 in passes of 32 and more.
const MICRO_BATCH: usize = 8;

/// What the network says about one window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NetworkOutput {
    /// Raw anomaly logit of the window's last step; larger is odder.
    pub logit: f32,
    /// Quantiles of the next step's normalised residual at [`super::QUANTILE_LEVELS`], never decreasing.
    pub quantiles: [f32; 5],
}

/// A network ready to score. Cheap to clone, safe to share between threads.
#[derive(Debug, Clone)]
pub struct Scorer {
    network: Network,
    device: Device,
}

impl Scorer {
    /// A scorer on the CPU.
    ///
    /// # Errors
    /// [`DeviceError::NotBuilt`] when the build holds no CPU backend.
    pub fn new(weights: &Weights) -> Result<Self, DeviceError> {
        Ok(Self::on(weights, &DeviceKind::open_cpu()?))
    }

    /// A scorer on an opened device.
    #[must_use]
    pub fn on(weights: &Weights, device: &Device) -> Self {
        Self { network: Network::from_weights(weights, device).valid(), device: device.clone() }
    }

    /// Scores `classes.len()` windows laid one after another.
    ///
    /// # Shapes
    /// `windows`: `classes.len() * WINDOW_STEPS * FEATURES` values, oldest step first. Values that are not finite count
    /// as zero. `classes`: `DeviceClass::index()` of each window.
    ///
    /// # Panics
    /// When `windows` does not hold exactly one window for each class.
    #[must_use]
    pub fn score(&self, windows: &[f32], classes: &[usize]) -> Vec<NetworkOutput> {
        assert_eq!(windows.len(), classes.len() * WINDOW_VALUES, "one window of {WINDOW_VALUES} values for each class");
        let mut outputs = Vec::with_capacity(classes.len());
        for (windows, classes) in windows.chunks(MICRO_BATCH * WINDOW_VALUES).zip(classes.chunks(MICRO_BATCH)) {
            self.score_batch(windows, classes, &mut outputs);
        }
        outputs
    }

    fn score_batch(&self, windows: &[f32], classes: &[usize], outputs: &mut Vec<NetworkOutput>) {
        let n = classes.len();
        let values: Vec<f32> = windows.iter().map(|value| tame(*value)).collect();
        let windows = Tensor::<2>::from_data(TensorData::new(values, [n, WINDOW_VALUES]), &self.device);
        let classes = Tensor::<2>::from_data(TensorData::new(one_hot(classes), [n, CLASS_SLOTS]), &self.device);
        let rows = self.network.forward(windows, classes).into_data();
        let rows = rows.as_slice::<f32>().expect("the network computes in f32");
        outputs.extend(rows.chunks_exact(OUTPUTS).map(|row| {
            let mut quantiles = [row[0], row[1], row[2], row[3], row[4]];
            quantiles.sort_by(f32::total_cmp);
            NetworkOutput { logit: row[5], quantiles }
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Form;
    use crate::network::artifact::golden_windows;

    fn assert_shareable<T: Send + Sync>() {}

    #[test]
    fn is_send_and_sync() {
        assert_shareable::<Scorer>();
    }

    #[test]
    fn batches_score_as_single_windows_do() {
        let scorer = Scorer::new(&Form::PatchTree.initial_weights(1)).unwrap();
        let (one, _) = golden_windows();
        let count = 2 * MICRO_BATCH + 3;
        let windows: Vec<f32> = one.iter().copied().cycle().take(count * WINDOW_VALUES).collect();
        let classes: Vec<usize> = (0..count).map(|index| index % CLASS_SLOTS).collect();
        let together = scorer.score(&windows, &classes);
        for (index, window) in windows.chunks_exact(WINDOW_VALUES).enumerate() {
            let alone = scorer.score(window, &classes[index..=index])[0];
            assert!((alone.logit - together[index].logit).abs() < 1e-5);
        }
    }

    #[test]
    fn values_that_are_not_finite_count_as_zero() {
        let scorer = Scorer::new(&Form::PatchTree.initial_weights(1)).unwrap();
        let mut window = vec![0.0; WINDOW_VALUES];
        let clean = scorer.score(&window, &[0]);
        window[5] = f32::NAN;
        window[6] = f32::INFINITY;
        assert_eq!(scorer.score(&window, &[0]), clean);
    }

    #[test]
    fn quantiles_never_cross() {
        let scorer = Scorer::new(&Form::PatchTree.initial_weights(9)).unwrap();
        let (windows, classes) = golden_windows();
        for output in scorer.score(&windows, &classes) {
            assert!(output.quantiles.windows(2).all(|pair| pair[0] <= pair[1]));
        }
    }

    /// The same suite for every backend: same weights and inputs, same outputs within 1e-4.
    #[cfg(feature = "ndarray")]
    #[test]
    fn every_backend_of_this_build_computes_the_same() {
        let (windows, classes) = golden_windows();
        let mut kinds = vec![DeviceKind::NdArray];
        if DeviceKind::Cuda.open().is_ok() {
            kinds.push(DeviceKind::Cuda);
        }
        for (form, kind) in Form::ALL.into_iter().flat_map(|form| kinds.iter().map(move |kind| (form, kind))) {
            let weights = form.initial_weights(5);
            let reference = Scorer::on(&weights, &DeviceKind::Flex.open().unwrap()).score(&windows, &classes);
            let other = Scorer::on(&weights, &kind.open().unwrap()).score(&windows, &classes);
            for (left, right) in reference.iter().zip(&other) {
                assert!((left.logit - right.logit).abs() < 1e-4, "{} disagrees with flex", kind.as_str());
                for (a, b) in left.quantiles.iter().zip(&right.quantiles) {
                    assert!((a - b).abs() < 1e-4, "{} disagrees with flex", kind.as_str());
                }
            }
        }
    }
}
