//! Long-term statistics of a recorder: Home Assistant keeps them for ever, states for ten days. They stand for the time
//! before an entity's first state: the hour's mean, or what a meter stood at.

use std::collections::HashMap;

use rusqlite::{Rows, Statement};

use super::attributes::Attributes;
use super::error::ReplayError;
use super::guess;
use super::moment::Moment;
use super::recorder_db::{RecorderDb, column_names, text};
use super::source::{EventRow, Row};

/// Seconds that one row is of; it is stamped with their beginning and known at their end.
const HOUR: i64 = 3600;

/// Attributes and times of each statistic.
#[derive(Debug, Default)]
pub struct Statistics {
    known: HashMap<i64, Statistic>,
}

#[derive(Debug)]
struct Statistic {
    entity_id: String,
    kind: Attributes,
    /// Time of the entity's first state.
    first: Option<Moment>,
}

impl Statistics {
    /// The statistics of entities. A database without them, or whose tables of them cannot be read, has none: the
    /// states are what a replay is about.
    #[must_use]
    pub fn of(db: &RecorderDb) -> Self {
        Self::find(db).unwrap_or_default()
    }

    fn find(db: &RecorderDb) -> rusqlite::Result<Self> {
        let columns = column_names(&db.connection, "statistics")?;
        let mut statistics = Self::default();
        if !columns.contains("metadata_id") || !(columns.contains("start_ts") || columns.contains("start")) {
            return Ok(statistics);
        }
        let ids: HashMap<&str, i64> = db.entity_ids.iter().map(|(id, entity_id)| (entity_id.as_str(), *id)).collect();
        let mut statement =
            db.connection.prepare("SELECT id, statistic_id, unit_of_measurement FROM statistics_meta")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            // Those of other sources (`energy:prices`) are of no entity.
            let Some(entity_id) = text(row, 1)?.filter(|id| !id.contains(':') && id.contains('.')) else { continue };
            let unit = text(row, 2)?.unwrap_or_default();
            let (first, attributes) = first_state(db, ids.get(entity_id.as_str()).copied(), &entity_id)?;
            let kind = match attributes {
                // The states that follow may be in another unit; whoever watches converts them.
                Some(kind) if kind.unit == unit || !kind.unit.is_empty() => Attributes { unit, ..kind },
                _ => Attributes {
                    device_class: guess::class_in(&entity_id, &unit).unwrap_or_default().to_owned(),
                    unit,
                    ..Attributes::default()
                },
            };
            statistics.known.insert(row.get(0)?, Statistic { entity_id, kind, first });
        }
        Ok(statistics)
    }

    /// The statement whose rows [`Feed`] hands on; none where there is nothing to hand on.
    #[must_use]
    pub fn query<'d>(&self, db: &'d RecorderDb) -> Option<Statement<'d>> {
        if self.known.is_empty() {
            return None;
        }
        let columns = column_names(&db.connection, "statistics").ok()?;
        let column = |name: &'static str| if columns.contains(name) { name } else { "NULL" };
        let order = if columns.contains("start_ts") { "start_ts" } else { "start" };
        db.connection
            .prepare(&format!(
                "SELECT id, metadata_id, {}, {}, {}, {}, {} FROM statistics ORDER BY {order}, id",
                column("start_ts"),
                column("start"),
                column("mean"),
                column("state"),
                column("sum"),
            ))
            .ok()
    }
}

/// Time of the entity's first state, and its attributes.
fn first_state(
    db: &RecorderDb,
    metadata_id: Option<i64>,
    entity_id: &str,
) -> rusqlite::Result<(Option<Moment>, Option<Attributes>)> {
    let has = |name: &str| db.columns.contains(name);
    let column = |name: &'static str| if has(name) { name } else { "NULL" };
    let time = if has("last_updated_ts") { "last_updated_ts" } else { "last_updated" };
    let which = match metadata_id {
        Some(_) => "metadata_id = ?1",
        None if has("entity_id") => "entity_id = ?1",
        None => return Ok((None, None)),
    };
    let mut statement = db.connection.prepare(&format!(
        "SELECT {}, {}, {}, {} FROM states WHERE {which} AND {time} IS NOT NULL ORDER BY {time} LIMIT 1",
        column("last_updated_ts"),
        column("last_updated"),
        column("attributes_id"),
        column("attributes"),
    ))?;
    let mut rows = match metadata_id {
        Some(id) => statement.query([id])?,
        None => statement.query([entity_id])?,
    };
    let Some(row) = rows.next()? else { return Ok((None, None)) };
    let first = row.get::<_, Option<f64>>(0)?.and_then(Moment::from_seconds);
    let first = first.or(text(row, 1)?.as_deref().and_then(Moment::from_naive_utc));
    let json = match (row.get::<_, Option<i64>>(2)?, text(row, 3)?.filter(|json| !json.is_empty())) {
        (_, Some(json)) => Some(json),
        (Some(id), None) => {
            let query = "SELECT CAST(shared_attrs AS TEXT) FROM state_attributes WHERE attributes_id = ?1";
            db.connection.query_row(query, [id], |row| text(row, 0)).ok().flatten()
        }
        (None, None) => None,
    };
    Ok((first, json.as_deref().map(Attributes::parse)))
}

/// Hands statistics on in the order of time, as far as they are asked for. A row that cannot be read ends them.
pub struct Feed<'s, 'q> {
    statistics: &'s Statistics,
    rows: Option<Rows<'q>>,
    next: Option<Hour>,
    /// Rows that were given on.
    pub handed: u64,
}

struct Hour {
    at: Moment,
    statistic: i64,
    number: i64,
    state: String,
}

impl<'s, 'q> Feed<'s, 'q> {
    /// Before the first row of `statement`, which is that of [`Statistics::query`].
    pub fn new(statistics: &'s Statistics, statement: Option<&'q mut Statement<'_>>) -> Self {
        let rows = statement.and_then(|statement| statement.query([]).ok());
        let mut feed = Self { statistics, rows, next: None, handed: 0 };
        feed.advance();
        feed
    }

    /// Hands on the rows up to `at`.
    ///
    /// # Errors
    /// What `each` returns.
    pub fn until(
        &mut self,
        at: Moment,
        each: &mut dyn FnMut(Row<'_>) -> Result<(), ReplayError>,
    ) -> Result<(), ReplayError> {
        while self.next.as_ref().is_some_and(|hour| hour.at <= at) {
            self.hand(each)?;
        }
        Ok(())
    }

    /// Hands on all that is left.
    ///
    /// # Errors
    /// What `each` returns.
    pub fn rest(&mut self, each: &mut dyn FnMut(Row<'_>) -> Result<(), ReplayError>) -> Result<(), ReplayError> {
        while self.next.is_some() {
            self.hand(each)?;
        }
        Ok(())
    }

    fn hand(&mut self, each: &mut dyn FnMut(Row<'_>) -> Result<(), ReplayError>) -> Result<(), ReplayError> {
        let statistics = self.statistics;
        if let Some(hour) = &self.next
            && let Some(statistic) = statistics.known.get(&hour.statistic)
        {
            self.handed += 1;
            each(Ok(EventRow {
                at: hour.at,
                entity_id: &statistic.entity_id,
                device_class: &statistic.kind.device_class,
                unit: &statistic.kind.unit,
                state_class: &statistic.kind.state_class,
                state: &hour.state,
                line: hour.number.unsigned_abs(),
            }))?;
        }
        self.advance();
        Ok(())
    }

    fn advance(&mut self) {
        self.next = None;
        while let Some(rows) = &mut self.rows {
            let Ok(Some(row)) = rows.next() else { break };
            let Ok(Some(hour)) = hour(row) else { continue };
            // Of the hour in which states begin there are states.
            let before = self
                .statistics
                .known
                .get(&hour.statistic)
                .is_some_and(|statistic| statistic.first.is_none_or(|first| hour.at <= first));
            if before {
                self.next = Some(hour);
                return;
            }
        }
        self.rows = None;
    }
}

/// One row: the mean, or what a meter stood at, or the sum of what it counted. (A meter's own state goes on into the
/// states that follow; the sum begins at nothing when statistics do.)
fn hour(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<Hour>> {
    let start = row.get::<_, Option<f64>>(2)?.and_then(Moment::from_seconds);
    let start = start.or(text(row, 3)?.as_deref().and_then(Moment::from_naive_utc));
    let mut value = None;
    for place in 4..7 {
        value = value.or(row.get::<_, Option<f64>>(place)?);
    }
    let (Some(at), Some(value)) = (start.and_then(|start| start.later(HOUR)), value) else { return Ok(None) };
    Ok(Some(Hour { at, statistic: row.get(1)?, number: row.get(0)?, state: value.to_string() }))
}
