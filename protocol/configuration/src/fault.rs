//! What is wrong with a configuration: every fault at once, each with its file, its key and what to do about it.

use std::fmt;
use std::path::{Path, PathBuf};

/// One thing that must be changed before the agent can start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The configuration file.
    pub file: PathBuf,
    /// Dotted key, e.g. `cloud.mqtt.port`; empty when the whole file is meant.
    pub key: String,
    /// What is wrong, in words.
    pub problem: String,
    /// What to write instead.
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
    /// No fault yet.
    #[must_use]
    pub fn none(file: &Path) -> Self {
        Self { file: file.to_owned(), list: Vec::new() }
    }

    /// Notes one more.
    pub fn add(&mut self, key: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) {
        self.list.push(Fault {
            file: self.file.clone(),
            key: key.into(),
            problem: problem.into(),
            remedy: remedy.into(),
        });
    }

    /// What was noted.
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
