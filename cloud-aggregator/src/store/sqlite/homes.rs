//! Table `homes`.

use hearthwatch_protocol::messages::AgentStatus;
use hearthwatch_protocol::{HomeId, ModelVersion, Sequence};
use rusqlite::{Connection, Row, params};

use super::{HomeRow, StoreError, engine, home_id, signed};
use crate::store::StatusRow;

pub(super) fn enrol(connection: &Connection, home: &HomeId, at: i64) -> Result<bool, StoreError> {
    connection
        .execute(
            "INSERT INTO homes (home, enrolled_at) VALUES (?1, ?2) ON CONFLICT (home) DO NOTHING",
            params![home.as_str(), at],
        )
        .map(|changed| changed == 1)
        .map_err(engine("enrol home"))
}

pub(super) fn set_revoked(connection: &Connection, home: &HomeId, at: Option<i64>) -> Result<(), StoreError> {
    let changed = connection
        .execute("UPDATE homes SET revoked_at = ?2 WHERE home = ?1", params![home.as_str(), at])
        .map_err(engine("revoke home"))?;
    if changed == 0 {
        return Err(StoreError::NotFound { noun: "home", id: home.to_string() });
    }
    Ok(())
}

pub(super) fn set_status(
    connection: &Connection,
    home: &HomeId,
    status: &AgentStatus,
    at: i64,
) -> Result<(), StoreError> {
    connection
        .execute(
            "UPDATE homes SET online = ?2, agent_version = ?3, model_version = ?4, entities = ?5, outbox = ?6,
                 heard_at = ?7 WHERE home = ?1",
            params![
                home.as_str(),
                status.online,
                status.agent_version,
                signed(status.model_version.0),
                status.entities,
                status.outbox,
                at
            ],
        )
        .map(drop)
        .map_err(engine("set status"))
}

pub(super) fn list(connection: &Connection, only: Option<&HomeId>) -> Result<Vec<HomeRow>, StoreError> {
    let mut statement = connection
        .prepare(
            "SELECT home, enrolled_at, revoked_at, through, records, online, agent_version, model_version, entities,
                 outbox, heard_at, gap_since, announces_since FROM homes WHERE ?1 IS NULL OR home = ?1 ORDER BY home",
        )
        .map_err(engine("list homes"))?;
    let rows = statement
        .query_map([only.map(HomeId::as_str)], |row| Ok((row.get::<_, String>(0)?, read(row)?)))
        .map_err(engine("list homes"))?;
    rows.map(|row| {
        let (home, read) = row.map_err(engine("list homes"))?;
        Ok(read(home_id("homes", home)?))
    })
    .collect()
}

/// Everything but the id, which may turn out not to be one.
fn read(row: &Row<'_>) -> rusqlite::Result<impl FnOnce(HomeId) -> HomeRow + use<>> {
    let (enrolled_at, revoked_at) = (row.get(1)?, row.get(2)?);
    let (through, records) = (Sequence(row.get(3)?), row.get(4)?);
    let (gap_since, announces_since) = (row.get(11)?, row.get(12)?);
    let status = match row.get::<_, Option<bool>>(5)? {
        None => None,
        Some(online) => Some(StatusRow {
            online,
            agent_version: row.get(6)?,
            model_version: ModelVersion(row.get(7)?),
            entities: row.get(8)?,
            outbox: row.get(9)?,
            heard_at: row.get(10)?,
        }),
    };
    Ok(move |home| HomeRow { home, enrolled_at, revoked_at, through, gap_since, announces_since, records, status })
}
