//! The forms that the network can have, and what they share: the sizes of inputs and outputs, fresh parameters, and the
//! way of parameters to a device and back.

use std::collections::BTreeMap;

use burn::module::{Module, Param, ParamId};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::cone::{self, Cone};
use super::error::ArtifactError;
use super::patch_tree::{self, PatchTree};
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

/// Name and shape of every parameter of a form, sorted by name. Matrices are `[inputs, outputs]`.
pub(super) type Layout = &'static [(&'static str, &'static [usize])];

/// A form of the network. Inputs, outputs and what they mean are the same for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// Patches of four steps, merged four by four: see [`PatchTree`].
    #[default]
    PatchTree,
    /// Dilated convolutions of which only what the last output needs is computed: see [`Cone`].
    Cone,
}

impl Form {
    /// Every form.
    pub const ALL: [Self; 2] = [Self::PatchTree, Self::Cone];

    /// Its name in manifests and tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PatchTree => "patch-tree",
            Self::Cone => "cone",
        }
    }

    /// Number of parameters.
    #[must_use]
    pub fn parameter_count(self) -> usize {
        parameters(self.layout())
    }

    /// Whether it is the form that artifacts had before there were others.
    #[must_use]
    pub fn is_first(&self) -> bool {
        *self == Self::PatchTree
    }

    pub(super) fn layout(self) -> Layout {
        match self {
            Self::PatchTree => patch_tree::LAYOUT,
            Self::Cone => cone::LAYOUT,
        }
    }

    /// The form that tensors of these names are meant for: the one that has most of them, the first of several.
    pub(super) fn of(tensors: &BTreeMap<String, NamedTensor>) -> Self {
        let known = |form: Self| form.layout().iter().filter(|(name, _)| tensors.contains_key(*name)).count();
        if known(Self::Cone) > known(Self::PatchTree) { Self::Cone } else { Self::PatchTree }
    }

    /// Fresh parameters from a seed: uniform within bounds set by the number of inputs, biases and the class table zero,
    /// the head small.
    ///
    /// The generator is ours and not the tensor library's, so the same seed gives the same start on every device.
    #[must_use]
    pub fn initial_weights(self, seed: u64) -> Weights {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let tensors = self
            .layout()
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
}

/// The network on some device, in one of its forms.
#[derive(Module, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "Burn's modules cannot be boxed, and a program holds a handful of networks"
)]
pub enum Network {
    /// See [`PatchTree`].
    PatchTree(PatchTree),
    /// See [`Cone`].
    Cone(Cone),
}

impl Network {
    /// Puts checked parameters on a device.
    #[must_use]
    pub fn from_weights(weights: &Weights, device: &Device) -> Self {
        match weights.form() {
            Form::PatchTree => Self::PatchTree(PatchTree::from_weights(weights, device)),
            Form::Cone => Self::Cone(Cone::from_weights(weights, device)),
        }
    }

    /// Takes the parameters back as plain values.
    ///
    /// # Errors
    /// As [`Weights::new`]; in practice [`ArtifactError::NotFinite`] after a training run that diverged.
    pub fn to_weights(&self) -> Result<Weights, ArtifactError> {
        let layers = match self {
            Self::PatchTree(tree) => tree.layers(),
            Self::Cone(cone) => cone.layers(),
        };
        let mut tensors = BTreeMap::new();
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
        match self {
            Self::PatchTree(tree) => tree.forward(windows, classes),
            Self::Cone(cone) => cone.forward(windows, classes),
        }
    }
}

/// A feature as the network takes it: finite, and within ten scales whatever an expert said.
#[must_use]
pub fn tame(value: f32) -> f32 {
    if value.is_finite() { value.clamp(-FEATURE_LIMIT, FEATURE_LIMIT) } else { 0.0 }
}

/// One-hot rows for [`Network::forward`]; an index beyond the table leaves its row zero.
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
pub(super) const fn parameters(layout: Layout) -> usize {
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

/// A layer from checked parameters.
pub(super) fn linear(layout: Layout, weights: &Weights, name: &str, bias: bool, device: &Device) -> Linear {
    Linear {
        weight: parameter(layout, weights, &format!("{name}.weight"), device),
        bias: bias.then(|| parameter(layout, weights, &format!("{name}.bias"), device)),
    }
}

/// A parameter whose id is its place in the layout: an optimizer's moments, which are kept by id, find it again in
/// another process.
fn parameter<const D: usize>(layout: Layout, weights: &Weights, name: &str, device: &Device) -> Param<Tensor<D>> {
    let place = layout.iter().position(|(known, _)| *known == name).expect("the layout names every parameter");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_stays_within_its_parameter_budget() {
        assert_eq!(Form::ALL.map(Form::parameter_count), [29_798, 25_926]);
    }

    #[test]
    fn initial_weights_depend_on_form_and_seed_alone() {
        for form in Form::ALL {
            assert_eq!(form.initial_weights(7), form.initial_weights(7));
            assert_ne!(form.initial_weights(7).id(), form.initial_weights(8).id());
            assert_eq!(form.initial_weights(7).form(), form);
        }
    }

    #[cfg(feature = "flex")]
    #[test]
    fn weights_survive_the_way_to_a_device_and_back() {
        for form in Form::ALL {
            let weights = form.initial_weights(3);
            let network = Network::from_weights(&weights, &Device::flex());
            assert_eq!(network.num_params(), form.parameter_count());
            assert_eq!(network.to_weights().unwrap(), weights);
        }
    }

    #[test]
    fn one_hot_ignores_a_class_beyond_the_table() {
        let rows = one_hot(&[2, CLASS_SLOTS + 5]);
        assert_eq!(rows.iter().sum::<f32>(), 1.0);
        assert_eq!(rows[2], 1.0);
    }
}
