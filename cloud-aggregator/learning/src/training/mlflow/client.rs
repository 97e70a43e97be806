//! The few calls of MLflow's REST API 2.0 that a run needs.

use std::path::PathBuf;
use std::time::Duration;

use hearthwatch_configuration::{Secret, SecretError};
use hearthwatch_telemetry::chain::chain;
use reqwest::{RequestBuilder, StatusCode};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Value, json};
use url::Url;

/// Most of an answer that is read, in bytes: an experiment with all its tags has less.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Most of a refusal's message that is logged, in characters.
const MESSAGE_CHARS_MAX: usize = 200;

/// What MLflow takes in one `runs/log-batch`.
const METRICS_MAX: usize = 1000;
const PARAMETERS_MAX: usize = 100;
const TAGS_MAX: usize = 100;

/// Longest value of a parameter or tag, in characters: what the oldest server with these calls takes.
const VALUE_CHARS_MAX: usize = 500;

/// MLflow's code for something that it does not have.
const NOT_THERE: &str = "RESOURCE_DOES_NOT_EXIST";

/// Which server, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MlflowConfig {
    /// The server's address, without `api/2.0/mlflow`; ends with a slash.
    pub url: Url,
    /// The experiment that all runs belong to; made if it is not there.
    pub experiment: String,
    /// None where the server asks for nothing.
    pub credentials: Option<Credentials>,
}

/// How the server authenticates us. The files are read anew for each run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A file with a bearer token.
    Token(PathBuf),
    /// Basic authentication.
    Password {
        /// The name.
        user: String,
        /// A file with its password.
        file: PathBuf,
    },
}

/// How long to wait for the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection.
    pub connect: Duration,
    /// For a whole question and its answer.
    pub answer: Duration,
    /// Tries at the end of a run.
    pub tries: u32,
    /// Between two of them.
    pub pause: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { connect: seconds(5), answer: seconds(20), tries: 3, pause: seconds(30) }
    }
}

/// Why the server does not have what it was to get.
#[derive(Debug, thiserror::Error)]
pub(super) enum MlflowError {
    /// The file with the secret cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// No client can be made of the configuration.
    #[error("HTTP client: {0}")]
    Client(String),
    /// No answer, or none in time.
    #[error("it does not answer: {0}")]
    Away(String),
    /// It refuses.
    #[error("it answers {status} {code}: {message}")]
    Refused { status: StatusCode, code: String, message: String },
    /// Its answer is too long, or not what it must be.
    #[error("its answer is not usable: {0}")]
    Answer(String),
}

impl MlflowError {
    /// Whether what was asked for is not on the server.
    pub(super) fn is_not_there(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code == NOT_THERE)
    }
}

/// How a run stands, in MLflow's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Running,
    Finished,
    Failed,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Finished => "FINISHED",
            Self::Failed => "FAILED",
        }
    }
}

/// A value of one step.
pub(super) struct MetricAt {
    pub(super) name: &'static str,
    pub(super) value: f64,
    /// Milliseconds since 1970.
    pub(super) timestamp: i64,
    pub(super) step: usize,
}

#[derive(Deserialize)]
struct ExperimentAnswer {
    experiment: ExperimentId,
}

#[derive(Deserialize)]
struct ExperimentId {
    experiment_id: String,
}

#[derive(Deserialize)]
struct RunAnswer {
    run: RunOf,
}

#[derive(Deserialize)]
struct RunOf {
    info: RunInfo,
}

#[derive(Deserialize)]
struct RunInfo {
    run_id: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Refusal {
    error_code: String,
    message: String,
}

/// A client of one server. It follows no redirect and uses no proxy: the token is for that server alone.
pub(super) struct Client {
    http: reqwest::Client,
    url: Url,
    authorization: Option<Authorization>,
}

/// What each request carries.
enum Authorization {
    Bearer(Secret),
    Basic { user: String, password: Secret },
}

impl Client {
    pub(super) fn open(config: &MlflowConfig, timeouts: &Timeouts) -> Result<Self, MlflowError> {
        let authorization = match &config.credentials {
            None => None,
            Some(Credentials::Token(file)) => Some(Authorization::Bearer(Secret::read(file)?)),
            Some(Credentials::Password { user, file }) => {
                Some(Authorization::Basic { user: user.clone(), password: Secret::read(file)? })
            }
        };
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(timeouts.connect)
            .timeout(timeouts.answer)
            // A run lasts longer than any server keeps a connection.
            .pool_max_idle_per_host(0)
            .user_agent(concat!("hearthwatch-cloud/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| MlflowError::Client(chain(&error)))?;
        Ok(Self { http, url: config.url.clone(), authorization })
    }

    /// The id of the experiment of that name, which is made if need be.
    pub(super) async fn experiment(&self, name: &str) -> Result<String, MlflowError> {
        let mut place = self.place("experiments/get-by-name")?;
        place.query_pairs_mut().append_pair("experiment_name", name);
        match self.ask::<ExperimentAnswer>(self.http.get(place)).await {
            Ok(found) => Ok(found.experiment.experiment_id),
            Err(error) if error.is_not_there() => {
                let made: ExperimentId = self.post("experiments/create", &json!({ "name": name })).await?;
                Ok(made.experiment_id)
            }
            Err(error) => Err(error),
        }
    }

    /// Makes a run that began at `start`, milliseconds since 1970; returns its id.
    pub(super) async fn create_run(&self, experiment: &str, name: &str, start: i64) -> Result<String, MlflowError> {
        let body = json!({ "experiment_id": experiment, "run_name": name, "start_time": start });
        let made: RunAnswer = self.post("runs/create", &body).await?;
        Ok(made.run.info.run_id)
    }

    /// Sets the state of the run and, once it has ended, when: milliseconds since 1970.
    pub(super) async fn update_run(&self, run: &str, status: Status, end: Option<i64>) -> Result<(), MlflowError> {
        let mut body = json!({ "run_id": run, "status": status.as_str() });
        if let Some(end) = end {
            body["end_time"] = end.into();
        }
        self.post("runs/update", &body).await.map(|IgnoredAny| ())
    }

    /// Logs settings, in as many batches as the server's limits ask for. The same again changes nothing.
    pub(super) async fn parameters(&self, run: &str, all: &[(String, String)]) -> Result<(), MlflowError> {
        for some in all.chunks(PARAMETERS_MAX) {
            self.batch(run, "params", some.iter().map(|(key, value)| pair(key, value)).collect()).await?;
        }
        Ok(())
    }

    /// The same for tags; one that is there already is replaced.
    pub(super) async fn tags(&self, run: &str, all: &[(&'static str, String)]) -> Result<(), MlflowError> {
        for some in all.chunks(TAGS_MAX) {
            self.batch(run, "tags", some.iter().map(|(key, value)| pair(key, value)).collect()).await?;
        }
        Ok(())
    }

    /// The same for metrics. Values that are no number are left out: JSON has none.
    pub(super) async fn metrics(&self, run: &str, all: &[MetricAt]) -> Result<(), MlflowError> {
        let metric = |metric: &MetricAt| {
            let MetricAt { name, value, timestamp, step } = metric;
            json!({ "key": name, "value": value, "timestamp": timestamp, "step": step })
        };
        let finite: Vec<Value> = all.iter().filter(|metric| metric.value.is_finite()).map(metric).collect();
        for some in finite.chunks(METRICS_MAX) {
            self.batch(run, "metrics", some.to_vec()).await?;
        }
        Ok(())
    }

    async fn batch(&self, run: &str, kind: &str, entries: Vec<Value>) -> Result<(), MlflowError> {
        self.post("runs/log-batch", &json!({ "run_id": run, kind: entries })).await.map(|IgnoredAny| ())
    }

    fn place(&self, call: &str) -> Result<Url, MlflowError> {
        self.url.join(&format!("api/2.0/mlflow/{call}")).map_err(|error| MlflowError::Client(error.to_string()))
    }

    async fn post<T: DeserializeOwned>(&self, call: &str, body: &Value) -> Result<T, MlflowError> {
        self.ask(self.http.post(self.place(call)?).json(body)).await
    }

    async fn ask<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, MlflowError> {
        let request = match &self.authorization {
            None => request,
            Some(Authorization::Bearer(token)) => request.bearer_auth(token.expose()),
            Some(Authorization::Basic { user, password }) => request.basic_auth(user, Some(password.expose())),
        };
        let away = |error: reqwest::Error| MlflowError::Away(chain(&error.without_url()));
        let mut answer = request.send().await.map_err(away)?;
        let status = answer.status();
        let mut bytes = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(away)? {
            if bytes.len() + piece.len() > ANSWER_BYTES_MAX {
                return Err(MlflowError::Answer(format!("it is longer than {ANSWER_BYTES_MAX} bytes")));
            }
            bytes.extend_from_slice(&piece);
        }
        if !status.is_success() {
            let refusal: Refusal = serde_json::from_slice(&bytes).unwrap_or_default();
            let message = refusal.message.chars().take(MESSAGE_CHARS_MAX).collect();
            return Err(MlflowError::Refused { status, code: refusal.error_code, message });
        }
        serde_json::from_slice(&bytes).map_err(|error| MlflowError::Answer(error.to_string()))
    }
}

fn pair(key: &str, value: &str) -> Value {
    let value: String = value.chars().take(VALUE_CHARS_MAX).collect();
    json!({ "key": key, "value": value })
}
