//! What Home Assistant's API answers at `/api/history/period`, saved to a file: lists of states, whole or minimal, in any nesting, or a
//! state a line.

use std::cell::Cell;
use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::Value;

use super::attributes::Attributes;
use super::error::{ReplayError, RowFault};
use super::lenient_json;
use super::moment::{Moment, MomentError};
use super::odd::FaultKind;
use super::source::{EventRow, Row};
use super::stamp::{self, DayOrder, Stamp};
use super::torn::{CUT_SHORT, Torn};

/// Largest file: it is held in memory, some times its size.
const BYTES_MAX: u64 = 256 << 20;
/// Times of a state, the likeliest first; the short ones are those of the web socket.
const TIMES: [&str; 12] = [
    "last_updated",
    "last_changed",
    "lu",
    "lc",
    "last_reported",
    "timestamp",
    "last_updated_ts",
    "last_changed_ts",
    "last_reported_ts",
    "time",
    "start",
    "ts",
];

/// The states of a file, read when it is opened.
#[derive(Debug)]
pub struct JsonHistory {
    path: PathBuf,
    rows: Vec<Result<StateRow, RowFault>>,
    notes: Vec<String>,
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
        let cut = Rc::new(Cell::new(false));
        let input: Box<dyn Read> =
            if gzip { Box::new(Torn::new(MultiGzDecoder::new(file), &cut)) } else { Box::new(file) };
        let mut bytes = Vec::new();
        input.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(ReplayError::read(path))?;
        if bytes.len() as u64 > BYTES_MAX {
            let what = "is JSON of over 256 MiB; ask for fewer days at once, or give a copy of the recorder's database"
                .to_owned();
            return Err(ReplayError::TooLarge { path: path.to_owned(), what });
        }
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_start_matches('\u{feff}');
        let mut rows = Rows { zone, rows: Vec::new(), number: 0, home: None, utc: None };
        match lenient_json::parse::<Value>(text) {
            Ok(value) => rows.take(&value, &mut Arc::default()),
            Err(error) => {
                let lines: Result<Vec<Value>, _> =
                    text.lines().filter(|line| !line.trim().is_empty()).map(lenient_json::parse).collect();
                // What breaks off is whole up to its last whole state.
                let lines = lines.or_else(|error| {
                    cut.set(true);
                    closed(text).and_then(|text| lenient_json::parse(&text).ok()).map(|value| vec![value]).ok_or(error)
                });
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
        let mut notes: Vec<String> = rows.zone_notes();
        if cut.get() {
            notes.push(CUT_SHORT.to_owned());
        }
        Ok(Self { path: path.to_owned(), rows: rows.rows, notes })
    }

    /// The file that is read.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Notes on the file.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    /// Whether each entity has a single state: all of them at one moment.
    #[must_use]
    pub fn one_moment(&self) -> bool {
        let mut ids = HashSet::new();
        self.rows.iter().flatten().all(|row| ids.insert(row.entity.entity_id.as_str()))
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
    /// The first time without an offset that was taken as the home's, and the first that was taken as UTC.
    home: Option<String>,
    utc: Option<String>,
}

/// JSON that breaks off, up to the end of its last object, with what is open closed.
fn closed(text: &str) -> Option<String> {
    let (mut open, mut quoted, mut escaped) = (Vec::new(), false, false);
    let mut whole = None;
    for (place, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' if !quoted => open.push(b']'),
            b'{' if !quoted => open.push(b'}'),
            b']' | b'}' if !quoted => {
                open.pop();
                whole = Some((place, open.len()));
            }
            _ => {}
        }
    }
    let (place, depth) = whole?;
    let mut closed = text[..=place].to_owned();
    // What was open at that place is the outer part of what is open at the end.
    open.iter().take(depth).rev().for_each(|byte| closed.push(char::from(*byte)));
    Some(closed)
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

    /// The time in a member; without an offset it is UTC where the name is one of Home Assistant's tables.
    fn moment(&mut self, name: &str, written: &str) -> Result<Moment, MomentError> {
        match stamp::parse(written, DayOrder::usual_in(self.zone))? {
            Stamp::At(at) => Ok(at),
            Stamp::Clock(civil) => {
                let utc = name.starts_with("last_") && stamp::is_of_a_table(written);
                let zone = if utc { &TimeZone::UTC } else { self.zone };
                if utc { &mut self.utc } else { &mut self.home }.get_or_insert_with(|| written.to_owned());
                stamp::in_zone(civil, zone).ok_or_else(|| MomentError::OutOfRange(written.to_owned()))
            }
        }
    }

    fn zone_notes(&self) -> Vec<String> {
        let home = self.home.as_ref().map(|example| stamp::home_note(example, self.zone));
        home.into_iter().chain(self.utc.as_ref().map(|example| stamp::utc_note(example))).collect()
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
        let fault = |what: String| Err(RowFault { line, kind: FaultKind::Unreadable, what, of: Vec::new() });
        let state = match if value["state"].is_null() { &value["s"] } else { &value["state"] } {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        let time = TIMES.iter().map(|name| (*name, &value[*name])).find(|(_, time)| !time.is_null());
        let written = match time.map(|(_, time)| time) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        let row = if known.entity_id.is_empty() {
            fault("a state without an entity_id".to_owned())
        } else {
            match self.moment(time.map_or("", |(name, _)| name), &written) {
                Ok(at) => Ok(StateRow { at, entity: Arc::clone(known), state, line }),
                Err(error) => fault(error.to_string()),
            }
        };
        self.rows.push(row);
    }
}

#[cfg(test)]
#[path = "json_history_tests.rs"]
mod tests;
