//! Table `homes`.

use hearthwatch_protocol::messages::AgentStatus;
use hearthwatch_protocol::{HomeId, ModelVersion, Sequence};
use rusqlite::{Connection, Params, Row, params};

use super::{HomeRow, StoreError, engine, home_id, limited, signed};
use crate::rows::{FleetTotals, StatusRow};

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
    // Who is out already keeps the time of that.
    let update = "UPDATE homes SET revoked_at = CASE WHEN ?2 IS NULL THEN NULL ELSE coalesce(revoked_at, ?2) END,
         row_version = row_version + 1 WHERE home = ?1";
    let changed = connection.execute(update, params![home.as_str(), at]).map_err(engine("revoke home"))?;
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

pub(super) fn one(connection: &Connection, home: &HomeId) -> Result<Option<HomeRow>, StoreError> {
    Ok(select(connection, "WHERE home = ?1", [home.as_str()])?.pop())
}

/// By name, after `after`.
pub(super) fn list(connection: &Connection, after: Option<&HomeId>, limit: usize) -> Result<Vec<HomeRow>, StoreError> {
    // Every name is after the empty one.
    let after = after.map_or("", HomeId::as_str);
    select(connection, "WHERE home > ?1 ORDER BY home LIMIT ?2", params![after, limited(limit)])
}

fn select(connection: &Connection, clause: &str, values: impl Params) -> Result<Vec<HomeRow>, StoreError> {
    let select = format!(
        "SELECT home, enrolled_at, revoked_at, through, records, online, agent_version, model_version, entities, outbox,
             heard_at, gap_since, announces_since, row_version FROM homes {clause}"
    );
    let mut statement = connection.prepare(&select).map_err(engine("list homes"))?;
    let rows =
        statement.query_map(values, |row| Ok((row.get::<_, String>(0)?, read(row)?))).map_err(engine("list homes"))?;
    rows.map(|row| {
        let (home, read) = row.map_err(engine("list homes"))?;
        Ok(read(home_id("homes", home)?))
    })
    .collect()
}

pub(super) fn totals(connection: &Connection) -> Result<FleetTotals, StoreError> {
    let select = "SELECT homes, online, waiting FROM totals";
    let mut statement = connection.prepare(select).map_err(engine("count homes"))?;
    let read = |row: &Row<'_>| Ok(FleetTotals { homes: row.get(0)?, online: row.get(1)?, waiting: row.get(2)? });
    statement.query_row([], read).map_err(engine("count homes"))
}

/// Everything but the id, which may turn out not to be one.
fn read(row: &Row<'_>) -> rusqlite::Result<impl FnOnce(HomeId) -> HomeRow + use<>> {
    let (enrolled_at, revoked_at) = (row.get(1)?, row.get(2)?);
    let (through, records) = (Sequence(row.get(3)?), row.get(4)?);
    let (gap_since, announces_since, row_version) = (row.get(11)?, row.get(12)?, row.get(13)?);
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
    Ok(move |home| HomeRow {
        home,
        enrolled_at,
        revoked_at,
        through,
        gap_since,
        announces_since,
        records,
        status,
        row_version,
    })
}
