//! `hearthwatch-edge update`: what a person may decide about models on this machine, while the agent is stopped.
//!
//! Each decision is written down before it is done, in `audit.jsonl` of the state directory: when, what, and which account did it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use hearthwatch_detector::detector::SHIPPED_VERSION;
use hearthwatch_edge_store::outbox::{Outbox, OutboxError};
use hearthwatch_edge_update::disk::RealDisk;
use hearthwatch_edge_update::slots::{SlotError, Slots};
use hearthwatch_edge_update::trust::{TrustError, forget_time};
use hearthwatch_protocol::ModelVersion;
use hearthwatch_protocol::messages::UpdateOutcome;
use jiff::Timestamp;

use crate::audit::{self, AUDIT_FILE, Entry};
use crate::config::Config;
use crate::output::{stderr_line, stdout_line};
use crate::state_directory::{StateDirectory, StateError};

/// `hearthwatch-edge update`.
#[derive(Debug, Args)]
pub struct ManualArgs {
    /// The agent's configuration file
    #[arg(long, value_name = "FILE", env = "HEARTHWATCH_EDGE_CONFIG")]
    config: PathBuf,
    #[command(subcommand)]
    action: Action,
}

/// What can be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
enum Action {
    /// Say which model runs, which one waits, and which would come back
    Status,
    /// Go back to the model before; the one left is not tried again
    RollBack,
    /// After the clock was set right again: forget the latest time seen. Versions stay remembered
    ResetClock,
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
enum ManualError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error("{path}: {source}")]
    Audit { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Slots(#[from] SlotError),
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error(transparent)]
    Outbox(#[from] OutboxError),
}

/// Runs `hearthwatch-edge update`; prints what was done.
#[must_use]
pub fn main(args: &ManualArgs) -> ExitCode {
    let config = match Config::load(&args.config) {
        Ok(config) => config,
        Err(faults) => {
            stderr_line!("{faults}");
            return ExitCode::FAILURE;
        }
    };
    match act(&config.state, args.action, Timestamp::now()) {
        Ok(words) => {
            stdout_line!("{words}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            stderr_line!("not done: {error}");
            ExitCode::FAILURE
        }
    }
}

fn act(state: &Path, action: Action, now: Timestamp) -> Result<String, ManualError> {
    // The lock keeps an agent from running meanwhile.
    let state = StateDirectory::take(state)?;
    let update = state.file("update");
    let mut slots = Slots::open(RealDisk, &update.join("slots"), ModelVersion(SHIPPED_VERSION))?;
    match action {
        Action::Status => Ok(describe(&slots)),
        Action::RollBack => {
            let (from, to) = (slots.installed(), slots.fallback());
            note(&state, "roll_back", &format!("from model {from} to {to}"), now)?;
            slots.roll_back_manually()?;
            let outcome = UpdateOutcome::rolled_back(from, "by hand".to_owned(), to, now.as_second());
            Outbox::open(&state.file("outbox.sqlite"))?.push_outcome(outcome)?;
            Ok(format!("Model {to} is in charge from the agent's next start. Model {from} is not tried again."))
        }
        Action::ResetClock => {
            note(&state, "reset_clock", &format!("the clock shows {now}"), now)?;
            forget_time(&update.join("tuf"))?;
            Ok(format!("The latest time seen is forgotten; {now} counts as now. Versions stay remembered."))
        }
    }
}

fn describe(slots: &Slots<RealDisk>) -> String {
    let mut lines = vec![format!("in charge: model {}", slots.installed())];
    if let Some(trial) = slots.trial() {
        lines.push(format!("on trial until {}, {} starts left", time(trial.until), trial.tries));
    }
    if let Some(staged) = slots.staged() {
        lines.push(format!("watched beside it until {}: model {}", time(staged.until), staged.held.version));
    }
    lines.push(format!("a roll-back leads to: model {}", slots.fallback()));
    lines.push(format!("nothing below model {} gets in", slots.floor()));
    if let Some(followed) = slots.followed() {
        lines.push(format!("the director's newest assignment: generation {}", followed.generation));
    }
    lines.join("\n")
}

fn time(at: i64) -> String {
    Timestamp::from_second(at).map_or_else(|_| at.to_string(), |at| at.to_string())
}

/// Writes down what is about to be done. What cannot be written down is not done.
fn note(state: &StateDirectory, action: &str, detail: &str, now: Timestamp) -> Result<(), ManualError> {
    let path = state.file(AUDIT_FILE);
    let account = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")).unwrap_or_default();
    let entry = Entry { at: now, action, account: &account, detail };
    audit::note(&path, &entry).map_err(|source| ManualError::Audit { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn now() -> Timestamp {
        Timestamp::from_second(NOW).unwrap()
    }

    fn with_models(state: &Path, versions: &[u64]) {
        let mut slots = Slots::open(RealDisk, &state.join("update/slots"), ModelVersion(SHIPPED_VERSION)).unwrap();
        for version in versions {
            slots.stage(ModelVersion(*version), b"model", NOW, false).unwrap();
            slots.swap(NOW, NOW).unwrap();
            slots.commit().unwrap();
        }
    }

    #[test]
    fn a_person_goes_back_one_model_and_the_fleet_hears_of_it() {
        let directory = tempfile::tempdir().unwrap();
        with_models(directory.path(), &[7, 8]);
        act(directory.path(), Action::RollBack, now()).unwrap();
        let words = act(directory.path(), Action::Status, now()).unwrap();
        assert!(words.starts_with("in charge: model 7\n") && words.contains("nothing below model 7"), "{words}");
        let outbox = Outbox::open(&directory.path().join("outbox.sqlite")).unwrap();
        assert_eq!(outbox.outcomes(false).unwrap().len(), 1);
        let audit = std::fs::read_to_string(directory.path().join("audit.jsonl")).unwrap();
        assert!(audit.contains("\"deed\":\"roll_back\"") && audit.contains("from model 8 to 7"), "{audit}");
    }

    #[test]
    fn the_time_is_forgotten_and_written_down_and_nothing_else_is() {
        let directory = tempfile::tempdir().unwrap();
        let tuf = directory.path().join("update/tuf");
        std::fs::create_dir_all(&tuf).unwrap();
        std::fs::write(tuf.join("latest_known_time.json"), "\"2099-01-01T00:00:00Z\"").unwrap();
        std::fs::write(tuf.join("timestamp.json"), "{}").unwrap();
        act(directory.path(), Action::ResetClock, now()).unwrap();
        assert!(!tuf.join("latest_known_time.json").exists() && tuf.join("timestamp.json").exists());
        let audit = std::fs::read_to_string(directory.path().join("audit.jsonl")).unwrap();
        assert!(audit.contains("\"deed\":\"reset_clock\""), "{audit}");
    }

    #[test]
    fn a_running_agent_is_not_interfered_with() {
        let directory = tempfile::tempdir().unwrap();
        let _agent = StateDirectory::take(directory.path()).unwrap();
        let refused = act(directory.path(), Action::RollBack, now());
        assert!(matches!(refused, Err(ManualError::State(StateError::InUse(_)))));
    }
}
