//! Reads one TOML table key by key and notes every fault instead of stopping at the first.
//!
//! Serde's `deny_unknown_fields` refuses the same inputs but names only the first fault; a person who mends a file
//! wants the whole list.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use toml::{Table, Value};
use url::Url;

use crate::Faults;

/// A table being read; [`Section::finish`] reports the keys that nobody asked for.
pub struct Section<'a> {
    table: Table,
    name: String,
    /// Directory that relative paths are relative to: the configuration file's.
    base: &'a Path,
    known: BTreeSet<&'static str>,
}

impl<'a> Section<'a> {
    /// The top table; relative paths are relative to `base`.
    pub fn root(table: Table, base: &'a Path) -> Self {
        Self { table, name: String::new(), base, known: BTreeSet::new() }
    }

    /// The dotted name of `key` in this table.
    pub fn key(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.known.insert(key);
        self.table.remove(key)
    }

    fn wrong_type(&self, faults: &mut Faults, key: &str, found: &Value, wanted: &str) {
        faults.add(self.key(key), format!("is {}", article(found.type_str())), format!("write {wanted}"));
    }

    /// The value that `read` finds under `key`; where it finds none and adds no fault, the key is missing.
    pub fn required<T>(
        &mut self,
        key: &'static str,
        faults: &mut Faults,
        remedy: &str,
        read: impl FnOnce(&mut Self, &'static str, &mut Faults) -> Option<T>,
    ) -> Option<T> {
        let before = faults.list().len();
        let value = read(self, key, faults);
        if value.is_none() && faults.list().len() == before {
            faults.add(self.key(key), "is missing", remedy);
        }
        value
    }

    /// The table at `key`; none where it is missing or no table.
    pub fn section(&mut self, key: &'static str, faults: &mut Faults) -> Option<Section<'a>> {
        match self.take(key)? {
            Value::Table(table) => {
                Some(Section { table, name: self.key(key), base: self.base, known: BTreeSet::new() })
            }
            other => {
                self.wrong_type(faults, key, &other, &format!("a table: [{}]", self.key(key)));
                None
            }
        }
    }

    /// A text at `key`; one that is empty is a fault.
    pub fn text(&mut self, key: &'static str, faults: &mut Faults) -> Option<String> {
        match self.take(key)? {
            Value::String(text) if text.trim().is_empty() => {
                faults.add(self.key(key), "is empty", "write a value or remove the line");
                None
            }
            Value::String(text) => Some(text),
            other => {
                self.wrong_type(faults, key, &other, "a text in quotes");
                None
            }
        }
    }

    /// A list of texts at `key`.
    pub fn texts(&mut self, key: &'static str, faults: &mut Faults) -> Option<Vec<String>> {
        let value = self.take(key)?;
        let texts = value
            .as_array()
            .and_then(|list| list.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<String>>>());
        if texts.is_none() {
            self.wrong_type(faults, key, &value, "a list of texts: [\"…\", \"…\"]");
        }
        texts
    }

    /// A path; relative ones are taken from the configuration file's directory.
    pub fn path(&mut self, key: &'static str, faults: &mut Faults) -> Option<PathBuf> {
        self.text(key, faults).map(|text| self.resolve(&text))
    }

    /// `text` as a path; a relative one begins at the folder of the configuration file.
    pub fn resolve(&self, text: &str) -> PathBuf {
        self.base.join(text)
    }

    /// An `https` address at `key`.
    pub fn https(&mut self, key: &'static str, faults: &mut Faults, remedy: &str) -> Option<Url> {
        let text = self.text(key, faults)?;
        match Url::parse(&text) {
            Ok(url) if url.scheme() == "https" => Some(url),
            _ => {
                faults.add(self.key(key), format!("{text:?} is not an https address"), remedy);
                None
            }
        }
    }

    /// A file that exists and can be read.
    pub fn file(&mut self, key: &'static str, faults: &mut Faults, remedy: &str) -> Option<PathBuf> {
        let path = self.path(key, faults)?;
        match std::fs::File::open(&path).and_then(|file| file.metadata()) {
            Ok(metadata) if metadata.is_file() => Some(path),
            Ok(_) => {
                faults.add(self.key(key), format!("{} is not a file", path.display()), remedy);
                None
            }
            Err(error) => {
                faults.add(self.key(key), format!("{} cannot be read: {error}", path.display()), remedy);
                None
            }
        }
    }

    /// A file that holds one secret, surrounding white space aside. The secret itself is never part of a fault.
    pub fn secret(&mut self, key: &'static str, faults: &mut Faults, remedy: &str) -> Option<Secret> {
        let path = self.file(key, faults, remedy)?;
        match std::fs::read_to_string(&path) {
            Ok(text) if text.trim().is_empty() => {
                faults.add(self.key(key), format!("{} is empty", path.display()), remedy);
                None
            }
            Ok(text) if text.len() > SECRET_BYTES_MAX => {
                faults.add(
                    self.key(key),
                    format!("{} holds more than {SECRET_BYTES_MAX} bytes: not a token or password", path.display()),
                    remedy,
                );
                None
            }
            Ok(text) => Some(Secret { text: text.trim().to_owned(), file: Some(path) }),
            Err(error) => {
                faults.add(self.key(key), format!("{} cannot be read: {error}", path.display()), remedy);
                None
            }
        }
    }

    /// A TCP port at `key`, from 1 to 65535.
    pub fn port(&mut self, key: &'static str, faults: &mut Faults) -> Option<u16> {
        let value = self.take(key)?;
        match value.as_integer().map(u16::try_from) {
            Some(Ok(port)) if port > 0 => Some(port),
            Some(_) => {
                faults.add(self.key(key), format!("{value} is not a TCP port"), "write a number from 1 to 65535");
                None
            }
            None => {
                self.wrong_type(faults, key, &value, "a number from 1 to 65535");
                None
            }
        }
    }

    /// A number within `range`, whole or not.
    pub fn number(
        &mut self,
        key: &'static str,
        range: std::ops::RangeInclusive<f64>,
        faults: &mut Faults,
    ) -> Option<f64> {
        let value = self.take(key)?;
        #[expect(clippy::cast_precision_loss, reason = "configured numbers are small")]
        let number = value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64));
        let wanted = format!("a number from {} to {}", range.start(), range.end());
        match number {
            Some(number) if range.contains(&number) => Some(number),
            Some(number) => {
                faults.add(self.key(key), format!("{number} is out of range"), format!("write {wanted}"));
                None
            }
            None => {
                self.wrong_type(faults, key, &value, &wanted);
                None
            }
        }
    }

    /// Reports every key that was never asked for, with the nearest one that exists.
    pub fn finish(self, faults: &mut Faults) {
        for key in self.table.keys() {
            let known: Vec<&str> = self.known.iter().copied().collect();
            let remedy = match nearest(key, &known) {
                Some(near) => format!("did you mean `{near}`? Otherwise remove it"),
                None => format!("remove it; here may stand: {}", known.join(", ")),
            };
            faults.add(self.key(key), "is not a known key", remedy);
        }
    }
}

/// Longest token or password file. Home Assistant's long-lived tokens have about 180 characters.
const SECRET_BYTES_MAX: usize = 4096;

/// A token or password. Its `Debug` shows only that there is one.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    text: String,
    /// Where it was read; none where it did not come from a file.
    file: Option<PathBuf>,
}

impl Secret {
    /// Wraps a secret, e.g. in a test.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), file: None }
    }

    /// The secret itself: for the wire only, never for a log.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The file that it was read from.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The secret as its file has it now: a person may have written a new one. Where there is no file, or it cannot be read or is
    /// empty, this one.
    #[must_use]
    pub fn read_again(&self) -> Self {
        let text = self.file().and_then(|file| std::fs::read_to_string(file).ok());
        match text.as_deref().map(str::trim) {
            Some(text) if !text.is_empty() && text.len() <= SECRET_BYTES_MAX => {
                Self { text: text.to_owned(), file: self.file.clone() }
            }
            _ => self.clone(),
        }
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

fn article(type_name: &str) -> String {
    let article = if type_name.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {type_name}")
}

/// The known key that differs by at most two edits, if any.
fn nearest<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    known
        .iter()
        .map(|candidate| (edits(key, candidate), *candidate))
        .filter(|(distance, _)| *distance <= 2)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance; both texts are short keys.
fn edits(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let cost = if a == *b { diagonal } else { diagonal + 1 };
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}
