//! A clock that was set back.

use super::HomeDetector;
use crate::alarm::AlarmEvent;

impl HomeDetector {
    /// The time since `at` has not happened: its alarms are over, but for warnings of danger. What was learnt in it goes with
    /// [`HomeDetector::adopt_history`] of a detector that learnt up to `at`; until then no step can be closed that ends
    /// before the last one that was.
    pub fn go_back_to(&mut self, at: i64) -> Vec<AlarmEvent> {
        self.decider.go_back_to(at)
    }
}
