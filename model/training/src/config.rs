//! Everything that decides a training run, saved beside its artifact.

use hearthwatch_evaluation::evaluate::GatePolicy;
use hearthwatch_evaluation::inject::Family;
use serde::{Deserialize, Serialize};

/// A run's configuration. The defaults fit the bundled sets on two shared CPU cores. In JSON it is one flat object, whose bytes a run's id is
/// made of: the parts stand in their order there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetrainConfig {
    /// Decides everything left to chance.
    pub seed: u64,
    /// `flex`, `ndarray` or `cuda`.
    pub device: String,
    /// Threads for extraction and evaluation; training itself uses one, so that it can be repeated bit by bit.
    pub threads: usize,
    /// How long a recording is used for what.
    #[serde(flatten)]
    pub days: Days,
    /// How many recordings are used; of more, the first by the hash of their names.
    #[serde(flatten)]
    pub homes: Homes,
    /// The faults that are put into copies of homes.
    #[serde(flatten)]
    pub faults: Faults,
    /// How the weights are fitted.
    #[serde(flatten)]
    pub fit: Fit,
    /// What the windows of a batch are drawn from.
    #[serde(flatten)]
    pub mix: Mix,
    /// Weight of the anomaly loss against the quantile loss.
    pub anomaly_weight: f32,
    /// Windows of the validation sample.
    pub validation_windows: usize,
    /// Weights of the baseline score beside the logit that are tried on the calibration homes; a single one is taken as it
    /// is. When a champion is fine-tuned its blend is kept.
    pub blend_weights: Vec<f32>,
    /// Homes whose answers are left out, one at a time, before a candidate that learnt from answers is let through: those that
    /// weigh most. Each costs a fine-tuning and a measurement.
    #[serde(skip_serializing_if = "is_usual")]
    pub influence_homes: usize,
    /// By which thresholds the baseline detector speaks, as what the candidate is compared with, and beside it.
    #[serde(rename = "routine_thresholds", alias = "baseline_thresholds")]
    pub baseline_thresholds: BaselineThresholds,
    /// What the gate asks for.
    pub gate: GatePolicy,
}

/// How long a recording is used for what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Days {
    /// Days at the start of each recording in which the extractor only learns.
    pub warm_up_days: i64,
    /// Days after the warm-up that are trained (and calibrated) on.
    pub train_days: i64,
    /// Days that are measured in test homes, after the days trained on where the recording is long enough.
    pub test_days: i64,
}

impl Default for Days {
    fn default() -> Self {
        Self { warm_up_days: 14, train_days: 126, test_days: 42 }
    }
}

/// How many recordings are used; of more, the first by the hash of their names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Homes {
    /// Most training homes; the first by the hash of their names.
    pub train_homes_max: usize,
    /// Most calibration homes; the first by the hash of their names.
    pub calibrate_homes_max: usize,
    /// Most test homes; the first by the hash of their names.
    pub test_homes_max: usize,
    /// Most entities of a home; recordings with more keep their first ones.
    pub entities_max: usize,
}

impl Default for Homes {
    fn default() -> Self {
        Self { train_homes_max: 10, calibrate_homes_max: 5, test_homes_max: 7, entities_max: 24 }
    }
}

/// The faults that are put into copies of homes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Faults {
    /// Faults of each entity in a week, in training copies.
    pub train_events_per_entity_week: f64,
    /// Faults of each entity in a week, in test copies.
    pub test_events_per_entity_week: f64,
    /// Faulty copies of each training and calibration home, each with faults of its own.
    pub train_copies: usize,
    /// Faulty copies of each test home, each with faults of its own.
    pub test_copies: usize,
    /// Families put into training copies.
    pub train_families: Vec<Family>,
    /// Families put into test copies.
    pub test_families: Vec<Family>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            train_events_per_entity_week: 2.0,
            test_events_per_entity_week: 0.75,
            train_copies: 1,
            test_copies: 3,
            train_families: Family::ALL.to_vec(),
            test_families: Family::ALL.to_vec(),
        }
    }
}

/// How the weights are fitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fit {
    /// Windows drawn anew for each epoch.
    pub windows_per_epoch: usize,
    /// Most epochs from a fresh start.
    pub epochs: usize,
    /// Epochs when a champion is fine-tuned: all of them.
    pub fine_tune_epochs: usize,
    /// Epochs without a better validation loss after which training from a fresh start stops.
    pub patience: usize,
    /// Windows of an optimizer step.
    pub batch: usize,
    /// Adam's step size from a fresh start, at its highest.
    pub learning_rate: f64,
    /// Adam's step size when fine-tuning, at its highest.
    pub fine_tune_learning_rate: f64,
}

impl Default for Fit {
    fn default() -> Self {
        Self {
            windows_per_epoch: 24_576,
            epochs: 6,
            fine_tune_epochs: 3,
            patience: 2,
            batch: 256,
            learning_rate: 1e-3,
            fine_tune_learning_rate: 4e-4,
        }
    }
}

/// What the windows of a batch are drawn from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mix {
    /// Share of windows that end inside a fault.
    pub faulty_share: f64,
    /// Share of the windows from normal time that are drawn from those which the network of the epoch before found oddest.
    pub hard_share: f64,
    /// Share of windows taken from feedback, when there is any.
    pub feedback_share: f64,
}

impl Default for Mix {
    fn default() -> Self {
        Self { faulty_share: 0.35, hard_share: 0.0, feedback_share: 0.25 }
    }
}

/// Where the thresholds of the baseline detector come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BaselineThresholds {
    /// Those that homes use: the champion's, or those that ship with the program. The few calibration homes of a nightly run know less
    /// of homes than all those that the shipped thresholds were set on.
    Deployed,
    /// Set anew on the run's calibration homes: for weights that ship.
    Fitted,
}

/// Three: beyond them a home has less than the cap's share anyway, and each costs minutes.
const INFLUENCE_HOMES: usize = 3;

/// Left out of the JSON then, as in configurations from before there was a choice.
fn is_usual(homes: &usize) -> bool {
    *homes == INFLUENCE_HOMES
}

impl RetrainConfig {
    /// What the weights that ship are trained with: the longer recipe, trained and measured against every family there is
    /// (docs/measurements/2026-11-30-training-tries.md).
    #[must_use]
    pub fn release(seed: u64) -> Self {
        let longer = Self::longer(seed);
        let (train_families, test_families) = (Family::EVERY.to_vec(), Family::EVERY.to_vec());
        Self { faults: Faults { train_families, test_families, ..longer.faults }, ..longer }
    }

    /// The longer recipe, chosen on fold L: more homes than an aggregator's nightly run, more faulty copies, more epochs,
    /// hard windows.
    #[must_use]
    pub fn longer(seed: u64) -> Self {
        Self {
            seed,
            homes: Homes { train_homes_max: 40, calibrate_homes_max: 16, test_homes_max: 16, ..Homes::default() },
            faults: Faults { train_copies: 3, ..Faults::default() },
            fit: Fit { epochs: 40, patience: 10, learning_rate: 2e-3, ..Fit::default() },
            mix: Mix { hard_share: 0.2, ..Mix::default() },
            baseline_thresholds: BaselineThresholds::Fitted,
            ..Self::default()
        }
    }
}

impl Default for RetrainConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            device: "flex".to_owned(),
            threads: 2,
            days: Days::default(),
            homes: Homes::default(),
            faults: Faults::default(),
            fit: Fit::default(),
            mix: Mix::default(),
            anomaly_weight: 4.0,
            validation_windows: 4096,
            blend_weights: vec![1.0],
            influence_homes: INFLUENCE_HOMES,
            baseline_thresholds: BaselineThresholds::Deployed,
            gate: GatePolicy::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_that_chooses_another_network_is_refused_by_the_setting_that_is_gone() {
        let error = serde_json::from_str::<RetrainConfig>(r#"{"seed": 1, "form": "cone"}"#).unwrap_err().to_string();
        assert!(error.starts_with("unknown field `form`"), "{error}");
    }

    #[test]
    fn the_configuration_of_what_ships_reads_and_is_written_as_it_was() {
        let run: serde_json::Value = serde_json::from_str(include_str!("../../shipped/run.json")).unwrap();
        let config: RetrainConfig = serde_json::from_value(run["config"].clone()).unwrap();
        assert_eq!(config, RetrainConfig::release(1));
        assert_eq!(serde_json::to_value(&config).unwrap(), run["config"]);
    }
}
