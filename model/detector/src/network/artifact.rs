//! The file a model travels in: safetensors with a manifest and golden vectors, written byte for byte the same for the
//! same content, and checked step by step when read.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::error::ArtifactError;
use super::layout::{OUTPUTS, WINDOW_VALUES};
use super::manifest::{Lineage, Manifest};
use super::scorer::Scorer;
use super::weights::{NamedTensor, Weights};
use crate::alarm::{Blend, Calibration};

/// Largest artifact that is looked at: 30,000 parameters and 4 golden windows are 150 KB, the manifest some 50 KB.
pub const ARTIFACT_BYTES_MAX: usize = 1024 * 1024;

/// Largest difference between a recorded output and this machine's: kernels differ in the last digits, weights do not.
const GOLDEN_TOLERANCE: f32 = 1e-4;

const GOLDEN_CASES: usize = 4;
const GOLDEN_INPUT: &str = "golden.input";
const GOLDEN_CLASS: &str = "golden.class";
const GOLDEN_OUTPUT: &str = "golden.output";
const MANIFEST_KEY: &str = "manifest";

/// What an artifact is made from.
#[derive(Debug, Clone)]
pub struct ArtifactParts {
    /// Checked when they were made; their hash is the model's id.
    pub weights: Weights,
    /// Thresholds on the network's score.
    pub calibration: Calibration,
    /// How the baseline score joins the logit.
    pub blend: Blend,
    /// Thresholds on the baseline detector's score.
    pub baseline: Calibration,
    /// The training run's configuration.
    pub training: serde_json::Value,
    /// What it was made from.
    pub lineage: Lineage,
}

/// A checked model: manifest, parameters, golden vectors.
#[derive(Debug, Clone)]
pub struct Artifact {
    manifest: Manifest,
    /// The manifest as it was read or first written, so that writing again gives the same bytes.
    manifest_json: String,
    weights: Weights,
    golden: Golden,
    scorer: Scorer,
}

#[derive(Debug, Clone, PartialEq)]
struct Golden {
    windows: Vec<f32>,
    classes: Vec<usize>,
    /// [`GOLDEN_CASES`] rows of [`OUTPUTS`] values: sorted quantiles, logit.
    outputs: Vec<f32>,
}

impl Artifact {
    /// Makes an artifact and records its golden vectors on this machine's CPU.
    ///
    /// # Errors
    /// [`ArtifactError::Calibration`] for unusable curves, [`ArtifactError::Panicked`] when no CPU backend is built in,
    /// [`ArtifactError::NotFinite`] when the network's own outputs are not.
    pub fn new(parts: ArtifactParts) -> Result<Self, ArtifactError> {
        let manifest = Manifest::new(parts.calibration, parts.blend, parts.baseline, parts.training, parts.lineage);
        let manifest_json =
            serde_json::to_string(&manifest).map_err(|error| ArtifactError::Manifest(error.to_string()))?;
        let manifest = Manifest::parse(&manifest_json)?;
        let (windows, classes) = golden_windows();
        let (scorer, outputs) = run_contained(&parts.weights, &windows, &classes)?;
        if !outputs.iter().all(|value| value.is_finite()) {
            return Err(ArtifactError::NotFinite { name: GOLDEN_OUTPUT.to_owned() });
        }
        let golden = Golden { windows, classes, outputs };
        Ok(Self { manifest, manifest_json, weights: parts.weights, golden, scorer })
    }

    /// Reads an artifact from outside: size, structure, manifest, names and types and shapes, finite values, then the
    /// golden vectors. Bytes that fail any step are refused with that step's error; nothing panics.
    ///
    /// # Errors
    /// An [`ArtifactError`]: its variants are the checks, in the order in which they run.
    pub fn parse(bytes: &[u8]) -> Result<Self, ArtifactError> {
        if bytes.len() > ARTIFACT_BYTES_MAX {
            return Err(ArtifactError::TooLarge { length: bytes.len(), limit: ARTIFACT_BYTES_MAX });
        }
        let structure = |error: safetensors::SafeTensorError| ArtifactError::Structure(error.to_string());
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(structure)?;
        let container = SafeTensors::deserialize(bytes).map_err(structure)?;
        let manifest_json = metadata
            .metadata()
            .as_ref()
            .and_then(|entries| entries.get(MANIFEST_KEY))
            .ok_or(ArtifactError::ManifestMissing)?
            .clone();
        let manifest = Manifest::parse(&manifest_json)?;
        let mut tensors = BTreeMap::new();
        for (name, view) in container.tensors() {
            tensors.insert(name.clone(), read_tensor(&name, &view)?);
        }
        let golden = take_golden(&mut tensors)?;
        let weights = Weights::new(tensors)?;
        let (scorer, outputs) = run_contained(&weights, &golden.windows, &golden.classes)?;
        for (index, (got, recorded)) in outputs.iter().zip(&golden.outputs).enumerate() {
            // Written so that a NaN fails the test.
            let agrees = (got - recorded).abs() <= GOLDEN_TOLERANCE * recorded.abs().max(1.0);
            if !agrees {
                return Err(ArtifactError::Golden {
                    case: index / OUTPUTS,
                    output: index % OUTPUTS,
                    got: *got,
                    recorded: *recorded,
                });
            }
        }
        Ok(Self { manifest, manifest_json, weights, golden, scorer })
    }

    /// The file: the same content always gives the same bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let golden_class: Vec<f32> = self.golden.classes.iter().map(|class| *class as f32).collect();
        let mut tensors: Vec<(&str, Vec<usize>, Vec<u8>)> = self
            .weights
            .iter()
            .map(|(name, tensor)| (name, tensor.shape.clone(), little_endian(&tensor.values)))
            .collect();
        tensors.push((GOLDEN_INPUT, vec![GOLDEN_CASES, WINDOW_VALUES], little_endian(&self.golden.windows)));
        tensors.push((GOLDEN_CLASS, vec![GOLDEN_CASES], little_endian(&golden_class)));
        tensors.push((GOLDEN_OUTPUT, vec![GOLDEN_CASES, OUTPUTS], little_endian(&self.golden.outputs)));
        let views = tensors.iter().map(|(name, shape, bytes)| {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes).expect("shape and bytes were made together");
            (*name, view)
        });
        // One metadata entry only: a map of several would be written in random order.
        let metadata = HashMap::from([(MANIFEST_KEY.to_owned(), self.manifest_json.clone())]);
        safetensors::serialize(views, Some(metadata)).expect("a checked artifact is far below the container's limits")
    }

    /// Canonical hash of the parameters ([`Weights::id`]).
    #[must_use]
    pub fn weights_id(&self) -> String {
        self.weights.id()
    }

    /// Those that reproduced the golden outputs on this machine.
    #[must_use]
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Everything the artifact says about itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// How the baseline score joins the logit.
    #[must_use]
    pub fn blend(&self) -> &Blend {
        &self.manifest.blend
    }

    /// Thresholds on the network's score.
    #[must_use]
    pub fn calibration(&self) -> &Calibration {
        &self.manifest.calibration
    }

    /// Thresholds on the baseline detector's score.
    #[must_use]
    pub fn baseline_calibration(&self) -> &Calibration {
        &self.manifest.baseline
    }

    /// The network, on the CPU, proven by the golden vectors.
    #[must_use]
    pub fn scorer(&self) -> Scorer {
        self.scorer.clone()
    }
}

/// The inputs every artifact is proven on: an empty window, two random ones, and one with a step in it.
pub(super) fn golden_windows() -> (Vec<f32>, Vec<usize>) {
    /// Any fixed number does: the windows only have to be the same for everyone.
    const GOLDEN_SEED: u64 = 0x6865_6172_7468;
    let mut rng = ChaCha8Rng::seed_from_u64(GOLDEN_SEED);
    let mut windows = vec![0.0_f32; WINDOW_VALUES];
    windows.extend((0..2 * WINDOW_VALUES).map(|_| 4.0 * rng.random::<f32>() - 2.0));
    windows.extend((0..WINDOW_VALUES).map(|index| if index > WINDOW_VALUES * 3 / 4 { 3.0 } else { -0.25 }));
    (windows, vec![0, 1, 2, 3])
}

/// Builds and runs the network with panics of the tensor library turned into an error.
fn run_contained(weights: &Weights, windows: &[f32], classes: &[usize]) -> Result<(Scorer, Vec<f32>), ArtifactError> {
    let attempt = catch_unwind(AssertUnwindSafe(|| {
        let scorer = Scorer::new(weights).map_err(|error| ArtifactError::Panicked(error.to_string()))?;
        let outputs = scorer
            .score(windows, classes)
            .into_iter()
            .flat_map(|output| output.quantiles.into_iter().chain([output.logit]))
            .collect();
        Ok((scorer, outputs))
    }));
    attempt.unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("panic without a message");
        Err(ArtifactError::Panicked(text.to_owned()))
    })
}

fn read_tensor(name: &str, view: &TensorView<'_>) -> Result<NamedTensor, ArtifactError> {
    if view.dtype() != Dtype::F32 {
        return Err(ArtifactError::Dtype { name: name.to_owned(), found: format!("{:?}", view.dtype()) });
    }
    let values = view
        .data()
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().expect("chunks of four have four bytes")))
        .collect();
    Ok(NamedTensor { shape: view.shape().to_vec(), values })
}

fn take_golden(tensors: &mut BTreeMap<String, NamedTensor>) -> Result<Golden, ArtifactError> {
    let mut take = |name: &str, expected: Vec<usize>| {
        let tensor = tensors
            .remove(name)
            .ok_or_else(|| ArtifactError::Tensors { missing: vec![name.to_owned()], unexpected: Vec::new() })?;
        if tensor.shape != expected {
            return Err(ArtifactError::Shape { name: name.to_owned(), found: tensor.shape, expected });
        }
        if !tensor.values.iter().all(|value| value.is_finite()) {
            return Err(ArtifactError::NotFinite { name: name.to_owned() });
        }
        Ok(tensor.values)
    };
    let windows = take(GOLDEN_INPUT, vec![GOLDEN_CASES, WINDOW_VALUES])?;
    let classes = take(GOLDEN_CLASS, vec![GOLDEN_CASES])?;
    let outputs = take(GOLDEN_OUTPUT, vec![GOLDEN_CASES, OUTPUTS])?;
    // Float to integer conversion saturates: a wild class index selects no row of the table.
    let classes = classes.into_iter().map(|class| class as usize).collect();
    Ok(Golden { windows, classes, outputs })
}

fn little_endian(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests;
