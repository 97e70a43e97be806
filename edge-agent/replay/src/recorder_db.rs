//! Home Assistant's recorder database, read only: from the tables of 2018 to those of 2026.11, told apart by columns.
//!
//! In 2018 a row of `states` held everything: the entity's id, its attributes as JSON and naive UTC times as text. Since
//! then ids moved to `states_meta`, attributes (shared between rows) to `state_attributes`, and times became float
//! seconds in `last_updated_ts`. A database that was migrated holds rows of several ages, so each row is read by what it
//! has rather than by the schema's number.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Statement};

use super::attributes::Attributes;
use super::backup::{JOURNAL_SUFFIXES, Unpacked};
use super::error::ReplayError;
use super::hole::LastRows;
use super::moment::Moment;
use super::salvage::{self, Reached};
use super::source::{EventRow, Row};
use super::statistics::{Feed, Statistics};
use super::watch;

/// Seconds without a state, behind a tear, that are a hole in the recording: three steps.
const HOLE_SECONDS: i64 = 1800;

type Each<'e> = &'e mut dyn FnMut(Row<'_>) -> Result<(), ReplayError>;

/// Opened for reading only.
#[derive(Debug)]
pub struct RecorderDb {
    path: PathBuf,
    pub(super) connection: Connection,
    pub(super) columns: HashSet<String>,
    /// `states_meta`: a home has hundreds of entities, so all of them fit in memory.
    pub(super) entity_ids: HashMap<i64, String>,
    salvaging: bool,
    /// Hundredths of the file that are missing at its end.
    missing: Option<u64>,
    /// Places of the table of states that could not be read.
    torn: Cell<u64>,
    /// Rows of long-term statistics that were read.
    statistics: Cell<u64>,
    /// The unpacked copy, if there is one; deleted with this value.
    _copy: Option<Unpacked>,
}

/// The last known attributes of each entity, with their number where rows share them.
type Kinds = HashMap<String, (Option<i64>, Attributes)>;

impl RecorderDb {
    /// Opens the database in its unpacked `copy`, or at `path` itself.
    ///
    /// # Errors
    /// [`ReplayError::Database`] when SQLite cannot read it; [`ReplayError::Format`] when it has no states.
    pub fn open(path: &Path, copy: Option<Unpacked>) -> Result<Self, ReplayError> {
        let database = |source| ReplayError::Database { path: path.to_owned(), source };
        let (connection, copy) = connect(path, copy)?;
        let missing = missing_share(&copy.as_ref().map_or_else(|| path.to_owned(), Unpacked::database));
        let columns = column_names(&connection, "states").map_err(database)?;
        let has = |name: &str| columns.contains(name);
        if !has("state")
            || !(has("last_updated_ts") || has("last_updated"))
            || !(has("entity_id") || has("metadata_id"))
        {
            if let Some(missing) = missing {
                let what = format!("is cut short: {missing} % of the database are missing at its end; copy it again");
                return Err(ReplayError::Format { path: path.to_owned(), what });
            }
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
            // Of a torn table the entities before the tear are known.
            while let Ok(Some(row)) = rows.next() {
                if let (Ok(id), Ok(Some(entity_id))) = (row.get(0), text(row, 1)) {
                    entity_ids.insert(id, entity_id);
                }
            }
        }
        Ok(Self {
            path: path.to_owned(),
            connection,
            columns,
            entity_ids,
            salvaging: false,
            missing,
            torn: Cell::new(0),
            statistics: Cell::new(0),
            _copy: copy,
        })
    }

    /// The database, as the user named it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// From now on reads around damaged pages, in no order of time; false when it does so already.
    pub fn salvage(&mut self) -> bool {
        !std::mem::replace(&mut self.salvaging, true)
    }

    /// Notes after a reading.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(missing) = self.missing.filter(|_| self.salvaging) {
            notes.push(format!(
                "the database is cut short: {missing} % of it are missing at its end, and what they held with them; copy it again"
            ));
        }
        if self.salvaging {
            notes.push(format!(
                "the database is damaged: what can be read was, except for {} of it",
                watch::counted(self.torn.get(), "place", "places")
            ));
        }
        if self.statistics.get() > 0 {
            notes.push(format!(
                "{} of long-term statistics, from before the first state of their entities",
                watch::counted(self.statistics.get(), "hour", "hours")
            ));
        }
        notes
    }

    /// Hands every state to `each`, in the order of `last_updated`, and among them the long-term statistics of the time
    /// before an entity's first state. Rows without an entity or a time are passed over.
    ///
    /// # Errors
    /// [`ReplayError::Database`], or what `each` returns.
    pub fn read(&self, each: Each<'_>) -> Result<(), ReplayError> {
        let database = |source| ReplayError::Database { path: self.path.clone(), source };
        let statistics = Statistics::of(self);
        let mut before = statistics.query(self);
        let mut feed = Feed::new(&statistics, before.as_mut());
        if self.salvaging {
            feed.rest(each)?;
            self.statistics.set(feed.handed);
            return self.read_around(each);
        }
        let mut statement = self.connection.prepare(&self.query("").map_err(database)?).map_err(database)?;
        let mut shared = self.shared_attributes().map_err(database)?;
        let mut kinds = Kinds::new();
        let mut rows = statement.query([]).map_err(database)?;
        while let Some(row) = rows.next().map_err(database)? {
            self.state(row, &mut kinds, shared.as_mut(), &mut |row| {
                feed.until(row.at, each)?;
                each(Ok(row))
            })?;
        }
        feed.rest(each)?;
        self.statistics.set(feed.handed);
        Ok(())
    }

    /// Reads the table of states by number, beginning anew behind each page that cannot be read.
    fn read_around(&self, each: Each<'_>) -> Result<(), ReplayError> {
        let database = |source| ReplayError::Database { path: self.path.clone(), source };
        let query = self.query("WHERE state_id >= ?1 ORDER BY state_id").map_err(database)?;
        let mut statement = self.connection.prepare(&query).map_err(database)?;
        let mut shared = self.shared_attributes().unwrap_or_default();
        let mut kinds = Kinds::new();
        let mut last_rows = LastRows::default();
        let mut first = true;
        let torn = salvage::walk(&mut |from| {
            let mut last = None;
            let mut behind_a_tear = !std::mem::take(&mut first);
            let Ok(mut rows) = statement.query([from]) else { return Ok(Reached { last, torn: true }) };
            loop {
                match rows.next() {
                    Ok(Some(row)) => {
                        last = row.get(0).ok().or(last);
                        self.state(row, &mut kinds, shared.as_mut(), &mut |row| {
                            // What was lost in a tear is a gap, where it was more than a few states.
                            if std::mem::take(&mut behind_a_tear) && last_rows.silence(row.at) > HOLE_SECONDS {
                                last_rows.hole(row.line, true, each)?;
                            }
                            last_rows.take(&row);
                            each(Ok(row))
                        })?;
                    }
                    Ok(None) => return Ok(Reached { last, torn: false }),
                    Err(_) => return Ok(Reached { last, torn: true }),
                }
            }
        })?;
        self.torn.set(torn);
        Ok(())
    }

    /// Hands on one row of the table of states.
    fn state(
        &self,
        row: &rusqlite::Row<'_>,
        kinds: &mut Kinds,
        shared: Option<&mut Statement<'_>>,
        each: &mut dyn FnMut(EventRow<'_>) -> Result<(), ReplayError>,
    ) -> Result<(), ReplayError> {
        let database = |source| ReplayError::Database { path: self.path.clone(), source };
        let metadata_id: Option<i64> = row.get(1).map_err(database)?;
        let inline_id = text(row, 2).map_err(database)?;
        let known_id = metadata_id.and_then(|id| self.entity_ids.get(&id));
        let Some(entity_id) = known_id.or(inline_id.as_ref().filter(|id| !id.is_empty())) else { return Ok(()) };
        let seconds: Option<f64> = row.get(4).map_err(database)?;
        let naive = text(row, 5).map_err(database)?;
        let at = seconds.and_then(Moment::from_seconds).or(naive.as_deref().and_then(Moment::from_naive_utc));
        let Some(at) = at else { return Ok(()) };
        let attributes_id: Option<i64> = row.get(6).map_err(database)?;
        let inline = text(row, 7).map_err(database)?;
        if !kinds.contains_key(entity_id) {
            kinds.insert(entity_id.clone(), (None, Attributes::default()));
        }
        let kind = kinds.get_mut(entity_id).expect("inserted above if it was not there");
        if let Some(json) = inline.as_deref().filter(|json| !json.is_empty()) {
            kind.1 = Attributes::parse(json);
        } else if let (Some(id), Some(statement)) = (attributes_id, shared)
            && kind.0 != attributes_id
            // Where the table of attributes is torn, the entity stays what it was.
            && let Ok(json) = statement.query_row([id], |row| text(row, 0)).optional()
        {
            *kind = (attributes_id, json.flatten().as_deref().map(Attributes::parse).unwrap_or_default());
        }
        let state = text(row, 3).map_err(database)?;
        let number: i64 = row.get(0).map_err(database)?;
        each(EventRow {
            at,
            entity_id,
            device_class: &kind.1.device_class,
            unit: &kind.1.unit,
            state_class: &kind.1.state_class,
            // A state of NULL means that the entity was removed: a gap.
            state: state.as_deref().unwrap_or_default(),
            line: number.unsigned_abs(),
        })
    }

    /// One statement for every age: columns that a schema lacks are NULL. Casts keep a column that SQLite typed freely
    /// (a state of `21.5` may come back as a number) to what is read here.
    fn query(&self, which: &str) -> rusqlite::Result<String> {
        let by_time = if !which.is_empty() {
            return Ok(self.select(which));
        } else if !self.columns.contains("last_updated_ts") {
            "last_updated"
        } else if self.columns.contains("last_updated") && self.any_row_without_seconds()? {
            "COALESCE(last_updated_ts, (julianday(last_updated) - 2440587.5) * 86400.0)"
        } else {
            "last_updated_ts"
        };
        Ok(self.select(&format!("ORDER BY {by_time}, state_id")))
    }

    fn select(&self, which: &str) -> String {
        let column = |name: &str, kind: &str| {
            if self.columns.contains(name) { format!("CAST({name} AS {kind})") } else { "NULL".to_owned() }
        };
        format!(
            "SELECT state_id, {}, {}, {}, {}, {}, {}, {} FROM states {which}",
            column("metadata_id", "INTEGER"),
            column("entity_id", "TEXT"),
            column("state", "TEXT"),
            column("last_updated_ts", "REAL"),
            column("last_updated", "TEXT"),
            column("attributes_id", "INTEGER"),
            column("attributes", "TEXT"),
        )
    }

    /// True while Home Assistant's migration of old rows has not come to its end.
    fn any_row_without_seconds(&self) -> rusqlite::Result<bool> {
        self.connection.prepare("SELECT 1 FROM states WHERE last_updated_ts IS NULL LIMIT 1")?.exists([])
    }

    fn shared_attributes(&self) -> rusqlite::Result<Option<Statement<'_>>> {
        if !self.columns.contains("attributes_id") {
            return Ok(None);
        }
        self.connection
            .prepare("SELECT CAST(shared_attrs AS TEXT) FROM state_attributes WHERE attributes_id = ?1")
            .map(Some)
    }
}

/// How many hundredths of a database are missing at the end of `file`, by the pages that its first bytes count; none where
/// all are there.
fn missing_share(file: &Path) -> Option<u64> {
    /// Bytes up to the number of pages.
    const HEAD: usize = 32;
    let mut head = [0; HEAD];
    let mut input = File::open(file).ok()?;
    input.read_exact(&mut head).ok()?;
    let page = match u16::from_be_bytes([head[16], head[17]]) {
        1 => 65_536,
        bytes => u64::from(bytes),
    };
    let whole = page * u64::from(u32::from_be_bytes([head[28], head[29], head[30], head[31]]));
    let here = input.metadata().ok()?.len();
    (here < whole).then(|| ((whole - here) * 100).div_ceil(whole))
}

pub(super) fn column_names(connection: &Connection, table: &str) -> rusqlite::Result<HashSet<String>> {
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
    statement.query_map([table], |row| row.get(0))?.collect()
}

/// Text as it stands, and numbers as text; bytes that are not UTF-8 are replaced.
pub(super) fn text(row: &rusqlite::Row<'_>, place: usize) -> rusqlite::Result<Option<String>> {
    Ok(match row.get_ref(place)? {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
    })
}

/// Opens the database at `path`, or its copy. With a journal beside it, a running Home Assistant's last states are in
/// that journal and SQLite must see it; it needs to write beside it for that, so from a folder that it may not write to
/// both are copied first.
fn connect(path: &Path, copy: Option<Unpacked>) -> Result<(Connection, Option<Unpacked>), ReplayError> {
    let database = |source| ReplayError::Database { path: path.to_owned(), source };
    if let Some(copy) = copy {
        return Ok((open(&copy.database(), Mode::Own).map_err(database)?, Some(copy)));
    }
    let journals: Vec<(&str, PathBuf)> = JOURNAL_SUFFIXES
        .iter()
        .map(|suffix| {
            let mut beside = path.as_os_str().to_owned();
            beside.push(suffix);
            (*suffix, PathBuf::from(beside))
        })
        .filter(|(_, beside)| std::fs::metadata(beside).is_ok_and(|file| file.len() > 0))
        .collect();
    if journals.is_empty() {
        return Ok((open(path, Mode::Still).map_err(database)?, None));
    }
    if let Ok(connection) = open(path, Mode::Written) {
        return Ok((connection, None));
    }
    let copy = copied(path, &journals)?;
    Ok((open(&copy.database(), Mode::Own).map_err(database)?, Some(copy)))
}

/// A copy of the database and its journals.
fn copied(path: &Path, journals: &[(&str, PathBuf)]) -> Result<Unpacked, ReplayError> {
    let copy = Unpacked::new()?;
    copy.fill(path, File::open(path).map_err(ReplayError::read(path))?, "")?;
    for (suffix, beside) in journals {
        copy.fill(beside, File::open(beside).map_err(ReplayError::read(beside))?, suffix)?;
    }
    Ok(copy)
}

/// Who else has to do with a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Nobody: it is read without touching its folder.
    Still,
    /// It may be that Home Assistant runs and writes to it.
    Written,
    /// It is a copy that nobody else knows.
    Own,
}

fn open(file: &Path, mode: Mode) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match mode {
        Mode::Still => uri(file, "mode=ro&immutable=1", flags | OpenFlags::SQLITE_OPEN_READ_ONLY),
        Mode::Written => uri(file, "mode=ro", flags | OpenFlags::SQLITE_OPEN_READ_ONLY),
        Mode::Own => uri(file, "mode=rw", flags | OpenFlags::SQLITE_OPEN_READ_WRITE),
    }?;
    // Nothing is written; this lets SQLite read what there is of a file that was cut short.
    connection.pragma_update(None, "writable_schema", true)?;
    connection.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()))?;
    Ok(connection)
}

fn uri(file: &Path, parameters: &str, flags: OpenFlags) -> rusqlite::Result<Connection> {
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
    name.push('?');
    name.push_str(parameters);
    Connection::open_with_flags(name, flags)
}

#[cfg(test)]
#[path = "recorder_db_tests.rs"]
mod tests;
