//! What decides a run, saved beside its artifact: enough to make the very same bytes again.

use std::collections::BTreeMap;
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::learner::Challenger;

/// Set when a release is built where there is no repository, e.g. in an image.
const REVISION_AT_BUILD: Option<&str> = option_env!("HEARTHWATCH_REVISION");

/// What a run was made from, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRecord {
    /// The run's id: a hash of snapshot, champion and configuration.
    pub run: String,
    /// The data set of residents' answers, by the hash of its bytes.
    pub snapshot: String,
    /// Hash of the recorded sets that went with it.
    pub corpus: String,
    /// SHA-256 of the champion's artifact, if it was fine-tuned from one.
    pub champion: Option<String>,
    /// The whole configuration, seed included.
    pub config: serde_json::Value,
    /// The program's version.
    pub program: String,
    /// The revision of the source that the program was built from or run in; `unknown` where neither can be told.
    pub git_revision: String,
    /// The processor: the same bytes are promised on the same one.
    pub processor: String,
    /// SHA-256 of the artifact, once there is one.
    pub artifact: Option<String>,
}

/// The revision of the source, and whether anything was changed since.
#[must_use]
pub fn git_revision() -> String {
    if let Some(revision) = REVISION_AT_BUILD {
        return revision.to_owned();
    }
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(revision) = git(&["rev-parse", "HEAD"]) else { return "unknown".to_owned() };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_none_or(|changes| !changes.is_empty());
    if changed { format!("{revision}, changed") } else { revision }
}

/// The processor's name, where the system tells it.
#[must_use]
pub fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    name.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

/// One figure of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// The epoch, counted from 1; 0 for a figure of the whole run.
    pub step: usize,
    /// Its value, in the unit that the name says.
    pub value: f64,
}

/// What a run is compared with others by: its losses by epoch, the figures that the gate weighed, and how long it took.
#[must_use]
pub fn metrics(challenger: &Challenger, seconds: i64) -> Vec<Metric> {
    let metric = |name, step, value| Metric { name, step, value };
    let losses = challenger.history.iter().flat_map(|epoch| {
        [
            metric("training_loss", epoch.epoch, f64::from(epoch.training_loss)),
            metric("validation_loss", epoch.epoch, f64::from(epoch.validation_loss)),
        ]
    });
    let figures = challenger.figures.iter().map(|(name, value)| metric(name, 0, *value));
    losses.chain(figures).chain([metric("seconds", 0, seconds as f64)]).collect()
}

/// The settings of a configuration by name, nested ones joined by dots.
#[must_use]
pub fn parameters(config: &serde_json::Value) -> BTreeMap<String, serde_json::Value> {
    let mut flat = BTreeMap::new();
    let mut open = vec![(String::new(), config)];
    while let Some((name, value)) = open.pop() {
        match value {
            serde_json::Value::Object(entries) => {
                let inner = |key: &String| if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                open.extend(entries.iter().map(|(key, value)| (inner(key), value)));
            }
            other => {
                flat.insert(name, other.clone());
            }
        }
    }
    flat
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_settings_are_joined_by_dots() {
        let config = serde_json::json!({"seed": 7, "gate": {"coverage": 0.9}, "families": ["leak", "drift"]});
        let found = serde_json::to_string(&parameters(&config)).unwrap();
        assert_eq!(found, r#"{"families":["leak","drift"],"gate.coverage":0.9,"seed":7}"#);
    }

    #[test]
    fn a_record_reads_back_and_a_field_it_does_not_know_is_refused() {
        let record = RunRecord {
            run: "r".to_owned(),
            snapshot: "s".to_owned(),
            corpus: "c".to_owned(),
            champion: None,
            config: serde_json::json!({"seed": 7}),
            program: "1".to_owned(),
            git_revision: git_revision(),
            processor: processor(),
            artifact: None,
        };
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<RunRecord>(&text).unwrap(), record);
        assert!(!record.git_revision.is_empty() && !record.processor.is_empty());
        let more = text.replacen('{', "{\"more\":1,", 1);
        assert!(serde_json::from_str::<RunRecord>(&more).unwrap_err().to_string().starts_with("unknown field `more`"));
    }
}
