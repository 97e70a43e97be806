//! A hole in a recording: what was not recorded is a gap, not a value that stood still.

use std::collections::HashSet;

use super::error::ReplayError;
use super::moment::Moment;
use super::source::{EventRow, Row};

/// The entities seen so far, and the time of the last row of each.
#[derive(Debug, Default)]
pub struct LastRows {
    ids: HashSet<Box<str>>,
    last: Option<(Moment, Box<str>)>,
    /// Whether a row was earlier than the one before it.
    disordered: bool,
}

impl LastRows {
    /// Takes a row.
    pub fn take(&mut self, row: &EventRow<'_>) {
        if !self.ids.contains(row.entity_id) {
            self.ids.insert(row.entity_id.into());
        }
        match &mut self.last {
            Some((at, id)) => {
                self.disordered |= row.at < *at;
                *at = row.at;
                if **id != *row.entity_id {
                    *id = row.entity_id.into();
                }
            }
            None => self.last = Some((row.at, row.entity_id.into())),
        }
    }

    /// Seconds from the last row to `at`.
    #[must_use]
    pub fn silence(&self, at: Moment) -> i64 {
        self.last.as_ref().map_or(0, |(last, _)| at.second() - last.second())
    }

    /// Hands on a gap, as of `line`, for whatever may have been in the hole: all entities where rows are in the order of time
    /// (or nearly, by `all`), otherwise the one before it.
    ///
    /// # Errors
    /// What `each` returns.
    pub fn hole(
        &self,
        line: u64,
        all: bool,
        each: &mut dyn FnMut(Row<'_>) -> Result<(), ReplayError>,
    ) -> Result<(), ReplayError> {
        let Some((at, last)) = &self.last else { return Ok(()) };
        let mut ids: Vec<&str> = self.ids.iter().map(AsRef::as_ref).collect();
        ids.sort_unstable();
        if self.disordered && !all {
            ids = vec![last];
        }
        for entity_id in ids {
            let gap = EventRow { at: *at, entity_id, device_class: "", unit: "", state_class: "", state: "", line };
            each(Ok(gap))?;
        }
        Ok(())
    }
}
