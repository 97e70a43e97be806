//! What is kept of a run while it goes on and when it has ended: its folder and, where one is configured, an MLflow server.

use std::io;

use hearthwatch_protocol::ModelVersion;

use super::learner::Challenger;
use super::mlflow::{Beginning, Ending, Reporting, Tracked, Tracker};
use super::record::{RunRecord, metrics, parameters};
use super::run_folder::{RunFolder, RunProgress};

/// The log of one run under way. Dropping it leaves the run *running*, to be taken up again.
#[derive(Debug)]
pub struct RunLog {
    folder: RunFolder,
    began_at: i64,
    tracked: Option<Tracked>,
    ending: Ending,
}

impl RunLog {
    /// Opens the folder, or finds it open, and begins to log to the server. `began_at` is in Unix seconds.
    ///
    /// # Errors
    /// What the file system says.
    pub fn begin(folder: RunFolder, tracker: Option<&Tracker>, record: &RunRecord, began_at: i64) -> io::Result<Self> {
        let parameters = parameters(&record.config);
        folder.parameters(&parameters)?;
        folder.put("record.json", &serde_json::to_vec_pretty(record)?)?;
        folder.progress(RunProgress::Running, began_at, None)?;
        let beginning = Beginning::of(record, &parameters, began_at);
        let tracked = tracker.and_then(|tracker| tracker.begin(folder.clone(), beginning));
        Ok(Self { folder, began_at, tracked, ending: Ending::default() })
    }

    /// Where the run's files are.
    #[must_use]
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// Keeps what a finished run made: artifact, record, report, card, defences, profile, losses, figures. The checkpoints go.
    ///
    /// # Errors
    /// What the file system says.
    pub fn keep(&mut self, record: &RunRecord, challenger: &Challenger, ended_at: i64) -> io::Result<()> {
        let folder = &self.folder;
        folder.put("network.safetensors", &challenger.artifact)?;
        folder.put("record.json", &serde_json::to_vec_pretty(record)?)?;
        folder.put("report.json", challenger.report.as_bytes())?;
        folder.put("model-card.md", challenger.card.as_bytes())?;
        if let Some(defences) = &challenger.defences {
            folder.put("defences.json", &serde_json::to_vec_pretty(defences)?)?;
        }
        if let Some(profile) = &challenger.profile {
            folder.put("profile.json", &serde_json::to_vec(profile)?)?;
        }
        let metrics = metrics(challenger, ended_at - self.began_at);
        folder.metrics(&metrics)?;
        folder.progress(RunProgress::Finished, self.began_at, Some(ended_at))?;
        folder.clear_checkpoints();
        let gate = if challenger.promote { "promote" } else { "hold" };
        let mut tags =
            vec![("hearthwatch.gate", gate.to_owned()), ("hearthwatch.weights", challenger.weights_id.clone())];
        tags.extend(record.artifact.clone().map(|artifact| ("hearthwatch.artifact", artifact)));
        self.ending = Ending { finished: true, ended_at, metrics, tags };
        Ok(())
    }

    /// The run has its verdict; `model` is the version that it became, if it became one.
    pub fn finished(mut self, model: Option<ModelVersion>) -> Option<Reporting> {
        self.ending.tags.extend(model.map(|version| ("hearthwatch.model_version", version.to_string())));
        self.tracked.map(|tracked| tracked.end(self.ending))
    }

    /// The run ended without a verdict.
    pub fn failed(self, ended_at: i64) -> Option<Reporting> {
        if let Err(error) = self.folder.progress(RunProgress::Failed, self.began_at, Some(ended_at)) {
            tracing::warn!(run.id = self.folder.id(), %error, "the end of the run is not in its folder");
        }
        let ending = Ending { finished: false, ended_at, ..self.ending };
        self.tracked.map(|tracked| tracked.end(ending))
    }
}
