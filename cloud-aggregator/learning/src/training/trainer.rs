//! The one task that trains: takes requests, watches the triggers, releases what the gate let through.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hearthwatch_ingest::Progress;
use hearthwatch_store::release::{ReleaseError, Releases};
use hearthwatch_store::run_requests::RunRequestRow;
use hearthwatch_store::{
    Actor, AuditEntry, FeedbackTotals, RequestState, RunRow, RunState, RunTrigger, StoreResult, blocking,
};
use hearthwatch_telemetry::event::Event;
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::config::TrainingConfig;
use super::job::{Finished, Job};
use super::limits::{Overdue, Withheld, overdue};
use super::requests::{SYSTEM, ended, taken_up};
use super::trigger::{Confirmed, Situation, decide};
use super::{RunRequest, TrainingError, TrainingStatus, new_id};
use crate::event::{ReleaseAwaits, ReleaseFailed, RunEnded, RunRefused, RunRequestEnded};

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
    pub releases: Arc<dyn Releases>,
    /// The requests that the process before left open, read before anybody can ask this one: a request that comes in
    /// while the trainer starts would otherwise be put through twice.
    pub left_open: Vec<RunRequestRow>,
    /// What the last decision was that held a run back, so that it is written down once.
    pub withheld: Option<(RunTrigger, Withheld)>,
    /// What there was when the last run started; forgotten with the process, which only delays the triggers that need it.
    pub reference: Option<Reference>,
}

/// Seconds of a week, over which budgets go.
const WEEK: i64 = 7 * 86_400;

/// What a decision rests on.
struct Seen {
    situation: Situation,
    overdue: Option<Overdue>,
    spent_seconds: i64,
}

impl Seen {
    /// As it is written down with the decision.
    fn evidence(&self) -> serde_json::Value {
        let Situation { answers, watermark, last_started_at, moved, before, since, .. } = self.situation;
        let of = |answers: Confirmed| json!({"confirmed": answers.confirmed, "answers": answers.answers});
        let overdue = self.overdue.as_ref().map(|overdue| {
            let Overdue { class, waited_hours, goal_hours } = overdue;
            json!({"class": class, "waited_hours": waited_hours, "goal_hours": goal_hours})
        });
        json!({
            "new_answers": answers.saturating_sub(watermark),
            "last_started_at": last_started_at,
            "windows_moved": moved,
            "before": of(before),
            "since": of(since),
            "overdue": overdue,
            "spent_seconds": self.spent_seconds,
        })
    }
}

/// What there was when a run started.
#[derive(Debug, Clone, Copy)]
pub struct Reference {
    /// When it started.
    started_at: i64,
    /// Answers up to then.
    totals: FeedbackTotals,
    /// How often incoming windows had moved.
    moved: u64,
}

impl Trainer {
    /// Runs until told to stop. `progress` moves with every stored batch.
    pub async fn run(mut self, mut requests: mpsc::Receiver<RunRequest>, mut progress: watch::Receiver<Progress>) {
        let began_at = self.job.clock.now();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let left_open = std::mem::take(&mut self.left_open);
        self.take_up_again(left_open).await;
        let mut rest_until = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = self.job.stop.cancelled() => return,
                request = requests.recv() => match request {
                    None => return,
                    Some(RunRequest { row, reply }) => {
                        // Where nobody waits any more the row tells the rest.
                        let _ = reply.send(self.put_through(row).await);
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

    /// What a crash or a shutdown left open. First the requests; then a run that nobody asked for and that was cut off: it is
    /// run again, and the same input gives it the same id.
    async fn take_up_again(&self, left_open: Vec<RunRequestRow>) {
        for request in left_open {
            if self.job.stop.is_cancelled() {
                return;
            }
            // The outcome is in the store and the log.
            let _ = self.put_through(request).await;
        }
        let interrupted = blocking(&self.job.store, |store| {
            Ok(store.runs(0)?.into_iter().find(|run| run.state == RunState::Running))
        });
        match interrupted.await {
            Ok(None) => {}
            Ok(Some(run)) => {
                let again = self.once(run.trigger).await;
                if again.is_ok_and(|again| again.id != run.id) {
                    self.supersede(run).await;
                }
            }
            Err(error) => RunRefused { cause: &error.to_string() }.emit(&self.job.metrics),
        }
    }

    /// More answers came in since: the interrupted run will never be run again as it was.
    async fn supersede(&self, run: RunRow) {
        let failure = Some("interrupted; a newer run took its place".to_owned());
        let row = RunRow { state: RunState::Failed, failure, ended_at: Some(self.job.clock.now()), ..run };
        RunEnded(&row).emit(&self.job.metrics);
        if let Err(error) = blocking(&self.job.store, move |store| store.put_run(&row)).await {
            RunRefused { cause: &error.to_string() }.emit(&self.job.metrics);
        }
    }

    /// One request from here to its end, each step of it in the store.
    async fn put_through(&self, request: RunRequestRow) -> Result<RunRow, TrainingError> {
        if let Some(by) = self.job.cancellations.wished(&request.id) {
            let result = Err(TrainingError::Cancelled { run: String::new(), by });
            let row = ended(request, &result, self.job.clock.now());
            self.job.cancellations.forget(&row.id);
            RunRequestEnded(&row).emit(&self.job.metrics);
            self.note(&row).await?;
            return result;
        }
        let row = taken_up(request, self.job.clock.now());
        self.note(&row).await?;
        if row.ended_at.is_some() {
            let cause = row.reason.unwrap_or_default();
            RunRefused { cause: &cause }.emit(&self.job.metrics);
            return Err(TrainingError::Unready(cause));
        }
        self.job.cancellations.in_hand(Some(&row.id));
        let result = self.once(row.trigger).await;
        self.job.cancellations.in_hand(None);
        self.job.cancellations.forget(&row.id);
        let row = ended(row, &result, self.job.clock.now());
        RunRequestEnded(&row).emit(&self.job.metrics);
        // That it could not be written is told; the run itself went as it went.
        let _ = self.note(&row).await;
        result
    }

    async fn note(&self, row: &RunRequestRow) -> Result<(), TrainingError> {
        let row = row.clone();
        let written = blocking(&self.job.store, move |store| store.put_run_request(&row)).await;
        Ok(written.inspect_err(|error| RunRefused { cause: &error.to_string() }.emit(&self.job.metrics))?)
    }

    /// A run that the triggers wanted and that could not begin is listed like one that was asked for. The same failure again,
    /// ten minutes later, is told by the same row.
    async fn not_begun(&self, trigger: RunTrigger, error: &TrainingError) {
        let (reason, now) = (error.to_string(), self.job.clock.now());
        let written = blocking(&self.job.store, move |store| {
            let same = |row: &RunRequestRow| row.by == SYSTEM && row.trigger == trigger && row.run.is_none();
            let last = store.run_requests(1)?.pop().filter(same);
            let last = last.filter(|row| row.reason.as_deref() == Some(reason.as_str()));
            let row = last.unwrap_or_else(|| RunRequestRow::queued(new_id(), trigger, SYSTEM.to_owned(), now));
            store.put_run_request(&RunRequestRow {
                state: RequestState::Failed,
                started_at: Some(now),
                ended_at: Some(now),
                attempts: row.attempts.saturating_add(1),
                reason: Some(reason),
                ..row
            })
        });
        if let Err(error) = written.await {
            RunRefused { cause: &error.to_string() }.emit(&self.job.metrics);
        }
    }

    async fn look(&mut self, began_at: i64, rest_until: &mut Instant) {
        if Instant::now() < *rest_until {
            return;
        }
        let seen = self.situation(began_at).await;
        match seen.map(|seen| (decide(&seen.situation, &self.config), seen)) {
            Ok((None, _)) => self.withheld = None,
            Ok((Some(trigger), seen)) if !self.may_start(trigger, &seen).await => {}
            // Any other outcome is in the table of runs.
            Ok((Some(trigger), _)) => {
                if let Err(error @ (TrainingError::Unready(_) | TrainingError::Store(_))) = self.once(trigger).await {
                    self.not_begun(trigger, &error).await;
                    *rest_until = Instant::now() + UNREADY_REST;
                }
            }
            Err(error) => RunRefused { cause: &error.to_string() }.emit(&self.job.metrics),
        }
    }

    /// Whether the limits let a run start that a trigger wants. The decision is written down with its evidence.
    async fn may_start(&mut self, trigger: RunTrigger, seen: &Seen) -> bool {
        let allowed = self.config.limits.allow(seen.spent_seconds, seen.situation.now);
        let withheld = allowed.err();
        if let Some(why) = withheld {
            if self.withheld == Some((trigger, why)) {
                return false;
            }
            self.withheld = Some((trigger, why));
        } else {
            self.withheld = None;
        }
        let (action, why): (&str, Option<&str>) = match withheld {
            None => ("run.trigger", None),
            Some(why) => ("run.withheld", Some(why.into())),
        };
        let mut detail = seen.evidence();
        if let (Some(fields), Some(why)) = (detail.as_object_mut(), why) {
            fields.insert("why".to_owned(), why.into());
        }
        self.record(action, trigger.as_str(), &detail).await;
        withheld.is_none()
    }

    /// One line of the audit log, by the program itself. That it could not be written is told; the decision stands.
    async fn record(&self, action: &str, subject: &str, detail: &serde_json::Value) {
        let (actor, at) = (Actor::System, self.job.clock.now());
        let (action, subject, detail) = (action.to_owned(), subject.to_owned(), detail.to_string());
        let entry = AuditEntry { at, actor, action, subject, detail };
        let written = blocking(&self.job.store, move |store| store.append_audit(&entry)).await;
        if let Err(error) = written {
            RunRefused { cause: &error.to_string() }.emit(&self.job.metrics);
        }
    }

    async fn situation(&mut self, began_at: i64) -> StoreResult<Seen> {
        let now = self.job.clock.now();
        let (classes, counts) = (self.config.freshness.clone(), self.config.limits.count());
        let (totals, watermark, last_started_at, oldest, spent_seconds) = blocking(&self.job.store, move |store| {
            let last = store.runs(1)?.pop();
            let snapshot = match &last {
                Some(run) => store.snapshot(&run.snapshot)?,
                None => None,
            };
            let watermark = snapshot.map_or(0, |snapshot| snapshot.watermark);
            let last_started_at = last.map_or(began_at, |run| run.started_at);
            let mut oldest = BTreeMap::new();
            for class in classes.keys() {
                if let Some(at) = store.first_answer_of(class, last_started_at)? {
                    oldest.insert(class.clone(), at);
                }
            }
            let spent = if counts { store.run_seconds(now.saturating_sub(WEEK))? } else { 0 };
            Ok((store.feedback_totals()?, watermark, last_started_at, oldest, spent))
        })
        .await?;
        let moved = self.job.metrics.windows_moved_in_all();
        let fresh = Reference { started_at: last_started_at, totals, moved };
        // Another run has started since: from there on is counted.
        let reference = self.reference.filter(|known| known.started_at == last_started_at).unwrap_or(fresh);
        self.reference = Some(reference);
        let before = Confirmed { confirmed: reference.totals.confirmed, answers: reference.totals.records };
        let since = Confirmed {
            confirmed: totals.confirmed.saturating_sub(before.confirmed),
            answers: totals.records.saturating_sub(before.answers),
        };
        let (answers, moved) = (totals.records, moved.saturating_sub(reference.moved));
        let overdue = overdue(&self.config.freshness, &oldest, now);
        let is_overdue = overdue.is_some();
        let situation =
            Situation { answers, watermark, last_started_at, moved, before, since, overdue: is_overdue, now };
        Ok(Seen { situation, overdue, spent_seconds })
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
        match &result {
            // The end of a run that had begun is told where it ended.
            Ok(_) | Err(TrainingError::Failed { .. } | TrainingError::Cancelled { .. }) => {}
            Err(error) => RunRefused { cause: &error.to_string() }.emit(&self.job.metrics),
        }
        if let Ok(Finished { model: Some(model), .. }) = &result
            && self.config.auto_release
        {
            let running = result.as_ref().ok().map(|finished| finished.run.id.clone());
            self.job.status.send_replace(TrainingStatus { run: running, phase: "releasing", ..Default::default() });
            match self.releases.release(model.version, "auto").await {
                Ok(_) => {
                    let detail = json!({"run": model.run, "why": "the gate let it through"});
                    self.record("release.publish", &model.version.to_string(), &detail).await;
                }
                Err(error) => self.not_released(model.version.0, &error),
            }
        }
        self.job.status.send_replace(TrainingStatus { phase: "idle", ..TrainingStatus::default() });
        let told = match &result {
            Ok(Finished { run, .. }) => Some((run.id.clone(), run.state.as_str(), None)),
            Err(TrainingError::Failed { run, cause }) => Some((run.clone(), "failed", Some(cause.clone()))),
            Err(error @ TrainingError::Cancelled { run, .. }) => {
                Some((run.clone(), "cancelled", Some(error.to_string())))
            }
            Err(_) => None,
        };
        if let Some((run, state, why)) = told {
            let detail = json!({"state": state, "trigger": trigger.as_str(), "why": why});
            self.record("run.end", &run, &detail).await;
        }
        result.map(|finished| finished.run)
    }

    /// The learner panicked. Its run is recorded as failed, and the trainer lives on.
    async fn failed_hard(&self, cause: &str) -> Result<Finished, TrainingError> {
        let cause = cause.to_owned();
        let at = self.job.clock.now();
        let recorded = cause.clone();
        let run = blocking(&self.job.store, move |store| {
            let Some(run) = store.runs(0)?.into_iter().find(|run| run.state == RunState::Running) else {
                return Ok(None);
            };
            let row = RunRow { state: RunState::Failed, failure: Some(recorded), ended_at: Some(at), ..run };
            store.put_run(&row)?;
            Ok(Some(row))
        })
        .await?;
        match run {
            Some(row) => {
                RunEnded(&row).emit(&self.job.metrics);
                Err(TrainingError::Failed { run: row.id, cause })
            }
            None => Err(TrainingError::Unready(cause)),
        }
    }

    async fn release_pending(&self) {
        if !self.config.auto_release {
            return;
        }
        match self.releases.release_pending("auto").await {
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
