//! The shared network: its shape, the artifact it travels in, and the scorer that runs it.
//!
//! One small net serves every entity of every home. It sees the last [`crate::grid::WINDOW_STEPS`] feature rows of one entity
//! and its device class, and answers with an anomaly logit for the window's last step and five quantiles of the *next*
//! step's normalised residual. Everything that comes from outside (an artifact) is checked here before a tensor is made.

mod artifact;
mod device;
mod error;
mod inference;
mod initial;
mod layout;
mod manifest;
mod patch_tree;
mod scorer;
mod weights;

pub use artifact::{Artifact, ArtifactParts};
pub use device::{DeviceError, DeviceKind};
pub use error::ArtifactError;
pub use initial::initial_weights;
pub use layout::{
    ARCHITECTURE_NAME, CLASS_SLOTS, OUTPUTS, PARAMETER_COUNT, WINDOW_VALUES, one_hot, tame, tensor_lengths,
};
pub use manifest::{ARTIFACT_FORMAT_VERSION, Architecture, Lineage, LineageHome, Manifest};
pub use patch_tree::Network;
pub(crate) use scorer::MICRO_BATCH;
pub use scorer::{NetworkOutput, Scorer};
pub use weights::{NamedTensor, Weights};

/// The quantile levels the network predicts, in the order of [`NetworkOutput::quantiles`].
pub const QUANTILE_LEVELS: [f32; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];
