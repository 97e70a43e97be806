//! The network as homes run it: plain products without gradients. It says what [`Network`](super::Network) says but for
//! rounding.
//!
//! What the root adds up (its nodes, the last row, the class) is one product instead of three, which at batch 1 is what
//! counts; and windows of a series compute what they share once.

use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};

use super::layout::{CLASS_SLOTS, MERGE, NODE_WIDTH, NODES, PATCH_STEPS, PATCH_WIDTH, PATCHES};
use super::weights::Weights;
use crate::grid::FEATURES;

/// What the root sees by itself: a window's last row, then its class as one-hot values.
pub(super) const SEEN: usize = FEATURES + CLASS_SLOTS;

/// `inputs` · weights + bias.
#[derive(Debug, Clone)]
struct Dense {
    weight: Tensor<2>,
    bias: Tensor<2>,
}

impl Dense {
    /// The layers of these names, which share the first one's bias, one below the other.
    fn from_weights(weights: &Weights, names: &[&str], device: &Device) -> Self {
        let tensor = |name: String| {
            let tensor = weights.get(&name).expect("checked weights hold every parameter of the layout");
            let width = *tensor.shape.last().expect("a parameter has a shape");
            let shape = [tensor.values.len() / width, width];
            Tensor::<2>::from_data(TensorData::new(tensor.values.clone(), shape), device)
        };
        let parts = names.iter().map(|name| tensor(format!("{name}.weight"))).collect();
        Self { weight: Tensor::cat(parts, 0), bias: tensor(format!("{}.bias", names[0])) }
    }

    fn forward(&self, inputs: Tensor<2>) -> Tensor<2> {
        inputs.matmul(self.weight.clone()) + self.bias.clone()
    }
}

/// The parameters on a device, joined where the layers are run as one product.
#[derive(Debug, Clone)]
pub(super) struct InferenceNetwork {
    patch: Dense,
    patch_residual: Dense,
    node: Dense,
    node_residual: Dense,
    /// Of nodes, last row and class side by side.
    root: Dense,
    root_residual: Dense,
    head: Dense,
}

impl InferenceNetwork {
    /// Puts checked parameters on a device.
    pub(super) fn from_weights(weights: &Weights, device: &Device) -> Self {
        let dense = |names: &[&str]| Dense::from_weights(weights, names, device);
        Self {
            patch: dense(&["patch"]),
            patch_residual: dense(&["patch_residual"]),
            node: dense(&["node"]),
            node_residual: dense(&["node_residual"]),
            root: dense(&["root", "last", "class"]),
            root_residual: dense(&["root_residual"]),
            head: dense(&["head"]),
        }
    }

    /// # Shapes
    /// - `windows`: `[n, WINDOW_STEPS * FEATURES]`, oldest step first, each value passed through `tame`
    /// - `seen`: `[n, SEEN]`
    /// - output: `[n, OUTPUTS]`
    pub(super) fn forward(&self, windows: Tensor<2>, seen: Tensor<2>) -> Tensor<2> {
        let [n, _] = windows.dims();
        let patches = self.patches(windows.reshape([n * PATCHES, PATCH_STEPS * FEATURES]));
        let nodes = self.nodes(patches.reshape([n * NODES, MERGE * PATCH_WIDTH]));
        self.outputs(nodes.reshape([n, NODES * NODE_WIDTH]), seen)
    }

    /// Runs the network on every window of a series. A patch of four rows lies in 24 windows and a node in 6: computed once,
    /// a window costs a fifth of the products that it costs by itself.
    ///
    /// # Shapes
    /// - `rows`: `[n + WINDOW_STEPS - 1, FEATURES]`, oldest first, each value passed through `tame`
    /// - `seen`: `[n, SEEN]`
    /// - output: `[n, OUTPUTS]`, as [`Self::forward`] of each window but for rounding
    pub(super) fn forward_series(&self, rows: &Tensor<2>, seen: Tensor<2>) -> Tensor<2> {
        let patches = self.patches(side_by_side(rows, PATCH_STEPS, 1));
        let nodes = self.nodes(side_by_side(&patches, MERGE, PATCH_STEPS));
        self.outputs(side_by_side(&nodes, NODES, MERGE * PATCH_STEPS), seen)
    }

    fn patches(&self, steps: Tensor<2>) -> Tensor<2> {
        let patches = relu(self.patch.forward(steps));
        patches.clone() + relu(self.patch_residual.forward(patches))
    }

    fn nodes(&self, patches: Tensor<2>) -> Tensor<2> {
        let nodes = relu(self.node.forward(patches));
        nodes.clone() + relu(self.node_residual.forward(nodes))
    }

    fn outputs(&self, nodes: Tensor<2>, seen: Tensor<2>) -> Tensor<2> {
        let root = relu(self.root.forward(Tensor::cat(vec![nodes, seen], 1)));
        let root = root.clone() + relu(self.root_residual.forward(root));
        self.head.forward(root)
    }
}

/// Rows that lie `stride` apart put side by side, `count` of them, beginning with every row that has as many after it.
///
/// # Shapes
/// `rows`: `[n + (count - 1) * stride, width]`; output: `[n, count * width]`.
fn side_by_side(rows: &Tensor<2>, count: usize, stride: usize) -> Tensor<2> {
    let [all, width] = rows.dims();
    let n = all - (count - 1) * stride;
    let from = |place: usize| rows.clone().slice([place * stride..place * stride + n, 0..width]);
    Tensor::cat((0..count).map(from).collect(), 1)
}
