//! From bytes to a model, and what a model says about this home's recent windows.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use hearthwatch_model::class::DeviceClass;
use hearthwatch_model::detector::Model;
use hearthwatch_model::grid::{FEATURES, WINDOW_STEPS};
use hearthwatch_protocol::ModelVersion;

/// An entity's newest feature window: `WINDOW_STEPS * FEATURES` numbers, oldest step first.
pub type Window = (DeviceClass, Vec<f32>);

/// What a model is tried on: copies of this home's newest windows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrialWindows {
    /// As they are.
    pub recent: Vec<Window>,
    /// With a known fault at their end ([`hearthwatch_model::detector::HomeDetector::canaries`]).
    pub canaries: Vec<Window>,
}

/// What the updater must be able to do with models. The updater's tests have models of their own.
pub trait Prove: Send + Sync {
    /// A model.
    type Model: Send + Sync;

    /// Checks an artifact and builds the model.
    ///
    /// # Errors
    /// Why not, in one line.
    fn load(&self, bytes: &[u8], version: ModelVersion) -> Result<Arc<Self::Model>, String>;

    /// Logit minus threshold for each window; none when the model has no network.
    fn margins(&self, model: &Self::Model, windows: &[Window]) -> Option<Vec<f32>>;
}

/// The models of this program.
#[derive(Debug, Clone, Copy)]
pub struct ModelProof {
    /// The home's budget, alarms a week.
    pub budget_per_week: f64,
}

impl Prove for ModelProof {
    type Model = Model;

    fn load(&self, bytes: &[u8], version: ModelVersion) -> Result<Arc<Model>, String> {
        Model::from_artifact(bytes, version.0).map(Arc::new).map_err(|error| error.to_string())
    }

    fn margins(&self, model: &Model, windows: &[Window]) -> Option<Vec<f32>> {
        let Model::Network { scorer, calibration, .. } = model else { return None };
        let whole: Vec<&Window> =
            windows.iter().filter(|(_, window)| window.len() == WINDOW_STEPS * FEATURES).collect();
        if whole.is_empty() {
            return Some(Vec::new());
        }
        let values: Vec<f32> = whole.iter().flat_map(|(_, window)| window).copied().collect();
        let classes: Vec<usize> = whole.iter().map(|(class, _)| class.index()).collect();
        let share = (self.budget_per_week.max(0.0) / whole.len() as f64) as f32;
        let outputs = scorer.score(&values, &classes);
        let margin = |(output, (class, _)): (_, &&Window)| {
            let output: &hearthwatch_model::network::NetworkOutput = output;
            output.logit - calibration.threshold(*class, share)
        };
        Some(outputs.iter().zip(&whole).map(margin).collect())
    }
}

/// Runs code on a model that came from outside: a panic is an answer, not the end of the agent.
pub fn contained<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err("the model's code panicked".to_owned()))
}
