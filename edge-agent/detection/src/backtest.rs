//! Goes through the home's own memory once more: with another model to see which alarms it would have raised, or up to a moment to
//! see what the detector saw there.
//!
//! Heavy (a month of 300 entities is 1.3 million scores), so it runs on a thread of its own, on a detector of its own, and
//! reads through a connection of its own: the detector service goes on undisturbed.

use std::sync::Arc;

use hearthwatch_detector::alarm::{AlarmEvent, DeciderMemory};
use hearthwatch_detector::detector::{AlarmMode, DetectorConfig, EntityScore, HomeDetector, Model, NetworkRecords};
use hearthwatch_detector::grid::{STEP_SECONDS, step_of};
use hearthwatch_detector::reading::{EntityInfo, Reading};
use hearthwatch_edge_core::backtest::Backtest;
use hearthwatch_edge_store::history::{History, HistoryError};
use hearthwatch_protocol::ModelVersion;

use crate::service::{HomeDetail, WARM_UP_SECONDS};

/// What is compared at the most: four whole weeks, so that every weekday counts alike.
pub const BACKTEST_SECONDS: i64 = 28 * 86_400;
/// Learnt from before anything is counted: a fortnight, for of what is younger a detector asks more, …
const LEAD_SECONDS: i64 = 14 * 86_400;
/// … and a week where the memory reaches back no further.
const LEAD_SECONDS_MIN: i64 = 7 * 86_400;

/// Less than this is not compared: a week, but for the hours that the first slice of a recorder's past lacks.
const COMPARED_SECONDS_MIN: i64 = 6 * 86_400;

/// What the detector saw of one entity at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Moment {
    /// The feature window, `WINDOW_STEPS * FEATURES` numbers.
    pub window: Vec<f32>,
    /// None where the entity was too new to be judged.
    pub score: Option<f32>,
    /// What the score was compared with.
    pub threshold: f32,
}

/// Counts the alarms of the last weeks under both models, up to four; none when hardly a week can be compared. Also gives how the newer
/// one judged each entity.
///
/// # Errors
/// [`HistoryError`].
pub fn compare(
    reader: &mut History,
    home: &HomeDetail,
    before: (ModelVersion, Arc<Model>),
    after: (ModelVersion, Arc<Model>),
    now: i64,
) -> Result<Option<(Backtest, NetworkRecords)>, HistoryError> {
    let Some((first, until, _)) = reader.extent(now - BACKTEST_SECONDS - LEAD_SECONDS)? else { return Ok(None) };
    let known = until - first;
    if known - LEAD_SECONDS_MIN < COMPARED_SECONDS_MIN {
        return Ok(None);
    }
    // A whole week where a young memory allows it.
    let at_least = (known - LEAD_SECONDS_MIN).min(7 * 86_400);
    let from = until - (known - LEAD_SECONDS).clamp(at_least, BACKTEST_SECONDS);
    let (before_version, before) = before;
    let (after_version, after) = after;
    // One after the other: two detectors at once would double the memory.
    let (before, _) = count(reader, home, before, from, until)?;
    let (after, record) = count(reader, home, after, from, until)?;
    Ok(Some((Backtest { from, until, before: (before_version, before), after: (after_version, after) }, record)))
}

fn count(
    reader: &mut History,
    home: &HomeDetail,
    model: Arc<Model>,
    from: i64,
    until: i64,
) -> Result<(u32, NetworkRecords), HistoryError> {
    let mut raised = 0;
    let (_, detector) = replay(reader, home, model, (from - WARM_UP_SECONDS, from, until), |_, events| {
        raised += events.iter().filter(|event| matches!(event, AlarmEvent::Raised(_))).count();
    })?;
    Ok((u32::try_from(raised).unwrap_or(u32::MAX), detector.records()))
}

/// What the detector saw of `entity_id` at `at`; none for an entity that it does not know, or before there was a full
/// window.
///
/// # Errors
/// [`HistoryError`].
pub fn moment(
    reader: &mut History,
    home: &HomeDetail,
    entity_id: &str,
    at: i64,
) -> Result<Option<Moment>, HistoryError> {
    let Some(number) = home.entities.iter().position(|(info, _)| info.entity_id == entity_id) else { return Ok(None) };
    let Ok(number) = u32::try_from(number) else { return Ok(None) };
    let end = step_of(at);
    let mut seen = None;
    let model = Arc::clone(&home.model);
    let last = |detector: &HomeDetector, _: &[AlarmEvent]| seen = detector.window_now(number);
    let (scores, _) = replay(reader, home, model, (end - WARM_UP_SECONDS, end - STEP_SECONDS, end), last)?;
    let score = scores.into_iter().find(|score| score.entity == number);
    Ok(seen.zip(score).map(|(window, score)| Moment { window, score: score.score, threshold: score.threshold }))
}

/// Replays (`start`, `until`], judging after `from`; `heed` hears each judged step. Returns the last step's scores, and the detector.
fn replay(
    reader: &mut History,
    home: &HomeDetail,
    model: Arc<Model>,
    (start, from, until): (i64, i64, i64),
    mut heed: impl FnMut(&HomeDetector, &[AlarmEvent]),
) -> Result<(Vec<EntityScore>, HomeDetector), HistoryError> {
    let infos: Vec<EntityInfo> = home.entities.iter().map(|(info, _)| info.clone()).collect();
    reader.number(&infos)?;
    let config = DetectorConfig { budget_per_week: home.budget, ..home.config.clone() };
    let mut detector = HomeDetector::new(config, model);
    for info in infos {
        detector.add_entity(info);
    }
    // The answers and the offset of today, so that only the models differ; not the alarms, or what was said would be
    // taken for going on.
    detector.restore(DeciderMemory { alarms: Vec::new(), ..home.memory.clone() });
    let mut scores = Vec::new();
    let mut before = None;
    for end in reader.steps(start, until)? {
        // What nobody saw is a gap of knowledge, not of the sensors.
        let mut missed = before.map_or(end, |before| before + STEP_SECONDS);
        while missed < end {
            detector.close_step(missed, AlarmMode::LearnOnly);
            missed += STEP_SECONDS;
        }
        before = Some(end);
        for one in reader.readings(end, end - STEP_SECONDS)? {
            // What is said at once belongs to its step as much as what the step's end says.
            let events = detector.observe(&Reading { at: one.at, entity: one.entity, value: one.value });
            if !events.is_empty() {
                heed(&detector, &events);
            }
        }
        let mode = if end > from { AlarmMode::Raise } else { AlarmMode::LearnOnly };
        let report = detector.close_step(end, mode);
        if mode == AlarmMode::Raise {
            heed(&detector, &report.events);
            scores = report.scores;
        }
    }
    Ok((scores, detector))
}

#[cfg(test)]
mod tests;
