//! Questions drawn by chance from below the threshold, and what residents answered.

use hearthwatch_detector::alarm::Verdict;
use hearthwatch_detector::reading::EntityInfo;
use hearthwatch_protocol::ModelVersion;
use rusqlite::{OptionalExtension as _, Transaction, params};
use serde::{Deserialize, Serialize};

use super::alarms::{floats, is_a_time, little_endian, move_unreadable, parsed};
use super::{History, HistoryError};
use crate::database;

/// How many are remembered: at 7.5 KiB of window each 1.5 MiB; at the default budget of an alarm a week, and one question to
/// nine alarms, over thirty years' worth.
const QUESTIONS_MAX: i64 = 200;

/// "Was something off here?", of a moment without an alarm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredQuestion {
    /// The id under which its answer is shared, in the form of an alarm's.
    pub id: String,
    /// The entity that is asked about.
    pub info: EntityInfo,
    /// End of the step that is asked about, Unix seconds.
    pub at: i64,
    /// The value then, in the unit that is shown.
    pub observed: Option<f32>,
    /// The score of that step, …
    pub score: f32,
    /// … and what it was held against.
    pub threshold: f32,
    /// The model that gave the score.
    pub model_version: ModelVersion,
    /// The probability with which this entity's day was drawn, in (0, 1].
    pub propensity: f32,
    /// The answer, and when it was given: the last one counts.
    pub answer: Option<(Verdict, i64)>,
}

/// Moves questions out of the way that do not read back.
pub(super) fn set_damaged_aside(tx: &Transaction<'_>) -> Result<(), rusqlite::Error> {
    move_unreadable(tx, "questions", |question: &StoredQuestion| {
        is_a_time(question.at) && question.answer.is_none_or(|(_, at)| is_a_time(at))
    })
}

/// A question with what the model saw, where that was kept.
type WithWindow = (StoredQuestion, Option<Vec<f32>>);

impl History {
    /// Writes a question, new or answered. `window` is what the model saw; `None` leaves what was kept before.
    ///
    /// # Errors
    /// [`HistoryError::Database`].
    pub fn save_question(&mut self, question: &StoredQuestion, window: Option<&[f32]>) -> Result<(), HistoryError> {
        let id = &question.id;
        let body =
            serde_json::to_string(question).map_err(|source| HistoryError::Damaged { id: id.clone(), source })?;
        self.database.execute(
            "INSERT INTO questions (id, at, body, window) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (id) DO UPDATE SET body = excluded.body, window = coalesce(excluded.window, window)",
            params![id, question.at, body, window.map(little_endian)],
        )?;
        let surplus = "DELETE FROM questions WHERE id NOT IN (SELECT id FROM questions ORDER BY at DESC LIMIT ?1)";
        self.database.execute(surplus, [QUESTIONS_MAX])?;
        Ok(())
    }

    /// The questions put after `since`, newest first; without those that do not read back.
    ///
    /// # Errors
    /// [`HistoryError::Database`].
    pub fn questions(&self, since: i64) -> Result<Vec<StoredQuestion>, HistoryError> {
        let mut select = self.database.prepare("SELECT id, body FROM questions WHERE at > ?1 ORDER BY at DESC, id")?;
        let rows = select.query_map([since], |row| Ok((database::text(row, 0)?, database::text(row, 1)?)))?;
        let rows = database::readable(rows)?.into_iter();
        Ok(rows.filter_map(|(id, body)| parsed("question", &id, &body)).collect())
    }

    /// A question by its id, with what the model saw.
    ///
    /// # Errors
    /// [`HistoryError`] when the database fails or the row does not read back.
    pub fn question(&self, id: &str) -> Result<Option<WithWindow>, HistoryError> {
        let select = "SELECT body, window FROM questions WHERE id = ?1";
        let row: Option<(String, Option<Vec<u8>>)> = self
            .database
            .query_row(select, [id], |row| Ok((database::text(row, 0)?, database::bytes(row, 1)?)))
            .optional()?;
        let Some((body, window)) = row else { return Ok(None) };
        let question =
            serde_json::from_str(&body).map_err(|source| HistoryError::Damaged { id: id.to_owned(), source })?;
        Ok(Some((question, window.map(|bytes| floats(&bytes)))))
    }
}
