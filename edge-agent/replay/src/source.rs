//! Where recorded rows come from, whatever the file is: a CSV, a recorder database or a backup, plain or gzipped.

use std::cell::Cell;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use flate2::read::MultiGzDecoder;
use jiff::tz::TimeZone;

use super::backup::{self, GZIP_MAGIC, Unpacked, is_tar, with_head};
use super::error::{ReplayError, RowFault};
use super::events_csv::EventsCsv;
use super::foreign::{self, not_a_folder};
use super::json_history::{self, JsonHistory};
use super::moment::Moment;
use super::odd::FaultKind;
use super::recorder_db::RecorderDb;
use super::remote_db::RemoteDb;
use super::span::Span;
use super::sql_dump;
use super::torn::{CUT_SHORT, Torn};

/// First bytes of an SQLite database.
const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";

/// A recorded state.
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
    /// Home Assistant's state class; empty when it has none or the file does not hold it.
    pub state_class: &'a str,
    /// As recorded; not parsed.
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
    /// Whether the file holds class and unit of its entities.
    tells_kinds: bool,
    /// What was found when it was opened.
    notes: Vec<String>,
}

#[derive(Debug)]
enum Kind {
    Csv(Box<EventsCsv>),
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
            return server.open().map(|db| Self::of(Kind::Recorder(Box::new(db)), span));
        }
        not_a_folder(path)?;
        let read = || ReplayError::read(path);
        let csv = |gzip| Ok(Self::of(Kind::Csv(Box::new(EventsCsv::new(path, gzip, zone))), span));
        let json = |gzip| JsonHistory::open(path, gzip, zone).map(|json| Self::of(Kind::Json(json), span));
        let recorder = |copy| RecorderDb::open(path, copy).map(|db| Self::of(Kind::Recorder(Box::new(db)), span));
        let dump = |input: &mut dyn Read, dialect| {
            let loaded = sql_dump::load(path, input, dialect)?;
            let source = recorder(Some(loaded.database))?;
            Ok(Self { tells_kinds: loaded.tells_kinds, notes: loaded.notes, ..source })
        };
        let (head, mut file) = with_head(File::open(path).map_err(read())?).map_err(read())?;
        if head.starts_with(SQLITE_MAGIC) {
            return recorder(None);
        }
        if is_tar(&head) {
            return recorder(Some(backup::unpack(path, &mut BufReader::new(file))?));
        }
        if head.starts_with(GZIP_MAGIC) {
            let cut = Rc::new(Cell::new(false));
            let packed = Torn::new(MultiGzDecoder::new(&mut file), &cut);
            let (head, mut unpacked) = with_head(packed).map_err(read())?;
            // What stands before the break is read, and the break is noted.
            let with_notes = |source: Self| {
                let notes = if cut.get() { vec![CUT_SHORT.to_owned()] } else { Vec::new() };
                Self { notes: [notes, source.notes.clone()].concat(), ..source }
            };
            if head.starts_with(SQLITE_MAGIC) {
                let copy = Unpacked::new()?;
                copy.fill(path, unpacked, "")?;
                return recorder(Some(copy)).map(with_notes);
            }
            if is_tar(&head) {
                return recorder(Some(backup::unpack(path, &mut unpacked)?)).map(with_notes);
            }
            if let Some(dialect) = sql_dump::is_dump(&head) {
                return dump(&mut unpacked, dialect).map(with_notes);
            }
            if json_history::is_json(&head) {
                return json(true);
            }
            if let Some(what) = foreign::named(&head) {
                return Err(ReplayError::Format { path: path.to_owned(), what: format!("is gzipped, and {what}") });
            }
            return csv(true);
        }
        if head.starts_with(b"SecureTar") {
            let what =
                "is an encrypted part of a backup, which cannot be read; make a backup without encryption".into();
            return Err(ReplayError::Format { path: path.to_owned(), what });
        }
        if let Some(what) = foreign::named(&head) {
            return Err(ReplayError::Format { path: path.to_owned(), what });
        }
        if json_history::is_json(&head) {
            return json(false);
        }
        if let Some(dialect) = sql_dump::is_dump(&head) {
            return dump(&mut file, dialect);
        }
        csv(false)
    }

    fn of(kind: Kind, span: Span) -> Self {
        let tells_kinds = matches!(kind, Kind::Recorder(_));
        Self { kind, span, tells_kinds, notes: Vec::new() }
    }

    /// Hands every row to `each`, in the order of the source.
    ///
    /// # Errors
    /// What `each` returns, or a [`ReplayError`] of the file itself.
    pub fn read(&self, each: &mut dyn FnMut(Row<'_>) -> Result<(), ReplayError>) -> Result<(), ReplayError> {
        let mut within = |row: Row<'_>| match row {
            Ok(row) => match self.span.fault(row.at) {
                None => each(Ok(row)),
                Some(what) => each(Err(RowFault { line: row.line, kind: FaultKind::Clock, what, of: Vec::new() })),
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

    /// Whether the source holds class and unit of each entity, so that nothing need be guessed: a recorder does.
    #[must_use]
    pub fn tells_kinds(&self) -> bool {
        self.tells_kinds
    }

    /// Whether the source holds one state of each entity, and so no history.
    #[must_use]
    pub fn one_moment(&self) -> bool {
        matches!(&self.kind, Kind::Json(json) if json.one_moment())
    }

    /// Notes on the file itself, after it was read; one line each.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let of_reading = match &self.kind {
            Kind::Csv(csv) => csv.notes(),
            Kind::Json(json) => json.notes(),
            Kind::Recorder(database) => database.notes(),
        };
        [self.notes.clone(), of_reading].concat()
    }
}
