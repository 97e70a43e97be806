//! A run of the aggregator, reported to a real MLflow tracking server and read back from it.
//!
//! `cargo xtask test --only mlflow` installs the server (`tests/mlflow/requirements.txt`) and runs this. Aggregator and learner are the real
//! ones; the recorded homes are made up and few, so that a run takes seconds.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hearthwatch_cloud::aggregator::{Aggregator, Options};
use hearthwatch_cloud::config::Config;
use hearthwatch_evaluation::fixtures::home::made_home;
use hearthwatch_learning::training::mlflow::MlflowConfig;
use hearthwatch_learning::training::{Corpora, ModelLearner, TrainingConfig};
use hearthwatch_store::RunState;
use hearthwatch_training::{Corpus, Fit, RetrainConfig};
use serde_json::{Value, json};

/// How long the server may take to start, or to show what it was sent.
const PATIENCE: Duration = Duration::from_secs(120);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);

/// Where the suite installs the server.
fn program() -> Option<PathBuf> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("target/mlflow/bin/mlflow");
    if program.is_file() {
        return Some(program);
    }
    assert!(std::env::var_os("HEARTHWATCH_REQUIRE_MLFLOW").is_none(), "there is no {}", program.display());
    eprintln!("NOT CHECKED: `cargo xtask test --only mlflow` installs a server of MLflow's");
    None
}

/// A tracking server on a database of its own.
struct Server {
    child: Child,
    url: String,
    http: reqwest::Client,
}

impl Server {
    async fn start(program: &Path, folder: &Path) -> Self {
        let port = hearthwatch_tests::free_address().port();
        let log = std::fs::File::create(folder.join("mlflow.log")).unwrap();
        let child = Command::new(program)
            .args(["server", "--host", "127.0.0.1", "--workers", "1", "--port"])
            .arg(port.to_string())
            .arg("--backend-store-uri")
            .arg(format!("sqlite:///{}", folder.join("mlflow.db").display()))
            .arg("--artifacts-destination")
            .arg(folder.join("artifacts"))
            .env("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
            .env("MLFLOW_DISABLE_TELEMETRY", "true")
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            // It starts others, which end with it.
            .process_group(0)
            .spawn()
            .unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut server = Self { child, url: format!("http://127.0.0.1:{port}/"), http };
        let end = Instant::now() + PATIENCE;
        while server.http.get(format!("{}health", server.url)).send().await.is_err() {
            let ended = server.child.try_wait().unwrap();
            let said = || std::fs::read_to_string(folder.join("mlflow.log")).unwrap_or_default();
            assert!(ended.is_none() && Instant::now() < end, "the server does not answer: {ended:?}\n{}", said());
            tokio::time::sleep(LOOK).await;
        }
        server
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Value {
        request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
    }

    /// The runs of that experiment which are this run of ours.
    async fn search(&self, experiment: &str, run: &str) -> Vec<Value> {
        let place = format!("{}api/2.0/mlflow/experiments/get-by-name?experiment_name={experiment}", self.url);
        let found = self.http.get(place).send().await.unwrap();
        if found.status() == reqwest::StatusCode::NOT_FOUND {
            return Vec::new();
        }
        let found: Value = found.error_for_status().unwrap().json().await.unwrap();
        let experiment = found["experiment"]["experiment_id"].as_str().unwrap();
        let filter = format!("tags.`hearthwatch.run` = '{run}'");
        let question = json!({"experiment_ids": [experiment], "filter": filter});
        let request = self.http.post(format!("{}api/2.0/mlflow/runs/search", self.url)).json(&question);
        self.answer(request).await["runs"].as_array().cloned().unwrap_or_default()
    }

    /// A metric's whole course: (step, value).
    async fn course(&self, run_id: &str, metric: &str) -> Vec<(u64, f64)> {
        let place = format!("{}api/2.0/mlflow/metrics/get-history?run_id={run_id}&metric_key={metric}", self.url);
        let answer = self.answer(self.http.get(place)).await;
        let values = answer["metrics"].as_array().unwrap().iter();
        let mut course: Vec<_> =
            values.map(|one| (one["step"].as_u64().unwrap(), one["value"].as_f64().unwrap())).collect();
        course.sort_by_key(|(step, _)| *step);
        course
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", "--", &format!("-{}", self.child.id())]).status();
        let _ = self.child.wait();
    }
}

/// Key and value of each entry of a list of MLflow's.
fn entries(list: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    list.as_array().unwrap().iter().map(|entry| (text(&entry["key"]), text(&entry["value"]))).collect()
}

fn learner() -> ModelLearner {
    let homes = |range: std::ops::Range<u64>| range.map(|variant| made_home(variant, 26)).collect();
    let corpus = Corpus { train: homes(0..2), calibrate: homes(2..4), test: homes(4..6) };
    let config = RetrainConfig {
        fit: Fit { epochs: 2, windows_per_epoch: 256, batch: 64, ..Fit::default() },
        validation_windows: 64,
        ..RetrainConfig::default()
    };
    ModelLearner::new(Corpora::Given(Arc::new(corpus))).with_config(config)
}

/// The courses in a run's `metrics.csv`.
fn courses(folder: &Path) -> BTreeMap<String, Vec<(u64, f64)>> {
    let mut courses: BTreeMap<String, Vec<(u64, f64)>> = BTreeMap::new();
    for line in std::fs::read_to_string(folder.join("metrics.csv")).unwrap().lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        courses.entry(fields[0].to_owned()).or_default().push((fields[1].parse().unwrap(), fields[2].parse().unwrap()));
    }
    courses
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_the_aggregator_is_read_back_from_a_real_server() {
    let Some(program) = program() else { return };
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&program, folder.path()).await;
    let mlflow = MlflowConfig { url: server.url.parse().unwrap(), experiment: "nightly".to_owned(), credentials: None };
    let mut config = Config::in_directory(folder.path().join("cloud"));
    let (trigger_count, schedule_hours) = (0, 0);
    config.training =
        TrainingConfig { trigger_count, schedule_hours, mlflow: Some(mlflow), ..TrainingConfig::default() };
    let aggregator = Aggregator::start(config, Options::new(Arc::new(learner()))).await.unwrap();
    let run = aggregator.retrain_now().await.unwrap();
    assert!(matches!(run.state, RunState::Held | RunState::Promoted), "{run:?}");

    // No run waits for the server: it may know of its end a little later.
    let end = Instant::now() + PATIENCE;
    let there = loop {
        let found = server.search("nightly", &run.id).await;
        assert!(found.len() <= 1, "{found:?}");
        match found.into_iter().next() {
            Some(there) if there["info"]["status"] == "FINISHED" => break there,
            other => assert!(Instant::now() < end, "{other:?}"),
        }
        tokio::time::sleep(LOOK).await;
    };
    let (info, data) = (&there["info"], &there["data"]);
    let milliseconds = |at: i64| Some(at * 1000);
    assert_eq!(info["start_time"].as_i64(), milliseconds(run.started_at));
    assert_eq!(info["end_time"].as_i64(), milliseconds(run.ended_at.unwrap()));
    assert_eq!(info["run_name"].as_str(), run.id.get(..8));

    let kept = folder.path().join("cloud/runs").join(&run.id);
    let read = |name: &str| -> Value { serde_json::from_slice(&std::fs::read(kept.join(name)).unwrap()).unwrap() };
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut parameters: BTreeMap<String, String> =
        read("params.json").as_object().unwrap().iter().map(|(name, value)| (name.clone(), text(value))).collect();
    let record = read("artifacts/record.json");
    parameters.insert("corpus".to_owned(), text(&record["corpus"]));
    assert_eq!(entries(&data["params"]), parameters);
    let tags = entries(&data["tags"]);
    assert_eq!(tags["mlflow.source.name"], "hearthwatch-cloud");
    assert_eq!(
        (&tags["hearthwatch.snapshot"], &tags["hearthwatch.artifact"]),
        (&run.snapshot, &text(&record["artifact"]))
    );
    assert_eq!(tags["hearthwatch.gate"], if run.state == RunState::Promoted { "promote" } else { "hold" });

    let run_id = info["run_id"].as_str().unwrap();
    assert_eq!(read("mlflow.json")["run_id"], run_id);
    let courses = courses(&kept);
    assert_eq!(courses["training_loss"].len(), 2, "one for each epoch");
    for (metric, course) in &courses {
        let there = server.course(run_id, metric).await;
        // serde_json reads a number to within its last binary digit.
        let alike = |(left, right): (&(u64, f64), &(u64, f64))| {
            left.0 == right.0 && (left.1 - right.1).abs() <= f64::EPSILON * right.1.abs()
        };
        let same = there.len() == course.len() && there.iter().zip(course).all(alike);
        assert!(same, "{metric}: {there:?} there, {course:?} here");
    }
    aggregator.shutdown().await;
}
