//! The long CSV: `timestamp,entity_id,device_class,unit,state`, columns found by name, plain or gzipped.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use csv::{ByteRecord, ReaderBuilder, Trim};
use flate2::read::MultiGzDecoder;

use super::error::{ReplayError, RowFault};
use super::moment::Moment;
use super::source::{EventRow, Row};

/// Longest row that is believed: Home Assistant caps a state at 255 characters and an id likewise; beyond 64 KiB a
/// quotation mark was left open.
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
        let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).trim(Trim::All).from_reader(input);
        let mut record = ByteRecord::new();
        if !self.advance(&mut reader, &mut record)? {
            return Err(ReplayError::Empty(self.path.clone()));
        }
        let mut columns = Columns::find(&record).map_err(|what| ReplayError::Header {
            path: self.path.clone(),
            line: line_of(&record),
            what,
        })?;
        while self.advance(&mut reader, &mut record)? {
            // Files put one behind the other bring their headers along.
            if columns.repeated(&record)
                && let Ok(again) = Columns::find(&record)
            {
                columns = again;
                continue;
            }
            let line = line_of(&record);
            each(columns.row(&record, line).map_err(|what| RowFault { line, what }))?;
        }
        Ok(())
    }

    fn advance<R: Read>(&self, reader: &mut csv::Reader<R>, record: &mut ByteRecord) -> Result<bool, ReplayError> {
        reader.read_byte_record(record).map_err(|error| match error.into_kind() {
            csv::ErrorKind::Io(source) => ReplayError::Read { path: self.path.clone(), source },
            other => ReplayError::Format { path: self.path.clone(), what: format!("is not CSV: {other:?}") },
        })
    }
}

fn line_of(record: &ByteRecord) -> u64 {
    record.position().map_or(0, csv::Position::line)
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
    fn find(record: &ByteRecord) -> Result<Self, String> {
        let names: Vec<String> = record
            .iter()
            .map(|name| String::from_utf8_lossy(name).trim_start_matches('\u{feff}').trim().to_ascii_lowercase())
            .collect();
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

    fn repeated(&self, record: &ByteRecord) -> bool {
        record.iter().any(|field| field.eq_ignore_ascii_case(b"entity_id"))
            && record.iter().any(|field| field.eq_ignore_ascii_case(b"state"))
            && record.get(self.timestamp).is_some_and(|field| !field.first().is_some_and(u8::is_ascii_digit))
    }

    fn row<'a>(&self, record: &'a ByteRecord, line: u64) -> Result<EventRow<'a>, String> {
        if record.as_slice().len() > ROW_BYTES_MAX {
            return Err(format!("the row is longer than {} KiB; close its quotation mark", ROW_BYTES_MAX / 1024));
        }
        let text = |place: usize, name: &str| match record.get(place).map(std::str::from_utf8) {
            Some(Ok(text)) => Ok(text),
            Some(Err(_)) => Err(format!("the {name} is not UTF-8; save the file as UTF-8")),
            None => Err(format!(
                "the row has {} columns and lacks its {name}; write every column of the header, empty where there is \
                 nothing to say",
                record.len()
            )),
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
