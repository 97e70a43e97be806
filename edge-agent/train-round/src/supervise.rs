//! One job from begin to end: a worker thread does it, and this one watches time and memory and alone writes the report.

use std::io::Read;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use hearthwatch_edge_core::round_job::{JobFigures, JobReport, RoundJob};
use hearthwatch_protocol::round::{MaskedTrainWork, RoundWork};
use rand::SeedableRng as _;
use rand::rngs::{StdRng, SysRng};

use crate::error::RoundError;
use crate::history::{EVALUATED_DAYS_MAX, TRAINED_DAYS_MAX, read};
use crate::train::Form;
use crate::{body, evaluate, limits, model, train};

/// Longest job that is read: a thousand sensors with ids of 255 letters and their units are 400 KB.
const JOB_BYTES_MAX: u64 = 1024 * 1024;

/// Between two looks at time and memory: the worker makes some megabytes in it.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The worker thread panicked: there is no report, and the agent counts the run as crashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the worker ended without a result")]
pub struct Crashed;

/// Reads a job, as JSON.
///
/// # Errors
/// [`RoundError::Job`].
pub fn read_job(input: impl Read) -> Result<RoundJob, RoundError> {
    let refused = |error: serde_json::Error| RoundError::Job { line: error.line(), column: error.column() };
    serde_json::from_reader(std::io::BufReader::new(input.take(JOB_BYTES_MAX))).map_err(refused)
}

/// Does a job, or reports why not. Where it ends at a limit the worker goes on until the process ends, which must be at once.
///
/// # Errors
/// [`Crashed`].
pub fn report(job: Result<RoundJob, RoundError>) -> Result<JobReport, Crashed> {
    let outcome = match job {
        Ok(job) => supervised(limits::parent(), job, work)?,
        Err(error) => Err(error),
    };
    Ok(match outcome {
        Ok(figures) => JobReport::Done(figures),
        Err(error) => JobReport::Declined { reason: error.reason(), detail: error.to_string() },
    })
}

type Outcome = Result<JobFigures, RoundError>;

/// Runs the work until it ends, goes beyond a limit, or this process has another parent than `agent`.
fn supervised(
    agent: Option<u32>,
    job: RoundJob,
    work: impl FnOnce(&RoundJob) -> Outcome + Send + 'static,
) -> Result<Outcome, Crashed> {
    let (begun, allowed) = (Instant::now(), job.limits);
    let (sender, receiver) = sync_channel(1);
    if let Err(error) = limits::within(&allowed, begun.elapsed(), limits::peak_kib()) {
        return Ok(Err(error));
    }
    let worker = std::thread::Builder::new().name("round".to_owned());
    let started = worker.spawn(move || {
        // Nobody receives it where the job has ended at a limit.
        let _unheard = sender.send(work(&job));
    });
    if started.is_err() {
        return Ok(Err(RoundError::Machine("no thread could be started")));
    }
    loop {
        match receiver.recv_timeout(LOOK_EVERY) {
            Ok(done) => {
                let (seconds, peak_kib) = (begun.elapsed().as_secs_f64(), limits::peak_kib().unwrap_or(0));
                return Ok(done.map(|figures| JobFigures { seconds, peak_kib, ..figures }));
            }
            Err(RecvTimeoutError::Disconnected) => return Err(Crashed),
            Err(RecvTimeoutError::Timeout) => {
                if let Err(error) = limits::within(&allowed, begun.elapsed(), limits::peak_kib()) {
                    return Ok(Err(error));
                }
                // Nobody waits for the report of a job whose agent was killed.
                if limits::parent() != agent {
                    return Ok(Err(RoundError::Machine("the agent ended")));
                }
            }
        }
    }
}

/// The work itself, without limits: models, history, training or evaluation, body.
fn work(job: &RoundJob) -> Outcome {
    // Seeded by the system: somebody who knows the plan and the home's seed must not be able to take the noise off.
    let mut noise =
        StdRng::try_from_rng(&mut SysRng).map_err(|_| RoundError::Machine("the system has no random numbers"))?;
    let (bytes, figures) = match &job.work {
        RoundWork::Train(work) | RoundWork::MaskedTrain(MaskedTrainWork { train: work, .. }) => {
            let base = model::load(job, 0, &work.base)?;
            let seed = work.recipe.seed ^ job.seed;
            let form = if job.work.masks().is_some() { Form::Words } else { Form::Levels };
            train::train(read(job, TRAINED_DAYS_MAX, seed)?, base.weights(), work, form, seed, &mut noise)?
        }
        RoundWork::Evaluate(work) => {
            let models = work.models.iter().enumerate().map(|(place, wanted)| model::load(job, place, wanted));
            let models = models.collect::<Result<Vec<_>, _>>()?;
            let seed = work.seed ^ job.seed;
            evaluate::evaluate(&read(job, EVALUATED_DAYS_MAX, seed)?, &models, work, seed, &mut noise)?
        }
    };
    body::write(&job.out, &bytes)?;
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::fixtures::made_job;

    fn job(seconds: u32) -> RoundJob {
        let mut job = made_job(Path::new("history.db"), Vec::new(), 0, Path::new("out"));
        job.limits.seconds = seconds;
        job
    }

    #[test]
    fn a_worker_that_panics_leaves_no_report() {
        assert_eq!(supervised(limits::parent(), job(600), |_| panic!("21.7 degrees")), Err(Crashed));
    }

    #[test]
    fn a_worker_that_does_not_end_is_too_slow() {
        let (_open, never) = sync_channel::<()>(0);
        let outcome = supervised(limits::parent(), job(1), move |_| {
            let _closed = never.recv();
            Ok(JobFigures::default())
        });
        assert_eq!(outcome, Ok(Err(RoundError::TooSlow { seconds: 1 })));
    }

    #[test]
    fn a_worker_whose_agent_was_killed_does_not_go_on() {
        let (_open, never) = sync_channel::<()>(0);
        let outcome = supervised(Some(u32::MAX), job(600), move |_| {
            let _closed = never.recv();
            Ok(JobFigures::default())
        });
        assert_eq!(outcome, Ok(Err(RoundError::Machine("the agent ended"))));
    }
}
