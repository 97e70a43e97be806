//! Reads one table of the file, noting every fault instead of stopping at the first.

use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use hearthwatch_provision::files::{FileError, check_private};
use toml::{Table, Value};

/// One thing wrong with a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where: `mqtt.port`; empty for the file as a whole.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub remedy: String,
}

/// Everything wrong with a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    /// The file.
    pub file: PathBuf,
    /// At least one.
    pub list: Vec<Fault>,
}

impl std::error::Error for Faults {}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.list.len();
        let noun = if count == 1 { "fault" } else { "faults" };
        write!(f, "{}: {count} {noun}", self.file.display())?;
        for fault in &self.list {
            let key = if fault.key.is_empty() { "(file)" } else { &fault.key };
            write!(f, "\n  {key}: {}\n    remedy: {}", fault.problem, fault.remedy)?;
        }
        Ok(())
    }
}

/// A table that is being read. Keys that nobody asked for are faults too: see [`Section::finish`].
pub struct Section<'a> {
    name: &'static str,
    table: Table,
    asked: Vec<&'static str>,
    directory: &'a Path,
    faults: &'a mut Vec<Fault>,
}

impl<'a> Section<'a> {
    /// `directory` is the file's own: relative paths start there.
    pub fn new(name: &'static str, table: Table, directory: &'a Path, faults: &'a mut Vec<Fault>) -> Self {
        Self { name, table, asked: Vec::new(), directory, faults }
    }

    /// Notes a fault of `key`.
    pub fn fault(&mut self, key: &str, problem: impl Into<String>, remedy: impl Into<String>) {
        let key = if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) };
        self.faults.push(Fault { key, problem: problem.into(), remedy: remedy.into() });
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.asked.push(key);
        self.table.remove(key)
    }

    fn missing(&mut self, key: &'static str, remedy: &str) {
        self.fault(key, "is missing", remedy);
    }

    /// A table inside this one.
    pub fn table(&mut self, key: &'static str) -> Option<Table> {
        match self.take(key)? {
            Value::Table(table) => Some(table),
            other => {
                let whole = if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) };
                self.fault(key, format!("is of type {}", other.type_str()), format!("write it as a table: [{whole}]"));
                None
            }
        }
    }

    /// A table inside this one, to be read in its turn; `name` is its whole name: `training.mlflow`.
    pub fn nested(&mut self, key: &'static str, name: &'static str) -> Option<Section<'_>> {
        let table = self.table(key)?;
        Some(Section::new(name, table, self.directory, self.faults))
    }

    /// A text that may be left out.
    pub fn text(&mut self, key: &'static str) -> Option<String> {
        match self.take(key)? {
            Value::String(text) if !text.trim().is_empty() => Some(text),
            Value::String(_) => {
                self.fault(key, "is empty", "give it a value or take the line out");
                None
            }
            other => {
                self.fault(key, format!("is of type {}", other.type_str()), "put it in quotes");
                None
            }
        }
    }

    /// A list of texts that may be left out.
    pub fn texts(&mut self, key: &'static str) -> Vec<String> {
        let remedy = "write it as a list of texts: [\"…\", \"…\"]";
        let found = match self.take(key) {
            None => return Vec::new(),
            Some(Value::Array(found)) => found,
            Some(other) => {
                self.fault(key, format!("is of type {}", other.type_str()), remedy);
                return Vec::new();
            }
        };
        let texts: Option<Vec<String>> = found.iter().map(|value| value.as_str().map(str::to_owned)).collect();
        texts.unwrap_or_else(|| {
            self.fault(key, "holds something else than texts", remedy);
            Vec::new()
        })
    }

    /// A text that must be there.
    pub fn required_text(&mut self, key: &'static str, remedy: &str) -> Option<String> {
        if !self.table.contains_key(key) {
            self.missing(key, remedy);
        }
        self.text(key)
    }

    /// A path that need not exist; relative ones start at the file's directory.
    pub fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        self.text(key).map(|text| self.directory.join(text))
    }

    /// Where a file of that name would be: beside the configuration file, unless it is absolute.
    #[must_use]
    pub fn beside(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// A path that must be given.
    pub fn required_path(&mut self, key: &'static str, remedy: &str) -> Option<PathBuf> {
        if !self.table.contains_key(key) {
            self.missing(key, remedy);
        }
        self.path(key)
    }

    /// A file that must be given and be readable.
    pub fn required_file(&mut self, key: &'static str, remedy: &str) -> Option<PathBuf> {
        let path = self.required_path(key, remedy)?;
        self.readable(key, path, remedy)
    }

    /// A file that may be left out, but must be readable if it is named.
    pub fn file(&mut self, key: &'static str, remedy: &str) -> Option<PathBuf> {
        let path = self.path(key)?;
        self.readable(key, path, remedy)
    }

    /// A file that must be given, be readable, and be its owner's alone.
    pub fn required_secret(&mut self, key: &'static str, remedy: &str) -> Option<PathBuf> {
        let path = self.required_file(key, remedy)?;
        self.closed(key, &path);
        Some(path)
    }

    /// A file that may be left out, but must be readable and its owner's alone if it is named.
    pub fn secret(&mut self, key: &'static str, remedy: &str) -> Option<PathBuf> {
        let path = self.file(key, remedy)?;
        self.closed(key, &path);
        Some(path)
    }

    /// Notes a fault if others could read or write the file.
    pub fn closed(&mut self, key: &'static str, path: &Path) {
        if let Err(FileError::Wide { path, mode, .. }) = check_private(path) {
            let path = path.display();
            let problem = format!("{path} is open to others (mode {mode:04o})");
            self.fault(key, problem, format!("if nobody read it: chmod 600 {path}"));
        }
    }

    fn readable(&mut self, key: &'static str, path: PathBuf, remedy: &str) -> Option<PathBuf> {
        match std::fs::File::open(&path) {
            Ok(_) => Some(path),
            Err(error) => {
                self.fault(key, format!("{}: {error}", path.display()), remedy);
                None
            }
        }
    }

    /// A whole number that may be left out, within `range`.
    pub fn number(&mut self, key: &'static str, range: RangeInclusive<i64>, otherwise: i64) -> i64 {
        match self.take(key) {
            None => otherwise,
            Some(Value::Integer(number)) if range.contains(&number) => number,
            Some(value) => {
                let remedy = format!("a whole number from {} to {}", range.start(), range.end());
                self.fault(key, format!("is {value}"), remedy);
                otherwise
            }
        }
    }

    /// Yes or no.
    pub fn flag(&mut self, key: &'static str, otherwise: bool) -> bool {
        match self.take(key) {
            None => otherwise,
            Some(Value::Boolean(flag)) => flag,
            Some(value) => {
                self.fault(key, format!("is {value}"), "true or false");
                otherwise
            }
        }
    }

    /// An address with a port.
    pub fn address(&mut self, key: &'static str, otherwise: SocketAddr) -> SocketAddr {
        let Some(text) = self.text(key) else { return otherwise };
        text.parse().unwrap_or_else(|_| {
            self.fault(key, format!("{text:?} is not an address"), "an address and a port, e.g. \"0.0.0.0:8443\"");
            otherwise
        })
    }

    /// Notes every key that nobody asked for.
    pub fn finish(mut self) {
        let strangers: Vec<String> = self.table.keys().cloned().collect();
        for key in strangers {
            let remedy = match nearest(&key, &self.asked) {
                Some(known) => format!("did you mean {known:?}? known here: {}", self.asked.join(", ")),
                None => format!("take it out; known here: {}", self.asked.join(", ")),
            };
            self.fault(&key, "is not a known key", remedy);
        }
    }
}

/// The known key that differs least from `key`, if by at most two letters.
fn nearest<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    known.iter().map(|candidate| (distance(key, candidate), *candidate)).filter(|(d, _)| *d <= 2).min().map(|(_, k)| k)
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let change = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
