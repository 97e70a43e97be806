//! Fresh parameters.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::layout::LAYOUT;
use super::weights::{NamedTensor, Weights};

/// Fresh parameters from a seed: uniform within bounds set by the number of inputs, biases and the class table zero, the
/// head small.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initial_weights_depend_on_the_seed_alone() {
        assert_eq!(initial_weights(7), initial_weights(7));
        assert_ne!(initial_weights(7).id(), initial_weights(8).id());
    }
}
