//! What can be seen from outside of a running agent, or of one that will not start.

use std::fs::{File, TryLockError};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use hearthwatch_edge_cloud::pinned::{http_date, https_client};
use hearthwatch_link::TlsFiles;
use jiff::Timestamp;
use url::Url;

use crate::config::{CloudMqttConfig, Config, UpdatesConfig};
use crate::health;
use crate::setup::probe::{HomeAssistantFound, try_broker, try_home_assistant};

/// Name of the file that is written for a trial.
const TRIAL: &str = ".doctor";

/// What a server of the fleet answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// HTTP status.
    pub status: u16,
    /// Its clock, Unix seconds, if it says so.
    pub date: Option<i64>,
}

/// Everything that was seen.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// When, Unix seconds.
    pub now: i64,
    /// Whether the directory of the agent's own things is there.
    pub state_there: bool,
    /// Why nothing can be written into it; none if it can.
    pub unwritable: Option<String>,
    /// Its mode; none if it is not there.
    pub mode: Option<u32>,
    /// Share of its disk that is free, 0 to 1; none if that is not known.
    pub free: Option<f64>,
    /// Whether an agent runs with it.
    pub running: bool,
    /// What Home Assistant says, or why it does not.
    pub home_assistant: Option<Result<HomeAssistantFound, String>>,
    /// Why Home Assistant's broker cannot be used; none if it can, or none is configured.
    pub home_broker: Option<Result<String, String>>,
    /// Why the fleet's broker cannot be used.
    pub fleet_broker: Option<Result<String, String>>,
    /// What the place answers where models come from.
    pub updates: Option<(Url, Result<Served, String>)>,
    /// Why the local page does not answer, or, if no agent runs, why it could not listen.
    pub page: Option<(SocketAddr, Result<(), String>)>,
}

/// Looks at everything that `config` names; some seconds where something is out of reach.
pub async fn gather(config: &Config) -> Facts {
    let running = is_running(&config.state);
    let metadata = std::fs::metadata(&config.state).ok();
    let home_assistant =
        try_home_assistant(config.home_assistant.websocket.as_str(), &config.home_assistant.token).await;
    let home_broker = match &config.home_mqtt {
        None => None,
        // One with an authority of its own is asked by TLS alone.
        Some(mqtt) if mqtt.ca_file.is_some() => {
            let tls = mqtt.ca_file.clone().map(|ca| TlsFiles { ca, cert: None, key: None });
            Some(reached(mqtt.host.clone(), mqtt.port, tls).await)
        }
        Some(mqtt) => {
            let tried = try_broker(&mqtt.host, mqtt.port, mqtt.credentials.as_ref()).await;
            Some(tried.map(|()| format!("{}:{}", mqtt.host, mqtt.port)).map_err(|error| error.to_string()))
        }
    };
    let cloud = config.cloud.as_ref();
    let fleet_broker = match cloud.and_then(|cloud| cloud.mqtt.as_ref()) {
        None => None,
        Some(CloudMqttConfig { host, port, ca_file, cert_file, key_file }) => {
            let tls = TlsFiles { ca: ca_file.clone(), cert: Some(cert_file.clone()), key: Some(key_file.clone()) };
            Some(reached(host.clone(), *port, Some(tls)).await)
        }
    };
    let updates = match cloud.and_then(|cloud| cloud.updates.as_ref()) {
        None => None,
        Some(updates) => Some((updates.url.clone(), served(updates).await)),
    };
    let page = match config.page.as_ref().map(|page| page.listen) {
        None => None,
        Some(listen) if running => Some((listen, health::ask(Some(listen)).await.map_err(|error| error.to_string()))),
        Some(listen) => Some((listen, TcpListener::bind(listen).map(drop).map_err(|error| error.to_string()))),
    };
    Facts {
        now: Timestamp::now().as_second(),
        state_there: metadata.is_some(),
        unwritable: metadata.as_ref().and_then(|_| trial(&config.state).err()).map(|error| error.to_string()),
        mode: metadata.map(|metadata| metadata.mode() & 0o777),
        free: free(&config.state),
        running,
        home_assistant: Some(home_assistant),
        home_broker,
        fleet_broker,
        updates,
        page,
    }
}

/// Whether somebody has the lock of a directory; it is not taken.
fn is_running(state: &Path) -> bool {
    let Ok(lock) = File::open(state.join("lock")) else { return false };
    let taken = matches!(lock.try_lock(), Err(TryLockError::WouldBlock));
    if !taken {
        let _ = lock.unlock();
    }
    taken
}

fn trial(state: &Path) -> std::io::Result<()> {
    let file = state.join(TRIAL);
    let written = std::fs::write(&file, [0; 4096]);
    let removed = std::fs::remove_file(&file);
    written.and(removed)
}

/// Of the nearest folder above that is there.
fn free(state: &Path) -> Option<f64> {
    let there = state.ancestors().find(|path| path.exists())?;
    let disk = rustix::fs::statvfs(there).ok()?;
    (disk.f_blocks > 0).then(|| disk.f_bavail as f64 / disk.f_blocks as f64)
}

async fn reached(host: String, port: u16, tls: Option<TlsFiles>) -> Result<String, String> {
    let place = format!("{host}:{port}");
    let tried = tokio::task::spawn_blocking(move || hearthwatch_link::reach(&host, port, tls.as_ref())).await;
    tried.map_err(|error| error.to_string()).and_then(|tried| tried.map(|()| place))
}

/// Asks for the metadata that a home asks for first.
async fn served(updates: &UpdatesConfig) -> Result<Served, String> {
    let client = https_client(updates.ca_file.as_deref()).map_err(|error| error.to_string())?;
    let place = updates.url.join("metadata/timestamp.json").map_err(|error| error.to_string())?;
    let answer = client.get(place).send().await.map_err(|error| causes(&error.without_url()))?;
    let date = answer.headers().get("date").and_then(|value| value.to_str().ok()).and_then(http_date);
    Ok(Served { status: answer.status().as_u16(), date })
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
