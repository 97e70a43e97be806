//! Leaving a home without a trace: what was shared is taken back, Home Assistant forgets us, and everything here is
//! deleted, in that order, because each step needs what the next ones delete.
//!
//! A step that does not succeed stops the leaving with its reason and nothing on this machine is deleted, so that it can
//! be tried again; `--anyway` goes on, for a fleet or a broker that will never answer again.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use hearthwatch_edge_cloud::uplink::{self, UplinkState};
use hearthwatch_edge_home_assistant::discovery::{self, Device};
use hearthwatch_edge_rounds::service::parting;
use hearthwatch_edge_store::outbox::{Outbox, TakeBack};
use hearthwatch_protocol::ModelVersion;
use hearthwatch_protocol::messages::AgentStatus;
use tokio::sync::watch;

use super::fleet::{OUTBOX_FILE, uplink_config};
use super::wiring::{LONE_NODE, NOTE_FILE, ROUNDS_FILE};
use super::{EXIT_CONFIG, unix_now};
use crate::config::{CloudConfig, Config};
use crate::log::{self, LogFormat};
use crate::output::stderr_line;
use crate::state_directory::StateDirectory;

/// How long the fleet's receipt is waited for: an aggregator answers within seconds of its broker.
const RECEIPT_PATIENCE: Duration = Duration::from_secs(60);
/// How long the home's broker is waited for.
const BROKER_PATIENCE: Duration = Duration::from_secs(20);

/// `hearthwatch-edge leave`.
#[derive(Debug, Args)]
pub struct LeaveArgs {
    /// The configuration file of the agent that leaves; it must not be running.
    #[arg(long, value_name = "FILE", env = "HEARTHWATCH_EDGE_CONFIG")]
    pub config: PathBuf,
    /// Delete what is here even where the fleet or the home's broker does not answer.
    #[arg(long)]
    pub anyway: bool,
    /// How log lines look.
    #[arg(long, value_enum, default_value = "human", env = "HEARTHWATCH_LOG_FORMAT")]
    pub log: LogFormat,
}

/// Why a step of the leaving did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum LeaveError {
    /// The agent runs, or its directory cannot be used.
    #[error(transparent)]
    State(#[from] crate::state_directory::StateError),
    /// A withdrawal was not confirmed, or the fleet could not be informed that this home takes part in no more rounds.
    #[error("what was shared is not taken back yet: {0}")]
    Fleet(String),
    /// The device is still on the home's broker.
    #[error("Home Assistant still has our device: {0}")]
    HomeAssistant(#[from] discovery::RemoveError),
    /// A file cannot be deleted.
    #[error("cannot delete {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
}

/// Runs `hearthwatch-edge leave`; the exit code is that of the process.
pub fn main(args: &LeaveArgs) -> ExitCode {
    let config = match Config::load(&args.config) {
        Ok(config) => config,
        Err(faults) => {
            stderr_line!("{faults}");
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    log::start(args.log);
    // An error means that a provider is chosen already, which is all that matters.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let left = match runtime {
        Ok(runtime) => runtime.block_on(leave(&config, args.anyway)).map_err(anyhow::Error::from),
        Err(error) => Err(error.into()),
    };
    match left {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("not left: {error:#}; nothing on this machine was deleted");
            ExitCode::FAILURE
        }
    }
}

/// Leaves. The agent must not be running.
///
/// # Errors
/// [`LeaveError`], of the first step that did not succeed.
pub async fn leave(config: &Config, anyway: bool) -> Result<(), LeaveError> {
    leave_within(config, anyway, BROKER_PATIENCE).await
}

async fn leave_within(config: &Config, anyway: bool, patience: Duration) -> Result<(), LeaveError> {
    let state = StateDirectory::take(&config.state)?;
    let step = |outcome: Result<(), LeaveError>| match outcome {
        Err(error) if anyway => {
            tracing::warn!("{error}; going on all the same");
            Ok(())
        }
        outcome => outcome,
    };
    if let Some(cloud) = &config.cloud {
        step(take_back(cloud, &state).await)?;
    }
    if let Some(mqtt) = &config.home_mqtt {
        let node = config.cloud.as_ref().map_or(LONE_NODE.to_owned(), |cloud| cloud.home.to_string());
        let removed = discovery::remove(mqtt, &Device::new(node), &state.file(NOTE_FILE), patience).await;
        if let Ok(count) = &removed {
            tracing::info!(mqtt.topics = count, "Home Assistant has forgotten our device and its entities");
        }
        step(removed.map(drop).map_err(LeaveError::from))?;
    }
    if let Some(mqtt) = config.cloud.as_ref().and_then(|cloud| cloud.mqtt.as_ref()) {
        for file in [&mqtt.key_file, &mqtt.cert_file] {
            delete(file, std::fs::remove_file(file))?;
        }
        tracing::info!("the home's certificate and key are deleted");
    }
    drop(state);
    delete(&config.state, std::fs::remove_dir_all(&config.state))?;
    tracing::info!(
        "memory, answers, models and secrets are deleted; what is left is the program, its configuration, \
                    and its token in Home Assistant"
    );
    Ok(())
}

/// Takes everything back that was shared, and waits for the aggregator's receipt. A home that offered to take part in rounds does so no
/// more: its offer is replaced.
async fn take_back(cloud: &CloudConfig, state: &StateDirectory) -> Result<(), LeaveError> {
    let fleet = |error: &dyn std::fmt::Display| LeaveError::Fleet(error.to_string());
    let Some(mqtt) = &cloud.mqtt else { return Ok(()) };
    // Answers are taken back also where this cannot be signed.
    let parting = parting(&cloud.home, &mqtt.key_file, &state.file(ROUNDS_FILE), unix_now());
    let (parting, unsigned) = match parting {
        Ok(parting) => (parting, Ok(())),
        Err(error) => (None, Err(fleet(&error))),
    };
    let mut outbox = Outbox::open(&state.file(OUTBOX_FILE)).map_err(|error| fleet(&error))?;
    outbox.take_back(&cloud.home, TakeBack::Everything, unix_now()).map_err(|error| fleet(&error))?;
    let waiting = outbox.unconfirmed_withdrawals().map_err(|error| fleet(&error))?;
    if waiting.is_empty() && parting.is_none() {
        return unsigned;
    }
    let (_status, status_seen) = watch::channel(AgentStatus {
        online: false,
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        model_version: ModelVersion::ROUTINE,
        entities: 0,
        outbox: 0,
    });
    let outbox = uplink::share(outbox);
    let uplink = uplink::start(uplink_config(&cloud.home, mqtt, false, 0), outbox, status_seen)
        .map_err(|error| fleet(&error))?;
    // Published with the first connection, before anything that a receipt is waited for.
    uplink.rounds().offer.send_replace(parting);
    let (mut confirmed, mut connection) = (uplink.confirmed_withdrawals(), uplink.state());
    let all = async {
        let is_connected = connection.wait_for(|state| *state == UplinkState::Connected).await.is_ok();
        is_connected && confirmed.wait_for(|count| *count >= waiting.len() as u64).await.is_ok()
    };
    let outcome = match tokio::time::timeout(RECEIPT_PATIENCE, all).await {
        Ok(true) => Ok(()),
        _ => {
            let state = uplink.state().borrow().clone();
            let reason = format!("no receipt from the aggregator within {} s ({state:?})", RECEIPT_PATIENCE.as_secs());
            Err(LeaveError::Fleet(reason))
        }
    };
    uplink.stop().await;
    if outcome.is_ok() && !waiting.is_empty() {
        tracing::info!("everything that was shared is taken back, and the aggregator has confirmed it");
    }
    outcome.and(unsigned)
}

/// Gone already is as good as deleted.
fn delete(path: &Path, outcome: std::io::Result<()>) -> Result<(), LeaveError> {
    match outcome {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(LeaveError::File { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Long enough to find that nobody listens.
    const SHORT: Duration = Duration::from_millis(300);

    fn config(dir: &Path, more: &str) -> Config {
        std::fs::write(dir.join("token"), "token").unwrap();
        let text = format!(
            "state = \"state\"\n[home_assistant]\nurl = \"http://127.0.0.1:1\"\ntoken_file = \"token\"\n{more}"
        );
        Config::parse(&text, &dir.join("edge.toml")).unwrap()
    }

    #[tokio::test]
    async fn a_home_without_brokers_is_left_by_deleting_what_is_here() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path(), "");
        std::fs::create_dir(&config.state).unwrap();
        std::fs::write(config.state.join("history.sqlite"), "memory").unwrap();
        leave(&config, false).await.unwrap();
        assert!(!config.state.exists() && dir.path().join("token").exists());
    }

    #[tokio::test]
    async fn an_agent_that_runs_is_not_left() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path(), "");
        let _running = StateDirectory::take(&config.state).unwrap();
        assert!(matches!(leave(&config, true).await, Err(LeaveError::State(_))));
        assert!(config.state.exists());
    }

    #[tokio::test]
    async fn where_the_homes_broker_is_away_nothing_is_deleted_unless_anyway() {
        let dir = tempfile::tempdir().unwrap();
        // Port 1 of this machine: nobody listens there.
        let config = config(dir.path(), "[home.mqtt]\nhost = \"127.0.0.1\"\nport = 1\n");
        std::fs::create_dir(&config.state).unwrap();
        assert!(matches!(leave_within(&config, false, SHORT).await, Err(LeaveError::HomeAssistant(_))));
        assert!(config.state.exists());
        leave_within(&config, true, SHORT).await.unwrap();
        assert!(!config.state.exists());
    }
}
