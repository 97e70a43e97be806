//! The statements of a dump, and the rows of its tables that are written into a database.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::{self, BufReader, Read};

use rusqlite::types::Value;
use rusqlite::{Connection, Statement, params_from_iter};

use super::layout::looks_like_id;
use super::sql_dump::TABLES;
use super::sql_words::{Word, Words, unescaped};

/// Columns of a row, and values within a value, beyond which a dump is none of Home Assistant's.
const VALUES_MAX: usize = 200;
const DEPTH_MAX: usize = 20;

/// Why loading ended before the end of the dump.
pub(super) enum Stop {
    Read(io::Error),
    /// A statement of unknown form.
    Odd,
    Full,
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

/// Parses the statements of a dump, and loads the rows of known tables.
pub(super) struct Loader<'c, R> {
    pub(super) words: Words<BufReader<R>>,
    connection: &'c Connection,
    /// One for each table and list of columns; a dump has a few.
    pub(super) statements: HashMap<String, Statement<'c>>,
    /// The columns of each table, as the dump has them.
    columns: HashMap<&'static str, Vec<String>>,
    pub(super) rows: HashMap<&'static str, u64>,
    /// Whether it creates tables, so that their names mean something.
    creates: bool,
    pub(super) bad: u64,
    pub(super) first_bad: Option<u64>,
}

impl<'c, R: Read> Loader<'c, R> {
    /// `words` must be at the first statement.
    pub(super) fn new(words: Words<BufReader<R>>, connection: &'c Connection) -> Self {
        Self {
            words,
            connection,
            statements: HashMap::new(),
            columns: HashMap::new(),
            rows: HashMap::new(),
            creates: false,
            bad: 0,
            first_bad: None,
        }
    }
}

impl<R: Read> Loader<'_, R> {
    /// Reads to the end, and writes what is wanted.
    pub(super) fn statements(&mut self) -> Result<(), Stop> {
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

    /// Inserts the known columns of a row.
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

/// The value of a function call in a dump of SQLite.
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
