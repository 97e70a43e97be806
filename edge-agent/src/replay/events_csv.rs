//! A CSV file of recorded states, of any `Layout`, plain or gzipped.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use hearthwatch_model::unit::Unit;
use jiff::tz::TimeZone;

use super::error::{ReplayError, RowFault};
use super::guess;
use super::layout::{Columns, Intervals, Layout, TimeColumn};
use super::lines::{Fields, Lines, ROW_BYTES_MAX};
use super::moment::Moment;
use super::odd::FaultKind;
use super::source::{EventRow, Row};
use super::stamp::{self, DayOrder};

/// Longest entity id, as in Home Assistant's own tables.
const ENTITY_ID_BYTES_MAX: usize = 255;
/// Largest file in UTF-16, which is unpacked in memory: a spreadsheet saves no more rows than fit into this.
const UTF16_BYTES_MAX: u64 = 512 << 20;
/// How far a file is searched for a date that tells the day from the month.
const ORDER_BYTES_MAX: u64 = 256 << 20;
/// Lines above a header that are passed over: a title, a spreadsheet's `sep=;`.
const TITLE_LINES_MAX: usize = 5;

type Each<'e> = &'e mut dyn FnMut(Row<'_>) -> Result<(), ReplayError>;

/// A CSV file of recorded states; read again from its start each time.
#[derive(Debug)]
pub struct EventsCsv {
    path: PathBuf,
    gzip: bool,
    zone: TimeZone,
    /// Found once a date needs it.
    order: OnceCell<DayOrder>,
}

impl EventsCsv {
    /// The file at `path`, gzipped or not; its times without an offset are of `zone`. Nothing is read yet.
    #[must_use]
    pub fn new(path: &Path, gzip: bool, zone: &TimeZone) -> Self {
        Self { path: path.to_owned(), gzip, zone: zone.clone(), order: OnceCell::new() }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Hands every row to `each`, in the order of the file.
    ///
    /// # Errors
    /// [`ReplayError`] when the file cannot be read, has no header, or `each` says so.
    pub fn read(&self, each: Each<'_>) -> Result<(), ReplayError> {
        let file = File::open(&self.path).map_err(ReplayError::read(&self.path))?;
        if self.gzip { self.read_from(MultiGzDecoder::new(file), each) } else { self.read_from(file, each) }
    }

    fn read_from(&self, input: impl Read, each: Each<'_>) -> Result<(), ReplayError> {
        let mut input = BufReader::new(input);
        let start = input.fill_buf().map_err(ReplayError::read(&self.path))?;
        let little = start.starts_with(&[0xff, 0xfe]);
        if !little && !start.starts_with(&[0xfe, 0xff]) {
            return self.read_lines(input, each);
        }
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
        self.read_lines(Cursor::new(text), each)
    }

    fn read_lines(&self, input: impl Read, each: Each<'_>) -> Result<(), ReplayError> {
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
                self.rows(&layout, &fields, lines.number, each)?;
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
                    each(Err(unreadable(line, what)))?;
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
            self.rows(&layout, &fields, line, each)?;
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

    /// Hands on the rows that one line holds: one, or one for each of its columns.
    fn rows(&self, layout: &Layout, fields: &Fields<'_>, line: u64, each: Each<'_>) -> Result<(), ReplayError> {
        match layout {
            Layout::Long(columns) => self.long(columns, fields, line, each),
            Layout::Intervals(intervals) => intervals_row(intervals, fields, line, each),
            Layout::Wide { time, entities } => {
                let at = match self.time(*time, &fields.list) {
                    Ok(at) => at,
                    Err(what) => return each(Err(unreadable(line, what))),
                };
                for (place, entity_id) in entities {
                    // Nothing written is no news: such files hold a row for every moment of any entity.
                    let Some(state) = fields.list.get(*place).filter(|state| !state.is_empty()) else { continue };
                    let (state, unit) = part_unit(state, "");
                    let device_class =
                        if unit.is_empty() { "" } else { guess::class_in(entity_id, unit).unwrap_or_default() };
                    each(Ok(EventRow { at, entity_id, device_class, unit, state_class: "", state, line }))?;
                }
                Ok(())
            }
        }
    }

    fn long(&self, columns: &Columns, fields: &Fields<'_>, line: u64, each: Each<'_>) -> Result<(), ReplayError> {
        let list = &fields.list;
        // InfluxDB keeps attributes beside the state.
        if let Some(field) = columns.field.and_then(|place| list.get(place))
            && !["value", "state", ""].contains(&field.as_ref())
        {
            return Ok(());
        }
        let (at, short_id, device_class, unit, state) = match self.columns(columns, list) {
            Ok(row) => row,
            Err(what) => return each(Err(unreadable(line, what))),
        };
        let domain = columns.domain.and_then(|place| list.get(place)).filter(|domain| !domain.is_empty());
        let entity_id = match domain {
            Some(domain) if !short_id.contains('.') => Cow::Owned(format!("{domain}.{short_id}")),
            _ => Cow::Borrowed(short_id),
        };
        if let Err(what) = checked_id(&entity_id, fields.utf8) {
            return each(Err(unreadable(line, what)));
        }
        let (mut device_class, unit) =
            if columns.field.is_some() { measured(device_class, unit) } else { (device_class, unit) };
        let (state, unit) = part_unit(state, unit);
        if device_class.is_empty() && columns.device_class.is_none() && !unit.is_empty() {
            device_class = guess::class_in(&entity_id, unit).unwrap_or_default();
        }
        let state_class = columns.state_class.and_then(|place| list.get(place)).map_or("", AsRef::as_ref);
        each(Ok(EventRow { at, entity_id: &entity_id, device_class, unit, state_class, state, line }))
    }

    fn columns<'a>(
        &self,
        columns: &Columns,
        list: &'a [Cow<'_, str>],
    ) -> Result<(Moment, &'a str, &'a str, &'a str, &'a str), String> {
        let optional = |place: Option<usize>, name: &str| place.map_or(Ok(""), |place| text(list, place, name));
        let at = self.time(columns.time, list)?;
        let entity_id = text(list, columns.entity_id, "entity_id")?;
        let device_class = optional(columns.device_class, "device_class")?;
        let unit = optional(columns.unit, "unit")?;
        let mut state = "";
        for place in &columns.states {
            state = text(list, *place, "state")?;
            if !state.is_empty() {
                break;
            }
        }
        Ok((at, entity_id, device_class, unit, state))
    }

    /// Whether the file's dates begin with the day: by the first that tells, else as is usual where the home is.
    fn order(&self) -> DayOrder {
        *self.order.get_or_init(|| self.look_for_order().unwrap_or_else(|| DayOrder::usual_in(&self.zone)))
    }

    fn look_for_order(&self) -> Option<DayOrder> {
        let file = File::open(&self.path).ok()?;
        let input: Box<dyn Read> = if self.gzip { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        let mut bytes = Vec::new();
        input.take(ORDER_BYTES_MAX).read_to_end(&mut bytes).ok()?;
        // The digits of UTF-16, without its zeros, are those of ASCII.
        bytes.retain(|byte| *byte != 0);
        let text = String::from_utf8_lossy(&bytes);
        text.split([',', ';', '\t', '|', '"', '\n', '\r']).find_map(|field| DayOrder::of(field.trim()))
    }

    fn time(&self, column: TimeColumn, list: &[Cow<'_, str>]) -> Result<Moment, String> {
        let written = text(list, column.place, "timestamp")?;
        let utc = column.utc && stamp::is_of_a_table(written);
        let zone = if utc { &TimeZone::UTC } else { &self.zone };
        let order = if stamp::is_ambiguous(written) { self.order() } else { DayOrder::DayFirst };
        let at = stamp::read(written, zone, order).map_err(|error| error.to_string())?;
        if column.later == 0 {
            return Ok(at);
        }
        at.later(column.later).ok_or_else(|| format!("the timestamp `{written}` lies beyond the year 2200"))
    }
}

/// `20.1 °C` in one cell: the number and its unit, where the file names no other unit. Anything else stays as it is.
fn part_unit<'a>(state: &'a str, unit: &'a str) -> (&'a str, &'a str) {
    let text = state.trim();
    let end = text.find(|letter: char| !(letter.is_ascii_digit() || "+-.,".contains(letter))).unwrap_or(text.len());
    let (number, rest) = (&text[..end], text[end..].trim());
    let known = (unit.is_empty() || unit == rest) && (rest == "%" || Unit::find(rest).is_some());
    let is_number = number.parse::<f64>().is_ok() || number.replacen(',', ".", 1).parse::<f64>().is_ok();
    if is_number && known { (number, rest) } else { (state, unit) }
}

/// InfluxDB's measurement is a unit, or what Home Assistant writes in its stead: the entity's id, a fixed word, or
/// `sensor__temperature`.
fn measured<'a>(device_class: &'a str, measurement: &'a str) -> (&'a str, &'a str) {
    if let Some((_, class)) = measurement.split_once("__") {
        return (class, "");
    }
    let no_unit = measurement.contains('.') || ["state", "units", "value"].contains(&measurement);
    (device_class, if no_unit { "" } else { measurement })
}

/// An entity of the energy panel: what it used in each stretch of time, here added up to a meter.
fn intervals_row(intervals: &Intervals, fields: &Fields<'_>, line: u64, each: Each<'_>) -> Result<(), ReplayError> {
    let list = &fields.list;
    let field = |place: Option<usize>| place.and_then(|place| list.get(place)).map_or("", AsRef::as_ref);
    let entity_id = field(Some(intervals.entity_id));
    if let Err(what) = checked_id(entity_id, fields.utf8) {
        return each(Err(unreadable(line, what)));
    }
    let (purpose, unit) = (field(intervals.purpose), field(intervals.unit));
    let device_class = match unit {
        "m³" | "m3" | "ft³" | "CCF" | "MCF" | "L" | "gal" if purpose.contains("water") => "water",
        "m³" | "m3" | "ft³" | "CCF" | "MCF" | "L" | "gal" if purpose.contains("gas") => "gas",
        "Wh" | "kWh" | "MWh" | "GJ" | "MJ" => "energy",
        _ => guess::class_in(entity_id, unit).unwrap_or_default(),
    };
    let (mut total, mut state) = (0.0, String::new());
    for (place, at) in &intervals.ends {
        let Some(written) = list.get(*place).filter(|written| !written.is_empty()) else { continue };
        let used = written.parse::<f64>().or_else(|_| written.replace(',', ".").parse());
        let Some(used) = used.ok().filter(|used| used.is_finite()) else {
            each(Err(unreadable(line, format!("the value `{written}` of {entity_id} is not a number; write one"))))?;
            continue;
        };
        total += used;
        state.clear();
        // Writing into a string does not fail. Six digits: sums of decimals do not come out even.
        let _ = write!(state, "{total:.6}");
        each(Ok(EventRow { at: *at, entity_id, device_class, unit, state_class: "", state: &state, line }))?;
    }
    Ok(())
}

fn unreadable(line: u64, what: String) -> RowFault {
    RowFault { line, kind: FaultKind::Unreadable, what }
}

fn text<'a>(list: &'a [Cow<'_, str>], place: usize, name: &str) -> Result<&'a str, String> {
    list.get(place).map(AsRef::as_ref).ok_or_else(|| {
        format!(
            "the row has {} columns and lacks its {name}; write every column of the header, empty where there is \
             nothing to say",
            list.len()
        )
    })
}

fn checked_id(entity_id: &str, utf8: bool) -> Result<(), String> {
    if entity_id.is_empty() {
        return Err("the entity_id is empty; write one such as sensor.kitchen_temperature".into());
    }
    if entity_id.len() > ENTITY_ID_BYTES_MAX {
        return Err(format!("the entity_id is longer than {ENTITY_ID_BYTES_MAX} bytes; shorten it"));
    }
    if !utf8 && !entity_id.is_ascii() {
        return Err("the row is not UTF-8; save the file as UTF-8".into());
    }
    Ok(())
}

#[cfg(test)]
#[path = "events_csv_tests.rs"]
mod tests;
