//! Reads one TOML table key by key and notes every fault instead of stopping at the first.
//!
//! Serde's `deny_unknown_fields` refuses the same inputs but names only the first fault; a person who mends a file
//! wants the whole list.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use toml::{Table, Value};
use url::Url;

use crate::{Faults, Secret, exposed};

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

    /// What `read` finds under `key`; when it finds nothing and said nothing, the key is missing.
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

    /// A table below this one.
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

    /// Every table below this one, by its name: for tables whose names are the writer's choice. Anything else below is a fault.
    pub fn sections(mut self, faults: &mut Faults) -> Vec<(String, Section<'a>)> {
        let mut found = Vec::new();
        for (name, value) in std::mem::take(&mut self.table) {
            match value {
                Value::Table(table) => {
                    let of = Section { table, name: self.key(&name), base: self.base, known: BTreeSet::new() };
                    found.push((name, of));
                }
                other => self.wrong_type(faults, &name, &other, &format!("a table: [{}]", self.key(&name))),
            }
        }
        found
    }

    /// A text that is not empty.
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

    /// A list of texts.
    pub fn texts(&mut self, key: &'static str, faults: &mut Faults) -> Option<Vec<String>> {
        let value = self.take(key)?;
        let wanted = "a list of texts: [\"…\", \"…\"]";
        let Some(list) = value.as_array() else {
            self.wrong_type(faults, key, &value, wanted);
            return None;
        };
        let texts = list.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<String>>>();
        if texts.is_none() {
            faults.add(self.key(key), "holds something else than texts", format!("write {wanted}"));
        }
        texts
    }

    /// A path; relative ones are taken from the configuration file's directory.
    pub fn path(&mut self, key: &'static str, faults: &mut Faults) -> Option<PathBuf> {
        self.text(key, faults).map(|text| self.resolve(&text))
    }

    /// The path that `text` means here.
    pub fn resolve(&self, text: &str) -> PathBuf {
        self.base.join(text)
    }

    /// An address that begins with `https`.
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
        Secret::read(&path).map_err(|error| faults.add(self.key(key), error.to_string(), remedy)).ok()
    }

    /// A file that exists, can be read, and is its owner's alone: a private key. Its content is not looked at.
    pub fn private_file(&mut self, key: &'static str, faults: &mut Faults, remedy: &str) -> Option<PathBuf> {
        let path = self.file(key, faults, remedy)?;
        self.closed(key, &path, faults);
        Some(path)
    }

    /// Notes a fault of `key` if others could read or write the file at `path`. One that is not there is no fault here.
    pub fn closed(&self, key: &str, path: &Path, faults: &mut Faults) {
        let Some(mode) = std::fs::metadata(path).ok().as_ref().and_then(exposed) else { return };
        let path = path.display();
        let problem = format!("{path} is open to others (mode {mode:04o})");
        faults.add(self.key(key), problem, format!("if nobody read it: chmod 600 {path}"));
    }

    /// A TCP port.
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

    /// An address with a port.
    pub fn address(&mut self, key: &'static str, faults: &mut Faults, remedy: &str) -> Option<SocketAddr> {
        let text = self.text(key, faults)?;
        let address = text.parse();
        if address.is_err() {
            faults.add(self.key(key), format!("{text:?} is not an address with a port"), remedy);
        }
        address.ok()
    }

    /// `true` or `false`.
    pub fn flag(&mut self, key: &'static str, faults: &mut Faults) -> Option<bool> {
        let value = self.take(key)?;
        if !value.is_bool() {
            self.wrong_type(faults, key, &value, "true or false");
        }
        value.as_bool()
    }

    /// A whole number within `range`, which must not go beyond what TOML can write (`i64::MAX`).
    pub fn whole(&mut self, key: &'static str, range: RangeInclusive<u64>, faults: &mut Faults) -> Option<u64> {
        let value = self.take(key)?;
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        let Some(number) = value.as_integer() else {
            self.wrong_type(faults, key, &value, &wanted);
            return None;
        };
        let within = u64::try_from(number).ok().filter(|number| range.contains(number));
        if within.is_none() {
            faults.add(self.key(key), format!("{number} is out of range"), format!("write {wanted}"));
        }
        within
    }

    /// A number within `range`, whole or not.
    pub fn number(&mut self, key: &'static str, range: RangeInclusive<f64>, faults: &mut Faults) -> Option<f64> {
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

fn article(type_name: &str) -> String {
    let article = if type_name.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {type_name}")
}

/// The known key that differs by at most two edits, if any.
fn nearest<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    known
        .iter()
        .map(|candidate| (strsim::levenshtein(key, candidate), *candidate))
        .filter(|(distance, _)| *distance <= 2)
        .min()
        .map(|(_, candidate)| candidate)
}
