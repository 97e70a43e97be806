//! Measuring detectors honestly: recall at a false-alarm budget, on homes they have never seen.
//!
//! A test home is a *pair*: the clean recording and a copy with injected faults. A fault is found when an alarm is raised
//! within it on the copy and none is raised there on the clean twin (strict: the hour after the fault does not count).
//! False alarms are counted on the clean twin only, outside the recording's own labelled faults. Thresholds come from
//! calibration homes. Intervals are bootstraps over homes: homes differ more than weeks do.

mod bench;
mod bootstrap;
mod calibrate;
mod episodes;
mod fan_out;
mod gate;
mod judge;
mod outcome;
mod summary;
mod trace;
mod zscore;

pub use bench::{BenchConfig, BenchRow, BenchTable, bench};
pub use bootstrap::Interval;
pub use calibrate::calibrate;
pub use fan_out::fan_out;
pub use gate::{Comparison, GateConfig, GateReport, GateVerdict, decide};
pub use judge::{Detector, Judge, Judged};
pub use outcome::{EventOutcome, HomeOutcome, JudgedPair, measure};
pub use summary::{Share, Summary, summarise};
pub use trace::{EntityTrace, HomePair, HomeTrace};

pub use episodes::{Episode, Thresholds, episodes};
