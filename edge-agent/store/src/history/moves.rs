//! Entities that come under another name, or are no more: values, questions and misses go with them.

use super::{History, HistoryError};

impl History {
    /// Calls an entity otherwise: its values, questions and misses go on under the new id. Values that were kept under that id
    /// before are let go of.
    ///
    /// # Errors
    /// [`HistoryError::Database`]; then nothing changed.
    pub fn rename(&mut self, from: &str, to: &str) -> Result<(), HistoryError> {
        let tx = self.database.transaction()?;
        tx.execute("DELETE FROM entities WHERE entity_id = ?1", [to])?;
        for rename in [
            "UPDATE entities SET entity_id = ?2 WHERE entity_id = ?1",
            "UPDATE misses SET entity_id = ?2 WHERE entity_id = ?1",
            "UPDATE questions SET body = json_set(body, '$.info.entity_id', ?2)
             WHERE CASE WHEN json_valid(body) THEN json_extract(body, '$.info.entity_id') END = ?1",
        ] {
            tx.execute(rename, [from, to])?;
        }
        tx.commit()?;
        Ok(())
    }

    /// Forgets every value, question and miss of an entity.
    ///
    /// # Errors
    /// [`HistoryError::Database`]; then nothing changed.
    pub fn forget(&mut self, entity_id: &str) -> Result<(), HistoryError> {
        let tx = self.database.transaction()?;
        for forget in [
            "DELETE FROM grid WHERE entity IN (SELECT id FROM entities WHERE entity_id = ?1)",
            "DELETE FROM changes WHERE entity IN (SELECT id FROM entities WHERE entity_id = ?1)",
            "DELETE FROM misses WHERE entity_id = ?1",
            "DELETE FROM questions WHERE CASE WHEN json_valid(body) THEN json_extract(body, '$.info.entity_id') END = ?1",
        ] {
            tx.execute(forget, [entity_id])?;
        }
        tx.commit()?;
        Ok(())
    }
}
