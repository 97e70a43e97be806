//! A CSV file of recorded states, of any `Layout`, plain or gzipped.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use flate2::read::MultiGzDecoder;
use jiff::tz::TimeZone;

use super::drawn::{Drawing, Redrawn};
use super::error::{ReplayError, RowFault};
use super::fold::{Folds, Pass};
use super::hole::LastRows;
use super::layout::Layout;
use super::lines::{Fields, Lines, ROW_BYTES_MAX};
use super::number::{self, Decimal};
use super::odd::FaultKind;
use super::source::Row;
use super::stamp::{self, DayOrder};
use super::torn::{CUT_SHORT, Torn};
use super::watch::counted;

#[path = "csv_rows.rs"]
mod rows;
#[path = "csv_times.rs"]
mod times;

/// Largest file in UTF-16, which is unpacked in memory: a spreadsheet saves no more rows than fit into this.
const UTF16_BYTES_MAX: u64 = 512 << 20;
/// How far a file is searched for a date in which the day cannot be a month.
const ORDER_BYTES_MAX: u64 = 256 << 20;
/// Lines above a header that are passed over: a title, a spreadsheet's `sep=;`.
const TITLE_LINES_MAX: usize = 5;
/// Numbers of one way of writing, and none of the other, after which the rest of a file is believed to be alike.
const ALIKE: u64 = 10_000;

type Each<'e> = &'e mut dyn FnMut(Row<'_>) -> Result<(), ReplayError>;
/// Takes the fields of each row, or what is wrong with it; the number of zeros is that of a damaged row.
type EachRecord<'e> =
    &'e mut dyn FnMut(&Layout, Result<&Fields<'_>, (RowFault, usize)>, u64) -> Result<(), ReplayError>;

/// A CSV file of recorded states; read again from its start each time.
#[derive(Debug)]
pub struct EventsCsv {
    path: PathBuf,
    gzip: bool,
    zone: TimeZone,
    /// Found when a date first needs it.
    order: OnceCell<DayOrder>,
    /// Found when a number first needs it.
    decimal: OnceCell<Option<Decimal>>,
    /// Found when a time first needs it.
    doubts: OnceCell<Doubts>,
    noted: Noted,
}

/// Which of the two hours rows are of that clocks show twice, by their lines.
#[derive(Debug, Default)]
struct Doubts {
    passes: HashMap<u64, Pass>,
    /// Rows for which it could not be found out.
    unsure: u64,
    /// Time of the first such row.
    example: String,
}

/// Notes on the file, gathered while it is read.
#[derive(Debug, Default)]
struct Noted {
    /// A time without an offset that was taken as the home's.
    home: RefCell<Option<String>>,
    /// The first time that was taken as UTC.
    utc: RefCell<Option<String>>,
    /// Rows with marks between thousands, and the first of them with what it was read as.
    grouped: Cell<u64>,
    grouping: RefCell<Option<(String, String)>>,
    /// A name, and the id that it was made.
    name: RefCell<Option<(String, String)>>,
    any_id: Cell<bool>,
    cut: Rc<Cell<bool>>,
}

impl EventsCsv {
    /// The file at `path`, gzipped or not; its times without an offset are of `zone`. Nothing is read yet.
    #[must_use]
    pub fn new(path: &Path, gzip: bool, zone: &TimeZone) -> Self {
        Self {
            path: path.to_owned(),
            gzip,
            zone: zone.clone(),
            order: OnceCell::new(),
            decimal: OnceCell::new(),
            doubts: OnceCell::new(),
            noted: Noted::default(),
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Notes on the file, after it was read.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let zone = self.zone.iana_name().unwrap_or("UTC");
        notes.extend(self.noted.home.borrow().as_ref().map(|example| stamp::home_note(example, &self.zone)));
        notes.extend(self.noted.utc.borrow().as_ref().map(|example| stamp::utc_note(example)));
        if let Some(doubts) = self.doubts.get().filter(|doubts| doubts.unsure > 0) {
            notes.push(format!(
                "{} of the hour that clocks in {zone} show twice (`{}`), of which nothing tells which of the two is meant, taken \
                 as gaps; export the times with their offset or in UTC",
                counted(doubts.unsure, "row", "rows"),
                doubts.example
            ));
        }
        if let Some((written, read)) = &*self.noted.grouping.borrow() {
            notes.push(format!(
                "{} with marks between thousands (`{written}` was read as {read})",
                counted(self.noted.grouped.get(), "number", "numbers")
            ));
        }
        if let Some((name, id)) = &*self.noted.name.borrow() {
            notes.push(format!("names were made ids, as Home Assistant makes them (`{name}` is {id})"));
        }
        if self.noted.cut.get() {
            notes.push(CUT_SHORT.to_owned());
        }
        notes
    }

    /// Hands every row to `each`, in the order of the file.
    ///
    /// # Errors
    /// [`ReplayError`] when the file cannot be read, has no header, or `each` fails.
    pub fn read(&self, each: Each<'_>) -> Result<(), ReplayError> {
        self.read_from(self.open()?, each)
    }

    fn open(&self) -> Result<Box<dyn Read>, ReplayError> {
        let file = File::open(&self.path).map_err(ReplayError::read(&self.path))?;
        Ok(if self.gzip { Box::new(Torn::new(MultiGzDecoder::new(file), &self.noted.cut)) } else { Box::new(file) })
    }

    fn read_from(&self, input: impl Read, each: Each<'_>) -> Result<(), ReplayError> {
        self.noted.grouped.set(0);
        let mut last_rows = LastRows::default();
        self.records(input, &mut |layout, record, line| match record {
            Ok(fields) => self.rows(layout, fields, line, &mut |row| {
                if let Ok(row) = &row {
                    last_rows.take(row);
                }
                each(row)
            }),
            Err((fault, zeros)) => {
                each(Err(fault))?;
                if zeros > 0 { last_rows.hole(line, false, each) } else { Ok(()) }
            }
        })
    }

    /// Hands on the rows of the file once more, to find out how it is written. What cannot be read is noted by the other reading.
    fn scan(&self, each: &mut dyn FnMut(&Layout, &Fields<'_>, u64) -> Result<(), ReplayError>) {
        let Ok(input) = self.open() else { return };
        let _ =
            self.records(input, &mut |layout, record, line| record.map_or(Ok(()), |fields| each(layout, fields, line)));
    }

    fn records(&self, input: impl Read, each: EachRecord<'_>) -> Result<(), ReplayError> {
        let mut input = BufReader::new(input);
        let start = input.fill_buf().map_err(ReplayError::read(&self.path))?;
        let Some(little) = utf16(start) else { return self.drawn(input, each) };
        let mut bytes = Vec::new();
        input.take(UTF16_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(ReplayError::read(&self.path))?;
        if bytes.len() as u64 > UTF16_BYTES_MAX {
            let what = "is UTF-16 and larger than 512 MiB; save it as UTF-8".to_owned();
            return Err(ReplayError::TooLarge { path: self.path.clone(), what });
        }
        let unit = |pair: &[u8]| {
            let pair = [pair[0], pair[1]];
            if little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) }
        };
        let text: String = char::decode_utf16(bytes.chunks_exact(2).map(unit))
            .map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect();
        self.drawn(BufReader::new(Cursor::new(text)), each)
    }

    fn drawn(&self, mut input: BufReader<impl Read>, each: EachRecord<'_>) -> Result<(), ReplayError> {
        let start = input.fill_buf().map_err(ReplayError::read(&self.path))?;
        match Drawing::of(&start[..start.len().min(4096)]) {
            Some(drawing) => self.lines(Redrawn::new(input, drawing), each),
            None => self.lines(input, each),
        }
    }

    fn lines(&self, input: impl Read, each: EachRecord<'_>) -> Result<(), ReplayError> {
        let mut lines = Lines::new(input);
        loop {
            if !lines.advance().map_err(ReplayError::read(&self.path))? {
                return Err(ReplayError::Empty(self.path.clone()));
            }
            if !lines.comment() {
                break;
            }
        }
        let (separator, mut layout) = self.header(&mut lines)?;
        if let Layout::Long(columns) = &layout {
            if columns.no_header {
                let fields = lines.fields(separator).map_err(|what| self.fault(&lines, what))?;
                each(&layout, Ok(&fields), lines.number)?;
            }
            lines.limit(ROW_BYTES_MAX);
        }
        while lines.advance().map_err(ReplayError::read(&self.path))? {
            if lines.comment() {
                continue;
            }
            let line = lines.number;
            let fields = match lines.fields(separator) {
                Ok(fields) => fields,
                Err(what) => {
                    let fault = RowFault { of: lines.ids(), ..unreadable(line, what) };
                    each(&layout, Err((fault, lines.zeros())), line)?;
                    continue;
                }
            };
            // Files put one behind the other bring their headers along.
            if layout.repeated(&fields.list)
                && let Ok(again) = Layout::find(&fields.list, "", &self.zone)
            {
                layout = again;
                continue;
            }
            each(&layout, Ok(&fields), line)?;
        }
        Ok(())
    }

    fn fault<R: Read>(&self, lines: &Lines<R>, what: String) -> ReplayError {
        ReplayError::Header { path: self.path.clone(), line: lines.number, what }
    }

    /// The first header among the first few lines, with its separator; the error is that of the first line.
    fn header<R: Read>(&self, lines: &mut Lines<R>) -> Result<(u8, Layout), ReplayError> {
        let mut first = None;
        for _ in 0..=TITLE_LINES_MAX {
            let separator = lines.separator();
            let found =
                lines.fields(separator).and_then(|fields| Layout::find(&fields.list, &lines.quoted(), &self.zone));
            match found {
                Ok(layout) => return Ok((separator, layout)),
                Err(what) => first = first.or(Some(self.fault(lines, what))),
            }
            if !lines.advance().map_err(ReplayError::read(&self.path))? {
                break;
            }
        }
        Err(first.unwrap_or_else(|| ReplayError::Empty(self.path.clone())))
    }

    /// Whether the file's dates begin with the day: by the first date that shows it, else as is usual where the home is.
    fn order(&self) -> DayOrder {
        *self.order.get_or_init(|| self.look_for_order().unwrap_or_else(|| DayOrder::usual_in(&self.zone)))
    }

    fn look_for_order(&self) -> Option<DayOrder> {
        let input = self.open().ok()?;
        let mut bytes = Vec::new();
        input.take(ORDER_BYTES_MAX).read_to_end(&mut bytes).ok()?;
        // The digits of UTF-16, without its zeros, are those of ASCII.
        bytes.retain(|byte| *byte != 0);
        let text = String::from_utf8_lossy(&bytes);
        text.split([',', ';', '\t', '|', '"', '\n', '\r']).find_map(|field| DayOrder::of(field.trim()))
    }

    /// What the file writes before decimals, by the numbers that show it; none where they differ or none does.
    fn decimal(&self) -> Option<Decimal> {
        *self.decimal.get_or_init(|| {
            let (mut points, mut commas) = (0_u64, 0_u64);
            self.scan(&mut |layout, fields, _| {
                rows::cells(layout, fields, &mut |cell| match number::evidence(cell) {
                    Some(Decimal::Point) => points += 1,
                    Some(Decimal::Comma) => commas += 1,
                    None => {}
                });
                // An error is the way to stop; nobody sees it.
                if points.max(commas) >= ALIKE { Err(ReplayError::Empty(self.path.clone())) } else { Ok(()) }
            });
            match (points, commas) {
                (0, 1..) => Some(Decimal::Comma),
                (1.., 0) => Some(Decimal::Point),
                _ => None,
            }
        })
    }

    /// Which of the two hours each row is of that clocks show twice.
    fn doubts(&self) -> &Doubts {
        self.doubts.get_or_init(|| {
            let mut folds = Folds::default();
            let mut doubtful = Vec::new();
            self.scan(&mut |layout, fields, line| {
                self.clocks(layout, fields, &mut |entity, civil, value| {
                    let twice = super::fold::is_doubtful(civil, &self.zone);
                    if twice {
                        doubtful.push((line, civil));
                    }
                    folds.push(line, entity, civil, value, twice);
                });
                Ok(())
            });
            let passes = folds.decide();
            let mut unsure = doubtful.iter().filter(|(line, _)| !passes.contains_key(line));
            let example = unsure.next().map(|(_, civil)| civil.to_string().replace('T', " ")).unwrap_or_default();
            let count = u64::from(!example.is_empty()) + unsure.count() as u64;
            Doubts { passes, unsure: count, example }
        })
    }
}

/// Whether a file that begins so is UTF-16, and its smaller byte first: by its mark, or by the zeros between its letters.
fn utf16(start: &[u8]) -> Option<bool> {
    /// In bytes.
    const LOOKED_AT: usize = 256;
    if start.starts_with(&[0xff, 0xfe]) || start.starts_with(&[0xfe, 0xff]) {
        return Some(start[0] == 0xff);
    }
    let start = &start[..start.len().min(LOOKED_AT) & !1];
    let zeros = |odd: usize| start.iter().skip(odd).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    // Names of columns are of ASCII's letters, nearly all.
    let most = start.len() * 4 / 10;
    (start.len() >= 8 && even.max(odd) >= most && even.min(odd) == 0).then_some(odd > even)
}

fn unreadable(line: u64, what: String) -> RowFault {
    RowFault { line, kind: FaultKind::Unreadable, what, of: Vec::new() }
}

#[cfg(test)]
#[path = "events_csv_tests.rs"]
mod tests;
