//! One run from snapshot to verdict. Idempotent: its id follows from its input, and a finished run is not run again.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use hearthwatch_detector::drift::FeatureProfile;
use hearthwatch_store::artifact_store::{ArtifactStore, ArtifactStoreError};
use hearthwatch_store::clock::Clock;
use hearthwatch_store::{ModelRow, NewModel, RunRow, RunState, RunTrigger, SnapshotRow, Store, StoreError};
use hearthwatch_supervision::panic_text;
use hearthwatch_telemetry::event::Event;
use hearthwatch_telemetry::metrics::Metrics;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::cancel::Cancellations;
use super::learner::{Challenger, LearnError, Learner, Step};
use super::mlflow::Tracker;
use super::pace::Pace;
use super::record::{RunRecord, git_revision, processor};
use super::run_folder::RunFolders;
use super::run_log::RunLog;
use super::{TrainingError, TrainingStatus};
use crate::dataset::{self, Consumed, Snapshot};
use crate::event::{AnswersDefended, DatasetTaken, RecallEstimated, RunEnded, RunStarted};

/// How often a snapshot is begun anew because a home took one of its answers back meanwhile.
const SNAPSHOT_ATTEMPTS: usize = 5;

/// Everything that a run touches.
#[derive(Clone)]
pub struct Job {
    /// Where answers come from, and rows of runs, snapshots and models go.
    pub store: Arc<dyn Store>,
    /// Where snapshots and artifacts lie.
    pub artifact_store: ArtifactStore,
    /// Does the learning.
    pub learner: Arc<dyn Learner>,
    /// Logs the run to an MLflow server, if one is configured.
    pub tracker: Option<Tracker>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// What `/metrics` shows.
    pub metrics: Arc<Metrics>,
    /// Shows what is going on.
    pub status: watch::Sender<TrainingStatus>,
    /// Ends a run half-way, with the program.
    pub stop: CancellationToken,
    /// Runs that somebody wants to end.
    pub cancellations: Cancellations,
}

/// A run that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Its row, *promoted* or *held*.
    pub run: RunRow,
    /// The model it made, if the gate let it through.
    pub model: Option<ModelRow>,
}

/// What a run starts from.
struct Start {
    snapshot: Snapshot,
    champion: Option<(ModelRow, Vec<u8>)>,
    run: RunRow,
}

impl From<StoreError> for TrainingError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.to_string())
    }
}

impl From<ArtifactStoreError> for TrainingError {
    fn from(error: ArtifactStoreError) -> Self {
        Self::Store(error.to_string())
    }
}

impl Job {
    /// Where the story of each run is kept.
    fn folders(&self) -> RunFolders {
        RunFolders::new(self.artifact_store.data())
    }

    /// Runs to the verdict. Blocks, for minutes.
    ///
    /// # Errors
    /// [`TrainingError`]; a run that had begun is recorded as failed, unless it was [stopped](TrainingError::Stopped).
    pub fn run(&self, trigger: RunTrigger) -> Result<Finished, TrainingError> {
        self.say("snapshot", None, 0, 0, None, None);
        let start = self.start(trigger)?;
        if let Some(finished) = self.finished(&start.run.id)? {
            return Ok(finished);
        }
        self.store.put_run(&start.run)?;
        RunStarted(&start.run).emit(&self.metrics);
        // From here on there is a row: whatever goes wrong is its end.
        let ended = self.attempt(&start);
        let mut run = start.run;
        if !matches!(ended, Err(TrainingError::Stopped)) {
            // It ended by itself before the wish was heard.
            self.cancellations.forget(&run.id);
        }
        match ended {
            Ok(finished) => {
                RunEnded(&finished.run).emit(&self.metrics);
                Ok(finished)
            }
            Err(TrainingError::Stopped) => match self.cancellations.wished(&run.id) {
                Some(by) if !self.stop.is_cancelled() => self.cancelled(run, by),
                // It stays *running* in the store, and is taken up again at the next start.
                _ => Err(TrainingError::Stopped),
            },
            Err(error) => {
                run.ended_at = Some(self.clock.now());
                run.state = RunState::Failed;
                run.failure = Some(match &error {
                    TrainingError::Failed { cause, .. } => cause.clone(),
                    other => other.to_string(),
                });
                RunEnded(&run).emit(&self.metrics);
                self.store.put_run(&run)?;
                let cause = run.failure.unwrap_or_default();
                Err(TrainingError::Failed { run: run.id, cause })
            }
        }
    }

    /// The end of a run that somebody wished.
    fn cancelled(&self, run: RunRow, by: String) -> Result<Finished, TrainingError> {
        let failure = Some(format!("cancelled by {by}"));
        let row = RunRow { state: RunState::Cancelled, ended_at: Some(self.clock.now()), failure, ..run };
        RunEnded(&row).emit(&self.metrics);
        self.store.put_run(&row)?;
        self.cancellations.forget(&row.id);
        Err(TrainingError::Cancelled { run: row.id, by })
    }

    /// Learns, keeps what was learnt, and records the verdict.
    fn attempt(&self, start: &Start) -> Result<Finished, TrainingError> {
        let record = self.record(start);
        let folder = self.folders().run(&record.run);
        let log = RunLog::begin(folder, self.tracker.as_ref(), &record, start.run.started_at);
        let mut log = log.map_err(unwritten)?;
        let ended = self.to_the_verdict(start, record, &mut log);
        // The server receives it meanwhile; nothing here waits for it.
        match &ended {
            Ok(finished) => log.finished(finished.model.as_ref().map(|model| model.version)),
            Err(TrainingError::Stopped) => None,
            Err(_) => log.failed(self.clock.now()),
        };
        ended
    }

    fn to_the_verdict(
        &self,
        start: &Start,
        mut record: RunRecord,
        log: &mut RunLog,
    ) -> Result<Finished, TrainingError> {
        let challenger = self.learn(start).map_err(|error| match error {
            LearnError::Stopped => TrainingError::Stopped,
            LearnError::Failed(cause) => TrainingError::Failed { run: start.run.id.clone(), cause },
        })?;
        if let Some(defences) = &challenger.defences {
            AnswersDefended(defences).emit(&self.metrics);
        }
        record.artifact = Some(hex::encode(Sha256::digest(&challenger.artifact)));
        let ended_at = self.clock.now();
        log.keep(&record, &challenger, ended_at).map_err(unwritten)?;
        self.conclude(RunRow { ended_at: Some(ended_at), ..start.run.clone() }, &challenger)
    }

    fn start(&self, trigger: RunTrigger) -> Result<Start, TrainingError> {
        let corpus = self.learner.corpus().map_err(TrainingError::Unready)?;
        let reigning = self.store.champion()?;
        let consumed = self.consumed(reigning.as_ref())?;
        let reference = reigning.as_ref().and_then(|model| self.folders().run(&model.run).profile());
        let at = self.clock.now();
        let snapshot =
            take_snapshot(self.store.as_ref(), &self.artifact_store, &corpus, &consumed, reference.as_ref())?;
        RecallEstimated(&snapshot.lineage.recall).emit(&self.metrics);
        DatasetTaken { snapshot: &snapshot.id, quality: &snapshot.lineage.quality }.emit(&self.metrics);
        self.store.put_snapshot(&snapshot_row(&snapshot, at)?)?;
        let champion = match reigning {
            None => None,
            Some(model) => {
                let artifact = self.artifact_store.model(&model.sha256)?;
                Some((model, artifact))
            }
        };
        let config = self.learner.config();
        let beaten = champion.as_ref().map_or("", |(model, _)| model.sha256.as_str());
        let run = RunRow {
            id: run_id(&snapshot.id, beaten, &config),
            snapshot: snapshot.id.clone(),
            trigger,
            config,
            champion: champion.as_ref().map(|(model, _)| model.version),
            state: RunState::Running,
            started_at: at,
            ended_at: None,
            challenger: None,
            report: None,
            failure: None,
        };
        Ok(Start { snapshot, champion, run })
    }

    /// What the champion learnt from: the answers up to its snapshot's last of each home. After a roll-back these are the
    /// older champion's, and what only the withdrawn one had learnt from is new again.
    fn consumed(&self, champion: Option<&ModelRow>) -> Result<Consumed, TrainingError> {
        let Some(model) = champion else { return Ok(Consumed::default()) };
        let mut consumed = Consumed { champion: model.version, ..Consumed::default() };
        let run = self.store.run(hearthwatch_store::release::origin(&model.run))?;
        consumed.until = run.as_ref().map(|run| run.started_at);
        let snapshot = match run {
            Some(run) => self.store.snapshot(&run.snapshot)?,
            None => None,
        };
        if let Some(snapshot) = snapshot {
            let lineage: hearthwatch_store::story::Lineage =
                serde_json::from_str(&snapshot.lineage).map_err(|error| TrainingError::Store(error.to_string()))?;
            consumed.lifts = lineage.lifts;
            consumed.through = lineage.homes.into_iter().map(|(home, lineage)| (home, lineage.last)).collect();
        }
        Ok(consumed)
    }

    fn record(&self, start: &Start) -> RunRecord {
        RunRecord {
            run: start.run.id.clone(),
            snapshot: start.snapshot.id.clone(),
            corpus: start.snapshot.lineage.corpus.clone(),
            champion: start.champion.as_ref().map(|(model, _)| model.sha256.clone()),
            // The learner's own JSON; were it none, the record would still tell what it was.
            config: serde_json::from_str(&start.run.config).unwrap_or_else(|_| start.run.config.clone().into()),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            git_revision: git_revision(),
            processor: processor(),
            artifact: None,
        }
    }

    /// The same work, done before. A run that was interrupted or failed does not count.
    fn finished(&self, id: &str) -> Result<Option<Finished>, TrainingError> {
        let Some(run) = self.store.run(id)? else { return Ok(None) };
        match run.state {
            RunState::Running | RunState::Failed | RunState::Cancelled => Ok(None),
            RunState::Held => Ok(Some(Finished { run, model: None })),
            RunState::Promoted => {
                let model = self.store.models()?.into_iter().find(|model| model.run == run.id);
                Ok(Some(Finished { run, model }))
            }
        }
    }

    fn learn(&self, start: &Start) -> Result<Challenger, LearnError> {
        let run = &start.run.id;
        let champion = start.champion.as_ref().map(|(_, artifact)| artifact.as_slice());
        let mut pace = Pace::default();
        let mut progress = |step| {
            if self.stop.is_cancelled() || self.cancellations.wished(run).is_some() {
                return ControlFlow::Break(());
            }
            match step {
                Step::Preparing { done, total } => self.say("preparing", Some(run), done, total, None, Some(&mut pace)),
                Step::Training { done, total, loss } => {
                    self.say("training", Some(run), done, total, Some(loss), Some(&mut pace));
                }
                Step::Evaluating { done, total } => {
                    self.say("evaluating", Some(run), done, total, None, Some(&mut pace));
                }
            }
            ControlFlow::Continue(())
        };
        let mut checkpoints = self.folders().run(run).checkpoints();
        let path = self.artifact_store.snapshot_path(&start.snapshot.id);
        let (_, examples) =
            dataset::read_file(&path, &start.snapshot.id).map_err(|error| format!("{}: {error}", path.display()))?;
        let learning = || self.learner.learn(examples, champion, &mut checkpoints, &mut progress);
        // What a panic leaves half done is the challenger, which nobody has yet.
        match catch_unwind(AssertUnwindSafe(learning)) {
            Ok(learnt) => learnt,
            Err(panic) => Err(LearnError::Failed(format!("the learner panicked: {}", panic_text(&*panic)))),
        }
    }

    fn conclude(&self, run: RunRow, challenger: &Challenger) -> Result<Finished, TrainingError> {
        let sha256 = self.artifact_store.put_model(&challenger.artifact)?;
        let state = if challenger.promote { RunState::Promoted } else { RunState::Held };
        // The model first: after a crash between the two the run is still *running*, is run again at the next start,
        // and finds its model there. A model whose run has no verdict is never released.
        let model = if challenger.promote {
            let new = NewModel {
                sha256: sha256.clone(),
                length: challenger.artifact.len() as u64,
                weights_id: challenger.weights_id.clone(),
                run: run.id.clone(),
                at: self.clock.now(),
            };
            Some(self.store.add_model(&new)?)
        } else {
            None
        };
        let run = RunRow { state, challenger: Some(sha256), report: Some(challenger.report.clone()), ..run };
        self.store.put_run(&run)?;
        Ok(Finished { run, model })
    }

    fn say(
        &self,
        phase: &'static str,
        run: Option<&String>,
        done: u64,
        total: u64,
        loss: Option<f32>,
        pace: Option<&mut Pace>,
    ) {
        let remaining_s = pace.and_then(|pace| pace.remaining(phase, done, total, self.clock.now()));
        self.status.send_replace(TrainingStatus { run: run.cloned(), phase, done, total, loss, remaining_s });
    }
}

/// Takes a snapshot into its file on the artifact store. Neither the answers nor the windows are held in memory.
///
/// # Errors
/// [`TrainingError::Store`].
pub fn take_snapshot(
    store: &dyn Store,
    artifact_store: &ArtifactStore,
    corpus: &str,
    consumed: &Consumed,
    reference: Option<&FeatureProfile>,
) -> Result<Snapshot, TrainingError> {
    for _ in 0..SNAPSHOT_ATTEMPTS {
        let chosen = dataset::choose(store, corpus, consumed)?;
        let mut file = artifact_store.begin_snapshot()?;
        let written = dataset::write(store, chosen, reference, &mut file);
        if let Some(snapshot) = written.map_err(|error| TrainingError::Store(error.to_string()))? {
            file.keep(&snapshot.id)?;
            return Ok(snapshot);
        }
    }
    Err(TrainingError::Store("homes take answers back faster than a snapshot is taken".to_owned()))
}

#[expect(clippy::needless_pass_by_value, reason = "what map_err hands over")]
fn unwritten(error: std::io::Error) -> TrainingError {
    TrainingError::Store(format!("the run's folder: {error}"))
}

fn snapshot_row(snapshot: &Snapshot, at: i64) -> Result<SnapshotRow, TrainingError> {
    let lineage = serde_json::to_string(&snapshot.lineage).map_err(|error| TrainingError::Store(error.to_string()))?;
    Ok(SnapshotRow {
        id: snapshot.id.clone(),
        created_at: at,
        rows: snapshot.rows as u64,
        homes: snapshot.lineage.homes.len() as u64,
        watermark: snapshot.lineage.watermark,
        corpus: snapshot.lineage.corpus.clone(),
        lineage,
    })
}

/// Hex, the first 16 bytes of a SHA-256: enough to tell runs apart, short enough to say.
#[must_use]
pub fn run_id(snapshot: &str, champion: &str, config: &str) -> String {
    let mut hasher = Sha256::new();
    for part in ["hearthwatch-run-1", snapshot, champion, config] {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hex::encode(&hasher.finalize()[..16])
}

#[cfg(test)]
mod tests;
