//! What a fit needs to go on after it was cut off, as bytes; keeping them is the caller's part.

use std::collections::{BTreeMap, HashMap};

use burn::optim::ModuleOptimizer;
use burn::tensor::Bytes;
use hearthwatch_detector::network::{NamedTensor, Weights};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use super::loss::EpochRecord;

/// Where a run keeps its checkpoints: a folder, a test's memory, or nowhere ([`NoCheckpoints`]).
pub trait Checkpoints {
    /// The newest checkpoint of a part of the run (`candidate`, `control`).
    fn load(&mut self, part: &str) -> Option<Vec<u8>>;

    /// Keeps a part's checkpoint in place of the one before. A run goes on if it cannot.
    fn save(&mut self, part: &str, bytes: &[u8]);
}

/// Keeps nothing: a run that is cut off begins anew.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCheckpoints;

impl Checkpoints for NoCheckpoints {
    fn load(&mut self, _part: &str) -> Option<Vec<u8>> {
        None
    }

    fn save(&mut self, _part: &str, _bytes: &[u8]) {}
}

/// A fit between two epochs.
pub(super) struct Checkpoint {
    /// Epochs finished.
    pub epoch: usize,
    /// Epochs since the best one.
    pub stale: usize,
    pub best_loss: f32,
    pub best: Weights,
    /// The weights as the last epoch left them.
    pub last: Weights,
    pub history: Vec<EpochRecord>,
    pub rng: ChaCha8Rng,
    /// The optimizer's moments, as the tensor library writes them.
    pub optimizer: Vec<u8>,
}

/// All of it that is not a tensor. The generator's position has 68 bits: too many for a JSON number.
#[derive(Serialize, Deserialize)]
struct State {
    fingerprint: String,
    epoch: usize,
    stale: usize,
    best_loss: f32,
    history: Vec<EpochRecord>,
    rng_seed: [u8; 32],
    rng_position: String,
}

const STATE_KEY: &str = "state";
const OPTIMIZER: &str = "optimizer";
const BEST: &str = "best.";
const LAST: &str = "last.";

impl Checkpoint {
    /// The checkpoint as a safetensors file. `fingerprint` names the fit that it belongs to.
    pub(super) fn to_bytes(&self, fingerprint: &str) -> Vec<u8> {
        let state = State {
            fingerprint: fingerprint.to_owned(),
            epoch: self.epoch,
            stale: self.stale,
            best_loss: self.best_loss,
            history: self.history.clone(),
            rng_seed: self.rng.get_seed(),
            rng_position: self.rng.get_word_pos().to_string(),
        };
        let mut tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> =
            vec![(OPTIMIZER.to_owned(), Dtype::U8, vec![self.optimizer.len()], self.optimizer.clone())];
        for (prefix, weights) in [(BEST, &self.best), (LAST, &self.last)] {
            for (name, tensor) in weights.iter() {
                let bytes = tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect();
                tensors.push((format!("{prefix}{name}"), Dtype::F32, tensor.shape.clone(), bytes));
            }
        }
        let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
            let view = TensorView::new(*dtype, shape.clone(), bytes).expect("shape and bytes were made together");
            (name.as_str(), view)
        });
        let state = serde_json::to_string(&state).expect("numbers and words always serialise");
        safetensors::serialize(views, Some(HashMap::from([(STATE_KEY.to_owned(), state)])))
            .expect("a checkpoint is far below the container's limits")
    }

    /// Reads a checkpoint back. `None` for one of another fit, or damaged: the fit then begins anew.
    pub(super) fn parse(bytes: &[u8], fingerprint: &str) -> Option<Self> {
        let (_, metadata) = SafeTensors::read_metadata(bytes).ok()?;
        let state: State = serde_json::from_str(metadata.metadata().as_ref()?.get(STATE_KEY)?).ok()?;
        if state.fingerprint != fingerprint {
            return None;
        }
        let container = SafeTensors::deserialize(bytes).ok()?;
        let weights = |prefix: &str| -> Option<Weights> {
            let mut tensors = BTreeMap::new();
            for (name, view) in container.tensors() {
                let Some(name) = name.strip_prefix(prefix) else { continue };
                let (chunks, _) = view.data().as_chunks::<4>();
                let values = chunks.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
                tensors.insert(name.to_owned(), NamedTensor { shape: view.shape().to_vec(), values });
            }
            Weights::new(tensors).ok()
        };
        let mut rng = ChaCha8Rng::from_seed(state.rng_seed);
        rng.set_word_pos(state.rng_position.parse().ok()?);
        Some(Self {
            epoch: state.epoch,
            stale: state.stale,
            best_loss: state.best_loss,
            best: weights(BEST)?,
            last: weights(LAST)?,
            history: state.history,
            rng,
            optimizer: container.tensor(OPTIMIZER).ok()?.data().to_vec(),
        })
    }

    /// An optimizer with the moments of the checkpoint; `None` when they do not read.
    pub(super) fn restore(&self, optimizer: ModuleOptimizer) -> Option<ModuleOptimizer> {
        optimizer.from_bytes(Bytes::from_bytes_vec(self.optimizer.clone())).ok()
    }
}
