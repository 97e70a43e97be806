//! Home Assistant's recorder database, read only: from the tables of 2018 to those of 2026.11, told apart by columns.
//!
//! In 2018 a row of `states` held everything: the entity's id, its attributes as JSON and naive UTC times as text. Since
//! then ids moved to `states_meta`, attributes (shared between rows) to `state_attributes`, and times became float
//! seconds in `last_updated_ts`. A database that was migrated holds rows of several ages, so each row is read by what it
//! has rather than by the schema's number.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension};
use serde::Deserialize;
use tempfile::NamedTempFile;

use super::error::ReplayError;
use super::moment::Moment;
use super::source::{EventRow, Row};

/// A recorder database, open for reading.
#[derive(Debug)]
pub struct RecorderDb {
    path: PathBuf,
    connection: Connection,
    columns: HashSet<String>,
    /// `states_meta`: a house has hundreds of entities, so all of them fit in memory.
    entity_ids: HashMap<i64, String>,
    /// The unpacked copy, if there is one; deleted with this value.
    _copy: Option<NamedTempFile>,
}

/// What of an entity's attributes tells its kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Attributes {
    device_class: String,
    unit: String,
}

impl RecorderDb {
    /// Opens the database in its unpacked `copy`, or at `path` itself.
    ///
    /// # Errors
    /// [`ReplayError::Database`] when SQLite cannot read it; [`ReplayError::Format`] when it has no states.
    pub fn open(path: &Path, copy: Option<NamedTempFile>) -> Result<Self, ReplayError> {
        let database = |source| ReplayError::Database { path: path.to_owned(), source };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let file = copy.as_ref().map_or(path, |copy| copy.path());
        let connection = Connection::open_with_flags(uri(file), flags).map_err(database)?;
        let columns = column_names(&connection, "states").map_err(database)?;
        let has = |name: &str| columns.contains(name);
        if !has("state")
            || !(has("last_updated_ts") || has("last_updated"))
            || !(has("entity_id") || has("metadata_id"))
        {
            return Err(ReplayError::Format {
                path: path.to_owned(),
                what: "is an SQLite database without Home Assistant's table of states; give home-assistant_v2.db from \
                       the configuration folder"
                    .into(),
            });
        }
        let mut entity_ids = HashMap::new();
        if has("metadata_id") {
            let mut statement =
                connection.prepare("SELECT metadata_id, entity_id FROM states_meta").map_err(database)?;
            let mut rows = statement.query([]).map_err(database)?;
            while let Some(row) = rows.next().map_err(database)? {
                if let Some(entity_id) = row.get::<_, Option<String>>(1).map_err(database)? {
                    entity_ids.insert(row.get(0).map_err(database)?, entity_id);
                }
            }
        }
        Ok(Self { path: path.to_owned(), connection, columns, entity_ids, _copy: copy })
    }

    /// The database, as the user named it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Hands every state to `each`, in the order of `last_updated`. Rows without an entity or a time are passed over.
    ///
    /// # Errors
    /// [`ReplayError::Database`], or what `each` returns.
    pub fn read(&self, each: &mut dyn FnMut(Row<'_>) -> Result<(), ReplayError>) -> Result<(), ReplayError> {
        let database = |source| ReplayError::Database { path: self.path.clone(), source };
        let mut statement = self.connection.prepare(&self.query().map_err(database)?).map_err(database)?;
        let mut shared = self.shared_attributes().map_err(database)?;
        let mut kinds: HashMap<String, (Option<i64>, Attributes)> = HashMap::new();
        let mut rows = statement.query([]).map_err(database)?;
        while let Some(row) = rows.next().map_err(database)? {
            let metadata_id: Option<i64> = row.get(1).map_err(database)?;
            let inline_id: Option<String> = row.get(2).map_err(database)?;
            let known_id = metadata_id.and_then(|id| self.entity_ids.get(&id));
            let Some(entity_id) = known_id.or(inline_id.as_ref().filter(|id| !id.is_empty())) else { continue };
            let seconds: Option<f64> = row.get(4).map_err(database)?;
            let text: Option<String> = row.get(5).map_err(database)?;
            let at = seconds.and_then(Moment::from_seconds).or(text.as_deref().and_then(Moment::from_naive_utc));
            let Some(at) = at else { continue };
            let attributes_id: Option<i64> = row.get(6).map_err(database)?;
            let inline: Option<String> = row.get(7).map_err(database)?;
            if !kinds.contains_key(entity_id) {
                kinds.insert(entity_id.clone(), (None, Attributes::default()));
            }
            let kind = kinds.get_mut(entity_id).expect("inserted above if it was not there");
            if let Some(json) = inline.as_deref().filter(|json| !json.is_empty()) {
                kind.1 = Attributes::parse(json);
            } else if let (Some(id), Some(statement)) = (attributes_id, shared.as_mut())
                && kind.0 != attributes_id
            {
                let json: Option<String> =
                    statement.query_row([id], |row| row.get(0)).optional().map_err(database)?.flatten();
                *kind = (attributes_id, json.as_deref().map(Attributes::parse).unwrap_or_default());
            }
            let state: Option<String> = row.get(3).map_err(database)?;
            let number: i64 = row.get(0).map_err(database)?;
            each(Ok(EventRow {
                at,
                entity_id,
                device_class: &kind.1.device_class,
                unit: &kind.1.unit,
                // A state of NULL says that the entity was removed: a gap.
                state: state.as_deref().unwrap_or_default(),
                line: number.unsigned_abs(),
            }))?;
        }
        Ok(())
    }

    /// One statement for every age: columns that a schema lacks are NULL. Casts keep a column that SQLite typed freely
    /// (a state of `21.5` may come back as a number) to what is read here.
    fn query(&self) -> rusqlite::Result<String> {
        let column = |name: &str, kind: &str| {
            if self.columns.contains(name) { format!("CAST({name} AS {kind})") } else { "NULL".to_owned() }
        };
        let order = if !self.columns.contains("last_updated_ts") {
            "last_updated"
        } else if self.columns.contains("last_updated") && self.any_row_without_seconds()? {
            "COALESCE(last_updated_ts, (julianday(last_updated) - 2440587.5) * 86400.0)"
        } else {
            "last_updated_ts"
        };
        Ok(format!(
            "SELECT state_id, {}, {}, {}, {}, {}, {}, {} FROM states ORDER BY {order}, state_id",
            column("metadata_id", "INTEGER"),
            column("entity_id", "TEXT"),
            column("state", "TEXT"),
            column("last_updated_ts", "REAL"),
            column("last_updated", "TEXT"),
            column("attributes_id", "INTEGER"),
            column("attributes", "TEXT"),
        ))
    }

    /// True while Home Assistant's migration of old rows has not come to its end.
    fn any_row_without_seconds(&self) -> rusqlite::Result<bool> {
        self.connection.prepare("SELECT 1 FROM states WHERE last_updated_ts IS NULL LIMIT 1")?.exists([])
    }

    fn shared_attributes(&self) -> rusqlite::Result<Option<rusqlite::Statement<'_>>> {
        if !self.columns.contains("attributes_id") {
            return Ok(None);
        }
        self.connection
            .prepare("SELECT CAST(shared_attrs AS TEXT) FROM state_attributes WHERE attributes_id = ?1")
            .map(Some)
    }
}

impl Attributes {
    /// The two attributes that are looked at; text that is not JSON, or not a name, counts as absent.
    fn parse(json: &str) -> Self {
        #[derive(Deserialize)]
        struct Named {
            device_class: Option<serde_json::Value>,
            unit_of_measurement: Option<serde_json::Value>,
        }
        let text = |value: Option<serde_json::Value>| match value {
            Some(serde_json::Value::String(text)) => text,
            _ => String::new(),
        };
        serde_json::from_str::<Named>(json).map_or_else(
            |_| Self::default(),
            |named| Self { device_class: text(named.device_class), unit: text(named.unit_of_measurement) },
        )
    }
}

fn column_names(connection: &Connection, table: &str) -> rusqlite::Result<HashSet<String>> {
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
    statement.query_map([table], |row| row.get(0))?.collect()
}

/// SQLite's name for `file`. Without a journal beside it nobody is writing, and `immutable` reads it without touching
/// the folder; with one, a running Home Assistant's last states are in that journal, and SQLite must see it.
fn uri(file: &Path) -> String {
    let text = file.to_string_lossy();
    let mut name = String::with_capacity(text.len() + 32);
    name.push_str("file:");
    for letter in text.chars() {
        match letter {
            '%' => name.push_str("%25"),
            '?' => name.push_str("%3f"),
            '#' => name.push_str("%23"),
            other => name.push(other),
        }
    }
    let written = ["-wal", "-journal"].iter().any(|suffix| {
        let mut beside = file.as_os_str().to_owned();
        beside.push(suffix);
        Path::new(&beside).exists()
    });
    name.push_str(if written { "?mode=ro" } else { "?mode=ro&immutable=1" });
    name
}

#[cfg(test)]
#[path = "recorder_db_tests.rs"]
mod tests;
