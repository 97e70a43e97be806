//! Stored alarms: the alarm as shown, the feature window, and the residents' answers.

use hearthwatch_edge_core::alarm::StoredAlarm;
use rusqlite::{OptionalExtension, Transaction, params};
use serde::de::DeserializeOwned;

use super::{History, HistoryError};
use crate::database;

/// How many alarms are remembered: at the default of one a week, twenty years.
const ALARMS_MAX: i64 = 1000;

impl History {
    /// Writes an alarm, new or changed. `window` is what the model saw; `None` leaves what was kept before.
    ///
    /// # Errors
    /// [`HistoryError::Database`].
    pub fn save_alarm(&mut self, alarm: &StoredAlarm, window: Option<&[f32]>) -> Result<(), HistoryError> {
        let id = &alarm.alarm.id;
        let body = serde_json::to_string(alarm).map_err(|source| HistoryError::Damaged { id: id.clone(), source })?;
        let window = window.map(little_endian);
        self.database.execute(
            "INSERT INTO alarms (id, raised_at, body, window) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (id) DO UPDATE SET body = excluded.body, window = coalesce(excluded.window, window)",
            params![id, alarm.alarm.raised_at, body, window],
        )?;
        self.database.execute(
            "DELETE FROM alarms WHERE id NOT IN (SELECT id FROM alarms ORDER BY raised_at DESC LIMIT ?1)",
            [ALARMS_MAX],
        )?;
        Ok(())
    }

    /// The alarms raised at or after `since`, oldest first; without those that do not read back.
    ///
    /// # Errors
    /// [`HistoryError::Database`].
    pub fn alarms(&self, since: i64) -> Result<Vec<StoredAlarm>, HistoryError> {
        let mut select =
            self.database.prepare("SELECT id, body FROM alarms WHERE raised_at >= ?1 ORDER BY raised_at, id")?;
        let rows = select.query_map([since], |row| Ok((database::text(row, 0)?, database::text(row, 1)?)))?;
        let rows = database::readable(rows)?.into_iter();
        Ok(rows.filter_map(|(id, body)| parsed("alarm", &id, &body)).collect())
    }

    /// What the model saw when it raised `alarm_id`.
    ///
    /// # Errors
    /// [`HistoryError::Database`].
    pub fn window_of(&self, alarm_id: &str) -> Result<Option<Vec<f32>>, HistoryError> {
        let select = "SELECT window FROM alarms WHERE id = ?1";
        let bytes = self.database.query_row(select, [alarm_id], |row| database::bytes(row, 0)).optional()?;
        Ok(bytes.flatten().map(|bytes| floats(&bytes)))
    }
}

/// A body as it was written; none, and a line in the log, where it does not read back.
pub(super) fn parsed<T: DeserializeOwned>(what: &str, id: &str, body: &str) -> Option<T> {
    serde_json::from_str(body)
        .inspect_err(|error| tracing::warn!(%error, what, row.id = id, "a stored row is left out: it cannot be read"))
        .ok()
}

/// Moves alarms out of the way that do not read back.
pub(super) fn set_damaged_aside(tx: &Transaction<'_>) -> Result<(), rusqlite::Error> {
    move_unreadable(tx, "alarms", |stored: &StoredAlarm| {
        let alarm = &stored.alarm;
        let answered = stored.answer.map(|(_, at)| at);
        let times = [Some(alarm.start), Some(alarm.raised_at), alarm.end, stored.due, answered];
        let said = stored.answers.iter().map(|answer| answer.at);
        times.into_iter().flatten().chain(said).all(is_a_time)
    })
}

/// Whether it may be a time: nothing stored is from before 1970 or from after the year 5138, and no sum of two of them overflows.
pub(super) fn is_a_time(at: i64) -> bool {
    (0..=100_000_000_000).contains(&at)
}

/// Moves rows of a table with `id` and `body` out of the way whose body is no `T`, or none that can be.
pub(super) fn move_unreadable<T: DeserializeOwned>(
    tx: &Transaction<'_>,
    table: &str,
    can_be: impl Fn(&T) -> bool,
) -> Result<(), rusqlite::Error> {
    let rows: Vec<(i64, String, Vec<u8>)> = tx
        .prepare(&format!("SELECT rowid, id, body FROM {table}"))?
        .query_map([], |row| Ok((row.get(0)?, database::text(row, 1)?, database::bytes(row, 2)?.unwrap_or_default())))?
        .collect::<Result<_, _>>()?;
    for (row, id, body) in rows {
        let cause = match serde_json::from_slice::<T>(&body) {
            Ok(read) if can_be(&read) => continue,
            Ok(_) => "it names a time that cannot be".to_owned(),
            Err(error) => error.to_string(),
        };
        database::set_aside(tx, table, &id, &cause, &body)?;
        tx.execute(&format!("DELETE FROM {table} WHERE rowid = ?1"), [row])?;
    }
    Ok(())
}

/// A feature window as stored: four bytes a number, little-endian.
pub(super) fn little_endian(window: &[f32]) -> Vec<u8> {
    window.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The inverse of [`little_endian`].
pub(super) fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect()
}
