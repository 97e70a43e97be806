//! Learning anew from the own memory: when something in it turns out not to be the home's routine, or to have a past.
//!
//! What a detector has learnt cannot be taken out of it again; but all that it learns from is remembered, so a new one is taught
//! without what must not count: days with guests, holidays, maintenance, and the time of [faults](super::faults). That takes
//! seconds in a large home, so it is done [beside](super::teach) the detector service: the detector of before goes on judging until the new
//! one has caught up, and everything but what is usual stays with it.

use std::sync::Arc;

use hearthwatch_detector::detector::{AlarmMode, EntityScore, HomeDetector, Model};
use hearthwatch_detector::grid::STEP_SECONDS;
use hearthwatch_detector::reading::Reading;
use hearthwatch_edge_store::history::HistoryError;

use super::faults::{FaultTime, faults};
use super::replay_past::{HomeEntities, KEPT_SECONDS, Plan, Progress, RelearnError, Relearning, replay_past};
use super::step::OpenStep;
use super::{DetectorService, WARM_UP_SECONDS, step_before};

/// The detector learns anew at most so often; it refits what is normal once a day.
const AGAIN_SECONDS: i64 = 86_400;
/// While faults last, the detector passes over them in its own fortnight; after a week it is given the weeks before instead.
const FAULTY_SECONDS: i64 = 7 * 86_400;
/// After an attempt that panicked: the same past may make the next one panic too, at seconds of one core each.
const RETRY_PAUSE_SECONDS: i64 = 3_600;
/// The detector service itself makes up for at most so many steps, an hour's, at some milliseconds each in a large home.
const CATCH_UP_STEPS: i64 = 6;

/// Whether the routine is being learnt anew.
#[derive(Debug)]
pub(super) enum RelearnStage {
    /// Nothing is to be learnt anew.
    Rest,
    /// It is to be; `again` when something else has changed since then.
    Due { relearning: Box<Relearning>, again: bool },
    /// A thread learns; `again`: something changed meanwhile, and it is due once more.
    Underway { again: bool },
}

/// What the past has been used for, and what is still to be learnt from it.
#[derive(Debug)]
pub(super) struct RelearningState {
    /// Whether the home's own history was learnt from since the start.
    pub(super) recalled: bool,
    /// The detector has back what it knew before the last stop.
    pub(super) restored: bool,
    /// The last step when what is normal was learnt anew.
    pub(super) relearnt: i64,
    pub(super) stage: RelearnStage,
    /// It is to be learnt anew: an answer changed what of the past counts as a fault, or the last attempt did not come back.
    pub(super) recounted: bool,
    /// Not before this moment does it begin by itself.
    pub(super) not_before: i64,
}

impl Default for RelearningState {
    fn default() -> Self {
        let (recalled, restored, recounted) = (false, false, false);
        Self { recalled, restored, relearnt: 0, stage: RelearnStage::Rest, recounted, not_before: 0 }
    }
}

impl DetectorService {
    /// Goes through what is remembered of (`from`, `until`] without alarms. Gives the readings of the last step.
    pub(super) fn recall_history(&mut self, from: i64, until: i64) -> Result<Vec<EntityScore>, HistoryError> {
        let plan = self.plan(until);
        self.relearning.relearnt = until;
        self.leave_faults(until);
        let mut progress = Progress::default();
        let relearnt =
            replay_past(&mut self.judging.detector, &self.memory.history, &plan, (from, until), &mut progress, || true);
        self.steps.closed = progress.closed.or(self.steps.closed);
        relearnt.map(|()| progress.scores)
    }

    fn plan(&self, as_of: i64) -> Plan {
        Plan { preferences: self.residents.preferences.clone(), faults: self.faults(as_of), as_of }
    }

    /// Has a new detector learn from the history, by whoever takes it from [`DetectorService::due_relearning`]. When something
    /// changes while that goes on, it is done again.
    pub fn relearn(&mut self) {
        let Some(closed) = self.steps.closed else { return };
        self.relearning.recounted = false;
        if let RelearnStage::Underway { again } = &mut self.relearning.stage {
            *again = true;
            return;
        }
        match self.memory.history.reader() {
            Ok(history) => {
                // The past is judged by nobody, so the network need not look at it.
                let detector = HomeDetector::new(self.judging.config.clone(), Arc::new(Model::baseline()));
                let home = HomeEntities {
                    entities: self.judging.detector.entities().to_vec(),
                    excluded: self.recent_faults(closed, closed),
                };
                let from = step_before(closed - WARM_UP_SECONDS);
                let relearning = Box::new(Relearning::new(detector, home, history, self.plan(closed), from));
                self.relearning.stage = RelearnStage::Due { relearning, again: false };
            }
            Err(error) => self.go_on_as_before(closed, &error),
        }
    }

    /// What is to be [studied](Relearning::run) and then given to [`DetectorService::take_over`], if anything is.
    pub fn due_relearning(&mut self) -> Option<Box<Relearning>> {
        match std::mem::replace(&mut self.relearning.stage, RelearnStage::Rest) {
            RelearnStage::Due { relearning, again } => {
                self.relearning.stage = RelearnStage::Underway { again };
                Some(relearning)
            }
            other => {
                self.relearning.stage = other;
                None
            }
        }
    }

    /// Whether the routine is being learnt anew by somebody.
    pub(super) fn is_relearning(&self) -> bool {
        matches!(self.relearning.stage, RelearnStage::Underway { .. })
    }

    /// Nobody could study: tried again with the next tick.
    pub fn put_off_relearning(&mut self) {
        self.relearning.stage = RelearnStage::Rest;
        self.relearning.recounted = true;
    }

    /// Puts what was learnt anew in the place of what was learnt before, once it knows of everything that came meanwhile. Gives back
    /// what is needed no more.
    pub fn take_over(&mut self, mut relearning: Box<Relearning>) -> Option<Box<Relearning>> {
        let again = matches!(self.relearning.stage, RelearnStage::Underway { again: true });
        self.relearning.stage = RelearnStage::Rest;
        let as_of = relearning.as_of();
        let closed = self.steps.closed.unwrap_or(as_of);
        if !relearning.has_failed() && relearning.behind(closed) > 0 {
            let far = relearning.behind(closed) > CATCH_UP_STEPS;
            relearning.go_on_until(closed);
            if far {
                self.relearning.stage = RelearnStage::Due { relearning, again };
                return None;
            }
            relearning.run(|| true);
        }
        match relearning.detector() {
            Ok(relearnt) => {
                relearnt.close_step(closed, AlarmMode::LearnOnly);
                self.judging.detector.adopt_history(relearnt, self.steps.open.received());
                self.relearning.relearnt = as_of;
                self.leave_faults(closed);
                tracing::info!("the home's routine is learnt anew");
            }
            Err(RelearnError::History(error)) => self.go_on_as_before(as_of, error),
            Err(error @ RelearnError::Panicked(_)) => {
                // Due again, in a while: nothing waits for ever for an attempt that will not come back.
                self.relearning.recounted = true;
                self.relearning.not_before = self.steps.now + RETRY_PAUSE_SECONDS;
                tracing::error!(error = %error, "the routine is not learnt anew; what was learnt before stays, tried again in an hour");
            }
        }
        if again {
            self.relearn();
        }
        Some(relearning)
    }

    fn go_on_as_before(&mut self, as_of: i64, error: &HistoryError) {
        // Not tried again before a day has passed: the memory will hardly read better in a second.
        self.relearning.relearnt = as_of;
        tracing::error!(error = %error, "own memory not read; what was learnt before stays");
    }

    /// Learns anew when an answer changed what counts, and at most once a day when something that must not become what is usual was
    /// learnt since the last time.
    pub(super) fn keep_routine(&mut self, now: i64) {
        let daily = || now - self.relearning.relearnt >= AGAIN_SECONDS && self.has_learnt_too_much(now);
        let rests = matches!(self.relearning.stage, RelearnStage::Rest);
        if rests && self.steps.listening && now >= self.relearning.not_before && (self.relearning.recounted || daily())
        {
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
        let (clean, newest) = (self.relearning.relearnt - KEPT_SECONDS, now - KEPT_SECONDS - STEP_SECONDS);
        let is_due = |fault: &FaultTime| {
            let pause = if fault.until < newest { AGAIN_SECONDS } else { FAULTY_SECONDS };
            fault.from < newest && fault.until > clean && now - self.relearning.relearnt >= pause
        };
        !self.residents.preferences.learns_at(newest) || self.faults(now).iter().any(is_due)
    }

    /// Has the detector pass over the faults that are not stood in for: those since shortly before it was taught.
    pub(super) fn leave_faults(&mut self, now: i64) {
        self.judging.detector.exclude_from_learning(self.recent_faults(now, self.relearning.relearnt));
    }

    /// The faults that a detector relearnt as of `relearnt` has to pass over, as (entity, from, until].
    fn recent_faults(&self, now: i64, relearnt: i64) -> Vec<(u32, i64, i64)> {
        let clean = relearnt - KEPT_SECONDS;
        let recent = self.faults(now).into_iter().filter(|fault| fault.until > clean);
        // An alarm that lasts goes on after `now`; when it ends this is called again.
        let until = |fault: &FaultTime| if fault.lasts { i64::MAX } else { fault.until };
        recent.map(|fault| (fault.entity, fault.from.max(clean), until(&fault))).collect()
    }

    fn faults(&self, now: i64) -> Vec<FaultTime> {
        faults(self.alarms.list(), self.judging.detector.entities(), now)
    }

    /// Keeps values of entities that came late; [`DetectorService::relearn`] then learns from them. Sorted by time.
    pub fn backfill(&mut self, readings: &[Reading]) {
        let Some(closed) = self.steps.closed else { return };
        let mut past = OpenStep::default();
        let mut step_end = None;
        let classes: Vec<_> = self.judging.detector.entities().iter().map(|info| info.class).collect();
        for reading in readings.iter().filter(|reading| reading.at <= closed) {
            let Some(class) = classes.get(reading.entity as usize) else { continue };
            let end = step_before(reading.at - 1) + STEP_SECONDS;
            if let Some(full) = step_end.replace(end).filter(|full| *full != end) {
                self.keep_past(&mut past, full);
            }
            past.take(&self.converted(reading), *class);
        }
        if let Some(last) = step_end {
            self.keep_past(&mut past, last);
        }
    }

    fn keep_past(&mut self, past: &mut OpenStep, step_end: i64) {
        let (rows, changes) = past.close(step_end, &[]);
        if let Err(error) = self.memory.history.save_step(step_end, &rows, &changes) {
            tracing::warn!(error = %error, step = step_end, "a step of a new entity's past is not remembered");
        }
    }
}
