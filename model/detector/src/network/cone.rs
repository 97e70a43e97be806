//! The cone: a causal network of dilated convolutions (kernel 3, dilations 1 to 32; van den Oord and others 2016) of which
//! only what the last step needs is computed.
//!
//! A layer with dilation *d* is asked for by the next one at every second of its steps only, so its output is half as long
//! as its input: 96 steps, then 48, 24, 12, 6, 3 and one. What is left are three taps side by side and a flat matrix
//! product for each layer. Each layer adds to what its newest tap knew. The last row is seen by itself, too, and the head
//! sees a learnt vector of the device class.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use super::form::{CLASS_SLOTS, Layout, OUTPUTS, linear, parameters};
use super::weights::Weights;
use crate::grid::{FEATURES, WINDOW_STEPS};

const TAPS: usize = 3;
const WIDTH: usize = 32;
/// Layers that halve the window; one more takes what is left of it.
const HALVINGS: usize = 5;
const LAYERS: usize = HALVINGS + 1;

/// Name and shape of every parameter. Matrices are `[inputs, outputs]`.
pub(super) const LAYOUT: Layout = &[
    ("class.weight", &[CLASS_SLOTS, WIDTH]),
    ("head.bias", &[OUTPUTS]),
    ("head.weight", &[WIDTH, OUTPUTS]),
    ("last.weight", &[FEATURES, WIDTH]),
    ("mix_0.bias", &[WIDTH]),
    ("mix_0.weight", &[WIDTH, WIDTH]),
    ("mix_1.bias", &[WIDTH]),
    ("mix_1.weight", &[WIDTH, WIDTH]),
    ("mix_2.bias", &[WIDTH]),
    ("mix_2.weight", &[WIDTH, WIDTH]),
    ("mix_3.bias", &[WIDTH]),
    ("mix_3.weight", &[WIDTH, WIDTH]),
    ("mix_4.bias", &[WIDTH]),
    ("mix_4.weight", &[WIDTH, WIDTH]),
    ("mix_5.bias", &[WIDTH]),
    ("mix_5.weight", &[WIDTH, WIDTH]),
    ("taps_0.bias", &[WIDTH]),
    ("taps_0.weight", &[TAPS * FEATURES, WIDTH]),
    ("taps_1.bias", &[WIDTH]),
    ("taps_1.weight", &[TAPS * WIDTH, WIDTH]),
    ("taps_2.bias", &[WIDTH]),
    ("taps_2.weight", &[TAPS * WIDTH, WIDTH]),
    ("taps_3.bias", &[WIDTH]),
    ("taps_3.weight", &[TAPS * WIDTH, WIDTH]),
    ("taps_4.bias", &[WIDTH]),
    ("taps_4.weight", &[TAPS * WIDTH, WIDTH]),
    ("taps_5.bias", &[WIDTH]),
    ("taps_5.weight", &[TAPS * WIDTH, WIDTH]),
];

const _: () = assert!(parameters(LAYOUT) <= 30_000, "the network must stay within 30,000 parameters");
const _: () = assert!(WINDOW_STEPS == TAPS << HALVINGS, "five halvings of the window must leave three steps");

/// The network on some device. See the module's text for its form.
#[derive(Module, Debug)]
pub struct Cone {
    taps: Vec<Linear>,
    mix: Vec<Linear>,
    last: Linear,
    class: Linear,
    head: Linear,
}

impl Cone {
    /// Puts checked parameters on a device.
    #[must_use]
    pub fn from_weights(weights: &Weights, device: &Device) -> Self {
        let linear = |name: &str, bias: bool| linear(LAYOUT, weights, name, bias, device);
        let layers = |name: &str| (0..LAYERS).map(|layer| linear(&format!("{name}_{layer}"), true)).collect();
        Self {
            taps: layers("taps"),
            mix: layers("mix"),
            last: linear("last", false),
            class: linear("class", false),
            head: linear("head", true),
        }
    }

    /// The layers by the names that their parameters have in the layout.
    pub(super) fn layers(&self) -> Vec<(String, &Linear)> {
        let numbered = |name: &'static str| move |(place, layer)| (format!("{name}_{place}"), layer);
        let taps = self.taps.iter().enumerate().map(numbered("taps"));
        let mix = self.mix.iter().enumerate().map(numbered("mix"));
        let single = [("last", &self.last), ("class", &self.class), ("head", &self.head)];
        taps.chain(mix).chain(single.map(|(name, layer)| (name.to_owned(), layer))).collect()
    }

    /// Runs the network.
    ///
    /// # Shapes
    /// As [`super::Network::forward`].
    #[must_use]
    pub fn forward(&self, windows: Tensor<2>, classes: Tensor<2>) -> Tensor<2> {
        let [n, values] = windows.dims();
        let last = windows.clone().slice([0..n, values - FEATURES..values]);
        let mut steps = WINDOW_STEPS;
        let mut width = FEATURES;
        let mut known = windows.reshape([n, steps, width]);
        for (layer, (taps, mix)) in self.taps.iter().zip(&self.mix).enumerate() {
            let (taken, newest) = if layer < HALVINGS {
                // Two steps side by side are the newer two taps; the oldest is the newer step of the pair before, and
                // nothing before the window.
                let half = steps / 2;
                let pairs = known.reshape([n, half, 2 * width]);
                let newest = pairs.clone().slice([0..n, 0..half, width..2 * width]);
                let before = newest.clone().slice([0..n, 0..half - 1, 0..width]);
                let nothing = Tensor::<3>::zeros([n, 1, width], &before.device());
                let oldest = Tensor::cat(vec![nothing, before], 1);
                steps = half;
                (Tensor::cat(vec![oldest, pairs], 2), newest)
            } else {
                let newest = known.clone().slice([0..n, TAPS - 1..TAPS, 0..width]);
                steps = 1;
                (known.reshape([n, 1, TAPS * width]), newest)
            };
            let news = mix.forward(relu(taps.forward(taken.reshape([n * steps, TAPS * width]))));
            // Features are of another kind than what layers say: the first layer has nothing to add to.
            let sum = if layer == 0 { news } else { news + newest.reshape([n * steps, WIDTH]) };
            width = WIDTH;
            known = sum.reshape([n, steps, width]);
        }
        let root = known.reshape([n, WIDTH]) + self.last.forward(last) + self.class.forward(classes);
        self.head.forward(relu(root))
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::tensor::TensorData;

    use super::*;
    use crate::network::Form;
    use crate::network::artifact::golden_windows;
    use crate::network::form::{WINDOW_VALUES, one_hot};

    /// The same network as its equations say it: every layer at every step, nothing before the window.
    fn dense(weights: &Weights, window: &[f32], class: usize) -> Vec<f32> {
        let product = |name: &str, input: &[f32]| -> Vec<f32> {
            let matrix = weights.get(&format!("{name}.weight")).unwrap();
            let width = matrix.shape[1];
            let bias = weights.get(&format!("{name}.bias")).map(|bias| bias.values.clone());
            let mut sums = bias.unwrap_or_else(|| vec![0.0; width]);
            for (value, row) in input.iter().zip(matrix.values.chunks_exact(width)) {
                sums.iter_mut().zip(row).for_each(|(sum, weight)| *sum += value * weight);
            }
            sums
        };
        let rectified = |values: Vec<f32>| values.into_iter().map(|value| value.max(0.0)).collect::<Vec<_>>();
        let mut rows: Vec<Vec<f32>> = window.chunks_exact(FEATURES).map(<[f32]>::to_vec).collect();
        for layer in 0..LAYERS {
            let dilation = 1 << layer;
            let silence = vec![0.0; rows[0].len()];
            let at = |step: usize, back: usize| step.checked_sub(back).map_or(&silence, |step| &rows[step]);
            rows = (0..WINDOW_STEPS)
                .map(|step| {
                    let taken = [at(step, 2 * dilation), at(step, dilation), at(step, 0)].map(Vec::as_slice).concat();
                    let news = product(&format!("mix_{layer}"), &rectified(product(&format!("taps_{layer}"), &taken)));
                    if layer == 0 { news } else { news.iter().zip(&rows[step]).map(|(new, old)| new + old).collect() }
                })
                .collect();
        }
        let seen = product("last", &window[WINDOW_VALUES - FEATURES..]);
        let kind = product("class", &one_hot(&[class]));
        let root = rows[WINDOW_STEPS - 1].iter().zip(seen).zip(kind).map(|((root, seen), kind)| root + seen + kind);
        product("head", &rectified(root.collect()))
    }

    #[test]
    fn the_cone_says_what_the_dense_network_says_at_its_last_step() {
        let mut tensors: std::collections::BTreeMap<_, _> =
            Form::Cone.initial_weights(3).iter().map(|(name, tensor)| (name.to_owned(), tensor.clone())).collect();
        // Biases that are not zero, so that the two agree on what lies before the window, too.
        for tensor in tensors.values_mut().filter(|tensor| tensor.shape.len() == 1) {
            tensor.values.iter_mut().enumerate().for_each(|(place, value)| *value = 0.01 * place as f32 - 0.1);
        }
        let weights = Weights::new(tensors).unwrap();
        let device = Device::flex();
        let (windows, classes) = golden_windows();
        let n = classes.len();
        let rows = Cone::from_weights(&weights, &device)
            .forward(
                Tensor::from_data(TensorData::new(windows.clone(), [n, WINDOW_VALUES]), &device),
                Tensor::from_data(TensorData::new(one_hot(&classes), [n, CLASS_SLOTS]), &device),
            )
            .into_data();
        let rows = rows.as_slice::<f32>().unwrap();
        for (case, window) in windows.chunks_exact(WINDOW_VALUES).enumerate() {
            for (got, wanted) in rows[case * OUTPUTS..].iter().zip(dense(&weights, window, classes[case])) {
                assert!((got - wanted).abs() < 1e-4, "case {case}: {got} is not {wanted}");
            }
        }
    }
}
