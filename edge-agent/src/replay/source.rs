//! Where recorded rows come from, whatever the file is: a CSV, a recorder database or a backup, plain or gzipped.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use jiff::tz::TimeZone;

use super::backup::{self, GZIP_MAGIC, Unpacked, is_tar, with_head};
use super::error::{ReplayError, RowFault};
use super::events_csv::EventsCsv;
use super::json_history::{self, JsonHistory};
use super::moment::Moment;
use super::odd::FaultKind;
use super::recorder_db::RecorderDb;
use super::remote_db::RemoteDb;
use super::span::Span;

/// First bytes of an SQLite database.
const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";

/// One recorded state of one entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventRow<'a> {
    /// When it was recorded.
    pub at: Moment,
    /// Home Assistant's id.
    pub entity_id: &'a str,
    /// Home Assistant's device class; empty when it has none.
    pub device_class: &'a str,
    /// Unit of measurement; empty when it has none.
    pub unit: &'a str,
    /// Home Assistant's state class; empty when it has none or the file does not say.
    pub state_class: &'a str,
    /// The state, as text.
    pub state: &'a str,
    /// Line in the file (CSV) or number of the row (database).
    pub line: u64,
}

/// What a reader hands on: a row, or a row that cannot be read.
pub type Row<'a> = Result<EventRow<'a>, RowFault>;

/// Recorded rows, as often as they are asked for.
#[derive(Debug)]
pub struct Source {
    kind: Kind,
    span: Span,
}

#[derive(Debug)]
enum Kind {
    Csv(EventsCsv),
    Json(JsonHistory),
    Recorder(Box<RecorderDb>),
}

impl Source {
    /// From now on rows outside `span` are faults.
    pub fn keep_to(&mut self, span: Span) {
        self.span = span;
    }

    /// Looks at the first bytes of `path` and opens what it is. Times without an offset are UTC, and of any year.
    ///
    /// # Errors
    /// [`ReplayError`] when it cannot be read or is a database without states.
    pub fn open(path: &Path) -> Result<Self, ReplayError> {
        Self::open_in(path, &TimeZone::UTC, Span::all())
    }

    /// As [`Source::open`]; times without an offset are of `zone`, and rows outside `span` are faults.
    ///
    /// # Errors
    /// [`ReplayError`] when it cannot be read or is a database without states.
    pub fn open_in(path: &Path, zone: &TimeZone, span: Span) -> Result<Self, ReplayError> {
        if let Some(server) = RemoteDb::parse(path)? {
            return server.open().map(|db| Self { kind: Kind::Recorder(Box::new(db)), span });
        }
        let read = || ReplayError::read(path);
        let csv = |gzip| Ok(Self { kind: Kind::Csv(EventsCsv::new(path, gzip, zone)), span });
        let recorder = |copy| RecorderDb::open(path, copy).map(|db| Self { kind: Kind::Recorder(Box::new(db)), span });
        let (head, mut file) = with_head(File::open(path).map_err(read())?).map_err(read())?;
        if head.starts_with(SQLITE_MAGIC) {
            return recorder(None);
        }
        if is_tar(&head) {
            return recorder(Some(backup::unpack(path, &mut BufReader::new(file))?));
        }
        if head.starts_with(GZIP_MAGIC) {
            let (head, mut unpacked) = with_head(MultiGzDecoder::new(&mut file)).map_err(read())?;
            if head.starts_with(SQLITE_MAGIC) {
                let copy = Unpacked::new()?;
                copy.fill(path, unpacked, "")?;
                return recorder(Some(copy));
            }
            if is_tar(&head) {
                return recorder(Some(backup::unpack(path, &mut unpacked)?));
            }
            if json_history::is_json(&head) {
                return JsonHistory::open(path, true, zone).map(|json| Self { kind: Kind::Json(json), span });
            }
            return csv(true);
        }
        if head.starts_with(b"SecureTar") {
            let what =
                "is an encrypted part of a backup, which cannot be read; make a backup without encryption".into();
            return Err(ReplayError::Format { path: path.to_owned(), what });
        }
        if json_history::is_json(&head) {
            return JsonHistory::open(path, false, zone).map(|json| Self { kind: Kind::Json(json), span });
        }
        if let Some(what) = foreign(&head) {
            return Err(ReplayError::Format { path: path.to_owned(), what: what.to_owned() });
        }
        csv(false)
    }

    /// Hands every row to `each`, in the order of the source.
    ///
    /// # Errors
    /// What `each` returns, or a [`ReplayError`] of the file itself.
    pub fn read(&self, each: &mut dyn FnMut(Row<'_>) -> Result<(), ReplayError>) -> Result<(), ReplayError> {
        let mut within = |row: Row<'_>| match row {
            Ok(row) => match self.span.fault(row.at) {
                None => each(Ok(row)),
                Some(what) => each(Err(RowFault { line: row.line, kind: FaultKind::Clock, what })),
            },
            Err(fault) => each(Err(fault)),
        };
        match &self.kind {
            Kind::Csv(csv) => csv.read(&mut within),
            Kind::Json(json) => json.read(&mut within),
            Kind::Recorder(database) => database.read(&mut within),
        }
    }

    /// After a reading that failed: whether another reads what can be read of a damaged file, in no order of time.
    #[must_use]
    pub fn salvage(&mut self) -> bool {
        match &mut self.kind {
            Kind::Csv(_) | Kind::Json(_) => false,
            Kind::Recorder(database) => database.salvage(),
        }
    }

    /// The file, as the user named it.
    #[must_use]
    pub fn path(&self) -> &Path {
        match &self.kind {
            Kind::Csv(csv) => csv.path(),
            Kind::Json(json) => json.path(),
            Kind::Recorder(database) => database.path(),
        }
    }

    /// Whether the source says of each entity what it is, so that nothing need be guessed: a recorder does.
    #[must_use]
    pub fn tells_kinds(&self) -> bool {
        matches!(self.kind, Kind::Recorder(_))
    }

    /// What there is to tell of the file itself, after it was read; a line each.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        match &self.kind {
            Kind::Csv(_) | Kind::Json(_) => Vec::new(),
            Kind::Recorder(database) => database.notes(),
        }
    }
}

/// What a file is that is not read as it is, and what to give instead; none for what may be CSV.
fn foreign(head: &[u8]) -> Option<&'static str> {
    let start = head.trim_ascii_start();
    let begins = |words: &[&str]| words.iter().any(|word| start.starts_with(word.as_bytes()));
    if begins(&["BEGIN TRANSACTION", "PRAGMA foreign_keys"]) {
        Some("is a dump of an SQLite database; make a database of it (sqlite3 home.db < FILE) and give that")
    } else if begins(&["-- MariaDB dump", "-- MySQL dump", "/*!", "/*M!", "-- PostgreSQL", "--\n-- PostgreSQL"]) {
        Some(
            "is a dump of a database; load it into one, and give the rows of SELECT m.entity_id, s.state, s.last_updated_ts FROM states s \
             JOIN states_meta m USING (metadata_id) as CSV",
        )
    } else if begins(&["PK\u{3}\u{4}"]) {
        Some("is a zip archive or a spreadsheet; unpack it, or save it as CSV, and give that")
    } else {
        None
    }
}
