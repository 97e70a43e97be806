//! What is wrong with a configuration: every fault at once, each with its file, its key and what to do about it.

use std::fmt;
use std::path::{Path, PathBuf};

/// One thing that must be changed before the agent can start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Shown in the text; also for a fault of the whole file.
    pub file: PathBuf,
    /// Dotted key, e.g. `cloud.mqtt.port`; empty when the whole file is meant.
    pub key: String,
    /// A part of a sentence, after the key.
    pub problem: String,
    /// What to write instead: a part of a sentence.
    pub remedy: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file.display())?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{}; {}", self.problem, self.remedy)
    }
}

/// All faults of one file, in the order in which its keys are read. Never empty when returned as an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    file: PathBuf,
    list: Vec<Fault>,
}

impl Faults {
    /// An empty list for `file`.
    #[must_use]
    pub fn none(file: &Path) -> Self {
        Self { file: file.to_owned(), list: Vec::new() }
    }

    /// Adds a fault; reading goes on, so that all are shown at once.
    pub fn add(&mut self, key: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) {
        self.list.push(Fault {
            file: self.file.clone(),
            key: key.into(),
            problem: problem.into(),
            remedy: remedy.into(),
        });
    }

    /// In the order in which they were added.
    #[must_use]
    pub fn list(&self) -> &[Fault] {
        &self.list
    }

    /// Whether nothing was noted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.list.len();
        write!(f, "the configuration has {count} fault{}:", if count == 1 { "" } else { "s" })?;
        for fault in &self.list {
            write!(f, "\n  {fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
