//! Counts over `feedback` and `announced`, each from an index alone: rows have kilobytes.

use hearthwatch_protocol::ModelVersion;
use rusqlite::params;

use super::query::{all, home, one, word};
use super::{SqliteStore, limited};
use crate::evaluation::{AnswerGroup, AnswerNumbers, EvaluationStore};
use crate::store::StoreResult;

impl EvaluationStore for SqliteStore {
    fn answer_groups(&self, since: i64, until: i64) -> StoreResult<Vec<AnswerGroup>> {
        let select = "SELECT home, coalesce(model_version, 0), coalesce(device_class, ''), coalesce(origin, 'alarm'),
             verdict, count(*) FROM feedback INDEXED BY feedback_newest WHERE received_at >= ?1 AND received_at < ?2
             GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5";
        all(&self.read(), "count answers", select, [since, until], |row| {
            Ok(AnswerGroup {
                home: home("feedback", row, 0)?,
                model_version: ModelVersion(row.get(1)?),
                device_class: row.get(2)?,
                origin: row.get(3)?,
                verdict: word("feedback", row, 4)?,
                count: row.get(5)?,
            })
        })
    }

    fn answer_numbers(&self, since: i64, until: i64, limit: usize) -> StoreResult<Vec<AnswerNumbers>> {
        let select = "SELECT coalesce(model_version, 0), answered_at - raised_at, score - threshold
             FROM feedback INDEXED BY feedback_newest
             WHERE received_at >= ?1 AND received_at < ?2 AND origin = 'alarm' AND raised_at IS NOT NULL
             ORDER BY received_at DESC LIMIT ?3";
        let mut rows = all(&self.read(), "list answers", select, params![since, until, limited(limit)], |row| {
            Ok(AnswerNumbers { model_version: ModelVersion(row.get(0)?), delay: row.get(1)?, margin: row.get(2)? })
        })?;
        rows.reverse();
        Ok(rows)
    }

    fn first_answer_of(&self, device_class: &str, after: i64) -> StoreResult<Option<i64>> {
        let select = "SELECT min(received_at) FROM feedback WHERE device_class = ?1 AND received_at > ?2";
        let values = params![device_class, after];
        one(&self.look_up(), "look for an answer", select, values, |row| row.get(0))
    }

    fn run_seconds(&self, since: i64) -> StoreResult<i64> {
        let select = "SELECT coalesce(sum(max(ended_at - started_at, 0)), 0) FROM runs WHERE started_at >= ?1";
        one(&self.look_up(), "count runs", select, [since], |row| row.get(0))
    }

    fn announced_groups(
        &self,
        since: i64,
        until: i64,
    ) -> StoreResult<Vec<(hearthwatch_protocol::HomeId, ModelVersion, u64)>> {
        let select = "SELECT home, model_version, count(*) FROM announced INDEXED BY announced_newest
             WHERE received_at >= ?1 AND received_at < ?2 GROUP BY home, model_version ORDER BY home, model_version";
        all(&self.read(), "count announcements", select, [since, until], |row| {
            Ok((home("announced", row, 0)?, ModelVersion(row.get(1)?), row.get(2)?))
        })
    }
}
