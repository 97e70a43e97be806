//! Learning anew from the own memory: when something in it turns out not to be the home's routine, or to have a past.
//!
//! What a detector has learnt cannot be unlearnt; but all that it learns from is remembered, so a new one is taught
//! without what must not count: days with guests, holidays, maintenance, and the time of a fault that a resident confirmed.

use std::sync::Arc;

use hearthwatch_model::alarm::Verdict;
use hearthwatch_model::detector::{HomeDetector, Model, Voice};
use hearthwatch_model::grid::{STEP_SECONDS, WINDOW_STEPS};
use hearthwatch_model::reading::{Reading, Value};

use super::step::OpenStep;
use super::{Brain, WARM_UP_SECONDS, step_before};
use crate::history::{HistoryError, StoredReading};

/// The newest stretch is always gone through, though its routine is not learnt: what is judged next needs what came just before.
const KEPT_SECONDS: i64 = WINDOW_STEPS as i64 * STEP_SECONDS;
/// While something that must not be learnt lasts, the detector is taught anew so often; it refits its routine once a day.
const AGAIN_SECONDS: i64 = 86_400;

/// The time of a fault that a resident confirmed, as (begin, end]: of one entity.
pub(super) struct FaultTime {
    entity: u32,
    from: i64,
    until: i64,
}

impl Brain {
    /// Goes through what is remembered of (`from`, `until`] without a word.
    pub(super) fn recall_history(&mut self, from: i64, until: i64) -> Result<(), HistoryError> {
        let faults = self.fault_times(until);
        let unlearnt_before = until - KEPT_SECONDS;
        let mut before = None;
        for step_end in self.history.steps(from, until)? {
            if step_end <= unlearnt_before && !self.house.learns_at(step_end) {
                // Left out: the next step that is closed passes over it as over one that nobody saw.
                before = Some(step_end);
                continue;
            }
            // Steps that nobody saw are gaps of knowledge, not of the sensors: close them silently.
            let mut missed = before.map_or(step_end, |before| before + STEP_SECONDS);
            while missed < step_end {
                self.detector.close_step(missed, Voice::Quiet);
                missed += STEP_SECONDS;
            }
            for reading in self.history.readings(step_end, step_end - STEP_SECONDS)? {
                self.detector.observe(&without_fault(&reading, &faults));
            }
            self.detector.close_step(step_end, Voice::Quiet);
            self.closed = Some(step_end);
            before = Some(step_end);
        }
        Ok(())
    }

    /// Teaches a new detector from the own memory, and puts it in the place of the one before. Takes seconds in a large
    /// home; answers, alarms and the model stay.
    pub fn relearn(&mut self) {
        let Some(closed) = self.closed else { return };
        let mut memory = self.detector.memory();
        let mut entities = self.detector.entities().to_vec();
        for (from, to) in std::mem::take(&mut self.renamed) {
            memory.entity_ids.iter_mut().filter(|id| **id == from).for_each(|id| to.clone_into(id));
            entities
                .iter_mut()
                .filter(|info| info.entity_id == from)
                .for_each(|info| to.clone_into(&mut info.entity_id));
        }
        // The past is judged by nobody, so the network need not look at it.
        self.detector = HomeDetector::new(self.config.clone(), Arc::new(Model::routine()));
        self.detector.set_budget(self.budget());
        for info in entities {
            self.detector.add_entity(info);
        }
        if let Err(error) = self.recall_history(step_before(closed - WARM_UP_SECONDS), closed) {
            tracing::error!(error = %error, "own memory not read; the home's routine is learnt from now on");
        }
        self.closed = Some(closed);
        self.relearnt = closed;
        if self.restored {
            self.detector.restore(memory);
        }
        self.detector.replace_model(Arc::clone(&self.model));
        for reading in self.open.heard() {
            self.detector.observe(reading);
        }
        if self.listening {
            self.detector.close_step(closed, Voice::Live);
        }
        self.keep_decider();
        self.show(None);
    }

    /// Learns anew once a day while a stretch lasts that must not become what is usual.
    pub(super) fn keep_routine(&mut self, now: i64) {
        let lasts = !self.house.learns_at(now) || self.fault_times(now).iter().any(|fault| fault.until >= now);
        if self.listening && lasts && now - self.relearnt >= AGAIN_SECONDS && self.relearnt_is_due(now) {
            self.relearn();
        }
    }

    /// Only what began longer ago than what is kept anyway changes anything.
    fn relearnt_is_due(&self, now: i64) -> bool {
        let before = now - KEPT_SECONDS - STEP_SECONDS;
        !self.house.learns_at(before)
            || self.fault_times(now).iter().any(|fault| fault.from < before && fault.until >= now)
    }

    /// Keeps values of entities that came late; [`Brain::relearn`] then learns from them. Sorted by time.
    pub fn backfill(&mut self, readings: &[Reading]) {
        let Some(closed) = self.closed else { return };
        let mut past = OpenStep::default();
        let mut step_end = None;
        let classes: Vec<_> = self.detector.entities().iter().map(|info| info.class).collect();
        for reading in readings.iter().filter(|reading| reading.at <= closed) {
            let Some(class) = classes.get(reading.entity as usize) else { continue };
            let end = step_before(reading.at - 1) + STEP_SECONDS;
            if let Some(full) = step_end.replace(end).filter(|full| *full != end) {
                self.keep_past(&mut past, full);
            }
            past.take(reading, *class);
        }
        if let Some(last) = step_end {
            self.keep_past(&mut past, last);
        }
    }

    fn keep_past(&mut self, past: &mut OpenStep, step_end: i64) {
        let (rows, changes) = past.close(step_end, &[]);
        if let Err(error) = self.history.save_step(step_end, &rows, &changes) {
            tracing::warn!(error = %error, step = step_end, "a step of a new entity's past is not remembered");
        }
    }

    /// When which entity was at fault, as residents confirmed.
    fn fault_times(&self, now: i64) -> Vec<FaultTime> {
        let entities = self.detector.entities();
        let confirmed = self.alarms.list().iter().filter(|alarm| matches!(alarm.answer, Some((Verdict::Confirmed, _))));
        let times = confirmed.filter_map(|alarm| {
            let entity = entities.iter().position(|info| info.entity_id == alarm.entity_id)?;
            Some(FaultTime {
                entity: u32::try_from(entity).ok()?,
                from: alarm.alarm.start,
                until: alarm.alarm.end.unwrap_or(now),
            })
        });
        times.collect()
    }
}

/// A reading, or a gap in its place where it belongs to a fault.
fn without_fault(reading: &StoredReading, faults: &[FaultTime]) -> Reading {
    let at_fault =
        |fault: &FaultTime| fault.entity == reading.entity && reading.at > fault.from && reading.at <= fault.until;
    let value = if faults.iter().any(at_fault) { Value::Gap } else { reading.value };
    Reading { at: reading.at, entity: reading.entity, value }
}
