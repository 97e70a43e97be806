//! `hearthwatch-cloud train`: one run by hand, outside the service; above all, an old run made again.

use std::ops::ControlFlow;
use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use hearthwatch_learning::dataset::{self, Example};
use hearthwatch_learning::training::mlflow::{Reporting, Tracker};
use hearthwatch_learning::training::record::{RunRecord, git_revision, processor};
use hearthwatch_learning::training::run_folder::RunFolders;
use hearthwatch_learning::training::{Corpora, Learner as _, ModelLearner, RunLog, Step, run_id};
use hearthwatch_store::artifact_store::ArtifactStore;
use hearthwatch_store::clock::{Clock as _, SystemClock};
use hearthwatch_training::RetrainConfig;
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest as _, Sha256};

use crate::config::Config;

/// What `--snapshot` says when there are no answers to learn from.
const NO_SNAPSHOT: &str = "none";

/// Largest configuration that is read: a record has a few kilobytes.
const CONFIG_BYTES_MAX: u64 = 1024 * 1024;

/// What is trained, from what.
#[derive(Debug, Args)]
pub struct TrainArguments {
    /// The data set of residents' answers, by its hash; `none` trains on the recorded sets alone.
    #[arg(long, value_name = "HASH")]
    snapshot: String,
    /// The run's configuration: the `record.json` saved beside an artifact, which is then made again and compared, or a
    /// TOML file with those settings that differ from the defaults.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The aggregator's data directory: its snapshots, models and runs.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The directory of recorded sets, one folder each.
    #[arg(long, value_name = "DIR")]
    corpus: PathBuf,
    /// The service's `cloud.toml`: the run is reporting to the MLflow server of its `[training.mlflow]`.
    #[arg(long, value_name = "FILE")]
    service_config: Option<PathBuf>,
}

/// The configuration, and what an old run says it was made from.
struct Asked {
    config: RetrainConfig,
    record: Option<RunRecord>,
}

/// Trains, judges, and writes everything to `<data>/runs`. A run that was cut off goes on from its last epoch.
///
/// # Errors
/// What could not be read or trained; for an old run also an artifact that is not the old one.
pub fn train(arguments: &TrainArguments) -> anyhow::Result<()> {
    let Asked { config, record: old } = read_config(&arguments.config)?;
    let artifact_store = ArtifactStore::new(&arguments.data);
    let learner = ModelLearner::new(Corpora::Directory(Some(arguments.corpus.clone()))).with_config(config);
    let corpus = learner.corpus().map_err(anyhow::Error::msg)?;
    let (snapshot, examples) = read_snapshot(&artifact_store, &arguments.snapshot, &corpus)?;
    let champion_hash = old.as_ref().and_then(|record| record.champion.clone());
    let champion = champion_hash.as_deref().map(|hash| artifact_store.model(hash)).transpose()?;
    if let Some(record) = &old {
        ensure!(record.corpus == corpus, "the recorded sets hash to {corpus}, the run used {}", record.corpus);
        ensure!(record.snapshot == snapshot, "the run learned from snapshot {}", record.snapshot);
    }

    let config = learner.config();
    let id = run_id(&snapshot, champion_hash.as_deref().unwrap_or_default(), &config);
    let folder = RunFolders::new(artifact_store.data()).run(&id);
    let tracker = tracker(arguments.service_config.as_deref())?;
    let clock = SystemClock;
    let began_at = clock.now();
    let mut record = RunRecord {
        run: id.clone(),
        snapshot,
        corpus,
        champion: champion_hash,
        config: serde_json::from_str(&config).context("the configuration's own JSON")?,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        git_revision: git_revision(),
        processor: processor(),
        artifact: None,
    };
    println!("run {id}, {} answers; {}", examples.len(), record.git_revision);
    let mut log = RunLog::begin(folder.clone(), tracker.as_ref(), &record, began_at)?;
    let bar = ProgressBar::new(1).with_style(style());
    let mut show = |step: Step| {
        match step {
            Step::Preparing { done, total } => reach(&bar, "extracting features", done, total),
            Step::Training { done, total, loss } => reach(&bar, &format!("training, loss {loss:.4}"), done, total),
            Step::Evaluating { done, total } => reach(&bar, "measuring on held-out homes", done, total),
        }
        ControlFlow::Continue(())
    };
    let mut checkpoints = folder.checkpoints();
    let challenger = match learner.learn(examples, champion.as_deref(), &mut checkpoints, &mut show) {
        Ok(challenger) => challenger,
        Err(cause) => {
            wait(log.failed(clock.now()));
            bail!(cause);
        }
    };
    bar.finish_and_clear();
    let made = hex::encode(Sha256::digest(&challenger.artifact));
    record.artifact = Some(made.clone());
    log.keep(&record, &challenger, clock.now())?;
    let reporting = log.finished(None);
    println!("weights {}", challenger.weights_id);
    println!("artifact {made}, {}", folder.artifact_path("network.safetensors").display());
    println!("gate: {}", if challenger.promote { "promote" } else { "hold" });
    wait(reporting);
    match old.and_then(|record| record.artifact) {
        None => Ok(()),
        Some(before) if before == made => {
            println!("the same artifact as before, bit for bit");
            Ok(())
        }
        Some(before) => bail!("another artifact than before: {before}; is it the same processor, program and set?"),
    }
}

/// The server that the service tells of its runs.
fn tracker(service_config: Option<&std::path::Path>) -> anyhow::Result<Option<Tracker>> {
    let Some(path) = service_config else { return Ok(None) };
    let mlflow = Config::load(path)?.training.mlflow;
    ensure!(mlflow.is_some(), "{} has no [training.mlflow]", path.display());
    Ok(mlflow.map(Tracker::new))
}

fn wait(reporting: Option<Reporting>) {
    if let Some(reporting) = reporting {
        reporting.wait();
    }
}

fn read_config(path: &std::path::Path) -> anyhow::Result<Asked> {
    let name = path.display();
    let length = std::fs::metadata(path).with_context(|| name.to_string())?.len();
    ensure!(length <= CONFIG_BYTES_MAX, "{name} has {length} bytes; a configuration has at most {CONFIG_BYTES_MAX}");
    let text = std::fs::read_to_string(path).with_context(|| name.to_string())?;
    if !text.trim_start().starts_with('{') {
        return Ok(Asked { config: toml::from_str(&text).with_context(|| name.to_string())?, record: None });
    }
    let record: RunRecord = serde_json::from_str(&text).with_context(|| name.to_string())?;
    let config = serde_json::from_value(record.config.clone()).with_context(|| format!("{name}: config"))?;
    Ok(Asked { config, record: Some(record) })
}

fn read_snapshot(artifact_store: &ArtifactStore, asked: &str, corpus: &str) -> anyhow::Result<(String, Vec<Example>)> {
    if asked == NO_SNAPSHOT {
        return Ok((NO_SNAPSHOT.to_owned(), Vec::new()));
    }
    let whole = asked.len() == 64 && asked.bytes().all(|byte| byte.is_ascii_hexdigit());
    ensure!(whole, "--snapshot takes the 64 hexadecimal digits of a data set's id, or `{NO_SNAPSHOT}`");
    let path = artifact_store.snapshot_path(asked);
    let (taken_with, examples) = dataset::read_file(&path, asked).with_context(|| path.display().to_string())?;
    ensure!(
        taken_with == corpus,
        "the snapshot was taken with recorded sets of hash {taken_with}, those in --corpus hash to {corpus}"
    );
    Ok((asked.to_owned(), examples))
}

fn style() -> ProgressStyle {
    let template = "{msg:<34} {bar:30} {pos}/{len}, {eta} left";
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn reach(bar: &ProgressBar, what: &str, done: u64, total: u64) {
    if bar.length() != Some(total) {
        // Another phase: what the one before took says nothing of this one.
        bar.reset();
        bar.set_length(total);
    }
    bar.set_message(what.to_owned());
    bar.set_position(done);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_may_be_a_few_lines_of_toml_and_an_unknown_one_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run.toml");
        std::fs::write(&path, "seed = 11\nepochs = 3\n").unwrap();
        let asked = read_config(&path).unwrap();
        assert_eq!((asked.config.seed, asked.config.fit.epochs, asked.record), (11, 3, None));
        std::fs::write(&path, "sede = 11\n").unwrap();
        let words = format!("{:#}", read_config(&path).err().unwrap());
        assert!(words.contains("unknown field `sede`"), "{words}");
    }

    #[test]
    fn the_services_configuration_names_the_server_or_the_run_does_not_begin() {
        assert!(tracker(None).unwrap().is_none());
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cloud.toml");
        for name in ["ca.crt", "a.crt", "a.key"] {
            hearthwatch_provision::files::write_private(&directory.path().join(name), b"x").unwrap();
        }
        hearthwatch_provision::Group::make(&directory.path().join("ingest.group")).unwrap();
        let service = "data = \"data\"\n[mqtt]\nhost = \"broker\"\nca_file = \"ca.crt\"\ncert_file = \"a.crt\"\n\
                       key_file = \"a.key\"\ngroup_file = \"ingest.group\"\n";
        std::fs::write(&path, service).unwrap();
        let words = tracker(Some(&path)).unwrap_err().to_string();
        assert_eq!(words, format!("{} has no [training.mlflow]", path.display()));
        std::fs::write(&path, format!("{service}[training.mlflow]\nurl = \"https://mlflow.example\"\n")).unwrap();
        assert!(tracker(Some(&path)).unwrap().is_some());
    }

    #[test]
    fn a_snapshot_is_named_by_its_whole_hash_or_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let artifact_store = ArtifactStore::new(directory.path());
        assert_eq!(read_snapshot(&artifact_store, "none", "c").unwrap(), ("none".to_owned(), Vec::new()));
        let words = read_snapshot(&artifact_store, "../../etc/passwd", "c").unwrap_err().to_string();
        assert!(words.starts_with("--snapshot takes the 64 hexadecimal digits"), "{words}");
    }
}
