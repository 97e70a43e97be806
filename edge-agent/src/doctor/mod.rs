//! `hearthwatch-edge doctor`: looks at everything that the agent needs, and says what to do about what is wrong.
//!
//! `facts` looks and decides nothing; `checks` decides and touches nothing. The agent may run meanwhile: its lock is not taken, nobody
//! connects in its name.

mod checks;
mod facts;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

pub use checks::check;
pub use facts::{Facts, gather};

use crate::config::Config;
use crate::output::stdout_line;

/// What stands below `hearthwatch-edge doctor --help`.
pub const EXAMPLE: &str = "Exit code 0: all is well; 1: something will not last or is not whole; 2: something does not work.\n\
    Example: hearthwatch-edge doctor --config home/edge.toml";

/// `hearthwatch-edge doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The agent's configuration file
    #[arg(long, value_name = "FILE", env = "HEARTHWATCH_EDGE_CONFIG")]
    config: PathBuf,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// As it should be.
    Ok,
    /// It works, and will not for long, or not fully.
    Warning,
    /// It does not work.
    Fault,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How it ended.
    pub grade: Grade,
    /// What was looked at, and what was found.
    pub what: String,
    /// What to do; empty where nothing is.
    pub remedy: String,
}

impl Finding {
    fn ok(what: impl Into<String>) -> Self {
        Self { grade: Grade::Ok, what: what.into(), remedy: String::new() }
    }

    fn warning(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { grade: Grade::Warning, what: what.into(), remedy: remedy.into() }
    }

    fn fault(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { grade: Grade::Fault, what: what.into(), remedy: remedy.into() }
    }
}

/// Looks at what the configuration `file` names, or says what is wrong with the file itself. Takes some seconds where something is out
/// of reach.
pub async fn examine(file: &std::path::Path) -> Vec<Finding> {
    match Config::load(file) {
        Ok(config) => check(&gather(&config).await),
        Err(faults) => {
            let told = |fault: &hearthwatch_configuration::Fault| Finding {
                grade: Grade::Fault,
                what: format!("{}: {} {}", fault.file.display(), fault.key, fault.problem),
                remedy: fault.remedy.clone(),
            };
            faults.list().iter().map(told).collect()
        }
    }
}

/// Runs `hearthwatch-edge doctor`.
#[must_use]
pub fn main(args: &DoctorArgs) -> ExitCode {
    // Fails only if a provider is installed already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            crate::output::stderr_line!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let found = runtime.block_on(examine(&args.config));
    if args.json {
        stdout_line!("{}", serde_json::to_string_pretty(&found).unwrap_or_default());
    } else {
        for Finding { grade, what, remedy } in &found {
            let word = match grade {
                Grade::Ok => "ok",
                Grade::Warning => "warning",
                Grade::Fault => "FAULT",
            };
            stdout_line!("{word:<8} {what}");
            if !remedy.is_empty() {
                stdout_line!("         what to do: {remedy}");
            }
        }
    }
    match found.iter().map(|one| one.grade).max() {
        Some(Grade::Fault) => ExitCode::from(2),
        Some(Grade::Warning) => ExitCode::from(1),
        _ => ExitCode::SUCCESS,
    }
}
