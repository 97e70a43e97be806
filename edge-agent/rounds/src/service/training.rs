//! A run of the program that trains: begun, watched, ended early where residents, the machine or the time demand it, and judged.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hearthwatch_edge_cloud::off_the_workers;
use hearthwatch_edge_core::round_job::{BODY_FILE, JobLimits, JobReport, RoundJob};
use hearthwatch_edge_detection::service::DetectorCommand;
use hearthwatch_protocol::limits::ROUND_BODY_BYTES_MAX;
use hearthwatch_protocol::round::DeclineReason;
use tokio::time::Instant;

use super::{RoundsError, Service};
use crate::conditions::Unfit;
use crate::fetch;
use crate::process::{Ended, Running};

/// How often a run is looked at.
const POLL: Duration = Duration::from_millis(250);
/// How often the machine's temperature and power are looked at meanwhile.
const LOOK_AFTER_MACHINE: Duration = Duration::from_secs(5);
/// What a run that does not end by itself gets beyond its limit, for its own report that it was too slow.
const GRACE: Duration = Duration::from_secs(10);

/// Why a run is over.
#[derive(Debug, PartialEq)]
enum Over {
    /// By itself.
    Ended(Ended),
    /// It took longer than the owner allows.
    TooSlow,
    /// The machine became unfit.
    Unfit(Unfit),
    /// Residents took their consent back, or another plan came: the next step says what then.
    News,
}

impl Service {
    /// One run of at most `seconds`.
    pub(super) async fn train(&mut self, seconds: i64) -> Result<(), RoundsError> {
        let Some(work) = &self.work else { return Ok(()) };
        let round = work.plan.round;
        let out = self.parts.folder.join(format!("out-{round}"));
        let job = self.job(&out, seconds).await?;
        let Some(program) = self.program() else {
            return self.decline(DeclineReason::Other, "the program that trains is not installed").await;
        };
        let (limit, made) = (Duration::from_secs(job.limits.seconds.into()), out.clone());
        if let Err(error) = off_the_workers(move || empty(&made)).await {
            return self.decline(DeclineReason::Disk, &error.to_string()).await;
        }
        self.with_state(move |state| state.begin_run(round)).await?;
        if let Some(work) = &mut self.work
            && let crate::machine::Stage::Planned { begun } = &mut work.stage
        {
            *begun = begun.saturating_add(1);
        }
        self.running = Some(round);
        tracing::info!(round, limit_s = limit.as_secs(), "a round's work begins");
        let begun = off_the_workers(move || Running::begin(&program, &job)).await;
        let over = match begun {
            Ok(running) => self.watch(running, limit + GRACE).await,
            Err(error) => Over::Ended(Ended::Silent(error.to_string())),
        };
        match over {
            Over::Ended(Ended::Report(JobReport::Done(figures))) => {
                self.running = None;
                match off_the_workers(move || read_body(&out)).await {
                    Ok(body) => self.keep(body, figures).await,
                    Err(why) => self.crashed(&why),
                }
            }
            Over::Ended(Ended::Report(JobReport::Declined { reason, detail })) => {
                self.running = None;
                self.decline(reason, &detail).await
            }
            Over::Ended(Ended::Silent(why)) => {
                self.running = None;
                self.crashed(&why)
            }
            Over::TooSlow => {
                self.running = None;
                self.decline(DeclineReason::TooSlow, &format!("not done after {} s", limit.as_secs())).await
            }
            Over::Unfit(unfit) => {
                tracing::info!(round, round.unfit = ?unfit, "a round's work is given up for now");
                self.forget_unfinished().await
            }
            Over::News => self.forget_unfinished().await,
        }
    }

    async fn job(&self, out: &Path, seconds: i64) -> Result<RoundJob, RoundsError> {
        let home = self.parts.detection.request(DetectorCommand::Look).await?;
        let work = self.work.as_ref().map(|work| &work.plan);
        let allowed = self.parts.config.job;
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX).min(allowed.seconds);
        let Some(plan) = work else { return Err(RoundsError::Uplink) };
        let models = fetch::files_of(&plan.work);
        Ok(RoundJob {
            history: self.parts.history.clone(),
            entities: home.entities.into_iter().map(|(info, _)| info).collect(),
            work: plan.work.clone(),
            models: models.iter().map(|file| fetch::place_of(&self.parts.folder, file)).collect(),
            out: out.to_owned(),
            now: self.now(),
            timezone: home.config.timezone.iana_name().unwrap_or("UTC").to_owned(),
            seed: self.parts.seed ^ plan.round,
            limits: JobLimits { seconds, ..allowed },
        })
    }

    /// Waits for the end of a run, or ends it: when this returns, it is over.
    async fn watch(&mut self, mut running: Running, limit: Duration) -> Over {
        let begin = Instant::now();
        let mut looked = begin;
        loop {
            if let Some(ended) = running.poll() {
                return Over::Ended(ended);
            }
            if begin.elapsed() >= limit {
                return Over::TooSlow;
            }
            if !self.agrees() || self.parts.channels.plan.has_changed().unwrap_or(true) && self.is_superseded() {
                return Over::News;
            }
            if looked.elapsed() >= LOOK_AFTER_MACHINE {
                looked = Instant::now();
                if let Some(unfit) = self.is_unfit().await {
                    return Over::Unfit(unfit);
                }
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The machine is left alone; then the next step decides whether there is another try.
    fn crashed(&mut self, why: &str) -> Result<(), RoundsError> {
        tracing::warn!("the program that trains ended without a report: {why}");
        self.rested_at = self.now().saturating_add(self.parts.rest_seconds);
        Ok(())
    }

    /// A run that was ended from here counts as none.
    pub(super) async fn forget_unfinished(&mut self) -> Result<(), RoundsError> {
        let Some(round) = self.running.take() else { return Ok(()) };
        if let Some(work) = &mut self.work
            && let crate::machine::Stage::Planned { begun } = &mut work.stage
        {
            *begun = begun.saturating_sub(1);
        }
        Ok(self.with_state(move |state| state.forget_run(round)).await?)
    }
}

/// Makes an empty folder.
fn empty(folder: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::fs::create_dir_all(folder)
}

/// What is to be sent, from the job's folder.
fn read_body(out: &Path) -> Result<Vec<u8>, String> {
    let path: PathBuf = out.join(BODY_FILE);
    let mut body = Vec::new();
    let read = std::fs::File::open(&path).and_then(|file| {
        let limit = ROUND_BODY_BYTES_MAX as u64 + 1;
        file.take(limit).read_to_end(&mut body)
    });
    read.map_err(|error| format!("{}: {error}", path.display()))?;
    if body.is_empty() || body.len() > ROUND_BODY_BYTES_MAX {
        return Err(format!("{} bytes are none that an answer may have", body.len()));
    }
    Ok(body)
}
