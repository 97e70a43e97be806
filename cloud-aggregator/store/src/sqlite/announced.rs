//! Table `announced`: alarms that homes told of before anybody answered them.

use hearthwatch_protocol::{AlarmId, HomeId, ModelVersion, Sequence};
use rusqlite::{Connection, Transaction, params};

use super::{query, signed};
use crate::rows::AnnouncedRow;
use crate::store::{ANNOUNCED_KEPT, IngestBatch, StoreResult};

pub(super) fn store(transaction: &Transaction<'_>, batch: &IngestBatch) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare(
        "INSERT INTO announced (home, sequence, alarm, model_version, window, digest, received_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (home, sequence) DO NOTHING",
    )?;
    let mut first =
        transaction.prepare("UPDATE homes SET announces_since = ?2 WHERE home = ?1 AND announces_since IS NULL")?;
    let mut forget = transaction.prepare("DELETE FROM announced WHERE home = ?1 AND sequence <= ?2")?;
    for row in &batch.announced {
        let (home, sequence) = (row.home.as_str(), signed(row.sequence.0));
        insert.execute(params![
            home,
            sequence,
            row.alarm.as_str(),
            signed(row.model_version.0),
            &row.window[..],
            &row.digest[..],
            row.received_at,
        ])?;
        first.execute(params![home, row.received_at])?;
        forget.execute(params![home, sequence.saturating_sub(signed(ANNOUNCED_KEPT))])?;
    }
    Ok(())
}

pub(super) fn first(connection: &Connection, home: &HomeId, alarm: &AlarmId) -> StoreResult<Option<AnnouncedRow>> {
    let select = "SELECT sequence, model_version, window, digest, received_at FROM announced
         WHERE home = ?1 AND alarm = ?2 ORDER BY sequence LIMIT 1";
    query::first(connection, "look up an announcement", select, [home.as_str(), alarm.as_str()], |row| {
        Ok(AnnouncedRow {
            home: home.clone(),
            sequence: Sequence(row.get(0)?),
            alarm: alarm.clone(),
            model_version: ModelVersion(row.get(1)?),
            window: row.get(2)?,
            digest: row.get(3)?,
            received_at: row.get(4)?,
        })
    })
}
