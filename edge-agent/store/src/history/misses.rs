//! Misses that residents declared: what the agent should have noticed.

use rusqlite::params;

use super::alarms::is_a_time;
use super::{History, HistoryError};
use crate::database;

/// How many are remembered; at one a week, twenty years.
const MISSES_MAX: i64 = 1000;

/// A declared miss.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMiss {
    /// The id under which it is shared, in the form of an alarm's.
    pub id: String,
    /// Home Assistant's id.
    pub entity_id: String,
    /// When something was missed, Unix seconds.
    pub at: i64,
    /// When a resident declared it, Unix seconds.
    pub reported_at: i64,
    /// Whether the outbox took a record of it.
    pub shared: bool,
}

impl History {
    /// Keeps a declared miss; the same place and time again replaces it.
    ///
    /// # Errors
    /// [`HistoryError::Database`].
    pub fn save_miss(&mut self, miss: &StoredMiss) -> Result<(), HistoryError> {
        self.database.execute(
            "INSERT OR REPLACE INTO misses (alarm, entity_id, at, said_at, shared) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![miss.id, miss.entity_id, miss.at, miss.reported_at, miss.shared],
        )?;
        let surplus = "DELETE FROM misses WHERE alarm NOT IN (SELECT alarm FROM misses ORDER BY said_at DESC LIMIT ?1)";
        self.database.execute(surplus, [MISSES_MAX])?;
        Ok(())
    }

    /// Every declared miss, newest first.
    ///
    /// # Errors
    /// [`HistoryError::Database`].
    pub fn misses(&self) -> Result<Vec<StoredMiss>, HistoryError> {
        let mut select = self
            .database
            .prepare("SELECT alarm, entity_id, at, said_at, shared FROM misses ORDER BY said_at DESC, alarm")?;
        let rows = select.query_map([], |row| {
            Ok(StoredMiss {
                id: database::text(row, 0)?,
                entity_id: database::text(row, 1)?,
                at: row.get(2)?,
                reported_at: row.get(3)?,
                shared: row.get(4)?,
            })
        })?;
        let misses = database::readable(rows)?.into_iter();
        Ok(misses.filter(|miss| is_a_time(miss.at) && is_a_time(miss.reported_at)).collect())
    }
}
