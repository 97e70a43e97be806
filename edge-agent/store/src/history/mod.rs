//! The agent's own memory: 35 days of grid values and raw scores, binary changes, and the alarms with their windows.
//!
//! Home Assistant's recorder forgets after ten days by default; a routine takes weeks to learn. Everything is bounded by
//! time ([`KEPT_SECONDS`]) and written once per 10-minute step.

mod alarms;
mod misses;
mod moves;
mod questions;
mod reader;
mod schema;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;

use hearthwatch_detector::finding::Band;
use hearthwatch_detector::reading::{EntityInfo, Value};
use hearthwatch_edge_core::state::MAGNITUDE_MAX;
use rusqlite::{Connection, OptionalExtension, params};

use crate::database;
pub use misses::StoredMiss;
pub use questions::StoredQuestion;
pub use reader::{JudgedSpan, LoudStep};

/// How long values are kept: five weeks, so that the same weekday is seen five times. 300 entities × 144 steps × 35 days
/// = 1.5 million rows of about 55 bytes: 85 MB of disk.
pub const KEPT_SECONDS: i64 = 35 * 86_400;

/// Why the history did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The database failed: disk full, read-only, damaged.
    #[error("history: {0}")]
    Database(#[from] rusqlite::Error),
    /// An alarm or a question of ours that does not read back.
    #[error("history: alarm {id} is damaged: {source}")]
    Damaged {
        /// Id of the alarm.
        id: String,
        /// The stored text is not what this program writes.
        #[source]
        source: serde_json::Error,
    },
    /// Written by a newer version of this program.
    #[error("history: has version {found}, this program reads up to {known}")]
    Newer {
        /// Version of the file.
        found: i64,
        /// The newest version that this program reads.
        known: i64,
    },
}

impl HistoryError {
    /// The database's error, if it is one.
    fn engine(&self) -> Option<&rusqlite::Error> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}

/// One entity's row of a closed step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRow {
    /// Number in the detector; stored under a row id that survives restarts.
    pub entity: u32,
    /// The last reading of the step: a number or a gap; none where nothing was received.
    pub received: Option<Value>,
    /// None while the entity is too new to be judged.
    pub judged: Option<Judged>,
}

impl StepRow {
    /// A row of an entity of which nothing is known yet.
    #[must_use]
    pub fn silent(entity: u32) -> Self {
        Self { entity, received: None, judged: None }
    }
}

/// What the detector made of one step of one entity.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Judged {
    /// The value, in the unit that is shown.
    pub observed: Option<f32>,
    /// The expected range; none during warm-up.
    pub band: Option<Band>,
    /// The raw score, when there was one.
    pub score: Option<f32>,
    /// How rare it is ([`hearthwatch_detector::alarm::CalibrationCurve::rarity`]); without a score it was judged in hindsight.
    pub rarity: Option<f32>,
    /// Whether one step is enough to raise an alarm.
    pub immediate: bool,
}

/// One change of a binary entity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BinaryChange {
    /// Unix seconds.
    pub at: i64,
    /// Number in the detector.
    pub entity: u32,
    /// Its new state; none for a gap.
    pub on: Option<bool>,
}

/// A reading from the history.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredReading {
    /// When; the step's end for a number.
    pub at: i64,
    /// Number in the detector.
    pub entity: u32,
    /// A number, or a gap.
    pub value: Value,
}

/// The database. Calls block on the disk for some milliseconds.
#[derive(Debug)]
pub struct History {
    database: Connection,
    /// Row ids of the detector's entities, by index.
    rows: Vec<i64>,
    /// Number in the detector by row id.
    entities: HashMap<i64, u32>,
}

impl History {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// [`HistoryError`] when it cannot be opened or is from a newer version of this program.
    pub fn open(path: &Path) -> Result<Self, HistoryError> {
        let mut history = Self { database: schema::open_sound(path)?, rows: Vec::new(), entities: HashMap::new() };
        history.set_damaged_rows_aside()?;
        Ok(history)
    }

    /// Alarms and questions that do not read back make way for the rest.
    fn set_damaged_rows_aside(&mut self) -> Result<(), HistoryError> {
        let tx = self.database.transaction()?;
        alarms::set_damaged_aside(&tx)?;
        questions::set_damaged_aside(&tx)?;
        tx.commit()?;
        Ok(())
    }

    /// Stored rows and files that could not be read since the memory was made; they are kept aside.
    #[must_use]
    pub fn set_aside(&self) -> u64 {
        database::count_set_aside(&self.database)
    }

    /// Keeps a note's text aside that whoever wrote it cannot read any more, before another takes its place.
    pub fn set_note_aside(&self, name: &str, cause: &dyn std::fmt::Display, text: &str) {
        if let Err(error) = database::set_aside(&self.database, "notes", name, cause, text.as_bytes()) {
            tracing::error!(%error, note = name, "a note that cannot be read is not kept either");
        }
    }

    /// The same memory through a connection of its own, which only reads; entities are numbered as here and now.
    ///
    /// # Errors
    /// [`HistoryError::Database`].
    pub fn reader(&self) -> Result<Self, HistoryError> {
        let reader = Self::open_to_read(Path::new(self.database.path().unwrap_or_default()))?;
        Ok(Self { rows: self.rows.clone(), entities: self.entities.clone(), ..reader })
    }

    /// Sets which entity has the number `entity` in the detector; called in order, from 0.
    ///
    /// # Errors
    /// [`HistoryError::Database`].
    pub fn know(&mut self, entity: u32, info: &EntityInfo) -> Result<(), HistoryError> {
        if (entity as usize) < self.rows.len() {
            return Ok(());
        }
        self.database.execute("INSERT OR IGNORE INTO entities (entity_id) VALUES (?1)", [&info.entity_id])?;
        let row =
            self.database
                .query_row("SELECT id FROM entities WHERE entity_id = ?1", [&info.entity_id], |row| row.get(0))?;
        self.rows.push(row);
        self.entities.insert(row, entity);
        Ok(())
    }

    /// Writes what a closed step brought and forgets what is too old. Steps come in order.
    ///
    /// # Errors
    /// [`HistoryError::Database`]; then nothing of the step is kept.
    pub fn save_step(&mut self, step_end: i64, rows: &[StepRow], changes: &[BinaryChange]) -> Result<(), HistoryError> {
        let tx = self.database.transaction()?;
        tx.execute("INSERT OR REPLACE INTO steps (step) VALUES (?1)", [step_end])?;
        {
            let mut insert = tx.prepare(
                "INSERT OR REPLACE INTO grid (step, entity, heard, value, score, shown, rarity, immediate)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?;
            for row in rows.iter().filter(|row| row.received.is_some() || row.judged.is_some()) {
                let Some(id) = self.rows.get(row.entity as usize) else { continue };
                let value = match row.received {
                    Some(Value::Number(number)) => Some(number),
                    _ => None,
                };
                let judged = row.judged.unwrap_or_default();
                insert.execute(params![
                    step_end,
                    id,
                    row.received.is_some(),
                    value,
                    judged.score,
                    reader::shown_bytes(&judged),
                    judged.rarity,
                    judged.immediate,
                ])?;
            }
            let mut insert = tx.prepare("INSERT OR REPLACE INTO changes (at, entity, state) VALUES (?1, ?2, ?3)")?;
            for change in changes {
                let Some(id) = self.rows.get(change.entity as usize) else { continue };
                insert.execute(params![change.at, id, change.on])?;
            }
        }
        let oldest = step_end - KEPT_SECONDS;
        for forget in [
            "DELETE FROM steps WHERE step < ?1",
            "DELETE FROM grid WHERE step < ?1",
            "DELETE FROM changes WHERE at < ?1",
        ] {
            tx.prepare(forget)?.execute([oldest])?;
        }
        tx.commit()?;
        Ok(())
    }

    /// Forgets every step that ends after `step`, and what changed since then: they were of a time that was not to be.
    ///
    /// # Errors
    /// [`HistoryError::Database`]; then nothing is forgotten.
    pub fn forget_after(&mut self, step: i64) -> Result<(), HistoryError> {
        let tx = self.database.transaction()?;
        for forget in [
            "DELETE FROM steps WHERE step > ?1",
            "DELETE FROM grid WHERE step > ?1",
            "DELETE FROM changes WHERE at > ?1",
        ] {
            tx.prepare(forget)?.execute([step])?;
        }
        tx.commit()?;
        Ok(())
    }

    /// The end of the last step that was saved.
    ///
    /// # Errors
    /// [`HistoryError::Database`].
    pub fn last_step(&self) -> Result<Option<i64>, HistoryError> {
        Ok(self.database.query_row("SELECT max(step) FROM steps", [], |row| row.get(0))?)
    }

    /// The ends of the steps saved in (`from`, `until`], in order.
    ///
    /// # Errors
    /// [`HistoryError::Database`].
    pub fn steps(&self, from: i64, until: i64) -> Result<Vec<i64>, HistoryError> {
        let mut select =
            self.database.prepare("SELECT step FROM steps WHERE step > ?1 AND step <= ?2 ORDER BY step")?;
        Ok(database::readable(select.query_map([from, until], |row| row.get(0))?)?)
    }

    /// The readings of the known entities in the step that ends at `step_end`, sorted by time.
    ///
    /// # Errors
    /// [`HistoryError::Database`].
    pub fn readings(&self, step_end: i64, step_begin: i64) -> Result<Vec<StoredReading>, HistoryError> {
        let mut readings = Vec::new();
        let mut select = self.database.prepare("SELECT entity, value FROM grid WHERE step = ?1 AND heard")?;
        let rows = select.query_map([step_end], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<f64>>(1)?)))?;
        for (id, value) in database::readable(rows)? {
            if let Some(entity) = self.entities.get(&id) {
                // What no sensor can report is damage.
                let value = value.filter(|number| number.is_finite() && number.abs() <= MAGNITUDE_MAX);
                let value = value.map_or(Value::Gap, Value::Number);
                readings.push(StoredReading { at: step_end, entity: *entity, value });
            }
        }
        let mut select = self.database.prepare("SELECT at, entity, state FROM changes WHERE at > ?1 AND at <= ?2")?;
        let rows = select.query_map([step_begin, step_end], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, Option<bool>>(2)?))
        })?;
        for (at, id, state) in database::readable(rows)? {
            if let Some(entity) = self.entities.get(&id) {
                let value = state.map_or(Value::Gap, Value::Binary);
                readings.push(StoredReading { at, entity: *entity, value });
            }
        }
        readings.sort_by_key(|reading| (reading.at, reading.entity));
        Ok(readings)
    }

    /// A small text kept under a name, such as the last time zone.
    ///
    /// # Errors
    /// [`HistoryError::Database`].
    pub fn note(&self, name: &str) -> Result<Option<String>, HistoryError> {
        let select = "SELECT value FROM notes WHERE name = ?1";
        Ok(self.database.query_row(select, [name], |row| database::text(row, 0)).optional()?)
    }

    /// Keeps a small text.
    ///
    /// # Errors
    /// [`HistoryError::Database`].
    pub fn set_note(&mut self, name: &str, value: &str) -> Result<(), HistoryError> {
        self.database.execute("INSERT OR REPLACE INTO notes (name, value) VALUES (?1, ?2)", [name, value])?;
        Ok(())
    }
}
