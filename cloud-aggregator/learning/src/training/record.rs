//! What decides a run, saved beside its artifact: enough to make the very same bytes again.

use std::process::Command;

use serde::{Deserialize, Serialize};

use super::experiment::{RunFolder, RunStatus};
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

impl RunRecord {
    /// What the experiment log tells runs apart by.
    #[must_use]
    pub fn tags(&self) -> [(&'static str, &str); 5] {
        [
            ("dataset", self.snapshot.as_str()),
            ("corpus", self.corpus.as_str()),
            ("champion", self.champion.as_deref().unwrap_or("none")),
            ("mlflow.source.git.commit", self.git_revision.as_str()),
            ("processor", self.processor.as_str()),
        ]
    }
}

/// The settings of a configuration by name, nested ones joined by dots.
#[must_use]
pub fn parameters(config: &serde_json::Value) -> Vec<(String, String)> {
    let mut flat = Vec::new();
    let mut open = vec![(String::new(), config)];
    while let Some((name, value)) = open.pop() {
        match value {
            serde_json::Value::Object(entries) => {
                let inner = |key: &String| if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                open.extend(entries.iter().map(|(key, value)| (inner(key), value)));
            }
            serde_json::Value::String(text) => flat.push((name, text.clone())),
            other => flat.push((name, other.to_string())),
        }
    }
    flat.sort();
    flat
}

/// Puts a finished run's files into its folder and closes it: artifact, record, report, card, defences, profile, losses,
/// figures.
///
/// # Errors
/// What the file system says.
pub fn keep(
    folder: &RunFolder,
    record: &RunRecord,
    challenger: &Challenger,
    began_at: i64,
    ended_at: i64,
) -> std::io::Result<()> {
    folder.put("network.safetensors", &challenger.artifact)?;
    folder.put("record.json", &serde_json::to_vec_pretty(record)?)?;
    folder.put("report.json", challenger.report.as_bytes())?;
    folder.put("model-card.md", challenger.card.as_bytes())?;
    if let Some(defences) = &challenger.defences {
        folder.put("defences.json", &serde_json::to_vec_pretty(defences)?)?;
    }
    if let Some(profile) = &challenger.profile {
        folder.put("profile.json", &serde_json::to_vec(profile)?)?;
    }
    folder.losses(ended_at, &challenger.history)?;
    for (name, value) in &challenger.figures {
        folder.metric(name, ended_at, &[(0, *value)])?;
    }
    folder.metric("seconds", ended_at, &[(0, (ended_at - began_at) as f64)])?;
    folder.end(RunStatus::Finished, began_at, ended_at)?;
    folder.clear_checkpoints();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_settings_are_joined_by_dots_and_sorted() {
        let config = serde_json::json!({"seed": 7, "gate": {"coverage": 0.9}, "device": "flex"});
        let expected = [("device", "flex"), ("gate.coverage", "0.9"), ("seed", "7")];
        assert_eq!(parameters(&config), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
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
