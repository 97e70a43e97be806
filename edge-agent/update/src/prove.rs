//! Builds a model from the bytes of an artifact, and scores this home's recent windows with it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use hearthwatch_detector::detector::{Margin, Model, TrialWindow};
use hearthwatch_protocol::ModelVersion;

/// What the updater must be able to do with models. The updater's tests have models of their own.
pub trait Prove: Send + Sync {
    /// A loaded model.
    type Model: Send + Sync;

    /// Checks an artifact and builds the model.
    ///
    /// # Errors
    /// Why not, in one line.
    fn load(&self, bytes: &[u8], version: ModelVersion) -> Result<Arc<Self::Model>, String>;

    /// By how much each window is an alarm in a home that runs the model, whoever judges it there.
    fn margins(&self, model: &Self::Model, windows: &[TrialWindow], share: f32) -> Vec<Margin>;
}

/// Loads the detector's models.
#[derive(Debug, Clone, Copy)]
pub struct ModelProof;

impl Prove for ModelProof {
    type Model = Model;

    fn load(&self, bytes: &[u8], version: ModelVersion) -> Result<Arc<Model>, String> {
        Model::from_artifact(bytes, version.0).map(Arc::new).map_err(|error| error.to_string())
    }

    fn margins(&self, model: &Model, windows: &[TrialWindow], share: f32) -> Vec<Margin> {
        model.margins(windows, share)
    }
}

/// Runs code on a model that came from outside: a panic is an answer, not the end of the agent.
pub fn contained<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err("the model's code panicked".to_owned()))
}
