//! The patch-merge tree: a causal network of reshapes and flat matrix products.
//!
//! The window's 96 steps are cut into 24 patches of 4 steps; patches are merged four by four into 6 nodes, and the 6
//! nodes into one root. The root also sees the last row by itself (so that what happens *now* keeps its sharpness) and a
//! learned vector of the device class. No convolution, no recurrence: at batch 1 a product of small flat matrices is
//! what a CPU does fastest (facts measured before the project: 13 µs a window).

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use super::form::{CLASS_SLOTS, Layout, OUTPUTS, linear, parameters};
use super::weights::Weights;
use crate::grid::{FEATURES, WINDOW_STEPS};

pub(super) const PATCH_STEPS: usize = 4;
pub(super) const PATCHES: usize = WINDOW_STEPS / PATCH_STEPS;
pub(super) const MERGE: usize = 4;
pub(super) const NODES: usize = PATCHES / MERGE;
pub(super) const PATCH_WIDTH: usize = 32;
pub(super) const NODE_WIDTH: usize = 48;
const ROOT_WIDTH: usize = 44;

/// Name and shape of every parameter. Matrices are `[inputs, outputs]`.
pub(super) const LAYOUT: Layout = &[
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

/// Parameters of the tree; at most 30,000 by design.
pub const PARAMETER_COUNT: usize = parameters(LAYOUT);
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
    /// Puts checked parameters on a device.
    #[must_use]
    pub fn from_weights(weights: &Weights, device: &Device) -> Self {
        let linear = |name: &str, bias: bool| linear(LAYOUT, weights, name, bias, device);
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

    /// The layers by the names that their parameters have in the layout.
    pub(super) fn layers(&self) -> Vec<(String, &Linear)> {
        [
            ("patch", &self.patch),
            ("patch_residual", &self.patch_residual),
            ("node", &self.node),
            ("node_residual", &self.node_residual),
            ("root", &self.root),
            ("last", &self.last),
            ("class", &self.class),
            ("root_residual", &self.root_residual),
            ("head", &self.head),
        ]
        .map(|(name, layer)| (name.to_owned(), layer))
        .into()
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
