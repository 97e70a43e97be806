//! What a simulated home leaves in the agent's history, the file that the program which trains reads.

use std::path::Path;

use hearthwatch_detector::detector::Knowledge;
use hearthwatch_detector::grid::STEP_SECONDS;
use hearthwatch_edge_core::alarm::StoredAlarm;
use hearthwatch_edge_core::preferences::Place;
use hearthwatch_edge_detection::service::{EntityReadiness, LEARNING_DAYS, Readiness, remembered, whole_days};
use hearthwatch_edge_store::history::{History, HistoryError, KEPT_SECONDS};

use super::home::SimulatedHome;

/// The history of one home.
#[derive(Debug)]
pub struct HomeMemory {
    history: History,
    /// End of the last step that was written, Unix seconds; none before the first.
    written: Option<i64>,
}

impl HomeMemory {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn open(path: &Path) -> Result<Self, HistoryError> {
        Ok(Self { history: History::open(path)?, written: None })
    }

    /// Writes the steps that `home` has lived through since the last call, as far as a history goes back, and its alarms with what
    /// residents answered.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn write(&mut self, home: &SimulatedHome) -> Result<(), HistoryError> {
        let entities = &home.recording.entities;
        for (number, info) in (0..).zip(entities) {
            self.history.know(number, info)?;
        }
        let (began, now) = home.lived();
        let from = self.written.unwrap_or(began).max(now - KEPT_SECONDS);
        let readings = &home.recording.readings;
        let mut cursor = readings.partition_point(|reading| reading.at <= from);
        for step in (from + STEP_SECONDS..=now).step_by(STEP_SECONDS as usize) {
            let end = cursor + readings[cursor..].partition_point(|reading| reading.at <= step);
            let of_step = readings[cursor..end].iter().filter_map(|reading| {
                let info = entities.get(usize::try_from(reading.entity).ok()?)?;
                Some((*reading, info.class))
            });
            let (rows, changes) = remembered(of_step, &[]);
            self.history.save_step(step, &rows, &changes)?;
            cursor = end;
        }
        self.written = Some(now);
        for alarm in home.alarms.iter().filter(|alarm| alarm.raised_at > now - KEPT_SECONDS) {
            let Some(info) = usize::try_from(alarm.entity).ok().and_then(|number| entities.get(number)) else {
                continue;
            };
            let stored = StoredAlarm::new(alarm.clone(), info, Place::default(), home.version());
            self.history.save_alarm(&StoredAlarm { answer: home.answer_to(&alarm.id), ..stored }, None)?;
        }
        Ok(())
    }
}

/// How far each entity of `home` is learnt, as the agent's own view has it.
#[must_use]
pub fn readiness(home: &SimulatedHome) -> Readiness {
    let known = home.detector().entities().iter().zip(home.detector().knowledge());
    let entities = known.filter_map(|(info, knowledge): (_, Knowledge)| {
        let days = whole_days(knowledge.known_seconds?);
        Some(EntityReadiness {
            entity_id: info.entity_id.clone(),
            name: String::new(),
            days: u8::try_from(days).unwrap_or(LEARNING_DAYS).min(LEARNING_DAYS),
            watching: knowledge.watching,
        })
    });
    Readiness { entities: entities.collect() }
}

#[cfg(test)]
mod tests {
    use hearthwatch_detector::grid::step_of;
    use hearthwatch_evaluation::fixtures::home::made_home;
    use hearthwatch_protocol::HomeId;

    use super::super::resident::Habits;
    use super::*;

    #[test]
    fn a_history_has_every_step_once_and_no_more_than_five_weeks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.sqlite");
        let recording = made_home(1, 40);
        let begin = step_of(recording.readings[0].at) - STEP_SECONDS;
        let id = HomeId::new("home-01").unwrap();
        let mut home = SimulatedHome::new(id, recording, Habits::default(), 1, begin, begin + KEPT_SECONDS);
        let mut memory = HomeMemory::open(&path).unwrap();
        let day = 86_400;
        for days in [20, 22, 39] {
            home.live_until(begin + days * day, &mut |_| {});
            memory.write(&home).unwrap();
        }
        let steps = memory.history.steps(0, i64::MAX).unwrap();
        let end = begin + 39 * day;
        assert_eq!((steps.first(), steps.last()), (Some(&(end - KEPT_SECONDS)), Some(&end)));
        assert!(steps.windows(2).all(|pair| pair[1] - pair[0] == STEP_SECONDS));
        let days = memory.history.days_with_numbers(end - 28 * day, end).unwrap();
        assert!(days.len() == home.recording.entities.len() && days.values().all(|days| *days >= 28), "{days:?}");
        assert_eq!(readiness(&home).learnt(), home.recording.entities.len());
    }
}
