//! From scores to alarms: thresholds, sustained evidence, episodes, words, and what the resident's answers change.

mod allowance;
pub mod audit_sample;
mod blend;
mod calibration;
mod decider;
mod event;
mod evidence;
mod grouping;
mod learnt;
mod memory;
mod offset;
mod reason;
mod severity;
mod withheld;

pub use allowance::{SPAN_SECONDS, allowance, may_raise};
pub use blend::{Blend, doubt};
pub use calibration::{Calibration, CalibrationCurve};
pub use decider::HOLD_MARGIN;
pub use decider::{ALARMS_MAX, Adapts, Decider, DeciderConfig, DeciderMemory, Decision, FAR_ABOVE, QUIET_SECONDS};
pub use event::{Alarm, AlarmEvent, MERGE_SECONDS, Severity, UnknownAlarm, Verdict, alarm_id};
pub use evidence::Evidence;
pub use evidence::Sustained;
pub use grouping::{Cause, Group, Onset, group};
pub use learnt::{Effect, Learnt};
pub use memory::{Context, RememberedAnswer, VerdictMemory};
pub use offset::{LASTING_SECONDS_MAX, OFFSET_MAX, OFFSET_MIN, next_offset};
pub use reason::reason;
pub use severity::severity;
pub use withheld::Withheld;
