//! Rows put into the order of time, for inputs that are not: held in memory, each distinct text once.

use std::collections::HashMap;

use super::error::ReplayError;
use super::moment::Moment;
use super::source::{EventRow, Row, Source};

/// Rows that are sorted in memory: at 40 bytes a row this is 2 GB. A sorted input of any length is streamed instead.
const ROWS_MAX: usize = 50_000_000;

/// All rows of a source in the order of time; rows of the same moment keep the order of the file.
#[derive(Debug)]
pub struct SortedRows {
    rows: Vec<StoredRow>,
    texts: Texts,
}

#[derive(Debug, Clone, Copy)]
struct StoredRow {
    at: Moment,
    entity_id: u32,
    device_class: u32,
    state_class: u32,
    unit: u32,
    state: u32,
    line: u64,
}

/// Each distinct text once: ids, units and states repeat for ever.
#[derive(Debug, Default)]
struct Texts {
    known: HashMap<Box<str>, u32>,
    list: Vec<Box<str>>,
}

impl Texts {
    fn intern(&mut self, text: &str) -> u32 {
        if let Some(&place) = self.known.get(text) {
            return place;
        }
        // At most five texts a row and `ROWS_MAX` rows: below 2³².
        let place = self.list.len() as u32;
        self.list.push(text.into());
        self.known.insert(text.into(), place);
        place
    }

    fn get(&self, place: u32) -> &str {
        &self.list[place as usize]
    }
}

impl SortedRows {
    /// Reads and sorts everything. Faulty rows were counted before; they are passed over here.
    ///
    /// # Errors
    /// [`ReplayError::TooLarge`] beyond the memory that this is allowed, or the source's error.
    pub fn load(source: &Source) -> Result<Self, ReplayError> {
        let (mut rows, mut texts) = (Vec::new(), Texts::default());
        source.read(&mut |row| {
            let Ok(row) = row else { return Ok(()) };
            if rows.len() == ROWS_MAX {
                return Err(ReplayError::TooLarge {
                    path: source.path().to_owned(),
                    what: format!(
                        "is not sorted by time and has more than {ROWS_MAX} rows; sort it by its timestamp first"
                    ),
                });
            }
            rows.push(StoredRow {
                at: row.at,
                entity_id: texts.intern(row.entity_id),
                device_class: texts.intern(row.device_class),
                state_class: texts.intern(row.state_class),
                unit: texts.intern(row.unit),
                state: texts.intern(row.state),
                line: row.line,
            });
            Ok(())
        })?;
        rows.sort_by_key(|row| row.at);
        Ok(Self { rows, texts })
    }

    /// Hands every row to `each`, in the order of time.
    ///
    /// # Errors
    /// What `each` returns.
    pub fn read(&self, each: &mut dyn FnMut(Row<'_>) -> Result<(), ReplayError>) -> Result<(), ReplayError> {
        for row in &self.rows {
            each(Ok(EventRow {
                at: row.at,
                entity_id: self.texts.get(row.entity_id),
                device_class: self.texts.get(row.device_class),
                state_class: self.texts.get(row.state_class),
                unit: self.texts.get(row.unit),
                state: self.texts.get(row.state),
                line: row.line,
            }))?;
        }
        Ok(())
    }
}
