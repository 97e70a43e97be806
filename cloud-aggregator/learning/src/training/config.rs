//! When to learn, from what, with which seed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hearthwatch_detector::network::DeviceKind;

use super::limits::Limits;
use super::mlflow::MlflowConfig;

/// New answers that start a run: with one alarm a week and every second one answered, a day's worth of some 350 homes.
pub const TRIGGER_COUNT_DEFAULT: i64 = 50;

/// Hours between scheduled runs: a week, the rhythm of a household.
pub const SCHEDULE_HOURS_DEFAULT: i64 = 168;

/// Seed of a run whose configuration names none.
pub const SEED_DEFAULT: i64 = 7;

/// When and how to retrain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainingConfig {
    /// So many new teaching answers start a run; 0 never does.
    pub trigger_count: u64,
    /// A run starts when the last one is so many hours old and there is a new answer; 0 never does.
    pub schedule_hours: u64,
    /// A run starts when incoming windows have moved, a day after the last one at the earliest.
    pub drift: bool,
    /// A run starts when residents confirm less than before the last one, a day after it at the earliest.
    pub confirmations: bool,
    /// Hours after which answers about a class are to be learned from, by class; a run starts when they wait longer.
    pub freshness: BTreeMap<String, u32>,
    /// When triggers may not start a run.
    pub limits: Limits,
    /// Directory with the recorded sets that networks are trained and judged on.
    pub corpus: Option<PathBuf>,
    /// Everything random in a run follows from it.
    pub seed: u64,
    /// Release at once what the gate promotes; otherwise it waits for a person.
    pub auto_release: bool,
    /// Where networks are trained: the processor, or a GPU in a program built for one.
    pub device: DeviceKind,
    /// The MLflow server that runs are logged to; without one the runs' folders have everything.
    pub mlflow: Option<MlflowConfig>,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            trigger_count: TRIGGER_COUNT_DEFAULT.unsigned_abs(),
            schedule_hours: SCHEDULE_HOURS_DEFAULT.unsigned_abs(),
            drift: true,
            confirmations: true,
            freshness: BTreeMap::new(),
            limits: Limits::default(),
            corpus: None,
            seed: SEED_DEFAULT.unsigned_abs(),
            auto_release: true,
            device: DeviceKind::Flex,
            mlflow: None,
        }
    }
}
