//! The Supervisor of Home Assistant, as an app (add-on) sees it: it knows the broker, and forwards to Home Assistant.
//!
//! An app is given a token in its environment. With it, `services/mqtt` returns the broker and its password, and
//! `core/websocket` is Home Assistant's own API; nobody types an address or a token.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hearthwatch_configuration::Secret;
use hearthwatch_edge_home_assistant::config::HomeAssistantConfig;
use hearthwatch_link::Backoff;
use reqwest::StatusCode;
use serde::Deserialize;
use url::Url;

use crate::config::{AppOptions, Config, OptionsError, SupervisorBroker};
use crate::output::stderr_line;

/// The form's answers, in the app's folder.
const OPTIONS_FILE: &str = "options.json";
/// Longest answer and longest form that are read.
const BYTES_MAX: u64 = 64 * 1024;
/// How long the Supervisor may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Between tries while it does not.
const AGAIN: Backoff = Backoff { first: Duration::from_secs(2), longest: Duration::from_secs(30) };
/// Attempts: after eight, about two minutes, the program ends, and the Supervisor starts it again.
const TRIES: u32 = 8;

/// Why an app cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// No connection, or no answer.
    #[error("the Supervisor does not answer: {0}")]
    Unreachable(#[source] reqwest::Error),
    /// The answer is an error.
    #[error("the Supervisor answers {status} to {what}: {words}")]
    Refused {
        /// The path that was requested.
        what: &'static str,
        /// HTTP status.
        status: StatusCode,
        /// Text of the answer.
        words: String,
    },
    /// The answer is not JSON of the expected form.
    #[error("the Supervisor's answer is not usable: {0}")]
    Answer(#[from] serde_json::Error),
    /// `options.json` cannot be read.
    #[error("{path}: {source}")]
    Options {
        /// Path of `options.json`.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// An option has a value that is not allowed.
    #[error(transparent)]
    Form(#[from] OptionsError),
    /// Not an address that the agent can use.
    #[error("{0} is not the Supervisor's address")]
    Address(Url),
}

/// What the Supervisor wraps its answers in.
#[derive(Deserialize)]
struct Wrapped {
    #[serde(default)]
    data: serde_json::Value,
    #[serde(default)]
    message: Option<String>,
}

impl SupervisorError {
    /// Whether the Supervisor may answer otherwise in a moment: it starts beside us, and is renewed while we run.
    fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Refused { status, .. } => *status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error(),
            _ => false,
        }
    }
}

/// As [`configure`], and waits out a Supervisor that is away or busy, for about two minutes.
///
/// # Errors
/// [`SupervisorError`].
pub async fn configure_patiently(base: &Url, token: &Secret, data: &Path) -> Result<Config, SupervisorError> {
    for failures in 1..TRIES {
        match configure(base, token, data).await {
            Err(error) if error.is_passing() => {
                let pause = AGAIN.pause(failures, u64::from(std::process::id()));
                stderr_line!("{error}; trying again in {} s", pause.as_secs().max(1));
                tokio::time::sleep(pause).await;
            }
            ended => return ended,
        }
    }
    configure(base, token, data).await
}

/// Asks the Supervisor at `base` for all that the agent needs; `data` is the app's own folder.
///
/// Without a broker the app still starts: alarms are on the page, and the log says what to do.
///
/// # Errors
/// [`SupervisorError`].
pub async fn configure(base: &Url, token: &Secret, data: &Path) -> Result<Config, SupervisorError> {
    let address = |path: &str| base.join(path).map_err(|_| SupervisorError::Address(base.clone()));
    let mut websocket = address("core/websocket")?;
    let scheme = if base.scheme() == "https" { "wss" } else { "ws" };
    websocket.set_scheme(scheme).map_err(|()| SupervisorError::Address(base.clone()))?;
    let broker = broker(address("services/mqtt")?, token).await?;
    let options = read_options(&data.join(OPTIONS_FILE))?;
    Ok(Config::of_app(options, HomeAssistantConfig::new(websocket, token.clone()), broker, data)?)
}

async fn broker(address: Url, token: &Secret) -> Result<Option<SupervisorBroker>, SupervisorError> {
    let request = reqwest::Client::new().get(address).bearer_auth(token.expose()).timeout(PATIENCE);
    let unreachable = |error: reqwest::Error| SupervisorError::Unreachable(error.without_url());
    let mut response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(unreachable)? {
        body.extend_from_slice(&piece);
        if body.len() as u64 > BYTES_MAX {
            break;
        }
    }
    let answer: Wrapped = serde_json::from_slice(&body)?;
    // So it answers as long as no broker has been installed.
    if status == StatusCode::BAD_REQUEST || (status.is_success() && answer.data == serde_json::json!({})) {
        stderr_line!(
            "no MQTT broker yet: install one (the app Mosquitto broker) and restart, to see alarms in Home Assistant"
        );
        return Ok(None);
    }
    if !status.is_success() {
        let words = answer.message.unwrap_or_default().chars().filter(|c| !c.is_control()).take(200).collect();
        return Err(SupervisorError::Refused { what: "services/mqtt", status, words });
    }
    Ok(Some(serde_json::from_value(answer.data)?))
}

fn read_options(path: &Path) -> Result<AppOptions, SupervisorError> {
    let failed = |source| SupervisorError::Options { path: path.to_owned(), source };
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > BYTES_MAX {
        return Err(failed(io::Error::other(format!("has {length} bytes, more than {BYTES_MAX}"))));
    }
    Ok(serde_json::from_str(&std::fs::read_to_string(path).map_err(failed)?)?)
}

#[cfg(test)]
#[path = "supervisor_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "app_folder_tests.rs"]
mod app_folder;
