//! How good a detector is, on homes it has not seen: the whole detector runs, thresholds and all, as it would be deployed.
//!
//! Each test home is run twice: a *faulty* copy with labelled events in it, and its *clean* twin. An event counts as found
//! only by an alarm raised while it lasts, and only if the clean twin raises none there (strict event recall). False alarms are
//! counted on the clean twin, outside labelled stretches. Point-adjusted F1 is not computed: random scores reach the state of
//! the art with it (Kim et al. 2022).
//!
//! Two ways lead to the same alarms. [`evaluate`] runs the deployed detector over recordings. [`HomeTrace`] runs only the
//! feature extractor, once, and [`replay`] tries any number of models on what it kept: training runs live from that.

mod bench;
mod bootstrap;
mod calibrate;
mod decide;
mod deployed;
mod episodes;
mod fan_out;
mod figure;
mod gate;
mod influence;
pub mod lived;
mod matching;
mod measure;
mod method;
pub mod metrics;
mod outcome;
mod protocol;
mod replay;
mod scores;
mod table;
mod trace;

pub use bench::{AtBudget, BenchReport, Line, MethodResult, bench};
pub use bootstrap::{Interval, bootstrap, paired_difference};
pub use calibrate::{Record, calibrate};
pub use decide::{HomeRun, Judged, Twin, decide_home, margins};
pub use deployed::{TestHome, evaluate};
pub use episodes::episodes;
pub use fan_out::fan_out;
pub use figure::figure;
pub use gate::{Comparison, GatePolicy, GateReport, GateVerdict, Influence, judge};
pub use measure::{BenchEvent, BenchProgress, Calibrated, HomeRecord, SeriesFigure, Stage, measure, twin};
pub use method::{Baseline, Blended, Detector, EntityScores, Fixed, Method, NotReady, TrainingSplit};
pub use outcome::{Evaluation, EventResult, HomeResult, Share, Summary};
pub use protocol::{Fold, HomeRole, Protocol, Role, Roles, SetRules, Span};
pub use replay::{Contender, replay};
pub use scores::{baseline_scores, blended, logits};
pub use table::table;
pub use trace::{EntityTrace, HomePair, HomeTrace};
