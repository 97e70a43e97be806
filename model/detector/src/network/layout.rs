//! The shape of the network: sizes of inputs and outputs, name and shape of every parameter.

use crate::grid::{FEATURES, WINDOW_STEPS};

/// What manifests call this network: an artifact of another is refused by it.
pub const ARCHITECTURE_NAME: &str = "patch-tree";
/// Values in one window.
pub const WINDOW_VALUES: usize = WINDOW_STEPS * FEATURES;
/// Rows kept for device classes: more than there are, so that a new class does not change the architecture.
pub const CLASS_SLOTS: usize = 40;
/// Outputs of a window: five quantiles, then the anomaly logit.
pub const OUTPUTS: usize = 6;

/// Features are cut here before the first layer.
const FEATURE_LIMIT: f32 = 10.0;

pub(super) const PATCH_STEPS: usize = 4;
pub(super) const PATCHES: usize = WINDOW_STEPS / PATCH_STEPS;
pub(super) const MERGE: usize = 4;
pub(super) const NODES: usize = PATCHES / MERGE;
pub(super) const PATCH_WIDTH: usize = 32;
pub(super) const NODE_WIDTH: usize = 48;
const ROOT_WIDTH: usize = 44;

/// Name and shape of every parameter, sorted by name. Matrices are `[inputs, outputs]`.
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

/// Number of parameters: at most 30,000 by design.
pub const PARAMETER_COUNT: usize = count(LAYOUT);

/// How many values each tensor has, in the order of their names, as [`Weights::iter`](super::Weights::iter) gives them.
pub fn tensor_lengths() -> impl Iterator<Item = usize> {
    LAYOUT.iter().map(|(_, shape)| shape.iter().product())
}
const _: () = assert!(PARAMETER_COUNT <= 30_000, "the network must stay within 30,000 parameters");
const _: () =
    assert!(PATCHES * PATCH_STEPS == WINDOW_STEPS && NODES * MERGE == PATCHES, "the tree must tile the window");

/// A feature as the network takes it: finite, and within ten scales whatever an expert said.
#[must_use]
pub fn tame(value: f32) -> f32 {
    if value.is_finite() { value.clamp(-FEATURE_LIMIT, FEATURE_LIMIT) } else { 0.0 }
}

/// One-hot rows for [`Network::forward`](super::Network::forward); an index beyond the table leaves its row zero.
#[must_use]
pub fn one_hot(classes: &[usize]) -> Vec<f32> {
    let mut rows = vec![0.0; classes.len() * CLASS_SLOTS];
    for (row, class) in rows.chunks_exact_mut(CLASS_SLOTS).zip(classes) {
        if let Some(slot) = row.get_mut(*class) {
            *slot = 1.0;
        }
    }
    rows
}

/// Values in all tensors of a layout.
const fn count(layout: &[(&str, &[usize])]) -> usize {
    let mut total = 0;
    let mut tensor = 0;
    while tensor < layout.len() {
        let (_, shape) = layout[tensor];
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_stays_within_its_parameter_budget() {
        assert_eq!(PARAMETER_COUNT, 29_798);
    }

    #[test]
    fn one_hot_ignores_a_class_beyond_the_table() {
        let rows = one_hot(&[2, CLASS_SLOTS + 5]);
        assert_eq!(rows.iter().sum::<f32>(), 1.0);
        assert_eq!(rows[2], 1.0);
    }
}
