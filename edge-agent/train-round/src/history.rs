//! The agent's history as the home on which models are trained or evaluated.

use std::collections::HashMap;

use hearthwatch_detector::alarm::Verdict;
use hearthwatch_detector::grid::{HISTORY_DAYS, STEP_SECONDS};
use hearthwatch_detector::reading::{EntityInfo, Reading};
use hearthwatch_edge_core::alarm::StoredAlarm;
use hearthwatch_edge_core::round_job::{ENTITIES_MAX, JobFigures, RoundJob};
use hearthwatch_edge_store::history::{History, HistoryError, KEPT_SECONDS};
use hearthwatch_evaluation::dataset::RecordedHome;
use hearthwatch_training::HomeVerdict;

use crate::choice::{Candidate, choose};
use crate::error::RoundError;

/// Seconds of a day of the grid: 144 steps, whatever the clocks on the wall do.
pub const DAY_SECONDS: i64 = 86_400;

/// The detector's own memory comes before what is used: features of younger sensors mean little.
const WARM_UP_DAYS: i64 = HISTORY_DAYS as i64;

/// Least that is used: each day of the week once.
const USED_DAYS_MIN: i64 = 7;

/// Most that is trained on: a fortnight, of which the memory is counted at [`ENTITIES_MAX`].
pub const TRAINED_DAYS_MAX: i64 = 14;

/// Most that models are evaluated on: all that the history keeps after the warm-up, 21 days. Two traces of it are in memory at a time,
/// less than the four of training.
pub const EVALUATED_DAYS_MAX: i64 = KEPT_SECONDS / DAY_SECONDS - WARM_UP_DAYS;

/// Days on which a sensor must have reported: the warm-up and three more, so that a few days without it do no harm.
const SENSOR_DAYS_MIN: u32 = 17;

/// A home as it is worked on.
#[derive(Debug)]
pub struct LocalHome {
    /// The chosen sensors, from the begin of the warm-up to the end. Its name is the same in every home.
    pub recorded: RecordedHome,
    /// Residents' answers to alarms of these sensors.
    pub verdicts: Vec<HomeVerdict>,
    /// Ends of the steps in which the agent ran, Unix seconds, rising.
    pub steps: Vec<i64>,
    /// End of the warm-up, Unix seconds: whole days lie between it and the last step.
    pub from: i64,
    /// Those days.
    pub days: u32,
}

impl LocalHome {
    /// How much was used, for the report; everything else is zero.
    #[must_use]
    pub fn figures(&self) -> JobFigures {
        let entities = u32::try_from(self.recorded.entities.len()).unwrap_or(u32::MAX);
        JobFigures { entities, days: self.days, ..JobFigures::default() }
    }
}

/// Reads the last `days_max` days and their warm-up. `seed` decides among sensors where there are too many.
///
/// # Errors
/// [`RoundError::History`], [`RoundError::HistoryTooShort`], [`RoundError::NoSensors`].
pub fn read(job: &RoundJob, days_max: i64, seed: u64) -> Result<LocalHome, RoundError> {
    read_from(job, days_max, seed).map_err(|error| match error {
        ReadError::Round(error) => error,
        ReadError::History(error) => RoundError::History { code: code(&error) },
    })
}

enum ReadError {
    Round(RoundError),
    History(HistoryError),
}

impl From<HistoryError> for ReadError {
    fn from(error: HistoryError) -> Self {
        Self::History(error)
    }
}

fn read_from(job: &RoundJob, days_max: i64, seed: u64) -> Result<LocalHome, ReadError> {
    let mut all = History::open_to_read(&job.history)?;
    let steps = all.steps(job.now.saturating_sub(KEPT_SECONDS), job.now)?;
    let span = span(&steps, days_max).map_err(ReadError::Round)?;
    all.number(&job.entities)?;
    let days = all.days_with_numbers(span.begin, span.end)?;
    let chosen = choose(&candidates(&job.entities, &days), entities_max(job), seed);
    if chosen.is_empty() {
        return Err(ReadError::Round(RoundError::NoSensors { needed: SENSOR_DAYS_MIN }));
    }
    let infos: Vec<EntityInfo> =
        chosen.iter().filter_map(|number| job.entities.get(*number as usize).cloned()).collect();
    // Another connection, which numbers the chosen ones alone: nothing else is read into memory.
    let mut history = History::open_to_read(&job.history)?;
    history.number(&infos)?;
    let verdicts = verdicts(&history.alarms(span.begin)?, &infos);
    let steps: Vec<i64> = steps.into_iter().filter(|step| *step > span.begin).collect();
    let mut readings = Vec::with_capacity(steps.len() * infos.len());
    for step in &steps {
        let of_step = history.readings(*step, step - STEP_SECONDS)?;
        readings.extend(of_step.iter().map(|one| Reading { at: one.at, entity: one.entity, value: one.value }));
    }
    let recorded = RecordedHome {
        name: "home".to_owned(),
        set: "own".to_owned(),
        timezone: job.timezone.clone(),
        entities: infos,
        readings,
        labels: Vec::new(),
    };
    Ok(LocalHome { recorded, verdicts, steps, from: span.from, days: span.days })
}

fn entities_max(job: &RoundJob) -> usize {
    usize::try_from(job.limits.entities).map_or(ENTITIES_MAX, |entities| entities.min(ENTITIES_MAX))
}

/// What of a history is used, Unix seconds; steps after `begin` up to `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    begin: i64,
    from: i64,
    end: i64,
    days: u32,
}

/// The last days of a history, whole ones counted back from its last step, with the warm-up before them.
fn span(steps: &[i64], days_max: i64) -> Result<Span, RoundError> {
    let (first, end) = (steps.first().copied().unwrap_or(0), steps.last().copied().unwrap_or(0));
    // The first step began ten minutes before its end.
    let known = if steps.is_empty() { 0 } else { end.saturating_sub(first).saturating_add(STEP_SECONDS) / DAY_SECONDS };
    let used = (known - WARM_UP_DAYS).min(days_max);
    if used < USED_DAYS_MIN {
        let days = |days: i64| u32::try_from(days).unwrap_or(0);
        return Err(RoundError::HistoryTooShort { days: days(known), needed: days(WARM_UP_DAYS + USED_DAYS_MIN) });
    }
    let from = end - used * DAY_SECONDS;
    Ok(Span { begin: from - WARM_UP_DAYS * DAY_SECONDS, from, end, days: u32::try_from(used).unwrap_or(0) })
}

/// Sensors of numbers that reported on enough days. A network is never asked about what is on or off.
fn candidates(infos: &[EntityInfo], days: &HashMap<u32, u32>) -> Vec<Candidate> {
    let known = (0_u32..).zip(infos).filter(|(_, info)| !info.class.is_binary());
    known
        .filter_map(|(number, info)| {
            let days = days.get(&number).copied().filter(|days| *days >= SENSOR_DAYS_MIN)?;
            Some(Candidate { number, class: info.class, days })
        })
        .collect()
}

/// Confirmed and dismissed alarms of these sensors; nothing is learnt from an alarm that was expected.
fn verdicts(alarms: &[StoredAlarm], infos: &[EntityInfo]) -> Vec<HomeVerdict> {
    let of = |stored: &StoredAlarm| {
        let confirmed = match stored.answer?.0 {
            Verdict::Confirmed => true,
            Verdict::Dismissed => false,
            Verdict::Expected => return None,
        };
        let place = infos.iter().position(|info| info.entity_id == stored.entity_id)?;
        Some(HomeVerdict { entity: u32::try_from(place).ok()?, at: stored.alarm.start, confirmed })
    };
    alarms.iter().filter_map(of).collect()
}

/// The engine's code and nothing else: its sentences may quote what is stored.
fn code(error: &HistoryError) -> String {
    match error {
        HistoryError::Database(error) => {
            error.sqlite_error_code().map_or_else(|| "a row of another type".to_owned(), |code| format!("{code:?}"))
        }
        HistoryError::Damaged { .. } => "damaged".to_owned(),
        HistoryError::Newer { found, known } => format!("version {found}, known up to {known}"),
    }
}

#[cfg(test)]
mod tests;
