//! The experiment log: one folder a run, laid out as MLflow's file store, so that a team may point MLflow at it.
//!
//! `mlflow ui --backend-store-uri <data>/mlruns` compares the runs; nothing of MLflow is needed to write or to read them.
//! A run's `artifacts/` hold everything that made the model: the artifact, the record (configuration, seed, hashes, git
//! revision), the gate's report, the model card, the profile of the training data, and the checkpoints while it runs.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use hearthwatch_detector::drift::FeatureProfile;
use hearthwatch_store::files::write_whole;
use hearthwatch_training::{Checkpoints, EpochRecord};

/// The one experiment, by MLflow's numbering.
const EXPERIMENT: &str = "1";

/// Milliseconds in a second: MLflow counts in the former.
const MILLISECONDS: i64 = 1000;

/// The log of all runs.
#[derive(Debug, Clone)]
pub struct ExperimentLog {
    directory: PathBuf,
}

/// How a run ended, in MLflow's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunStatus {
    /// Under way, or cut off.
    Running = 1,
    /// Ended with a verdict.
    Finished = 3,
    /// Ended without one.
    Failed = 4,
}

impl ExperimentLog {
    /// The log below `data`, the aggregator's data directory.
    #[must_use]
    pub fn new(data: &Path) -> Self {
        Self { directory: data.join("mlruns") }
    }

    /// One run's folder. `id` must be 32 hexadecimal digits, as run ids are.
    #[must_use]
    pub fn run(&self, id: &str) -> RunFolder {
        let experiment = self.directory.join(EXPERIMENT);
        RunFolder { id: id.to_owned(), directory: experiment.join(id), experiment }
    }
}

/// One run's folder.
#[derive(Debug, Clone)]
pub struct RunFolder {
    id: String,
    directory: PathBuf,
    experiment: PathBuf,
}

impl RunFolder {
    /// Where a file of the run lies.
    #[must_use]
    pub fn artifact_path(&self, name: &str) -> PathBuf {
        self.directory.join("artifacts").join(name)
    }

    /// Opens the folder, or finds it open: what the run is and when it began (Unix seconds).
    ///
    /// # Errors
    /// What the file system says.
    pub fn begin(&self, began_at: i64, parameters: &[(String, String)], tags: &[(&str, &str)]) -> io::Result<()> {
        let experiment = self.experiment.join("meta.yaml");
        if !experiment.exists() {
            let at = began_at * MILLISECONDS;
            let text = format!(
                "artifact_location: {}\ncreation_time: {at}\nexperiment_id: '{EXPERIMENT}'\nlast_update_time: {at}\n\
                 lifecycle_stage: active\nname: hearthwatch\n",
                quoted(&self.experiment.display().to_string())
            );
            write_whole(&experiment, text.as_bytes())?;
        }
        for folder in ["metrics", "artifacts"] {
            std::fs::create_dir_all(self.directory.join(folder))?;
        }
        for (name, value) in parameters {
            write_whole(&self.directory.join("params").join(name), value.as_bytes())?;
        }
        for (name, value) in tags {
            write_whole(&self.directory.join("tags").join(name), value.as_bytes())?;
        }
        self.meta(RunStatus::Running, began_at, None)
    }

    /// Writes how it ended.
    ///
    /// # Errors
    /// What the file system says.
    pub fn end(&self, status: RunStatus, began_at: i64, ended_at: i64) -> io::Result<()> {
        self.meta(status, began_at, Some(ended_at))
    }

    fn meta(&self, status: RunStatus, began_at: i64, ended_at: Option<i64>) -> io::Result<()> {
        let ended = ended_at.map_or("null".to_owned(), |at| (at * MILLISECONDS).to_string());
        let artifacts = quoted(&self.directory.join("artifacts").display().to_string());
        let text = format!(
            "artifact_uri: {artifacts}\nend_time: {ended}\nentry_point_name: ''\nexperiment_id: '{EXPERIMENT}'\n\
             lifecycle_stage: active\nrun_id: {id}\nrun_name: {short}\nrun_uuid: {id}\nsource_name: ''\n\
             source_type: 4\nsource_version: ''\nstart_time: {start}\nstatus: {status}\ntags: []\nuser_id: hearthwatch\n",
            id = self.id,
            short = quoted(self.id.get(..8).unwrap_or(&self.id)),
            start = began_at * MILLISECONDS,
            status = status as u8,
        );
        write_whole(&self.directory.join("meta.yaml"), text.as_bytes())
    }

    /// Writes a metric's whole course: (step, value), all at one time.
    ///
    /// # Errors
    /// What the file system says.
    pub fn metric(&self, name: &str, at: i64, course: &[(usize, f64)]) -> io::Result<()> {
        let mut text = String::new();
        for (step, value) in course {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{} {value} {step}", at * MILLISECONDS);
        }
        write_whole(&self.directory.join("metrics").join(name), text.as_bytes())
    }

    /// Writes the losses by epoch.
    ///
    /// # Errors
    /// What the file system says.
    pub fn losses(&self, at: i64, history: &[EpochRecord]) -> io::Result<()> {
        let course = |of: fn(&EpochRecord) -> f32| -> Vec<(usize, f64)> {
            history.iter().map(|epoch| (epoch.epoch, f64::from(of(epoch)))).collect()
        };
        self.metric("training_loss", at, &course(|epoch| epoch.training_loss))?;
        self.metric("validation_loss", at, &course(|epoch| epoch.validation_loss))
    }

    /// Puts a file beside the run.
    ///
    /// # Errors
    /// What the file system says.
    pub fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        write_whole(&self.artifact_path(name), bytes)
    }

    /// The profile of the data that the run trained on, if it left one that reads.
    #[must_use]
    pub fn profile(&self) -> Option<FeatureProfile> {
        serde_json::from_slice(&std::fs::read(self.artifact_path("profile.json")).ok()?).ok()
    }

    /// The run's checkpoints.
    #[must_use]
    pub fn checkpoints(&self) -> CheckpointFiles {
        CheckpointFiles { folder: self.clone() }
    }

    /// Takes the checkpoints of a finished run away.
    pub fn clear_checkpoints(&self) {
        // One that stays behind is a few hundred kilobytes that nothing reads again.
        let _ = std::fs::remove_dir_all(self.artifact_path("checkpoints"));
    }
}

/// A text as YAML takes it whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Checkpoints as files of a run.
#[derive(Debug)]
pub struct CheckpointFiles {
    folder: RunFolder,
}

impl CheckpointFiles {
    fn path(&self, part: &str) -> PathBuf {
        self.folder.artifact_path("checkpoints").join(format!("{part}.safetensors"))
    }
}

impl Checkpoints for CheckpointFiles {
    fn load(&mut self, part: &str) -> Option<Vec<u8>> {
        std::fs::read(self.path(part)).ok()
    }

    fn save(&mut self, part: &str, bytes: &[u8]) {
        if let Err(error) = write_whole(&self.path(part), bytes) {
            tracing::warn!(run.id = self.folder.id, %error, "no checkpoint; the run goes on");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn a_run_lies_where_mlflow_looks_for_it() {
        let directory = tempfile::tempdir().unwrap();
        let run = ExperimentLog::new(directory.path()).run(ID);
        run.begin(1_700_000_000, &[("seed".to_owned(), "7".to_owned())], &[("dataset", "ab")]).unwrap();
        let history = [EpochRecord { epoch: 1, training_loss: 2.5, validation_loss: 1.5 }];
        run.losses(1_700_000_050, &history).unwrap();
        run.end(RunStatus::Finished, 1_700_000_000, 1_700_000_060).unwrap();
        let read = |path: &str| std::fs::read_to_string(directory.path().join("mlruns/1").join(path)).unwrap();
        assert_eq!(read(&format!("{ID}/params/seed")), "7");
        assert_eq!(read(&format!("{ID}/tags/dataset")), "ab");
        assert_eq!(read(&format!("{ID}/metrics/validation_loss")), "1700000050000 1.5 1\n");
        let meta = read(&format!("{ID}/meta.yaml"));
        assert!(meta.contains(&format!("run_id: {ID}\n")) && meta.contains("\nstatus: 3\n"), "{meta}");
        assert!(meta.contains("\nstart_time: 1700000000000\n") && meta.contains("\nend_time: 1700000060000\n"));
        assert!(read("meta.yaml").contains("name: hearthwatch\n"));
    }

    #[test]
    fn checkpoints_are_kept_by_part_until_they_are_cleared() {
        let directory = tempfile::tempdir().unwrap();
        let run = ExperimentLog::new(directory.path()).run(ID);
        let mut checkpoints = run.checkpoints();
        assert_eq!(checkpoints.load("candidate"), None);
        checkpoints.save("candidate", b"one");
        checkpoints.save("candidate", b"two");
        assert_eq!(checkpoints.load("candidate").as_deref(), Some(b"two".as_slice()));
        assert_eq!(checkpoints.load("control"), None);
        run.clear_checkpoints();
        assert_eq!(checkpoints.load("candidate"), None);
    }

    #[test]
    fn a_quote_in_a_path_does_not_end_the_text() {
        assert_eq!(quoted("/srv/o'neill"), "'/srv/o''neill'");
    }
}
