//! What Home Assistant's API answers at `/api/history/period`, saved to a file: lists of states, whole or minimal, in any nesting, or a
//! state a line.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::Value;

use super::attributes::Attributes;
use super::error::{ReplayError, RowFault};
use super::lenient_json;
use super::moment::Moment;
use super::odd::FaultKind;
use super::source::{EventRow, Row};
use super::stamp::{self, DayOrder};

/// Largest file: it is held in memory, some times its size.
const BYTES_MAX: u64 = 256 << 20;
/// Times of a state, the likeliest first; the short ones are those of the web socket.
const TIMES: [&str; 6] = ["last_updated", "last_changed", "lu", "lc", "last_reported", "timestamp"];

/// The states of a file, read when it is opened.
#[derive(Debug)]
pub struct JsonHistory {
    path: PathBuf,
    rows: Vec<Result<StateRow, RowFault>>,
}

#[derive(Debug)]
struct StateRow {
    at: Moment,
    /// Shared with the other states of the entity.
    entity: Arc<Entity>,
    state: String,
    line: u64,
}

/// An entity as its last state with attributes described it; those after it may be minimal.
#[derive(Debug, Default, Clone)]
struct Entity {
    entity_id: String,
    attributes: Attributes,
}

/// Whether a file that begins so is JSON.
#[must_use]
pub fn is_json(head: &[u8]) -> bool {
    let start = head.strip_prefix("\u{feff}".as_bytes()).unwrap_or(head).trim_ascii_start();
    matches!(start.first(), Some(b'[' | b'{'))
}

impl JsonHistory {
    /// Reads the file at `path`; times without an offset are of `zone`.
    ///
    /// # Errors
    /// [`ReplayError::Read`], [`ReplayError::TooLarge`], or [`ReplayError::Format`] where it is no JSON or holds no states.
    pub fn open(path: &Path, gzip: bool, zone: &TimeZone) -> Result<Self, ReplayError> {
        let file = File::open(path).map_err(ReplayError::read(path))?;
        let input: Box<dyn Read> = if gzip { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        let mut bytes = Vec::new();
        input.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(ReplayError::read(path))?;
        if bytes.len() as u64 > BYTES_MAX {
            let what = "is JSON of over 256 MiB; ask for fewer days at once, or give a copy of the recorder's database"
                .to_owned();
            return Err(ReplayError::TooLarge { path: path.to_owned(), what });
        }
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_start_matches('\u{feff}');
        let mut rows = Rows { zone, rows: Vec::new(), number: 0 };
        match lenient_json::parse::<Value>(text) {
            Ok(value) => rows.take(&value, &mut Arc::default()),
            Err(error) => {
                let lines: Result<Vec<Value>, _> =
                    text.lines().filter(|line| !line.trim().is_empty()).map(lenient_json::parse).collect();
                let lines = lines.map_err(|_| ReplayError::Format {
                    path: path.to_owned(),
                    what: format!("is JSON that breaks off or is damaged ({error}); save the answer of /api/history/period once more"),
                })?;
                let mut known = Arc::default();
                lines.iter().for_each(|line| rows.take(line, &mut known));
            }
        }
        if rows.rows.is_empty() {
            let what = "is JSON without states; give the answer of /api/history/period, a copy of the recorder's database, or the \
                        history panel's download"
                .to_owned();
            return Err(ReplayError::Format { path: path.to_owned(), what });
        }
        Ok(Self { path: path.to_owned(), rows: rows.rows })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Hands every state to `each`, in the order of the file; the line is its number.
    ///
    /// # Errors
    /// What `each` returns.
    pub fn read(&self, each: &mut dyn FnMut(Row<'_>) -> Result<(), ReplayError>) -> Result<(), ReplayError> {
        for row in &self.rows {
            each(match row {
                Ok(row) => Ok(EventRow {
                    at: row.at,
                    entity_id: &row.entity.entity_id,
                    device_class: &row.entity.attributes.device_class,
                    unit: &row.entity.attributes.unit,
                    state_class: &row.entity.attributes.state_class,
                    state: &row.state,
                    line: row.line,
                }),
                Err(fault) => Err(fault.clone()),
            })?;
        }
        Ok(())
    }
}

struct Rows<'a> {
    zone: &'a TimeZone,
    rows: Vec<Result<StateRow, RowFault>>,
    number: u64,
}

impl Rows<'_> {
    fn take(&mut self, value: &Value, known: &mut Arc<Entity>) {
        match value {
            Value::Array(list) => list.iter().for_each(|one| self.take(one, known)),
            Value::Object(object) if object.contains_key("state") || object.contains_key("s") => {
                self.state(value, known);
            }
            // An answer of the web socket: the states of each entity under its id.
            Value::Object(object) => {
                for (entity_id, states) in object {
                    *known = Arc::new(Entity { entity_id: entity_id.clone(), ..Entity::default() });
                    self.take(states, known);
                }
            }
            _ => {}
        }
    }

    fn state(&mut self, value: &Value, known: &mut Arc<Entity>) {
        self.number += 1;
        let line = self.number;
        if let Some(entity_id) = value["entity_id"].as_str()
            && entity_id != known.entity_id
        {
            *known = Arc::new(Entity { entity_id: entity_id.to_owned(), ..Entity::default() });
        }
        let attributes = if value["attributes"].is_object() { &value["attributes"] } else { &value["a"] };
        // Most states repeat the attributes of the one before.
        if let Ok(attributes) = Attributes::deserialize(attributes)
            && attributes != known.attributes
        {
            *known = Arc::new(Entity { entity_id: known.entity_id.clone(), attributes });
        }
        let fault = |what: String| Err(RowFault { line, kind: FaultKind::Unreadable, what });
        let state = match if value["state"].is_null() { &value["s"] } else { &value["state"] } {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        let time = TIMES.iter().map(|name| &value[*name]).find(|time| !time.is_null());
        let written = match time {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        let row = if known.entity_id.is_empty() {
            fault("a state without an entity_id".to_owned())
        } else {
            match stamp::read(&written, self.zone, DayOrder::usual_in(self.zone)) {
                Ok(at) => Ok(StateRow { at, entity: Arc::clone(known), state, line }),
                Err(error) => fault(error.to_string()),
            }
        };
        self.rows.push(row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Result<Vec<String>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let history = JsonHistory::open(file.path(), false, &TimeZone::UTC)
            .map_err(|error| error.to_string().replace(&file.path().display().to_string(), "h.json"))?;
        let mut rows = Vec::new();
        history
            .read(&mut |row| {
                rows.push(match row {
                    Ok(row) => format!(
                        "{} {} [{}] [{}] [{}] {}",
                        row.at.second(),
                        row.entity_id,
                        row.device_class,
                        row.unit,
                        row.state_class,
                        row.state
                    ),
                    Err(fault) => format!("{}: {}", fault.line, fault.what),
                });
                Ok(())
            })
            .unwrap();
        Ok(rows)
    }

    #[test]
    fn minimal_states_are_of_the_entity_before_them() {
        let text = r#"[[{"entity_id": "sensor.a", "state": "21.5", "last_changed": "2026-01-31T08:30:00+00:00",
            "attributes": {"device_class": "temperature", "unit_of_measurement": "°C", "state_class": "measurement"}},
            {"state": "22", "last_changed": "2026-01-31T08:40:00+00:00"}],
            [{"entity_id": "light.b", "state": "on", "last_changed": "2026-01-31T08:30:00+00:00", "attributes": {}}]]"#;
        assert_eq!(
            rows(text).unwrap(),
            [
                "1769848200 sensor.a [temperature] [°C] [measurement] 21.5",
                "1769848800 sensor.a [temperature] [°C] [measurement] 22",
                "1769848200 light.b [] [] [] on",
            ]
        );
    }

    #[test]
    fn the_web_sockets_short_names_and_a_state_a_line_are_read_too() {
        let text = r#"{"sensor.a": [{"s": "1", "a": {"unit_of_measurement": "W"}, "lu": 1769848200}, {"s": "2", "lu": 1769848260}]}"#;
        assert_eq!(rows(text).unwrap(), ["1769848200 sensor.a [] [W] [] 1", "1769848260 sensor.a [] [W] [] 2"]);
        let text = "{\"entity_id\": \"sensor.a\", \"state\": 3, \"last_updated\": \"2026-01-31T08:30:00Z\"}\n\
                    {\"entity_id\": \"sensor.a\", \"state\": 4}\n";
        assert_eq!(rows(text).unwrap(), ["1769848200 sensor.a [] [] [] 3", "2: the timestamp is empty"]);
    }

    #[test]
    fn what_is_no_history_is_told_with_what_to_give_instead() {
        assert_eq!(
            rows("[]").unwrap_err(),
            "h.json: is JSON without states; give the answer of /api/history/period, a copy of the recorder's database, or the \
             history panel's download"
        );
        assert!(rows("[[{\"state\": ").unwrap_err().contains("breaks off or is damaged"));
    }
}
