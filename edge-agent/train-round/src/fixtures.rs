//! Histories made up for tests and for the measurement of time and memory. No program of a home uses them.

use std::path::Path;

use hearthwatch_detector::fixtures::made_home;
use hearthwatch_detector::grid::STEP_SECONDS;
use hearthwatch_detector::reading::EntityInfo;
use hearthwatch_edge_core::round_job::{JobLimits, RoundJob};
use hearthwatch_edge_store::history::{History, HistoryError, StepRow};
use hearthwatch_protocol::round::{RoundFile, RoundWork, TrainRecipe, TrainWork};

/// Sensors of one made home: temperature, power, humidity.
const OF_A_HOME: usize = 3;

/// Writes a history of so many sensors over so many days, as an agent does, and gives the sensors and the end of the last step. Days
/// beyond those that a history keeps are gone, the oldest first.
///
/// # Errors
/// [`HistoryError`].
pub fn made_history(path: &Path, sensors: usize, days: i64) -> Result<(Vec<EntityInfo>, i64), HistoryError> {
    let homes: Vec<_> = (1..).take(sensors.div_ceil(OF_A_HOME)).map(|variant| made_home(variant, days)).collect();
    let infos: Vec<EntityInfo> = homes
        .iter()
        .enumerate()
        .flat_map(|(number, (infos, _))| {
            let named = move |info: &EntityInfo| EntityInfo {
                entity_id: format!("{}_{number}", info.entity_id),
                ..info.clone()
            };
            infos.iter().map(named)
        })
        .take(sensors)
        .collect();
    let mut history = History::open(path)?;
    for (number, info) in (0..).zip(&infos) {
        history.know(number, info)?;
    }
    let first = homes.first().and_then(|(_, readings)| readings.first()).map_or(0, |reading| reading.at);
    let steps = homes.first().map_or(0, |(_, readings)| readings.len() / OF_A_HOME);
    for (step, end) in (0..steps).zip((first..).step_by(STEP_SECONDS as usize)) {
        let of_step = homes.iter().flat_map(|(_, readings)| &readings[step * OF_A_HOME..(step + 1) * OF_A_HOME]);
        let rows = (0..).zip(of_step.take(sensors));
        let rows: Vec<StepRow> = rows
            .map(|(entity, reading)| StepRow { received: Some(reading.value), ..StepRow::silent(entity) })
            .collect();
        history.save_step(end, &rows, &[])?;
    }
    Ok((infos, first + (steps as i64 - 1) * STEP_SECONDS))
}

/// A job that trains a step on such a history, with an empty list of models.
#[must_use]
pub fn made_job(history: &Path, entities: Vec<EntityInfo>, now: i64, out: &Path) -> RoundJob {
    let recipe = TrainRecipe { steps: 3, batch: 32, learning_rate: 1e-3, rise_steps: 1, seed: 1 };
    let work = TrainWork { base: RoundFile::of(&[]), recipe, clip: 1.0, noise: 0.0, server_noise: 0.0 };
    RoundJob {
        history: history.to_owned(),
        entities,
        work: RoundWork::Train(work),
        models: Vec::new(),
        out: out.to_owned(),
        now,
        timezone: "Europe/Amsterdam".to_owned(),
        seed: 7,
        limits: JobLimits::default(),
    }
}
