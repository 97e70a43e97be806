//! Learning anew from the own memory: when something in it turns out not to be the home's routine, or to have a past.
//!
//! What a detector has learnt cannot be unlearnt; but all that it learns from is remembered, so a new one is taught
//! without what must not count: days with guests, holidays, maintenance, and the time of [faults](super::faults).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hearthwatch_model::detector::{EntityScore, HomeDetector, Model, Voice};
use hearthwatch_model::grid::{STEP_SECONDS, WINDOW_STEPS};
use hearthwatch_model::reading::Reading;

use super::faults::{FaultTime, faults, stand_ins};
use super::step::OpenStep;
use super::{Brain, WARM_UP_SECONDS, step_before};
use crate::history::HistoryError;

/// The newest stretch is always gone through, though its routine is not learnt: what is judged next needs what came just before.
const KEPT_SECONDS: i64 = WINDOW_STEPS as i64 * STEP_SECONDS;
/// The detector is taught anew at most so often; it refits its routine once a day.
const AGAIN_SECONDS: i64 = 86_400;
/// While faults last, the detector passes over them in its own fortnight; after a week it is given the weeks before instead.
const FAULTY_SECONDS: i64 = 7 * 86_400;

impl Brain {
    /// Goes through what is remembered of (`from`, `until`] without a word. Gives what the last step was made of.
    pub(super) fn recall_history(&mut self, from: i64, until: i64) -> Result<Vec<EntityScore>, HistoryError> {
        let faults = self.faults(until);
        let unlearnt_before = until - KEPT_SECONDS;
        self.relearnt = until;
        self.leave_faults(until);
        let (mut before, mut scores) = (None, Vec::new());
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
            let out = if step_end <= unlearnt_before { stand_ins(&faults, step_end) } else { BTreeMap::new() };
            for reading in self.readings_without(step_end, &out)? {
                self.detector.observe(&reading);
            }
            scores = self.detector.close_step(step_end, Voice::Quiet).scores;
            self.closed = Some(step_end);
            before = Some(step_end);
        }
        Ok(scores)
    }

    /// What is remembered of a step, with another step's readings of the entities in `out`.
    fn readings_without(&self, step_end: i64, out: &BTreeMap<u32, Option<i64>>) -> Result<Vec<Reading>, HistoryError> {
        let of = |end: i64| self.history.readings(end, end - STEP_SECONDS);
        let mut readings: Vec<Reading> = of(step_end)?
            .into_iter()
            .filter(|heard| !out.contains_key(&heard.entity))
            .map(|heard| Reading { at: heard.at, entity: heard.entity, value: heard.value })
            .collect();
        let sources: BTreeSet<i64> = out.values().copied().flatten().collect();
        for source in sources {
            let stands_in = |entity: u32| out.get(&entity) == Some(&Some(source));
            readings.extend(of(source)?.into_iter().filter(|heard| stands_in(heard.entity)).map(|heard| Reading {
                at: heard.at + (step_end - source),
                entity: heard.entity,
                value: heard.value,
            }));
        }
        readings.sort_by_key(|reading| (reading.at, reading.entity));
        Ok(readings)
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
        self.recounted = false;
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

    /// Learns anew when an answer changed what counts, and at most once a day when something that must not become what is usual was
    /// learnt since the last time.
    pub(super) fn keep_routine(&mut self, now: i64) {
        let daily = || now - self.relearnt >= AGAIN_SECONDS && self.has_learnt_too_much(now);
        if self.listening && (self.recounted || daily()) {
            self.relearn();
        }
    }

    /// The faults that reach into what is learnt.
    pub(super) fn old_faults(&self, now: i64) -> Vec<FaultTime> {
        let mut faults = self.faults(now);
        faults.retain(|fault| fault.from < now - KEPT_SECONDS);
        faults
    }

    /// The newest stretch is gone through in any case, so only what is older than that counts.
    fn has_learnt_too_much(&self, now: i64) -> bool {
        let (clean, newest) = (self.relearnt - KEPT_SECONDS, now - KEPT_SECONDS - STEP_SECONDS);
        let is_due = |fault: &FaultTime| {
            let pause = if fault.until < newest { AGAIN_SECONDS } else { FAULTY_SECONDS };
            fault.from < newest && fault.until > clean && now - self.relearnt >= pause
        };
        !self.house.learns_at(newest) || self.faults(now).iter().any(is_due)
    }

    /// Has the detector pass over the faults that are not stood in for: those since shortly before it was taught.
    pub(super) fn leave_faults(&mut self, now: i64) {
        let clean = self.relearnt - KEPT_SECONDS;
        let recent = self.faults(now).into_iter().filter(|fault| fault.until > clean);
        let spans: Vec<_> = recent.map(|fault| (fault.entity, fault.from.max(clean), fault.until)).collect();
        self.detector.leave_unlearnt(spans);
    }

    fn faults(&self, now: i64) -> Vec<FaultTime> {
        faults(self.alarms.list(), self.detector.entities(), now)
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
}
