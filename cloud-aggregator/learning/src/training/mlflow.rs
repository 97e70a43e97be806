//! Runs logged to an MLflow tracking server, by its REST API, where one is configured.
//!
//! A thread of its own sends, so that no run waits for the server or fails with it: when the run begins (settings, tags), and when it
//! has ended (losses, figures, verdict). What did not get through is one warning, is tried again at the end, and lies in the run's
//! folder in any case. Nothing of homes is sent: no answer, no name, no number of them.

mod client;

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Runtime};

use super::record::{Metric, RunRecord};
use super::run_folder::{MlflowRun, RunFolder};
use client::{Client, MetricAt, MlflowError, Status};
pub use client::{Credentials, MlflowConfig, Timeouts};

/// What MLflow counts time in, against ours.
const MILLISECONDS: i64 = 1000;

/// Characters of the run's id that make its name there.
const NAME_CHARS: usize = 8;

/// Logs runs to one server.
#[derive(Debug, Clone)]
pub struct Tracker {
    config: MlflowConfig,
    timeouts: Timeouts,
}

/// What is sent when a run begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Beginning {
    /// Unix seconds.
    began_at: i64,
    parameters: Vec<(String, String)>,
    tags: Vec<(&'static str, String)>,
}

/// What is sent when a run has ended.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Ending {
    /// It ended with a verdict.
    pub(super) finished: bool,
    /// Unix seconds.
    pub(super) ended_at: i64,
    pub(super) metrics: Vec<Metric>,
    pub(super) tags: Vec<(&'static str, String)>,
}

impl Beginning {
    pub(super) fn of(record: &RunRecord, parameters: &BTreeMap<String, serde_json::Value>, began_at: i64) -> Self {
        let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let settings = parameters.iter().map(|(name, value)| (name.clone(), text(value)));
        let corpus = ("corpus".to_owned(), record.corpus.clone());
        let mut tags = vec![
            ("mlflow.source.name", "hearthwatch-cloud".to_owned()),
            ("hearthwatch.run", record.run.clone()),
            ("hearthwatch.program", record.program.clone()),
            ("hearthwatch.snapshot", record.snapshot.clone()),
            ("hearthwatch.champion", record.champion.clone().unwrap_or_else(|| "none".to_owned())),
            ("hearthwatch.processor", record.processor.clone()),
        ];
        if record.git_revision != "unknown" {
            tags.push(("mlflow.source.git.commit", record.git_revision.clone()));
        }
        Self { began_at, parameters: settings.chain([corpus]).collect(), tags }
    }
}

/// A run that is being logged.
#[derive(Debug)]
pub(super) struct Tracked {
    ending: mpsc::Sender<Ending>,
    reporting: Reporting,
}

/// The thread that sends. When it has ended the server has everything, or the log says why not.
#[derive(Debug)]
pub struct Reporting(JoinHandle<()>);

impl Reporting {
    /// Waits for it: for a program that would otherwise end before. At the most some minutes, with a server that is silent.
    pub fn wait(self) {
        // Had it panicked, the panic hook would have said so; the run is not concerned.
        let _ = self.0.join();
    }
}

impl Tracked {
    pub(super) fn end(self, ending: Ending) -> Reporting {
        // A thread that is gone has panicked, which the panic hook has logged.
        let _ = self.ending.send(ending);
        self.reporting
    }
}

impl Tracker {
    /// One for that server.
    #[must_use]
    pub fn new(config: MlflowConfig) -> Self {
        Self { config, timeouts: Timeouts::default() }
    }

    /// The same with other timeouts.
    #[must_use]
    pub fn with_timeouts(self, timeouts: Timeouts) -> Self {
        Self { timeouts, ..self }
    }

    /// Begins to log a run. Dropping what is returned leaves the run under way there, as it is here: it is taken up again later.
    pub(super) fn begin(&self, folder: RunFolder, beginning: Beginning) -> Option<Tracked> {
        let (ending, end) = mpsc::channel();
        let run = folder.id().to_owned();
        let reporter = Reporter { tracker: self.clone(), folder, beginning, run_id: None, warned: false };
        match std::thread::Builder::new().name("mlflow".to_owned()).spawn(move || reporter.run(&end)) {
            Ok(thread) => Some(Tracked { ending, reporting: Reporting(thread) }),
            Err(error) => {
                tracing::warn!(run.id = run, %error, "the run is not logged to MLflow; its folder has everything");
                None
            }
        }
    }
}

/// What the thread holds.
struct Reporter {
    tracker: Tracker,
    folder: RunFolder,
    beginning: Beginning,
    /// The run there, once its settings and tags are there too.
    run_id: Option<String>,
    warned: bool,
}

impl Reporter {
    fn run(mut self, end: &mpsc::Receiver<Ending>) {
        let runtime = match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return self.warn(&error.to_string()),
        };
        if let Err(error) = runtime.block_on(self.open()) {
            self.warn(&error.to_string());
        }
        // Nobody is left to say how it ended: the run was cut off.
        let Ok(ending) = end.recv() else { return };
        match self.close_with_retries(&runtime, &ending) {
            Ok(()) => tracing::info!(run.id = self.folder.id(), "MLflow has the run"),
            Err(error) => self.warn(&error.to_string()),
        }
    }

    fn close_with_retries(&mut self, runtime: &Runtime, ending: &Ending) -> Result<(), MlflowError> {
        let Timeouts { tries, pause, .. } = self.tracker.timeouts;
        let mut left = tries;
        loop {
            left = left.saturating_sub(1);
            match runtime.block_on(self.close(ending)) {
                Err(_) if left > 0 => std::thread::sleep(pause),
                result => return result,
            }
        }
    }

    /// One warning a run: what fails again is no news.
    fn warn(&mut self, cause: &str) {
        let (url, run) = (self.tracker.config.url.as_str(), self.folder.id());
        if self.warned {
            tracing::debug!(run.id = run, url, cause, "MLflow still has not all of the run");
        } else {
            tracing::warn!(run.id = run, url, cause, "MLflow has not all of the run; its folder has");
        }
        self.warned = true;
    }

    /// Makes the run there, or finds the one that an earlier attempt at this run made; settings and tags.
    async fn open(&mut self) -> Result<String, MlflowError> {
        let client = Client::open(&self.tracker.config, &self.tracker.timeouts)?;
        let run = match self.known(&client).await? {
            Some(run) => run,
            None => self.create(&client).await?,
        };
        client.parameters(&run, &self.beginning.parameters).await?;
        client.tags(&run, &self.beginning.tags).await?;
        self.run_id = Some(run.clone());
        Ok(run)
    }

    async fn known(&self, client: &Client) -> Result<Option<String>, MlflowError> {
        let MlflowConfig { url, experiment, .. } = &self.tracker.config;
        let same = |known: &MlflowRun| known.url == url.as_str() && known.experiment == *experiment;
        let Some(known) = self.folder.mlflow().filter(same) else { return Ok(None) };
        match client.update_run(&known.run_id, Status::Running, None).await {
            Ok(()) => Ok(Some(known.run_id)),
            Err(error) if error.is_not_there() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn create(&self, client: &Client) -> Result<String, MlflowError> {
        let MlflowConfig { url, experiment, .. } = &self.tracker.config;
        let id = client.experiment(experiment).await?;
        let name: String = self.folder.id().chars().take(NAME_CHARS).collect();
        let run_id = client.create_run(&id, &name, self.beginning.began_at * MILLISECONDS).await?;
        let run = MlflowRun { url: url.to_string(), experiment: experiment.clone(), run_id };
        if let Err(error) = self.folder.note_mlflow(&run) {
            // Were the run taken up again, it would be two there.
            tracing::debug!(run.id = self.folder.id(), %error, "the id of MLflow's run is not in the folder");
        }
        Ok(run.run_id)
    }

    async fn close(&mut self, ending: &Ending) -> Result<(), MlflowError> {
        let run = match self.run_id.clone() {
            Some(run) => run,
            None => self.open().await?,
        };
        let client = Client::open(&self.tracker.config, &self.tracker.timeouts)?;
        let at = ending.ended_at * MILLISECONDS;
        let metric =
            |Metric { name, step, value }: &Metric| MetricAt { name, value: *value, timestamp: at, step: *step };
        client.metrics(&run, &ending.metrics.iter().map(metric).collect::<Vec<_>>()).await?;
        client.tags(&run, &ending.tags).await?;
        let status = if ending.finished { Status::Finished } else { Status::Failed };
        client.update_run(&run, status, Some(at)).await
    }
}

#[cfg(test)]
pub(in crate::training) mod double;
#[cfg(test)]
mod tests;
