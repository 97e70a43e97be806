//! The network's parameters as plain values: named, shaped, checked, and identified by a canonical hash.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::error::ArtifactError;
use super::layout::LAYOUT;

/// One tensor in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// Matrices are `[inputs, outputs]`.
    pub shape: Vec<usize>,
    /// As many values as the product of the dimensions.
    pub values: Vec<f32>,
}

/// Every parameter of the network by name. Holding one means that names, shapes and finiteness were checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    tensors: BTreeMap<String, NamedTensor>,
}

impl Weights {
    /// Checks that `tensors` are exactly the parameters of the network.
    ///
    /// # Errors
    /// [`ArtifactError::Tensors`], [`ArtifactError::Shape`] or [`ArtifactError::NotFinite`].
    pub fn new(tensors: BTreeMap<String, NamedTensor>) -> Result<Self, ArtifactError> {
        let missing: Vec<String> = LAYOUT
            .iter()
            .filter(|(name, _)| !tensors.contains_key(*name))
            .map(|(name, _)| (*name).to_owned())
            .collect();
        let unexpected: Vec<String> =
            tensors.keys().filter(|name| !LAYOUT.iter().any(|(known, _)| known == name)).cloned().collect();
        if !missing.is_empty() || !unexpected.is_empty() {
            return Err(ArtifactError::Tensors { missing, unexpected });
        }
        for (name, expected) in LAYOUT {
            let tensor = &tensors[*name];
            if tensor.shape != *expected || tensor.values.len() != expected.iter().product::<usize>() {
                return Err(ArtifactError::Shape {
                    name: (*name).to_owned(),
                    found: tensor.shape.clone(),
                    expected: expected.to_vec(),
                });
            }
            if !tensor.values.iter().all(|value| value.is_finite()) {
                return Err(ArtifactError::NotFinite { name: (*name).to_owned() });
            }
        }
        Ok(Self { tensors })
    }

    /// One parameter by its name in the layout.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&NamedTensor> {
        self.tensors.get(name)
    }

    /// All parameters in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &NamedTensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// The canonical identity: SHA-256 in hex over each tensor's name, rank, dimensions and little-endian values, sorted
    /// by name. Two files with the same parameters have the same id, whatever else they carry.
    #[must_use]
    pub fn id(&self) -> String {
        let mut hasher = Sha256::new();
        for (name, tensor) in self.iter() {
            hasher.update((name.len() as u64).to_le_bytes());
            hasher.update(name.as_bytes());
            hasher.update((tensor.shape.len() as u64).to_le_bytes());
            for dimension in &tensor.shape {
                hasher.update((*dimension as u64).to_le_bytes());
            }
            for value in &tensor.values {
                hasher.update(value.to_le_bytes());
            }
        }
        hex::encode(hasher.finalize())
    }
}
