//! Table `homes`.

use hearthwatch_protocol::messages::AgentStatus;
use hearthwatch_protocol::{HomeId, ModelVersion, Sequence};
use rusqlite::{Connection, Params, Row, params};

use super::query::{self, Fault, all, run};
use super::{HomeRow, StoreResult, found, limited, signed};
use crate::rows::{FleetStates, FleetTotals, StatusRow};

pub(super) fn enrol(connection: &Connection, home: &HomeId, at: i64) -> StoreResult<bool> {
    let insert = "INSERT INTO homes (home, enrolled_at) VALUES (?1, ?2) ON CONFLICT (home) DO NOTHING";
    Ok(run(connection, "enrol home", insert, params![home.as_str(), at])? == 1)
}

pub(super) fn set_revoked(connection: &Connection, home: &HomeId, at: Option<i64>) -> StoreResult<()> {
    // Who is out already keeps the time of that.
    let update = "UPDATE homes SET revoked_at = CASE WHEN ?2 IS NULL THEN NULL ELSE coalesce(revoked_at, ?2) END,
         row_version = row_version + 1 WHERE home = ?1";
    found(run(connection, "revoke home", update, params![home.as_str(), at])?, "home", home)
}

pub(super) fn set_status(connection: &Connection, home: &HomeId, status: &AgentStatus, at: i64) -> StoreResult<()> {
    let AgentStatus { online, agent_version, model_version, entities, outbox } = status;
    let update = "UPDATE homes SET online = ?2, agent_version = ?3, model_version = ?4, entities = ?5, outbox = ?6,
         heard_at = ?7 WHERE home = ?1";
    let values = params![home.as_str(), online, agent_version, signed(model_version.0), entities, outbox, at];
    run(connection, "set status", update, values).map(drop)
}

pub(super) fn one(connection: &Connection, home: &HomeId) -> StoreResult<Option<HomeRow>> {
    Ok(select(connection, "WHERE home = ?1", [home.as_str()])?.pop())
}

/// By name, after `after`.
pub(super) fn list(connection: &Connection, after: Option<&HomeId>, limit: usize) -> StoreResult<Vec<HomeRow>> {
    // Every name is after the empty one.
    let after = after.map_or("", HomeId::as_str);
    select(connection, "WHERE home > ?1 ORDER BY home LIMIT ?2", params![after, limited(limit)])
}

/// What [`read`] reads, and how many columns that are.
pub(super) const COLUMNS: &str =
    "home, enrolled_at, revoked_at, through, records, online, agent_version, model_version,
     entities, outbox, heard_at, gap_since, announces_since, row_version";
pub(super) const COLUMN_COUNT: usize = 14;

fn select(connection: &Connection, clause: &str, values: impl Params) -> StoreResult<Vec<HomeRow>> {
    let select = format!("SELECT {COLUMNS} FROM homes {clause}");
    all(connection, "list homes", &select, values, read)
}

pub(super) fn totals(connection: &Connection) -> StoreResult<FleetTotals> {
    let select = "SELECT homes, online, waiting FROM totals";
    query::one(connection, "count homes", select, [], |row| {
        Ok(FleetTotals { homes: row.get(0)?, online: row.get(1)?, waiting: row.get(2)? })
    })
}

pub(super) fn states(connection: &Connection, late_before: i64) -> StoreResult<FleetStates> {
    let select = "SELECT
             count(*) FILTER (WHERE revoked_at IS NULL AND online = 1),
             count(*) FILTER (WHERE revoked_at IS NULL AND online = 0 AND heard_at >= ?1),
             count(*) FILTER (WHERE revoked_at IS NULL AND online = 0 AND heard_at < ?1),
             count(*) FILTER (WHERE revoked_at IS NULL AND online IS NULL),
             count(*) FILTER (WHERE revoked_at IS NOT NULL),
             (SELECT count(*) FROM exclusions JOIN homes USING (home) WHERE lifted_at IS NULL AND revoked_at IS NULL)
         FROM homes";
    let running = "SELECT model_version, count(*) FROM homes
         WHERE revoked_at IS NULL AND model_version IS NOT NULL GROUP BY model_version ORDER BY model_version";
    let running = all(connection, "count homes", running, [], |row| Ok((ModelVersion(row.get(0)?), row.get(1)?)))?;
    query::one(connection, "count homes", select, [late_before], |row| {
        Ok(FleetStates {
            online: row.get(0)?,
            offline: row.get(1)?,
            late: row.get(2)?,
            never_seen: row.get(3)?,
            revoked: row.get(4)?,
            excluded: row.get(5)?,
            running,
        })
    })
}

pub(super) fn read(row: &Row<'_>) -> Result<HomeRow, Fault> {
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
    Ok(HomeRow {
        home: query::home("homes", row, 0)?,
        enrolled_at: row.get(1)?,
        revoked_at: row.get(2)?,
        through: Sequence(row.get(3)?),
        records: row.get(4)?,
        status,
        gap_since: row.get(11)?,
        announces_since: row.get(12)?,
        row_version: row.get(13)?,
    })
}
