//! The patch-merge tree: a causal network of reshapes and flat matrix products.
//!
//! The window's 96 steps are cut into 24 patches of 4 steps; patches are merged four by four into 6 nodes, and the 6
//! nodes into one root. The root also sees the last row by itself (so that what happens *now* keeps its sharpness) and a
//! learned vector of the device class. No convolution, no recurrence: at batch 1 a product of small flat matrices is
//! what a CPU does fastest (facts measured before the project: 13 µs a window).

use std::collections::BTreeMap;

use burn::module::{Module, Param, ParamId};
use burn::nn::Linear;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};

use super::error::ArtifactError;
use super::layout::{LAYOUT, MERGE, NODE_WIDTH, NODES, PATCH_STEPS, PATCH_WIDTH, PATCHES};
use super::weights::{NamedTensor, Weights};
use crate::grid::FEATURES;

/// The network on some device, its parameters trainable; [`super::Scorer`] is what homes run.
#[derive(Module, Debug)]
pub struct Network {
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

impl Network {
    /// Puts checked parameters on a device.
    #[must_use]
    pub fn from_weights(weights: &Weights, device: &Device) -> Self {
        let linear = |name: &str, bias: bool| linear(weights, name, bias, device);
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
    /// As [`Weights::new`]; in practice [`ArtifactError::NotFinite`] after a training run that diverged.
    pub fn to_weights(&self) -> Result<Weights, ArtifactError> {
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
        let mut tensors = BTreeMap::new();
        for (name, layer) in layers {
            tensors.insert(format!("{name}.weight"), named_tensor(layer.weight.val()));
            if let Some(bias) = &layer.bias {
                tensors.insert(format!("{name}.bias"), named_tensor(bias.val()));
            }
        }
        Weights::new(tensors)
    }

    /// Outputs of a batch of windows, with gradients on a device that keeps them.
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

/// A layer from checked parameters.
fn linear(weights: &Weights, name: &str, bias: bool, device: &Device) -> Linear {
    Linear {
        weight: parameter(weights, &format!("{name}.weight"), device),
        bias: bias.then(|| parameter(weights, &format!("{name}.bias"), device)),
    }
}

/// A parameter whose id is its place in the layout: an optimizer's moments, which are kept by id, find it again in
/// another process.
fn parameter<const D: usize>(weights: &Weights, name: &str, device: &Device) -> Param<Tensor<D>> {
    let place = LAYOUT.iter().position(|(known, _)| *known == name).expect("the layout names every parameter");
    let tensor = weights.get(name).expect("checked weights hold every parameter of the layout");
    let data = TensorData::new(tensor.values.clone(), tensor.shape.clone());
    let parameter = Param::from_data(data, device);
    let value = parameter.val();
    parameter.transform_for_load(value, ParamId::from(place as u64 + 1))
}

fn named_tensor<const D: usize>(tensor: Tensor<D>) -> NamedTensor {
    let shape = tensor.dims().to_vec();
    let values = tensor.into_data().try_to_vec::<f32>().expect("parameters are held as f32");
    NamedTensor { shape, values }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::network::initial_weights;
    use crate::network::layout::PARAMETER_COUNT;

    #[test]
    fn weights_survive_the_way_to_a_device_and_back() {
        let weights = initial_weights(3);
        let network = Network::from_weights(&weights, &Device::flex());
        assert_eq!(network.num_params(), PARAMETER_COUNT);
        assert_eq!(network.to_weights().unwrap(), weights);
    }
}
