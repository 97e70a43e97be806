//! A home's detector: features, model and decisions in one value.

use std::sync::Arc;

use crate::alarm::{Alarm, AlarmEvent, Calibration, CalibrationCurve, UnknownAlarm, Verdict};
use crate::class::DeviceClass;
use crate::features::Band;
use crate::reading::{EntityInfo, Reading};

/// What scores: the routine detector alone, or with the shared network.
#[derive(Debug)]
pub enum Model {
    /// No network.
    Routine {
        /// Rate → threshold of the routine score.
        calibration: Calibration,
    },
}

impl Model {
    /// The routine detector with the calibration that ships.
    #[must_use]
    pub fn routine() -> Self {
        let fallback = CalibrationCurve { points: vec![(1.0, 1.0), (0.1, 3.0)] };
        Self::Routine { calibration: Calibration { classes: std::collections::BTreeMap::new(), fallback } }
    }
}

/// What a home sets.
#[derive(Debug, Clone)]
pub struct DetectorConfig {
    /// For the time of day.
    pub timezone: jiff::tz::TimeZone,
    /// Alarms a week, for the whole home.
    pub budget_per_week: f64,
    /// The home's secret in the alarms' ids.
    pub salt: Vec<u8>,
}

/// Whether a step may raise alarms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// Judge and speak.
    Live,
    /// Learn only: warm-up.
    Quiet,
}

/// One entity's score in one step.
#[derive(Debug, Clone, PartialEq)]
pub struct EntityScore {
    /// Index in the home's list.
    pub entity: u32,
    /// The step's end, in Unix seconds.
    pub at: i64,
    /// The value, in the unit that is shown.
    pub observed: Option<f32>,
    /// The score; none in warm-up.
    pub score: Option<f32>,
    /// What it is held against.
    pub threshold: f32,
    /// What was expected.
    pub band: Option<Band>,
}

/// What a step brought.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StepReport {
    /// One for each entity, in order.
    pub scores: Vec<EntityScore>,
    /// What happened to alarms.
    pub events: Vec<AlarmEvent>,
}

/// Watches one home.
#[derive(Debug)]
pub struct HomeDetector {
    config: DetectorConfig,
    model: Arc<Model>,
    entities: Vec<EntityInfo>,
    alarms: Vec<Alarm>,
}

impl HomeDetector {
    /// A detector of a home without entities.
    #[must_use]
    pub fn new(config: DetectorConfig, model: Arc<Model>) -> Self {
        Self { config, model, entities: Vec::new(), alarms: Vec::new() }
    }

    /// Adds an entity and returns its index; the same id again returns the index it has.
    pub fn add_entity(&mut self, info: EntityInfo) -> u32 {
        let index = self.entities.iter().position(|known| known.entity_id == info.entity_id);
        let index = index.unwrap_or_else(|| {
            self.entities.push(info);
            self.entities.len() - 1
        });
        u32::try_from(index).unwrap_or(u32::MAX)
    }

    /// Takes a reading; rules that need no second sample speak at once.
    pub fn observe(&mut self, _reading: &Reading) -> Vec<AlarmEvent> {
        Vec::new()
    }

    /// Closes a step: scores every entity and decides.
    pub fn close_step(&mut self, _step_end: i64, _voice: Voice) -> StepReport {
        StepReport::default()
    }

    /// Takes a resident's answer; the last one counts.
    ///
    /// # Errors
    /// [`UnknownAlarm`] when no such alarm is remembered.
    pub fn answer(&mut self, alarm_id: &str, _verdict: Verdict, _at: i64) -> Result<(), UnknownAlarm> {
        Err(UnknownAlarm(alarm_id.to_owned()))
    }

    /// Goes on with another model; histories and answers stay.
    pub fn replace_model(&mut self, model: Arc<Model>) {
        self.model = model;
    }

    /// The recent alarms, oldest first.
    #[must_use]
    pub fn alarms(&self) -> &[Alarm] {
        &self.alarms
    }

    /// The feature window captured when an alarm was raised.
    #[must_use]
    pub fn window_of(&self, _alarm_id: &str) -> Option<&[f32]> {
        None
    }

    /// The newest window of each entity, for a model's probation.
    #[must_use]
    pub fn recent_windows(&self) -> Vec<(DeviceClass, Vec<f32>)> {
        Vec::new()
    }

    /// Sets how many alarms a week the home wants.
    pub fn set_budget(&mut self, budget_per_week: f64) {
        self.config.budget_per_week = budget_per_week;
    }

    /// The entities, by index.
    #[must_use]
    pub fn entities(&self) -> &[EntityInfo] {
        &self.entities
    }
}
