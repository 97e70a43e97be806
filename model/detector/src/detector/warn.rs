//! From what warns of danger to its alarm: at once, and outside of everything else.

use super::danger::Turn;
use super::{AHEAD_SECONDS_MAX, AlarmMode, HomeDetector};
use crate::alarm::{AlarmEvent, Evidence};
use crate::features::ALERT_SCORE;
use crate::features::LocalTime;
use crate::finding::AnomalyKind;
use crate::reading::Reading;

impl HomeDetector {
    /// An entity is no more: it neither warns nor is missed. What was learnt of it stays, should it be back.
    pub fn depart(&mut self, entity: u32) {
        self.dangers.forget(entity);
        self.carbon_monoxide.forget(entity);
        self.offline.forget(entity);
    }

    /// Entities that warn of danger now, whatever was answered.
    #[must_use]
    pub fn warning(&self) -> Vec<u32> {
        let mut warning = self.dangers.warning();
        warning.extend(self.carbon_monoxide.warning());
        warning.sort_unstable();
        warning.dedup();
        warning
    }

    /// The alarms of sensors that warn of danger, are on at `at`, and have no alarm that lasts: those that turned on while
    /// nobody listened. Empty before the first [`AlarmMode::Raise`] step.
    pub fn raise_unheard_dangers(&mut self, at: i64) -> Vec<AlarmEvent> {
        if self.mode == AlarmMode::LearnOnly {
            return Vec::new();
        }
        let warning = self.dangers.warning().into_iter().chain(self.carbon_monoxide.warning());
        let events: Vec<AlarmEvent> =
            warning.collect::<Vec<_>>().into_iter().flat_map(|entity| self.raise_danger(entity, at, false)).collect();
        self.capture(&events);
        events
    }

    pub(super) fn judge_danger(&mut self, reading: &Reading, turn: Option<Turn>) -> Vec<AlarmEvent> {
        let (Some(turn), AlarmMode::Raise, Some(closed)) = (turn, self.mode, self.extractor.closed()) else {
            return Vec::new();
        };
        // A danger is told whatever its clock says; only the time that is shown must be one that can be.
        let plausible = closed.saturating_sub(AHEAD_SECONDS_MAX)..=closed.saturating_add(AHEAD_SECONDS_MAX);
        let at = if plausible.contains(&reading.at) { reading.at } else { closed };
        match turn {
            Turn::On { known } => self.raise_danger(reading.entity, at, known),
            Turn::Off => self.decider.end_danger(reading.entity, at).into_iter().collect(),
        }
    }

    fn raise_danger(&mut self, entity: u32, at: i64, turned_on: bool) -> Vec<AlarmEvent> {
        let Some(evidence) = self.danger_of(entity) else { return Vec::new() };
        self.decider.decide_danger(at, LocalTime::at(at, &self.timezone).hour_of_day(), &evidence, turned_on)
    }

    /// What a sensor that warns is evidence of; one that measures gas in numbers tells how much.
    pub(super) fn danger_of(&self, entity: u32) -> Option<Evidence> {
        let info = self.entities.get(entity as usize)?;
        let amount = self.carbon_monoxide.danger(entity).unwrap_or(1.0);
        Some(Evidence {
            entity,
            score: Some(ALERT_SCORE),
            threshold: self.model.baseline_calibration().threshold(info.class, self.share()),
            kind: AnomalyKind::Alert,
            amount,
            usual: self.extractor.times_on(entity).unwrap_or_default(),
            observed: Some(amount),
            band: None,
        })
    }
}
