//! What the agent asks of the process that trains, and what that reports. Both go through pipes, so that no file is left behind.

use std::path::PathBuf;

use hearthwatch_detector::reading::EntityInfo;
use hearthwatch_protocol::round::{DeclineReason, RoundWork};
use serde::{Deserialize, Serialize};

/// Most sensors of a home in a round. Training holds 24 sensors × 4 traces × (2,112 rows of 80 bytes + 4,032 steps of 11 bytes) = 20 MB: rows of a
/// fortnight and the window before it, steps of its warm-up too.
pub const ENTITIES_MAX: usize = hearthwatch_protocol::limits::ROUND_ENTITIES_MAX;

/// File of what is to be sent, in the job's folder: a quantised delta, or counts.
pub const BODY_FILE: &str = "body";

/// One home's work in one round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoundJob {
    /// The agent's history, opened to read.
    pub history: PathBuf,
    /// Every watched entity, as the detector numbers them.
    pub entities: Vec<EntityInfo>,
    /// What the plan asks for.
    pub work: RoundWork,
    /// Files of the artifacts that the plan names, in its order; the process compares their hashes again.
    pub models: Vec<PathBuf>,
    /// An empty folder for [`BODY_FILE`].
    pub out: PathBuf,
    /// The end of the history that counts, Unix seconds.
    pub now: i64,
    /// IANA name of the home's time zone; an unknown one counts as UTC.
    pub timezone: String,
    /// This home's own share of the seeds: the plan's is the same in every home.
    pub seed: u64,
    /// What the owner allows.
    pub limits: JobLimits,
}

/// What the owner allows a round; by default what a small computer has to spare at night.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobLimits {
    /// Longest run, in seconds.
    pub seconds: u32,
    /// Most memory of the process, in MiB.
    pub memory_mib: u32,
    /// Most sensors; at most [`ENTITIES_MAX`].
    pub entities: u32,
}

impl Default for JobLimits {
    fn default() -> Self {
        Self { seconds: 600, memory_mib: 128, entities: ENTITIES_MAX as u32 }
    }
}

/// What the process writes on its standard output, as one line of JSON: nothing of the history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobReport {
    /// [`BODY_FILE`] is whole.
    Done(JobFigures),
    /// There is nothing to send.
    Declined {
        /// The reason, which the fleet gets.
        reason: DeclineReason,
        /// One line for the home's own log.
        detail: String,
    },
}

/// Figures of a job, for the ledger that residents see.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct JobFigures {
    /// Sensors that models were trained or evaluated on.
    pub entities: u32,
    /// Days of history that were used.
    pub days: u32,
    /// Norm of what training changed, before the clip; 0 for counts.
    pub norm: f64,
    /// Norm of what is sent, without noise; 0 for counts.
    pub sent_norm: f64,
    /// Standard deviation or scale of the noise that was added.
    pub noise: f64,
    /// Seconds of wall time.
    pub seconds: f64,
    /// Highest resident memory of the process, in KiB.
    pub peak_kib: u64,
}

#[cfg(test)]
mod tests {
    use hearthwatch_protocol::round::{EvaluateWork, RoundFile};

    use super::*;
    use crate::fixtures::thermometer;

    #[test]
    fn a_job_reads_back_from_the_json_that_the_process_is_given() {
        let work = EvaluateWork { models: vec![RoundFile::of(b"model")], seed: u64::MAX, noise: 0.5 };
        let job = RoundJob {
            history: "/data/history.db".into(),
            entities: vec![thermometer("sensor.cellar")],
            work: RoundWork::Evaluate(work),
            models: vec!["/data/rounds/model".into()],
            out: "/data/rounds/out".into(),
            now: 1_790_000_000,
            timezone: "Europe/Amsterdam".to_owned(),
            seed: u64::MAX,
            limits: JobLimits::default(),
        };
        let text = serde_json::to_string(&job).unwrap();
        assert_eq!(serde_json::from_str::<RoundJob>(&text).unwrap(), job);
    }
}
