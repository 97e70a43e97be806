//! The patch-merge tree as homes run it: plain products without gradients.
//!
//! What the root adds up (its nodes, the last row, the class) is one product instead of three, which at batch 1 is what
//! counts; and windows of a series compute what they share once.

use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};

use super::patch_tree::{MERGE, NODE_WIDTH, NODES, PATCH_STEPS, PATCH_WIDTH, PATCHES};
use super::served::side_by_side;
use super::weights::Weights;
use crate::grid::FEATURES;

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

/// See the module's text.
#[derive(Debug, Clone)]
pub(super) struct ServedTree {
    patch: Dense,
    patch_residual: Dense,
    node: Dense,
    node_residual: Dense,
    /// Of nodes, last row and class side by side.
    root: Dense,
    root_residual: Dense,
    head: Dense,
}

impl ServedTree {
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

    /// As [`PatchTree::forward`](super::PatchTree::forward), but for rounding. `seen`: each window's last row and its class.
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
    /// - `rows`: `[n + WINDOW_STEPS - 1, FEATURES]`, oldest first
    /// - `seen`: `[n, FEATURES + CLASS_SLOTS]`
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
