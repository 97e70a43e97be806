//! The folder of each run, `<data>/runs/<run>/`: plain files that a person reads, each whole or not there.
//!
//! | file | content |
//! |---|---|
//! | `run.json` | the run's id, its state, when it began and ended (Unix seconds) |
//! | `params.json` | its settings by name, nested ones joined by dots |
//! | `metrics.csv` | `metric,step,value`: losses by epoch, figures at step 0 |
//! | `mlflow.json` | where an MLflow tracking server keeps the same run, if one is configured |
//! | `artifacts/` | `record.json` (what the model was made from), the artifact, the gate's report, the model card, defences, the profile of the training data; checkpoints while it runs |

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use hearthwatch_detector::drift::FeatureProfile;
use hearthwatch_store::files::write_whole;
use hearthwatch_training::Checkpoints;
use serde::{Deserialize, Serialize};

use super::record::Metric;

/// The folders of all runs.
#[derive(Debug, Clone)]
pub struct RunFolders {
    data: PathBuf,
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunProgress {
    /// Under way, or cut off.
    Running,
    /// Ended with a verdict.
    Finished,
    /// Ended without one.
    Failed,
}

/// What `run.json` holds.
#[derive(Serialize)]
struct RunFile<'a> {
    run: &'a str,
    state: RunProgress,
    began_at: i64,
    ended_at: Option<i64>,
}

/// What `mlflow.json` holds: the run there that is this run, so that one that is taken up again does not become two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MlflowRun {
    pub(super) url: String,
    pub(super) experiment: String,
    pub(super) run_id: String,
}

impl RunFolders {
    /// Those below `data`, the aggregator's data directory.
    #[must_use]
    pub fn new(data: &Path) -> Self {
        Self { data: data.to_owned() }
    }

    /// One run's folder. `id` must be 32 hexadecimal digits, as run ids are.
    #[must_use]
    pub fn run(&self, id: &str) -> RunFolder {
        RunFolder { id: id.to_owned(), directory: self.data.join("runs").join(id), data: self.data.clone() }
    }
}

/// One run's folder.
#[derive(Debug, Clone)]
pub struct RunFolder {
    id: String,
    directory: PathBuf,
    data: PathBuf,
}

impl RunFolder {
    /// The run's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where a file of the run lies.
    #[must_use]
    pub fn artifact_path(&self, name: &str) -> PathBuf {
        self.directory.join("artifacts").join(name)
    }

    /// Writes how far the run has come. Makes the folder if need be.
    ///
    /// # Errors
    /// What the file system says.
    pub fn progress(&self, state: RunProgress, began_at: i64, ended_at: Option<i64>) -> io::Result<()> {
        self.write("run.json", &RunFile { run: &self.id, state, began_at, ended_at })
    }

    /// Writes the settings.
    ///
    /// # Errors
    /// What the file system says.
    pub fn parameters(&self, parameters: &BTreeMap<String, serde_json::Value>) -> io::Result<()> {
        self.write("params.json", parameters)
    }

    /// Writes all metrics of the run, in the order given.
    ///
    /// # Errors
    /// What the file system says.
    pub fn metrics(&self, metrics: &[Metric]) -> io::Result<()> {
        let mut text = "metric,step,value\n".to_owned();
        for Metric { name, step, value } in metrics {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name},{step},{value}");
        }
        write_whole(&self.directory.join("metrics.csv"), text.as_bytes())
    }

    /// Puts a file among the artifacts.
    ///
    /// # Errors
    /// What the file system says.
    pub fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        write_whole(&self.artifact_path(name), bytes)
    }

    /// The profile of the data that the run trained on, if it left one that reads. Runs from before this layout keep theirs in
    /// `mlruns/1/<run>`.
    #[must_use]
    pub fn profile(&self) -> Option<FeatureProfile> {
        let name = "artifacts/profile.json";
        let bytes = std::fs::read(self.directory.join(name))
            .or_else(|_| std::fs::read(self.data.join("mlruns/1").join(&self.id).join(name)));
        serde_json::from_slice(&bytes.ok()?).ok()
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

    pub(super) fn mlflow(&self) -> Option<MlflowRun> {
        serde_json::from_slice(&std::fs::read(self.directory.join("mlflow.json")).ok()?).ok()
    }

    pub(super) fn note_mlflow(&self, run: &MlflowRun) -> io::Result<()> {
        self.write("mlflow.json", run)
    }

    fn write(&self, name: &str, value: &impl Serialize) -> io::Result<()> {
        let mut bytes = serde_json::to_vec_pretty(value)?;
        bytes.push(b'\n');
        write_whole(&self.directory.join(name), &bytes)
    }
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
    fn a_run_is_files_that_a_person_reads() {
        let directory = tempfile::tempdir().unwrap();
        let run = RunFolders::new(directory.path()).run(ID);
        run.progress(RunProgress::Running, 1_700_000_000, None).unwrap();
        run.parameters(&BTreeMap::from([("seed".to_owned(), 7.into()), ("device".to_owned(), "flex".into())])).unwrap();
        let metric = |name, step, value| Metric { name, step, value };
        run.metrics(&[metric("training_loss", 1, 2.5), metric("training_loss", 2, 1.25), metric("recall", 0, 0.5)])
            .unwrap();
        run.progress(RunProgress::Finished, 1_700_000_000, Some(1_700_000_060)).unwrap();
        let read = |name: &str| std::fs::read_to_string(directory.path().join("runs").join(ID).join(name)).unwrap();
        assert_eq!(read("params.json"), "{\n  \"device\": \"flex\",\n  \"seed\": 7\n}\n");
        assert_eq!(read("metrics.csv"), "metric,step,value\ntraining_loss,1,2.5\ntraining_loss,2,1.25\nrecall,0,0.5\n");
        let times = "  \"began_at\": 1700000000,\n  \"ended_at\": 1700000060\n";
        assert_eq!(read("run.json"), format!("{{\n  \"run\": \"{ID}\",\n  \"state\": \"finished\",\n{times}}}\n"));
        assert_eq!(run.mlflow(), None, "it was reported to no server");
    }

    #[test]
    fn the_profile_of_a_run_from_before_is_found_in_its_old_place() {
        let directory = tempfile::tempdir().unwrap();
        let run = RunFolders::new(directory.path()).run(ID);
        assert_eq!(run.profile(), None);
        let profile = FeatureProfile { rows: 3, edges: vec![vec![0.5]], shares: vec![vec![1.0]] };
        let text = serde_json::to_vec(&profile).unwrap();
        write_whole(&directory.path().join("mlruns/1").join(ID).join("artifacts/profile.json"), &text).unwrap();
        assert_eq!(run.profile(), Some(profile));
    }

    #[test]
    fn checkpoints_are_kept_by_part_until_they_are_cleared() {
        let directory = tempfile::tempdir().unwrap();
        let run = RunFolders::new(directory.path()).run(ID);
        let mut checkpoints = run.checkpoints();
        assert_eq!(checkpoints.load("candidate"), None);
        checkpoints.save("candidate", b"one");
        checkpoints.save("candidate", b"two");
        assert_eq!(checkpoints.load("candidate").as_deref(), Some(b"two".as_slice()));
        assert_eq!(checkpoints.load("control"), None);
        run.clear_checkpoints();
        assert_eq!(checkpoints.load("candidate"), None);
    }
}
