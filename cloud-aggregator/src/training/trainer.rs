//! The one task that trains: takes requests, watches the triggers, releases what the gate let through.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::job::{Finished, Job};
use super::trigger::{Situation, decide};
use super::{RunRequest, TrainingError, TrainingStatus};
use crate::config::TrainingConfig;
use crate::event::{Event, ReleaseAwaits, ReleaseFailed, RunRefused};
use crate::ingest::Progress;
use crate::release_desk::ReleaseDesk;
use crate::state::ReleaseError;
use crate::store::{RunRow, RunState, RunTrigger, StoreError, blocking};

/// How often the triggers are looked at when nothing comes in, and a failed release is tried again.
const TICK: Duration = Duration::from_secs(60);

/// How long the triggers rest after a run that could not begin (no recorded sets): time to mend it.
const UNREADY_REST: Duration = Duration::from_secs(600);

/// Trains, one run at a time.
pub struct Trainer {
    /// What a run touches.
    pub job: Job,
    /// When to run.
    pub config: TrainingConfig,
    /// Lets models out.
    pub desk: ReleaseDesk,
}

impl Trainer {
    /// Runs until told to stop. `progress` moves with every stored batch.
    pub async fn run(self, mut requests: mpsc::Receiver<RunRequest>, mut progress: watch::Receiver<Progress>) {
        let began_at = self.job.clock.now();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.take_up_again().await;
        let mut rest_until = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = self.job.stop.cancelled() => return,
                request = requests.recv() => match request {
                    None => return,
                    Some(RunRequest { trigger, reply }) => {
                        // Nobody waits any more: the row tells the rest.
                        let _ = reply.send(self.once(trigger).await);
                    }
                },
                _ = tick.tick() => {
                    self.release_pending().await;
                    self.look(began_at, &mut rest_until).await;
                }
                Ok(()) = progress.changed() => self.look(began_at, &mut rest_until).await,
            }
        }
    }

    /// A run that was cut off by a crash or a shutdown is run again; the same input gives it the same id.
    async fn take_up_again(&self) {
        let interrupted = blocking(&self.job.store, |store| {
            Ok(store.runs(0)?.into_iter().find(|run| run.state == RunState::Running))
        });
        if let Ok(Some(run)) = interrupted.await {
            // The outcome is in the store and the log.
            let again = self.once(run.trigger).await;
            if again.is_ok_and(|again| again.id != run.id) {
                self.bury(run).await;
            }
        }
    }

    /// More answers came in since: the interrupted run will never be run again as it was.
    async fn bury(&self, run: RunRow) {
        let failure = Some("interrupted; a newer run took its place".to_owned());
        let row = RunRow { state: RunState::Failed, failure, ended_at: Some(self.job.clock.now()), ..run };
        let buried = blocking(&self.job.store, move |store| store.put_run(&row)).await;
        if let Err(error) = buried {
            RunRefused { cause: &error.to_string() }.emit(&self.job.metrics);
        }
    }

    async fn look(&self, began_at: i64, rest_until: &mut Instant) {
        if Instant::now() < *rest_until {
            return;
        }
        let situation = self.situation(began_at).await;
        match situation.map(|situation| decide(&situation, &self.config)) {
            Ok(None) => {}
            // Any other outcome is in the store and the log.
            Ok(Some(trigger)) => {
                if let Err(TrainingError::Unready(_)) = self.once(trigger).await {
                    *rest_until = Instant::now() + UNREADY_REST;
                }
            }
            Err(error) => RunRefused { cause: &error.to_string() }.emit(&self.job.metrics),
        }
    }

    async fn situation(&self, began_at: i64) -> Result<Situation, StoreError> {
        let now = self.job.clock.now();
        blocking(&self.job.store, move |store| {
            let last = store.runs(1)?.pop();
            let snapshot = match &last {
                Some(run) => store.snapshot(&run.snapshot)?,
                None => None,
            };
            Ok(Situation {
                answers: store.feedback_totals()?.records,
                watermark: snapshot.map_or(0, |snapshot| snapshot.watermark),
                last_started_at: last.map_or(began_at, |run| run.started_at),
                now,
            })
        })
        .await
    }

    /// One run, and the release of what it made.
    async fn once(&self, trigger: RunTrigger) -> Result<RunRow, TrainingError> {
        let job = self.job.clone();
        let result = tokio::task::spawn_blocking(move || job.run(trigger)).await;
        let result = match result {
            Ok(result) => result,
            Err(_) if self.job.stop.is_cancelled() => Err(TrainingError::Stopped),
            Err(error) => self.failed_hard(&error.to_string()).await,
        };
        if let Err(TrainingError::Unready(cause)) = &result {
            RunRefused { cause }.emit(&self.job.metrics);
        }
        if let Ok(Finished { model: Some(model), .. }) = &result
            && self.config.auto_release
        {
            let running = result.as_ref().ok().map(|finished| finished.run.id.clone());
            self.job.status.send_replace(TrainingStatus { run: running, phase: "releasing", ..Default::default() });
            if let Err(error) = self.desk.release(model.version, "auto").await {
                self.not_released(model.version.0, &error);
            }
        }
        self.job.status.send_replace(TrainingStatus { phase: "idle", ..TrainingStatus::default() });
        result.map(|finished| finished.run)
    }

    /// The learner panicked. Its run is recorded as failed, and the trainer lives on.
    async fn failed_hard(&self, cause: &str) -> Result<Finished, TrainingError> {
        let cause = cause.to_owned();
        let at = self.job.clock.now();
        let recorded = cause.clone();
        let run = blocking(&self.job.store, move |store| {
            let Some(run) = store.runs(0)?.into_iter().find(|run| run.state == RunState::Running) else {
                return Ok(String::new());
            };
            let id = run.id.clone();
            store.put_run(&RunRow { state: RunState::Failed, failure: Some(recorded), ended_at: Some(at), ..run })?;
            Ok(id)
        })
        .await?;
        Err(TrainingError::Failed { run, cause })
    }

    async fn release_pending(&self) {
        if !self.config.auto_release {
            return;
        }
        match self.desk.release_pending("auto").await {
            Ok(_) | Err(ReleaseError::NotConfigured) => {}
            Err(error) => self.not_released(0, &error),
        }
    }

    /// Waiting for a person is no failure; it is tried again all the same.
    fn not_released(&self, version: u64, error: &ReleaseError) {
        let cause = error.to_string();
        match error {
            ReleaseError::AwaitingSignature(_) => ReleaseAwaits { cause: &cause }.emit(&self.job.metrics),
            _ => ReleaseFailed { version, cause: &cause }.emit(&self.job.metrics),
        }
    }
}
