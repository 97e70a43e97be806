//! The patch-merge tree: a causal network of reshapes and flat matrix products.
//!
//! The window's 96 steps are cut into 24 patches of 4 steps; patches are merged four by four into 6 nodes, and the 6
//! nodes into one root. The root also sees the last row by itself (so that what happens *now* keeps its sharpness) and a
//! learned vector of the device class. No convolution, no recurrence: at batch 1 a product of small flat matrices is
//! what a CPU does fastest (facts measured before the project: 13 µs a window).

use burn::module::{Module, Param, ParamId};
use burn::nn::Linear;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::weights::{NamedTensor, Weights};
use crate::grid::{FEATURES, WINDOW_STEPS};

/// Values in one window.
pub const WINDOW_VALUES: usize = WINDOW_STEPS * FEATURES;
/// Rows kept for device classes: more than there are, so that a new class does not change the architecture.
pub const CLASS_SLOTS: usize = 40;
/// Outputs of a window: five quantiles, then the anomaly logit.
pub const OUTPUTS: usize = 6;

/// Features are cut here before the first layer.
const FEATURE_LIMIT: f32 = 10.0;

const PATCH_STEPS: usize = 4;
const PATCHES: usize = WINDOW_STEPS / PATCH_STEPS;
const MERGE: usize = 4;
const NODES: usize = PATCHES / MERGE;
const PATCH_WIDTH: usize = 32;
const NODE_WIDTH: usize = 48;
const ROOT_WIDTH: usize = 44;

/// Name and shape of every parameter. Matrices are `[inputs, outputs]`.
pub(super) const LAYOUT: &[(&str, &[usize])] = &[
    ("class.weight", &[CLASS_SLOTS, ROOT_WIDTH]),
    ("head.bias", &[OUTPUTS]),
    ("head.weight", &[ROOT_WIDTH, OUTPUTS]),
    ("last.weight", &[FEATURES, ROOT_WIDTH]),
    ("node.bias", &[NODE_WIDTH]),
    ("node.weight", &[MERGE * PATCH_WIDTH, NODE_WIDTH]),
    ("node_residual.bias", &[NODE_WIDTH]),
    ("node_residual.weight", &[NODE_WIDTH, NODE_WIDTH]),
    ("patch.bias", &[PATCH_WIDTH]),
    ("patch.weight", &[PATCH_STEPS * FEATURES, PATCH_WIDTH]),
    ("patch_residual.bias", &[PATCH_WIDTH]),
    ("patch_residual.weight", &[PATCH_WIDTH, PATCH_WIDTH]),
    ("root.bias", &[ROOT_WIDTH]),
    ("root.weight", &[NODES * NODE_WIDTH, ROOT_WIDTH]),
    ("root_residual.bias", &[ROOT_WIDTH]),
    ("root_residual.weight", &[ROOT_WIDTH, ROOT_WIDTH]),
];

/// Parameters of the network; at most 30,000 by design.
pub const PARAMETER_COUNT: usize = {
    let mut total = 0;
    let mut tensor = 0;
    while tensor < LAYOUT.len() {
        let (_, shape) = LAYOUT[tensor];
        let mut size = 1;
        let mut dimension = 0;
        while dimension < shape.len() {
            size *= shape[dimension];
            dimension += 1;
        }
        total += size;
        tensor += 1;
    }
    total
};
const _: () = assert!(PARAMETER_COUNT <= 30_000, "the network must stay within 30,000 parameters");
const _: () =
    assert!(PATCHES * PATCH_STEPS == WINDOW_STEPS && NODES * MERGE == PATCHES, "the tree must tile the window");

/// The network on some device. See the module's text for its form.
#[derive(Module, Debug)]
pub struct PatchTree {
    patch: Linear,
    patch_residual: Linear,
    node: Linear,
    node_residual: Linear,
    root: Linear,
    last: Linear,
    class: Linear,
    root_residual: Linear,
    head: Linear,
}

impl PatchTree {
    /// Fresh parameters from a seed: uniform within ±√(1 / inputs), biases and the class table zero, the head small.
    ///
    /// The generator is ours and not the tensor library's, so the same seed gives the same start on every device.
    #[must_use]
    pub fn initial_weights(seed: u64) -> Weights {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let tensors = LAYOUT
            .iter()
            .map(|(name, shape)| {
                let size = shape.iter().product::<usize>();
                let bound = match *name {
                    "class.weight" => 0.0,
                    "head.weight" => 0.1 * (1.0 / shape[0] as f32).sqrt(),
                    _ if shape.len() == 1 => 0.0,
                    // He's bound for layers that feed a rectifier: √(6 / inputs), halved to keep residual sums tame.
                    _ => 0.5 * (6.0 / shape[0] as f32).sqrt(),
                };
                let values = (0..size).map(|_| bound * (2.0 * rng.random::<f32>() - 1.0)).collect();
                ((*name).to_owned(), NamedTensor { shape: shape.to_vec(), values })
            })
            .collect();
        Weights::new(tensors).expect("initial weights follow the layout")
    }

    /// Puts checked parameters on a device.
    #[must_use]
    pub fn from_weights(weights: &Weights, device: &Device) -> Self {
        let linear = |name: &str, bias: bool| Linear {
            weight: parameter(weights, &format!("{name}.weight"), device),
            bias: bias.then(|| parameter(weights, &format!("{name}.bias"), device)),
        };
        Self {
            patch: linear("patch", true),
            patch_residual: linear("patch_residual", true),
            node: linear("node", true),
            node_residual: linear("node_residual", true),
            root: linear("root", true),
            last: linear("last", false),
            class: linear("class", false),
            root_residual: linear("root_residual", true),
            head: linear("head", true),
        }
    }

    /// Takes the parameters back as plain values.
    ///
    /// # Errors
    /// As [`Weights::new`]; in practice [`super::ArtifactError::NotFinite`] after a training run that diverged.
    pub fn to_weights(&self) -> Result<Weights, super::ArtifactError> {
        let layers = [
            ("patch", &self.patch),
            ("patch_residual", &self.patch_residual),
            ("node", &self.node),
            ("node_residual", &self.node_residual),
            ("root", &self.root),
            ("last", &self.last),
            ("class", &self.class),
            ("root_residual", &self.root_residual),
            ("head", &self.head),
        ];
        let mut tensors = std::collections::BTreeMap::new();
        for (name, layer) in layers {
            tensors.insert(format!("{name}.weight"), named_tensor(layer.weight.val()));
            if let Some(bias) = &layer.bias {
                tensors.insert(format!("{name}.bias"), named_tensor(bias.val()));
            }
        }
        Weights::new(tensors)
    }

    /// Runs the network.
    ///
    /// # Shapes
    /// - `windows`: `[n, WINDOW_STEPS * FEATURES]`, oldest step first, a step's features together, each passed through
    ///   `tame`
    /// - `classes`: `[n, CLASS_SLOTS]`, one-hot rows
    /// - output: `[n, OUTPUTS]`: five quantiles of the next step's residual (unsorted), then the logit
    #[must_use]
    pub fn forward(&self, windows: Tensor<2>, classes: Tensor<2>) -> Tensor<2> {
        let [n, values] = windows.dims();
        let last = windows.clone().slice([0..n, values - FEATURES..values]);
        let patches = relu(self.patch.forward(windows.reshape([n * PATCHES, PATCH_STEPS * FEATURES])));
        let patches = patches.clone() + relu(self.patch_residual.forward(patches));
        let nodes = relu(self.node.forward(patches.reshape([n * NODES, MERGE * PATCH_WIDTH])));
        let nodes = nodes.clone() + relu(self.node_residual.forward(nodes));
        let root = self.root.forward(nodes.reshape([n, NODES * NODE_WIDTH]));
        let root = relu(root + self.last.forward(last) + self.class.forward(classes));
        let root = root.clone() + relu(self.root_residual.forward(root));
        self.head.forward(root)
    }
}

/// A feature as the network takes it: finite, and within ten scales whatever an expert said.
#[must_use]
pub(crate) fn tame(value: f32) -> f32 {
    if value.is_finite() { value.clamp(-FEATURE_LIMIT, FEATURE_LIMIT) } else { 0.0 }
}

/// One-hot rows for [`PatchTree::forward`]; an index beyond the table leaves its row zero.
#[must_use]
pub(crate) fn one_hot(classes: &[usize]) -> Vec<f32> {
    let mut rows = vec![0.0; classes.len() * CLASS_SLOTS];
    for (row, class) in rows.chunks_exact_mut(CLASS_SLOTS).zip(classes) {
        if let Some(slot) = row.get_mut(*class) {
            *slot = 1.0;
        }
    }
    rows
}

/// A parameter whose id is its place in the layout: an optimizer's moments, which are kept by id, find it again in
/// another process.
fn parameter<const D: usize>(weights: &Weights, name: &str, device: &Device) -> Param<Tensor<D>> {
    let place = LAYOUT.iter().position(|(known, _)| *known == name).expect("the layout names every parameter");
    let parameter = Param::from_data(tensor_data(weights, name), device);
    let value = parameter.val();
    parameter.transform_for_load(value, ParamId::from(place as u64 + 1))
}

fn tensor_data(weights: &Weights, name: &str) -> TensorData {
    let tensor = weights.get(name).expect("checked weights hold every parameter of the layout");
    TensorData::new(tensor.values.clone(), tensor.shape.clone())
}

fn named_tensor<const D: usize>(tensor: Tensor<D>) -> NamedTensor {
    let shape = tensor.dims().to_vec();
    let values = tensor.into_data().try_to_vec::<f32>().expect("parameters are held as f32");
    NamedTensor { shape, values }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_within_its_parameter_budget() {
        assert_eq!(PARAMETER_COUNT, 29_798);
    }

    #[test]
    fn initial_weights_depend_on_the_seed_alone() {
        assert_eq!(PatchTree::initial_weights(7), PatchTree::initial_weights(7));
        assert_ne!(PatchTree::initial_weights(7).id(), PatchTree::initial_weights(8).id());
    }

    #[cfg(feature = "flex")]
    #[test]
    fn weights_survive_the_way_to_a_device_and_back() {
        let weights = PatchTree::initial_weights(3);
        let network = PatchTree::from_weights(&weights, &Device::flex());
        assert_eq!(network.num_params(), PARAMETER_COUNT);
        assert_eq!(network.to_weights().unwrap(), weights);
    }

    #[test]
    fn one_hot_ignores_a_class_beyond_the_table() {
        let rows = one_hot(&[2, CLASS_SLOTS + 5]);
        assert_eq!(rows.iter().sum::<f32>(), 1.0);
        assert_eq!(rows[2], 1.0);
    }
}
