//! Runs the network on windows: the only part of it an agent needs.

use burn::tensor::{Device, Tensor, TensorData};

use super::device::{DeviceError, DeviceKind};
use super::inference::{InferenceNetwork, SEEN};
use super::layout::{OUTPUTS, WINDOW_VALUES, tame};
use super::weights::Weights;
use crate::grid::{FEATURES, WINDOW_STEPS};

/// Windows in one pass. The inputs of 8 windows are 60 KiB and their widest activations 24 KiB: what a core keeps close.
/// `cargo xtask bench edge` printed 10.5 µs a window alone and 4.9 µs in passes of 8, on one core of a two-core machine.
pub(crate) const MICRO_BATCH: usize = 8;

/// Windows of a series in one pass: at this length the 95 rows that only lead up to the first window are a fourteenth of the
/// products (1.0 of 15 million), and the widest activations, 348 values a window, are 700 KiB.
const SERIES: usize = 512;

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
    network: InferenceNetwork,
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
        Self { network: InferenceNetwork::from_weights(weights, device), device: device.clone() }
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

    /// Scores every window of a series of rows of one class: the window that ends with row `WINDOW_STEPS - 1`, with the
    /// next one, and so on. The same as [`Self::score`] of each but for rounding, at a fraction of the work.
    ///
    /// # Shapes
    /// `rows`: whole rows of `FEATURES` values, oldest first, at least `WINDOW_STEPS` of them for any output. `class`:
    /// `DeviceClass::index()`.
    #[must_use]
    pub fn score_series(&self, rows: &[f32], class: usize) -> Vec<NetworkOutput> {
        let windows = (rows.len() / FEATURES + 1).saturating_sub(WINDOW_STEPS);
        let mut outputs = Vec::with_capacity(windows);
        for first in (0..windows).step_by(SERIES) {
            let count = SERIES.min(windows - first);
            let rows: Vec<f32> = tamed(&rows[first * FEATURES..(first + count + WINDOW_STEPS - 1) * FEATURES]);
            let seen = seen(&rows[(WINDOW_STEPS - 1) * FEATURES..], FEATURES, std::iter::repeat_n(class, count));
            let rows = self.tensor(rows, FEATURES);
            read(self.network.forward_series(&rows, self.tensor(seen, SEEN)), &mut outputs);
        }
        outputs
    }

    fn score_batch(&self, windows: &[f32], classes: &[usize], outputs: &mut Vec<NetworkOutput>) {
        let windows = tamed(windows);
        let seen = seen(&windows, WINDOW_VALUES, classes.iter().copied());
        let windows = self.tensor(windows, WINDOW_VALUES);
        read(self.network.forward(windows, self.tensor(seen, SEEN)), outputs);
    }

    fn tensor(&self, values: Vec<f32>, width: usize) -> Tensor<2> {
        let rows = values.len() / width;
        Tensor::from_data(TensorData::new(values, [rows, width]), &self.device)
    }
}

fn tamed(values: &[f32]) -> Vec<f32> {
    values.iter().map(|value| tame(*value)).collect()
}

/// The last `FEATURES` values of every `width`, each with its class as one-hot values; a class beyond the table has none.
fn seen(values: &[f32], width: usize, classes: impl ExactSizeIterator<Item = usize>) -> Vec<f32> {
    let mut seen = vec![0.0; classes.len() * SEEN];
    for ((seen, values), class) in seen.chunks_exact_mut(SEEN).zip(values.chunks_exact(width)).zip(classes) {
        let (last, kind) = seen.split_at_mut(FEATURES);
        last.copy_from_slice(&values[width - FEATURES..]);
        if let Some(slot) = kind.get_mut(class) {
            *slot = 1.0;
        }
    }
    seen
}

fn read(rows: Tensor<2>, outputs: &mut Vec<NetworkOutput>) {
    let rows = rows.into_data();
    let rows = rows.as_slice::<f32>().expect("the network computes in f32");
    outputs.extend(rows.chunks_exact(OUTPUTS).map(|row| {
        let mut quantiles = [row[0], row[1], row[2], row[3], row[4]];
        quantiles.sort_by(f32::total_cmp);
        NetworkOutput { logit: row[5], quantiles }
    }));
}

#[cfg(test)]
mod tests {
    use burn::module::Module as _;

    use super::*;
    use crate::network::artifact::golden_windows;
    use crate::network::layout::{CLASS_SLOTS, one_hot};
    use crate::network::{Network, initial_weights};

    fn assert_shareable<T: Send + Sync>() {}

    #[test]
    fn is_send_and_sync() {
        assert_shareable::<Scorer>();
    }

    #[test]
    fn batches_score_as_single_windows_do() {
        let scorer = Scorer::new(&initial_weights(1)).unwrap();
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
    fn what_homes_run_says_what_the_trained_network_says() {
        let device = DeviceKind::open_cpu().unwrap();
        let (windows, classes) = golden_windows();
        let weights = initial_weights(2);
        let tensor =
            |values: Vec<f32>, width| Tensor::<2>::from_data(TensorData::new(values, [classes.len(), width]), &device);
        let trained = Network::from_weights(&weights, &device).valid();
        let rows = trained.forward(tensor(windows.clone(), WINDOW_VALUES), tensor(one_hot(&classes), CLASS_SLOTS));
        let mut said = Vec::new();
        read(rows, &mut said);
        for (run, said) in Scorer::on(&weights, &device).score(&windows, &classes).iter().zip(&said) {
            assert!((run.logit - said.logit).abs() < 1e-5);
        }
    }

    #[test]
    fn a_series_scores_as_its_windows_do() {
        let scorer = Scorer::new(&initial_weights(1)).unwrap();
        let count = SERIES + 3;
        let rows: Vec<f32> = (0..(count + WINDOW_STEPS - 1) * FEATURES)
            .map(|number| if number % 501 == 7 { f32::NAN } else { ((number * 31) % 97) as f32 / 48.0 - 1.0 })
            .collect();
        let series = scorer.score_series(&rows, 3);
        assert_eq!(series.len(), count);
        for (first, output) in series.iter().enumerate().step_by(37).chain([(count - 1, &series[count - 1])]) {
            let alone = scorer.score(&rows[first * FEATURES..(first + WINDOW_STEPS) * FEATURES], &[3])[0];
            assert!((alone.logit - output.logit).abs() < 1e-5);
            assert!((alone.quantiles[2] - output.quantiles[2]).abs() < 1e-5);
        }
    }

    #[test]
    fn a_series_shorter_than_a_window_has_no_score() {
        let scorer = Scorer::new(&initial_weights(1)).unwrap();
        assert_eq!(scorer.score_series(&vec![0.0; (WINDOW_STEPS - 1) * FEATURES], 0), []);
        assert_eq!(scorer.score_series(&[], 0), []);
    }

    #[test]
    fn values_that_are_not_finite_count_as_zero() {
        let scorer = Scorer::new(&initial_weights(1)).unwrap();
        let mut window = vec![0.0; WINDOW_VALUES];
        let clean = scorer.score(&window, &[0]);
        window[5] = f32::NAN;
        window[6] = f32::INFINITY;
        assert_eq!(scorer.score(&window, &[0]), clean);
    }

    #[test]
    fn quantiles_never_cross() {
        let scorer = Scorer::new(&initial_weights(9)).unwrap();
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
        for kind in kinds {
            let weights = initial_weights(5);
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
