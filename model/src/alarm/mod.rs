//! From scores to alarms: thresholds, sustained evidence, episodes, words, and what the resident's answers change.

mod calibration;
mod decider;
mod event;
mod evidence;
mod memory;
mod offset;
mod reason;
mod severity;

pub use calibration::{Calibration, CalibrationCurve};
pub(crate) use decider::HOLD_MARGIN;
pub use decider::{ALARMS_MAX, Decider, DeciderConfig, DeciderMemory, Decision, MERGE_SECONDS, QUIET_SECONDS};
pub use event::{Alarm, AlarmEvent, Severity, UnknownAlarm, Verdict, alarm_id};
pub use evidence::Evidence;
pub(crate) use evidence::Sustained;
pub use memory::{Context, Lesson, VerdictMemory};
pub use offset::{OFFSET_MAX, OFFSET_MIN, next_offset};
pub use reason::reason;
pub use severity::severity;
