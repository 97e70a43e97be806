//! JSON whose fields stay in the order in which they came.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use yaml_rust2::yaml::Hash;
use yaml_rust2::{Yaml, YamlEmitter};

/// The fields of an object, in order.
struct Entries(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut all = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    all.push(entry);
                }
                Ok(Entries(all))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// The fields of an object, in order; none if it is no object.
#[must_use]
pub fn entries(raw: &str) -> Option<Vec<(String, Box<RawValue>)>> {
    serde_json::from_str::<Entries>(raw).ok().map(|entries| entries.0)
}

/// The elements of an array; none if it is no array.
#[must_use]
pub fn elements(raw: &str) -> Option<Vec<Box<RawValue>>> {
    serde_json::from_str(raw).ok()
}

/// With line breaks, two spaces a level; `level` is that of the line on which it begins.
#[must_use]
pub fn indented(raw: &str, level: usize) -> String {
    write(raw, Some(level))
}

/// On one line.
#[must_use]
pub fn compact(raw: &str) -> String {
    write(raw, None)
}

fn write(raw: &str, level: Option<usize>) -> String {
    let inner = level.map(|level| level + 1);
    let (open, parts, close) = if let Some(fields) = entries(raw) {
        let colon = if level.is_some() { ": " } else { ":" };
        let part = |(name, value): &(String, Box<RawValue>)| {
            format!("{}{colon}{}", serde_json::Value::String(name.clone()), write(value.get(), inner))
        };
        ('{', fields.iter().map(part).collect::<Vec<_>>(), '}')
    } else if let Some(all) = elements(raw) {
        ('[', all.iter().map(|value| write(value.get(), inner)).collect(), ']')
    } else {
        return raw.trim().to_owned();
    };
    match level {
        _ if parts.is_empty() => format!("{open}{close}"),
        None => format!("{open}{}{close}", parts.join(",")),
        Some(level) => {
            let (pad, end) = ("  ".repeat(level + 1), "  ".repeat(level));
            format!("{open}\n{pad}{}\n{end}{close}", parts.join(&format!(",\n{pad}")))
        }
    }
}

/// Things as a YAML sequence. Two such texts, one after the other, are one sequence again.
#[must_use]
pub fn yaml<'a>(things: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    let all = Yaml::Array(things.map(node).collect());
    let mut emitter = YamlEmitter::new(&mut text);
    // Long texts as blocks; only a value that YAML does not know fails, and JSON has none.
    emitter.multiline_strings(true);
    let _ = emitter.dump(&all);
    let text = text.strip_prefix("---\n").unwrap_or(&text);
    format!("{text}\n")
}

fn node(raw: &str) -> Yaml {
    if let Some(fields) = entries(raw) {
        let mut hash = Hash::new();
        for (name, value) in fields {
            hash.insert(Yaml::String(name), node(value.get()));
        }
        return Yaml::Hash(hash);
    }
    if let Some(all) = elements(raw) {
        return Yaml::Array(all.iter().map(|value| node(value.get())).collect());
    }
    match serde_json::from_str(raw) {
        Ok(serde_json::Value::String(text)) => Yaml::String(text),
        Ok(serde_json::Value::Bool(yes)) => Yaml::Boolean(yes),
        Ok(serde_json::Value::Number(number)) => {
            number.as_i64().map_or_else(|| Yaml::Real(number.to_string()), Yaml::Integer)
        }
        _ => Yaml::Null,
    }
}
