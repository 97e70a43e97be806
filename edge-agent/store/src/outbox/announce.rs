//! Announcements in the outbox: kept when an alarm is raised, dropped before any answer of a person.

use hearthwatch_protocol::messages::Announcement;
use hearthwatch_protocol::{Message, Sequence, encode};
use rusqlite::{Transaction, params};

use super::{Admission, Outbox, OutboxError, count, schema};

impl Outbox {
    /// Keeps the announcement of an alarm, as far as the resident shares; its own `sequence` is ignored. The same alarm twice
    /// is announced once, as long as the first has not left.
    ///
    /// # Errors
    /// [`OutboxError::Invalid`]; [`OutboxError::Database`].
    pub fn announce(&mut self, announcement: Announcement) -> Result<Admission, OutboxError> {
        let announcement = Announcement { sequence: Sequence(0), ..announcement };
        let Some(announcement) = self.sharing()?.shape_announcement(announcement) else {
            return Ok(Admission::NotShared);
        };
        let alarm = announcement.alarm.to_string();
        let payload = encode(&Message::Announcement(announcement))?;
        let limit = self.limit;
        let tx = self.begin()?;
        let known = "SELECT EXISTS (SELECT 1 FROM records WHERE alarm = ?1 AND announcement AND sequence IS NULL)";
        if tx.query_row(known, [&alarm], |row| row.get(0))? {
            return Ok(Admission::Replaced);
        }
        let mut admission = Admission::Queued;
        if count(&tx, "SELECT count(*) FROM records")? >= limit {
            match make_room(&tx, &alarm)? {
                Some(room) => admission = room,
                None => return Ok(Admission::DroppedAnnouncement),
            }
        }
        tx.execute(
            "INSERT INTO records (alarm, probe, announcement, payload) VALUES (?1, 0, 1, ?2)",
            params![alarm, payload],
        )?;
        tx.commit()?;
        Ok(admission)
    }
}

/// Drops what matters least and has not left: the oldest probe, else the oldest announcement whose alarm has no answer that
/// waits, and is not `alarm`. None where there is neither.
pub(super) fn make_room(tx: &Transaction<'_>, alarm: &str) -> Result<Option<Admission>, rusqlite::Error> {
    let oldest_sample = "DELETE FROM records WHERE id = \
        (SELECT id FROM records WHERE probe AND sequence IS NULL ORDER BY id LIMIT 1)";
    if tx.execute(oldest_sample, [])? == 1 {
        schema::add(tx, schema::DROPPED, 1)?;
        return Ok(Some(Admission::QueuedForAuditSample));
    }
    let oldest_announcement = "DELETE FROM records WHERE id = \
        (SELECT id FROM records AS said WHERE announcement AND sequence IS NULL AND alarm <> ?1 AND NOT EXISTS \
            (SELECT 1 FROM records AS answer WHERE answer.alarm = said.alarm AND NOT answer.announcement) \
         ORDER BY id LIMIT 1)";
    Ok((tx.execute(oldest_announcement, [alarm])? == 1).then_some(Admission::QueuedForAnnouncement))
}
