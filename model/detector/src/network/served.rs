//! The network as homes run it: no gradients, laid out for speed. It says what [`Network`](super::Network) says but for
//! rounding.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::cone::Cone;
use super::form::{CLASS_SLOTS, Form};
use super::served_tree::ServedTree;
use super::weights::Weights;
use crate::grid::{FEATURES, WINDOW_STEPS};

/// What the root of a network sees by itself: a window's last row, then its class as one-hot values.
pub(super) const SEEN: usize = FEATURES + CLASS_SLOTS;

#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "a program holds a handful of networks")]
pub(super) enum Served {
    Tree(ServedTree),
    Cone(Cone),
}

impl Served {
    /// Puts checked parameters on a device.
    pub(super) fn from_weights(weights: &Weights, device: &Device) -> Self {
        match weights.form() {
            Form::PatchTree => Self::Tree(ServedTree::from_weights(weights, device)),
            Form::Cone => Self::Cone(Cone::from_weights(weights, device).valid()),
        }
    }

    /// # Shapes
    /// - `windows`: `[n, WINDOW_STEPS * FEATURES]`, oldest step first, each value passed through `tame`
    /// - `seen`: `[n, SEEN]`
    /// - output: `[n, OUTPUTS]`
    pub(super) fn forward(&self, windows: Tensor<2>, seen: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Tree(tree) => tree.forward(windows, seen),
            Self::Cone(cone) => cone.forward(windows, classes(seen)),
        }
    }

    /// Every window of a series of rows.
    ///
    /// # Shapes
    /// - `rows`: `[n + WINDOW_STEPS - 1, FEATURES]`, oldest first, each value passed through `tame`
    /// - `seen`: `[n, SEEN]`
    /// - output: `[n, OUTPUTS]`, as [`Self::forward`] of each window but for rounding
    pub(super) fn forward_series(&self, rows: &Tensor<2>, seen: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Tree(tree) => tree.forward_series(rows, seen),
            // Its steps pair up from the window's end backwards: neighbouring windows share no pair in the first layer.
            Self::Cone(cone) => cone.forward(side_by_side(rows, WINDOW_STEPS, 1), classes(seen)),
        }
    }
}

fn classes(seen: Tensor<2>) -> Tensor<2> {
    let [n, width] = seen.dims();
    seen.slice([0..n, FEATURES..width])
}

/// Rows that lie `stride` apart put side by side, `count` of them, beginning with every row that has as many after it.
///
/// # Shapes
/// `rows`: `[n + (count - 1) * stride, width]`; output: `[n, count * width]`.
pub(super) fn side_by_side(rows: &Tensor<2>, count: usize, stride: usize) -> Tensor<2> {
    let [all, width] = rows.dims();
    let n = all - (count - 1) * stride;
    let from = |place: usize| rows.clone().slice([place * stride..place * stride + n, 0..width]);
    Tensor::cat((0..count).map(from).collect(), 1)
}
