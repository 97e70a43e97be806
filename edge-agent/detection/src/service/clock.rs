//! A clock that jumps: ahead, as after a sleep or when the time comes from the network, and back.
//!
//! No reading came in a time that was jumped over, so nothing of it is judged. Steps that ended in a future that was
//! none are forgotten, and the detector learns again from the history before them; otherwise it would judge nothing
//! until that time is reached. Of danger, residents are notified at once all the while.

use std::collections::BTreeMap;

use hearthwatch_detector::detector::AlarmMode;
use hearthwatch_detector::grid::STEP_SECONDS;
use hearthwatch_detector::reading::Reading;
use hearthwatch_edge_store::history::HistoryError;

use super::{CLOSING_GRACE_SECONDS, DetectorService, step_before};

/// A clock that is set back by less is waited for: it is corrected by seconds now and then.
const BACK_SECONDS_MAX: i64 = 300;
/// More steps than these do not end at once, unless the time jumped: one hour.
const JUMP_SECONDS_MAX: i64 = 3_600;

/// A clock that was set back, as residents are shown it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetBack {
    /// The corrected time, Unix seconds.
    pub at: i64,
    /// By how many seconds, at the least.
    pub seconds: i64,
}

impl DetectorService {
    /// Closes all steps whose end and grace are over at `now`, Unix seconds.
    pub(super) fn close_until(&mut self, now: i64) {
        let Some(closed) = self.steps.closed else { return };
        if now < closed - BACK_SECONDS_MAX {
            self.go_back_to(now, closed - now);
            return;
        }
        let target = step_before(now - CLOSING_GRACE_SECONDS);
        if target - closed > JUMP_SECONDS_MAX {
            tracing::warn!(
                seconds = target - closed,
                "the time has jumped ahead, or this machine slept: what was not heard is not judged"
            );
            // Passed over at once: a clock that began in 1970 would ask for millions of steps.
            self.steps.closed = Some(target - STEP_SECONDS);
        }
        self.close_through(target, AlarmMode::Raise);
    }

    fn go_back_to(&mut self, now: i64, seconds: i64) {
        let step = step_before(now);
        tracing::warn!(seconds, "the clock was set back: what was learnt since the time that it shows is forgotten");
        let newest = self.newest_states(step).unwrap_or_else(|error| {
            tracing::warn!(error = %error, "what was heard in a wrong time is not read");
            BTreeMap::new()
        });
        if let Err(error) = self.memory.history.forget_after(step) {
            tracing::error!(error = %error, "steps of a wrong time are remembered until it is reached");
        }
        // The readings are true, only not their time.
        self.steps.open.restart();
        for (entity, reading) in newest {
            if let Some(info) = self.judging.detector.entities().get(entity as usize) {
                self.steps.open.take(&Reading { at: now, ..reading }, info.class);
            }
        }
        self.steps.closed = Some(step);
        self.relearning.relearnt = self.relearning.relearnt.min(step);
        self.relearning.not_before = self.relearning.not_before.min(now);
        self.residents.next_brief = None;
        let over = self.judging.detector.go_back_to(step);
        self.publish_events(over, now, &[]);
        self.delivery.view.send_modify(|view| view.set_back = Some(SetBack { at: now, seconds }));
        self.relearn();
    }

    /// The newest reading of each entity since `step`.
    fn newest_states(&self, step: i64) -> Result<BTreeMap<u32, Reading>, HistoryError> {
        let mut newest = BTreeMap::new();
        for end in self.memory.history.steps(step, i64::MAX)? {
            for received in self.memory.history.readings(end, end - STEP_SECONDS)? {
                newest.insert(
                    received.entity,
                    Reading { at: received.at, entity: received.entity, value: received.value },
                );
            }
        }
        newest.extend(self.steps.open.received().map(|reading| (reading.entity, *reading)));
        Ok(newest)
    }
}
