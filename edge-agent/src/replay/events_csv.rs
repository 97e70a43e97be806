//! The long CSV: `timestamp,entity_id,device_class,unit,state`, columns found by name, plain or gzipped.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use csv::{ReaderBuilder, Trim};
use flate2::read::MultiGzDecoder;

use super::error::{ReplayError, RowFault};
use super::moment::Moment;
use super::source::{EventRow, Row};

/// Bytes read from the disk at a time.
const READ_BYTES: usize = 64 * 1024;
/// Longest row that is believed: Home Assistant caps a state at 255 characters and an id likewise, so even a generous
/// row stays far below 64 KiB.
const ROW_BYTES_MAX: usize = 64 * 1024;
/// Longest entity id, as in Home Assistant's own tables.
const ENTITY_ID_BYTES_MAX: usize = 255;
/// The header that the error texts ask for.
const HEADER: &str = "timestamp,entity_id,device_class,unit,state";

/// A CSV file of recorded states; read again from its start each time.
#[derive(Debug)]
pub struct EventsCsv {
    path: PathBuf,
    gzip: bool,
}

impl EventsCsv {
    /// The file at `path`, gzipped or not. Nothing is read yet.
    #[must_use]
    pub fn new(path: &Path, gzip: bool) -> Self {
        Self { path: path.to_owned(), gzip }
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
    pub fn read(&self, each: &mut dyn FnMut(Row<'_>) -> Result<(), ReplayError>) -> Result<(), ReplayError> {
        let file = File::open(&self.path).map_err(ReplayError::read(&self.path))?;
        if self.gzip { self.read_from(MultiGzDecoder::new(file), each) } else { self.read_from(file, each) }
    }

    fn read_from(
        &self,
        input: impl Read,
        each: &mut dyn FnMut(Row<'_>) -> Result<(), ReplayError>,
    ) -> Result<(), ReplayError> {
        let mut lines = Lines::new(input);
        if !lines.advance().map_err(ReplayError::read(&self.path))? {
            return Err(ReplayError::Empty(self.path.clone()));
        }
        let header = |lines: &Lines<_>, what| ReplayError::Header { path: self.path.clone(), line: lines.number, what };
        let fields = lines.fields().map_err(|what| header(&lines, what))?;
        let mut columns = Columns::find(&fields).map_err(|what| header(&lines, what))?;
        drop(fields);
        while lines.advance().map_err(ReplayError::read(&self.path))? {
            let line = lines.number;
            let fields = match lines.fields() {
                Ok(fields) => fields,
                Err(what) => {
                    each(Err(RowFault { line, what }))?;
                    continue;
                }
            };
            // Files put one behind the other bring their headers along.
            if columns.repeated(&fields)
                && let Ok(again) = Columns::find(&fields)
            {
                columns = again;
                continue;
            }
            each(columns.row(&fields, line).map_err(|what| RowFault { line, what }))?;
        }
        Ok(())
    }
}

/// Reads a line at a time, so that faults have the number that an editor shows, and no line is held that is too long to
/// be one. (A state has no line breaks, so a row is a line.)
struct Lines<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    number: u64,
    too_long: bool,
}

impl<R: Read> Lines<R> {
    fn new(input: R) -> Self {
        Self { input: BufReader::with_capacity(READ_BYTES, input), line: Vec::new(), number: 0, too_long: false }
    }

    /// Goes to the next line that is not blank; false at the end.
    fn advance(&mut self) -> io::Result<bool> {
        loop {
            self.line.clear();
            let limit = ROW_BYTES_MAX as u64 + 1;
            if (&mut self.input).take(limit).read_until(b'\n', &mut self.line)? == 0 {
                return Ok(false);
            }
            self.number += 1;
            self.too_long = self.line.len() > ROW_BYTES_MAX && self.line.last() != Some(&b'\n');
            if self.too_long {
                self.input.skip_until(b'\n')?;
            }
            if !self.line.trim_ascii().is_empty() {
                return Ok(true);
            }
        }
    }

    /// The fields of the line, trimmed.
    fn fields(&self) -> Result<Vec<Cow<'_, str>>, String> {
        if self.too_long {
            return Err(format!("the row is longer than {} KiB; is a line break missing?", ROW_BYTES_MAX / 1024));
        }
        let line = std::str::from_utf8(&self.line).map_err(|_| "the row is not UTF-8; save the file as UTF-8")?;
        let line = line.trim_start_matches('\u{feff}').trim_end_matches(['\n', '\r']);
        if !line.contains('"') {
            return Ok(line.split(',').map(|field| Cow::Borrowed(field.trim())).collect());
        }
        let mut record = csv::StringRecord::new();
        let mut reader = ReaderBuilder::new().has_headers(false).trim(Trim::All).from_reader(line.as_bytes());
        match reader.read_record(&mut record) {
            Ok(true) => Ok(record.iter().map(|field| Cow::Owned(field.to_owned())).collect()),
            _ => Err("the row cannot be read as CSV; close its quotation marks".to_owned()),
        }
    }
}

/// Where each column stands.
#[derive(Debug, Clone, Copy)]
struct Columns {
    timestamp: usize,
    entity_id: usize,
    device_class: Option<usize>,
    unit: Option<usize>,
    state: usize,
}

impl Columns {
    /// Finds the columns by name. `last_changed` and `unit_of_measurement` are what Home Assistant's own exports say.
    /// Of a name that occurs twice the first column counts.
    fn find(fields: &[Cow<'_, str>]) -> Result<Self, String> {
        let names: Vec<String> = fields.iter().map(|name| name.to_ascii_lowercase()).collect();
        let place = |wanted: &[&str]| wanted.iter().find_map(|wanted| names.iter().position(|name| name == wanted));
        let (timestamp, entity_id, state) =
            (place(&["timestamp", "last_updated", "last_changed"]), place(&["entity_id"]), place(&["state"]));
        if let (Some(timestamp), Some(entity_id), Some(state)) = (timestamp, entity_id, state) {
            let device_class = place(&["device_class"]);
            return Ok(Self {
                timestamp,
                entity_id,
                device_class,
                unit: place(&["unit", "unit_of_measurement"]),
                state,
            });
        }
        if names.first().is_some_and(|first| Moment::parse(first).is_ok()) {
            return Err(format!("the header is missing; make the first line `{HEADER}`"));
        }
        if names.len() == 1 && names[0].contains([';', '\t']) {
            return Err(format!("the columns are not separated by commas; the first line should be `{HEADER}`"));
        }
        let missing: Vec<&str> = [("timestamp", timestamp), ("entity_id", entity_id), ("state", state)]
            .into_iter()
            .filter_map(|(name, place)| place.is_none().then_some(name))
            .collect();
        Err(format!("the header lacks {}; the first line should be `{HEADER}`", missing.join(" and ")))
    }

    fn repeated(&self, fields: &[Cow<'_, str>]) -> bool {
        let named = |name: &str| fields.iter().any(|field| field.eq_ignore_ascii_case(name));
        fields.get(self.timestamp).is_some_and(|field| field.starts_with(|first: char| first.is_ascii_alphabetic()))
            && named("entity_id")
            && named("state")
    }

    fn row<'a>(&self, fields: &'a [Cow<'_, str>], line: u64) -> Result<EventRow<'a>, String> {
        let text = |place: usize, name: &str| {
            fields.get(place).map(AsRef::as_ref).ok_or_else(|| {
                format!(
                    "the row has {} columns and lacks its {name}; write every column of the header, empty where there is \
                     nothing to say",
                    fields.len()
                )
            })
        };
        let optional = |place: Option<usize>, name: &str| place.map_or(Ok(""), |place| text(place, name));
        let at = Moment::parse(text(self.timestamp, "timestamp")?).map_err(|error| error.to_string())?;
        let entity_id = text(self.entity_id, "entity_id")?;
        if entity_id.is_empty() {
            return Err("the entity_id is empty; write one such as sensor.kitchen_temperature".into());
        }
        if entity_id.len() > ENTITY_ID_BYTES_MAX {
            return Err(format!("the entity_id is longer than {ENTITY_ID_BYTES_MAX} bytes; shorten it"));
        }
        Ok(EventRow {
            at,
            entity_id,
            device_class: optional(self.device_class, "device_class")?,
            unit: optional(self.unit, "unit")?,
            state: text(self.state, "state")?,
            line,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read(text: &str) -> Result<Vec<Result<String, String>>, String> {
        let mut rows = Vec::new();
        EventsCsv::new(Path::new("events.csv"), false)
            .read_from(text.as_bytes(), &mut |row| {
                rows.push(
                    row.map(|row| {
                        let EventRow { at, entity_id, device_class, unit, state, line } = row;
                        format!("{line} {} {entity_id} {device_class} {unit} {state}", at.second())
                    })
                    .map_err(|fault| format!("{}: {}", fault.line, fault.what)),
                );
                Ok(())
            })
            .map_err(|error| error.to_string())?;
        Ok(rows)
    }

    #[test]
    fn columns_are_found_by_name_in_any_order_and_a_repeated_header_is_skipped() {
        let rows = read(
            "\u{feff}State,unit,entity_id,TIMESTAMP,device_class\r\n21.5,°C,sensor.a,600,temperature\r\n\
             timestamp,entity_id,device_class,unit,state\r\n1200,sensor.a,temperature,°C,22\r\n",
        );
        assert_eq!(
            rows,
            Ok(vec![Ok("2 600 sensor.a temperature °C 21.5".into()), Ok("4 1200 sensor.a temperature °C 22".into())])
        );
    }

    #[test]
    fn home_assistants_history_download_is_taken_as_it_is() {
        let rows = read("entity_id,state,last_changed\nbinary_sensor.hall,on,2026-01-01T00:00:00.000Z\n");
        assert_eq!(rows, Ok(vec![Ok("2 1767225600 binary_sensor.hall   on".into())]));
    }

    #[test]
    fn a_faulty_row_names_its_line_and_what_to_write() {
        let rows = read("timestamp,entity_id,device_class,unit,state\n600,sensor.a,,\n600,,,,1\n\nsoon,sensor.a,,,1\n");
        let faults: Vec<String> = rows.unwrap().into_iter().filter_map(Result::err).collect();
        assert_eq!(
            faults,
            [
                "2: the row has 4 columns and lacks its state; write every column of the header, empty where there is \
                 nothing to say",
                "3: the entity_id is empty; write one such as sensor.kitchen_temperature",
                "5: the timestamp `soon` is neither RFC 3339 nor Unix seconds; write 2026-01-31T08:30:00Z or \
                 1769848200, with or without a fraction",
            ]
        );
    }

    #[test]
    fn a_wrong_header_says_which_line_to_put_first() {
        let error = |text: &str| read(text).unwrap_err();
        assert_eq!(
            error("600,sensor.a,temperature,°C,1\n"),
            format!("events.csv:1: the header is missing; make the first line `{HEADER}`")
        );
        assert_eq!(
            error("timestamp;entity_id;state\n"),
            format!("events.csv:1: the columns are not separated by commas; the first line should be `{HEADER}`")
        );
        assert_eq!(
            error("timestamp,value\n"),
            format!("events.csv:1: the header lacks entity_id and state; the first line should be `{HEADER}`")
        );
        assert_eq!(error(""), "events.csv: holds no rows; there is nothing to replay");
    }

    #[test]
    fn quoted_fields_are_read_and_what_is_not_a_line_of_text_is_refused() {
        let rows = read("timestamp,entity_id,unit,state\n600,\"sensor.a,b\",\"\"\"\",1\n").unwrap();
        assert_eq!(rows, [Ok("2 600 sensor.a,b  \" 1".into())]);
        let long = format!("timestamp,entity_id,state\n600,{},1\n600,sensor.a,1\n", "x".repeat(ROW_BYTES_MAX));
        assert_eq!(
            read(&long).unwrap(),
            [Err("2: the row is longer than 64 KiB; is a line break missing?".into()), Ok("3 600 sensor.a   1".into())]
        );
    }

    #[test]
    fn a_gzipped_file_reads_like_a_plain_one() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut packed = flate2::write::GzEncoder::new(file.as_file_mut(), flate2::Compression::fast());
        packed.write_all(b"timestamp,entity_id,state\n600,sensor.a,1\n").unwrap();
        packed.finish().unwrap();
        let mut count = 0;
        EventsCsv::new(file.path(), true)
            .read(&mut |row| {
                assert!(row.is_ok());
                count += 1;
                Ok(())
            })
            .unwrap();
        assert_eq!(count, 1);
    }
}
