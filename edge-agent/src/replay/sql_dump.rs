//! A dump of a recorder's database (`sqlite3 .dump`, `mysqldump`, `pg_dump`, a client's rows as `INSERT`): its tables of states
//! and statistics are loaded into a database in a temporary folder, which is read like any other.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::{self, BufReader, Read};
use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, Statement, params_from_iter};

use super::backup::{UNPACKED_BYTES_MAX, Unpacked};
use super::error::ReplayError;
use super::layout::looks_like_id;
use super::sql_words::{Dialect, Word, Words, unescaped};
use super::watch::counted;

/// The tables that are read, with the columns that are.
const TABLES: [(&str, &[&str]); 5] = [
    (
        "states",
        &[
            "state_id",
            "metadata_id",
            "entity_id",
            "state",
            "last_updated_ts",
            "last_updated",
            "attributes_id",
            "attributes",
        ],
    ),
    ("states_meta", &["metadata_id", "entity_id"]),
    ("state_attributes", &["attributes_id", "shared_attrs"]),
    ("statistics", &["id", "metadata_id", "start_ts", "start", "mean", "state", "sum"]),
    ("statistics_meta", &["id", "statistic_id", "unit_of_measurement"]),
];
/// Bytes of a page of the temporary database.
const PAGE: u64 = 4096;
/// Columns of a row, and values within a value, beyond which a dump is none of Home Assistant's.
const VALUES_MAX: usize = 200;
const DEPTH_MAX: usize = 20;

/// Whether a file that begins so is a dump, and of which dialect.
#[must_use]
pub fn is_dump(head: &[u8]) -> Option<Dialect> {
    let text = String::from_utf8_lossy(head);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let begins = |words: &[&str]| {
        words.iter().any(|word| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word)))
    };
    if text.contains("MySQL dump")
        || text.contains("phpMyAdmin")
        || text.contains("MariaDB dump")
        || begins(&["/*!", "/*M!"])
        || text.contains('`') && begins(&["INSERT ", "CREATE ", "DROP "])
    {
        return Some(Dialect::MySql);
    }
    let standard = [
        "BEGIN TRANSACTION",
        "PRAGMA foreign_keys",
        "-- PostgreSQL",
        "--\n-- PostgreSQL",
        "--\r\n-- PostgreSQL",
        "INSERT INTO ",
        "CREATE TABLE ",
        "COPY ",
        "SET statement_timeout",
    ];
    begins(&standard).then_some(Dialect::Standard)
}

/// What came of a dump.
#[derive(Debug)]
pub struct Loaded {
    /// The database.
    pub database: Unpacked,
    /// What there is to tell, a line each.
    pub notes: Vec<String>,
    /// Whether it says of its entities what they are.
    pub tells_kinds: bool,
}

/// Loads the dump `input`, which comes from `path`.
///
/// # Errors
/// [`ReplayError::Format`] where it has no states, a failed read or write, or [`ReplayError::TooLarge`].
pub fn load(path: &Path, input: impl Read, dialect: Dialect) -> Result<Loaded, ReplayError> {
    let database = Unpacked::new()?;
    let file = database.database();
    let failed = |source| ReplayError::Database { path: path.to_owned(), source };
    let connection = Connection::open(&file).map_err(failed)?;
    connection
        .execute_batch(&format!(
            "PRAGMA page_size = {PAGE}; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA max_page_count = {}; BEGIN;",
            UNPACKED_BYTES_MAX / PAGE
        ))
        .map_err(failed)?;
    for (table, columns) in TABLES {
        let columns: Vec<String> =
            columns.iter().enumerate().map(|(place, column)| declared(table, place, column)).collect();
        connection.execute_batch(&format!("CREATE TABLE {table} ({})", columns.join(", "))).map_err(failed)?;
    }
    let words = Words::new(BufReader::with_capacity(1 << 16, input), dialect);
    let mut loader = Loader {
        words,
        connection: &connection,
        statements: HashMap::new(),
        columns: HashMap::new(),
        rows: HashMap::new(),
        creates: false,
        bad: 0,
        first_bad: None,
    };
    let end = loader.statements();
    let cut = matches!(&end, Err(Stop::Read(error)) if error.kind() == io::ErrorKind::UnexpectedEof);
    let Loader { words, rows, bad, first_bad, statements, .. } = loader;
    drop(statements);
    match end {
        Err(Stop::Read(error)) if !cut => return Err(ReplayError::read(path)(error)),
        Err(Stop::Full) => {
            let what = format!("holds more than {} GiB of states; replay a part of it", UNPACKED_BYTES_MAX >> 30);
            return Err(ReplayError::TooLarge { path: path.to_owned(), what });
        }
        _ => {}
    }
    let count = |table: &str| rows.get(table).copied().unwrap_or_default();
    if count("states") + count("statistics") == 0 {
        let what = "is a dump without Home Assistant's tables of states or statistics; dump states, states_meta and state_attributes";
        return Err(ReplayError::Format { path: path.to_owned(), what: what.to_owned() });
    }
    connection.execute_batch("COMMIT; CREATE INDEX times ON states (last_updated_ts);").map_err(failed)?;
    let inline =
        connection.query_row("SELECT EXISTS (SELECT 1 FROM states WHERE attributes <> '')", [], |row| row.get(0));
    let tells_kinds = count("state_attributes") > 0 || inline.unwrap_or(false);
    let mut notes = vec![format!(
        "read from a dump: {} of {}, {} of statistics",
        counted(count("states"), "state", "states"),
        counted(count("states_meta"), "entity", "entities"),
        counted(count("statistics"), "hour", "hours")
    )];
    if let Some(line) = first_bad {
        notes.push(format!(
            "{} of the dump that cannot be read, passed over (the first at line {line})",
            counted(bad, "statement or row", "statements or rows")
        ));
    }
    if cut {
        notes.push(format!(
            "the dump breaks off within a statement at line {}: the rest is missing; dump it again",
            words.line
        ));
    }
    Ok(Loaded { database, notes, tells_kinds })
}

/// A column with the type that its readers ask for.
fn declared(table: &str, place: usize, column: &str) -> String {
    let number = column.ends_with("_ts") || (table == "statistics" && ["mean", "state", "sum"].contains(&column));
    let kind = if column == "id" || column.ends_with("_id") && !["entity_id", "statistic_id"].contains(&column) {
        if place == 0 { "INTEGER PRIMARY KEY" } else { "INTEGER" }
    } else if number {
        "REAL"
    } else {
        "TEXT"
    };
    format!("{column} {kind}")
}

/// Why loading ended early.
enum Stop {
    Read(io::Error),
    /// A statement that is not understood.
    Odd,
    Full,
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

struct Loader<'c, R> {
    words: Words<BufReader<R>>,
    connection: &'c Connection,
    /// One for each table and list of columns; a dump has a few.
    statements: HashMap<String, Statement<'c>>,
    /// The columns of each table, as the dump has them.
    columns: HashMap<&'static str, Vec<String>>,
    rows: HashMap<&'static str, u64>,
    /// Whether it creates tables, so that their names mean something.
    creates: bool,
    bad: u64,
    first_bad: Option<u64>,
}

impl<R: Read> Loader<'_, R> {
    fn statements(&mut self) -> Result<(), Stop> {
        while let Some(word) = self.words.word()? {
            let Word::Name(name) = word else { continue };
            let done = match name.to_ascii_uppercase().as_str() {
                "INSERT" | "REPLACE" => self.insert(),
                "CREATE" => self.create(),
                "COPY" => self.copy(),
                _ => self.rest(),
            };
            match done {
                Err(Stop::Odd) => {
                    self.count_bad();
                    self.words.skip_line()?;
                }
                done => done?,
            }
        }
        Ok(())
    }

    fn count_bad(&mut self) {
        self.bad += 1;
        self.first_bad.get_or_insert(self.words.line);
    }

    /// Passes over what is left of a statement.
    fn rest(&mut self) -> Result<(), Stop> {
        while let Some(word) = self.words.word()? {
            if word == Word::Mark(b';') {
                break;
            }
        }
        Ok(())
    }

    /// A table's name, behind that of its schema; none for one that is not read.
    fn table(&mut self) -> Result<Option<&'static str>, Stop> {
        let mut name = self.name()?;
        while self.words.peek()? == Some(&Word::Mark(b'.')) {
            self.words.word()?;
            name = self.name()?;
        }
        Ok(TABLES.iter().map(|(table, _)| *table).find(|table| *table == name.to_ascii_lowercase()))
    }

    fn name(&mut self) -> Result<String, Stop> {
        match self.words.word()? {
            Some(Word::Name(name) | Word::Quoted(name)) => Ok(name),
            _ => Err(Stop::Odd),
        }
    }

    fn is_name(&mut self, wanted: &str) -> Result<bool, Stop> {
        Ok(matches!(self.words.peek()?, Some(Word::Name(name)) if name.eq_ignore_ascii_case(wanted)))
    }

    /// `TABLE [IF NOT EXISTS] name (column type …, …)`: the names of the columns in their order.
    fn create(&mut self) -> Result<(), Stop> {
        if !self.is_name("TABLE")? {
            return self.rest();
        }
        self.creates = true;
        self.words.word()?;
        for word in ["IF", "NOT", "EXISTS"] {
            if self.is_name(word)? {
                self.words.word()?;
            }
        }
        let Some(table) = self.table()? else { return self.rest() };
        if self.words.word()? != Some(Word::Mark(b'(')) {
            return Err(Stop::Odd);
        }
        let (mut columns, mut depth, mut first) = (Vec::new(), 1, true);
        while depth > 0 {
            match self.words.word()? {
                None => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Some(Word::Mark(b'(')) => depth += 1,
                Some(Word::Mark(b')')) => depth -= 1,
                Some(Word::Mark(b',')) if depth == 1 => first = true,
                Some(Word::Quoted(name)) if first && depth == 1 => {
                    columns.push(name);
                    first = false;
                }
                Some(Word::Name(name)) if first && depth == 1 => {
                    let constraint =
                        ["PRIMARY", "KEY", "UNIQUE", "CONSTRAINT", "FOREIGN", "CHECK", "INDEX", "FULLTEXT"];
                    if !constraint.iter().any(|word| name.eq_ignore_ascii_case(word)) {
                        columns.push(name);
                    }
                    first = false;
                }
                Some(_) => {}
            }
        }
        self.columns.insert(table, columns);
        self.rest()
    }

    /// `(a, b, c)`.
    fn column_list(&mut self) -> Result<Option<Vec<String>>, Stop> {
        if self.words.peek()? != Some(&Word::Mark(b'(')) {
            return Ok(None);
        }
        self.words.word()?;
        let mut columns = Vec::new();
        loop {
            columns.push(self.name()?);
            match self.words.word()? {
                Some(Word::Mark(b',')) if columns.len() < VALUES_MAX => {}
                Some(Word::Mark(b')')) => return Ok(Some(columns)),
                _ => return Err(Stop::Odd),
            }
        }
    }

    /// `[OR REPLACE] INTO name [(columns)] VALUES (…), (…);`
    fn insert(&mut self) -> Result<(), Stop> {
        loop {
            if self.is_name("INTO")? {
                self.words.word()?;
                break;
            }
            match self.words.word()? {
                Some(Word::Name(_)) => {}
                _ => return Err(Stop::Odd),
            }
        }
        // Rows of a query that a client wrote as statements may be of a table of any name.
        let table = self.table()?;
        let listed = self.column_list()?;
        let of_states = listed.as_ref().is_none_or(|names| names.iter().any(|name| name == "entity_id"));
        let Some(table) = table.or_else(|| (!self.creates && of_states).then_some("states")) else {
            return self.rest();
        };
        if !self.is_name("VALUES")? {
            return Err(Stop::Odd);
        }
        self.words.word()?;
        let mut columns = listed.or_else(|| self.columns.get(table).cloned());
        loop {
            match self.tuple() {
                Ok(values) => {
                    let columns = match &columns {
                        Some(columns) => columns,
                        None => columns.insert(by_looks(&values).ok_or(Stop::Odd)?),
                    };
                    self.keep(table, columns, values)?;
                }
                Err(Stop::Odd) => {
                    self.count_bad();
                    return self.rest();
                }
                Err(stop) => return Err(stop),
            }
            match self.words.word()? {
                Some(Word::Mark(b',')) => {}
                Some(Word::Mark(b';')) | None => return Ok(()),
                Some(_) => return self.rest(),
            }
        }
    }

    fn tuple(&mut self) -> Result<Vec<Value>, Stop> {
        if self.words.word()? != Some(Word::Mark(b'(')) {
            return Err(Stop::Odd);
        }
        let mut values = Vec::new();
        loop {
            values.push(self.value(0)?);
            match self.words.word()? {
                Some(Word::Mark(b',')) if values.len() < VALUES_MAX => {}
                Some(Word::Mark(b')')) => return Ok(values),
                None => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                _ => return Err(Stop::Odd),
            }
        }
    }

    /// A literal, or a call that writes one otherwise: `replace('a\nb','\n',char(10))`.
    fn value(&mut self, depth: usize) -> Result<Value, Stop> {
        let value = match self.words.word()? {
            Some(Word::Text(text)) => Value::Text(text),
            Some(Word::Number(number)) => match (number.parse::<i64>(), number.parse::<f64>()) {
                (Ok(whole), _) => Value::Integer(whole),
                (_, Ok(real)) => Value::Real(real),
                _ => Value::Null,
            },
            Some(Word::Name(name)) if self.words.peek()? == Some(&Word::Mark(b'(')) && depth < DEPTH_MAX => {
                self.words.word()?;
                let mut values = Vec::new();
                while self.words.peek()? != Some(&Word::Mark(b')')) {
                    values.push(self.value(depth + 1)?);
                    if self.words.peek()? == Some(&Word::Mark(b',')) {
                        self.words.word()?;
                    } else if self.words.peek()? != Some(&Word::Mark(b')')) {
                        return Err(Stop::Odd);
                    }
                }
                self.words.word()?;
                called(&name, &values)
            }
            Some(Word::Name(name)) => match name.to_ascii_uppercase().as_str() {
                "TRUE" => Value::Integer(1),
                "FALSE" => Value::Integer(0),
                _ => Value::Null,
            },
            None => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            _ => return Err(Stop::Odd),
        };
        Ok(value)
    }

    /// `name (columns) FROM stdin;` and a row a line, to a line of `\.`.
    fn copy(&mut self) -> Result<(), Stop> {
        let table = self.table()?;
        let listed = self.column_list()?;
        self.rest()?;
        self.words.skip_line()?;
        let columns = listed.or_else(|| table.and_then(|table| self.columns.get(table).cloned())).unwrap_or_default();
        loop {
            let Some(line) = self.words.raw_line()? else {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            };
            if line == "\\." {
                return Ok(());
            }
            let Some(table) = table else { continue };
            let values: Vec<Value> = line.split('\t').map(copied).collect();
            if values.len() == columns.len() {
                self.keep(table, &columns, values)?;
            } else {
                self.count_bad();
            }
        }
    }

    /// Writes the columns that are read.
    fn keep(&mut self, table: &'static str, columns: &[String], values: Vec<Value>) -> Result<(), Stop> {
        if columns.len() != values.len() {
            self.count_bad();
            return Ok(());
        }
        let wanted = TABLES.iter().find(|(name, _)| *name == table).map_or(&[][..], |(_, columns)| columns);
        let (names, values): (Vec<&str>, Vec<Value>) =
            columns.iter().map(String::as_str).zip(values).filter(|(name, _)| wanted.contains(name)).unzip();
        if names.is_empty() {
            return Ok(());
        }
        let places = vec!["?"; names.len()].join(", ");
        let insert = format!("INSERT OR REPLACE INTO {table} ({}) VALUES ({places})", names.join(", "));
        let statement = match self.statements.entry(insert) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let Ok(statement) = self.connection.prepare(place.key()) else { return Err(Stop::Odd) };
                place.insert(statement)
            }
        };
        let kept = statement.execute(params_from_iter(values));
        match kept {
            Ok(_) => *self.rows.entry(table).or_default() += 1,
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull) => return Err(Stop::Full),
            Err(_) => self.count_bad(),
        }
        Ok(())
    }
}

/// What a call of SQLite's dump says.
fn called(name: &str, values: &[Value]) -> Value {
    let text = |place: usize| match values.get(place) {
        Some(Value::Text(text)) => Some(text.as_str()),
        _ => None,
    };
    match (name.to_ascii_lowercase().as_str(), values) {
        ("char", [Value::Integer(letter)]) => u32::try_from(*letter)
            .ok()
            .and_then(char::from_u32)
            .map_or(Value::Null, |letter| Value::Text(letter.into())),
        ("replace", _) => match (text(0), text(1), text(2)) {
            (Some(whole), Some(from), Some(to)) => Value::Text(whole.replace(from, to)),
            _ => Value::Null,
        },
        // A letter that cannot be seen is of no state.
        ("unistr", _) => text(0).map_or(Value::Null, |text| Value::Text(text.to_owned())),
        _ => Value::Null,
    }
}

/// A value of a line of `COPY`.
fn copied(field: &str) -> Value {
    if field == "\\N" {
        return Value::Null;
    }
    let mut bytes = Vec::with_capacity(field.len());
    let mut letters = field.bytes();
    while let Some(byte) = letters.next() {
        bytes.push(if byte == b'\\' { letters.next().map_or(b'\\', unescaped) } else { byte });
    }
    Value::Text(String::from_utf8_lossy(&bytes).into_owned())
}

/// The columns of a query's row, by their looks: an id, a time, a state.
fn by_looks(values: &[Value]) -> Option<Vec<String>> {
    const SECONDS_MIN: f64 = 1e9;
    let is_id = |value: &Value| matches!(value, Value::Text(text) if looks_like_id(text));
    let is_seconds = |value: &Value| match value {
        Value::Real(number) => *number > SECONDS_MIN,
        Value::Integer(number) => *number > SECONDS_MIN as i64,
        _ => false,
    };
    let is_date = |value: &Value| matches!(value, Value::Text(text) if super::stamp::is_of_a_table(text));
    let entity = values.iter().position(is_id)?;
    let time = values.iter().position(|value| is_seconds(value) || is_date(value))?;
    let state = (0..values.len()).find(|place| *place != entity && *place != time)?;
    let mut columns = vec![String::new(); values.len()];
    columns[entity] = "entity_id".into();
    columns[time] = if is_seconds(&values[time]) { "last_updated_ts" } else { "last_updated" }.into();
    columns[state] = "state".into();
    Some(columns)
}

#[cfg(test)]
#[path = "sql_dump_tests.rs"]
mod tests;
