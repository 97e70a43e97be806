//! From scores to alarms: thresholds, sustained evidence, episodes, words, and what the resident's answers change.

mod calibration;
mod event;

pub use calibration::{Calibration, CalibrationCurve};
pub use event::{Alarm, AlarmEvent, Severity, UnknownAlarm, Verdict, alarm_id};
