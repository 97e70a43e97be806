//! Tables `models` and `releases`.

use hearthwatch_protocol::ModelVersion;
use rusqlite::{Connection, params};

use super::query::{self, all, run, word};
use super::{corrupt, limited, lost, signed};
use crate::rows::{ModelRow, ModelState, ReleaseRow};
use crate::store::{NewModel, StoreError, StoreResult};

pub(super) fn add(connection: &Connection, model: &NewModel) -> StoreResult<ModelRow> {
    if !model.run.is_empty()
        && let Some(known) = select(connection, "WHERE run = ?1", [&model.run])?.pop()
    {
        return Ok(known);
    }
    let insert = "INSERT INTO models (version, sha256, length, weights_id, run, state, created_at)
         VALUES ((SELECT coalesce(max(version), 0) + 1 FROM models), ?1, ?2, ?3, ?4, ?5, ?6)";
    let NewModel { sha256, length, weights_id, run: by, at } = model;
    let values = params![sha256, signed(*length), weights_id, by, ModelState::Approved.as_str(), at];
    run(connection, "add model", insert, values)?;
    let version = ModelVersion(connection.last_insert_rowid().unsigned_abs());
    one(connection, version)?.ok_or_else(|| corrupt("models", "the new row is not there"))
}

pub(super) fn one(connection: &Connection, version: ModelVersion) -> StoreResult<Option<ModelRow>> {
    Ok(select(connection, "WHERE version = ?1", [signed(version.0)])?.pop())
}

/// Newest first, below `before`.
pub(super) fn list(connection: &Connection, before: Option<ModelVersion>, limit: usize) -> StoreResult<Vec<ModelRow>> {
    let before = before.map_or(i64::MAX, |version| signed(version.0));
    select(connection, "WHERE version < ?1 ORDER BY version DESC LIMIT ?2", params![before, limited(limit)])
}

pub(super) fn champion(connection: &Connection) -> StoreResult<Option<ModelRow>> {
    Ok(select(connection, "WHERE state = ?1", [ModelState::Champion.as_str()])?.pop())
}

pub(super) fn select(
    connection: &Connection,
    clause: &str,
    values: impl rusqlite::Params,
) -> StoreResult<Vec<ModelRow>> {
    let select =
        format!("SELECT version, sha256, length, weights_id, run, state, created_at, row_version FROM models {clause}");
    all(connection, "list models", &select, values, |row| {
        Ok(ModelRow {
            version: ModelVersion(row.get(0)?),
            sha256: row.get(1)?,
            length: row.get(2)?,
            weights_id: row.get(3)?,
            run: row.get(4)?,
            state: word("models", row, 5)?,
            created_at: row.get(6)?,
            row_version: row.get(7)?,
        })
    })
}

/// Over the version that was read.
pub(super) fn set_state(connection: &Connection, seen: &ModelRow, state: ModelState) -> StoreResult<()> {
    let update = "UPDATE models SET state = ?3, row_version = row_version + 1 WHERE version = ?1 AND row_version = ?2";
    let values = params![signed(seen.version.0), signed(seen.row_version), state.as_str()];
    match run(connection, "set model state", update, values)? {
        0 => Err(conflict(connection, seen.version)?),
        _ => Ok(()),
    }
}

/// What the loser of a race is told: where the model is now.
fn conflict(connection: &Connection, version: ModelVersion) -> StoreResult<StoreError> {
    let now = one(connection, version)?.map(|row| (row.state.as_str(), row.row_version));
    Ok(lost("model", version.to_string(), now))
}

pub(super) fn put_release(connection: &Connection, row: &ReleaseRow) -> StoreResult<()> {
    let version = signed(row.model_version.0);
    let none = || StoreError::NotFound { noun: "model", id: row.model_version.to_string() };
    let model = one(connection, row.model_version)?.ok_or_else(none)?;
    if model.state == ModelState::Withdrawn {
        return Err(conflict(connection, row.model_version)?);
    }
    let newest = "SELECT max(model_version) FROM releases";
    let newest: Option<i64> = query::one(connection, "put release", newest, [], |row| row.get(0))?;
    let insert = "INSERT INTO releases (model_version, target, sha256, length, report_sha256, released_at, by)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (model_version) DO NOTHING";
    let values =
        params![version, row.target, row.sha256, signed(row.length), row.report_sha256, row.released_at, row.by];
    run(connection, "put release", insert, values)?;
    // A release that comes late, after a newer one, must not take the crown back.
    if newest.is_none_or(|newest| newest <= version) {
        let retire = "UPDATE models SET state = 'retired', row_version = row_version + 1
             WHERE state = 'champion' AND version <> ?1";
        run(connection, "put release", retire, [version])?;
        set_state(connection, &model, ModelState::Champion)?;
    }
    Ok(())
}

/// Newest first, below `before`.
pub(super) fn releases(
    connection: &Connection,
    before: Option<ModelVersion>,
    limit: usize,
) -> StoreResult<Vec<ReleaseRow>> {
    let before = before.map_or(i64::MAX, |version| signed(version.0));
    let select = "SELECT model_version, target, sha256, length, report_sha256, released_at, by FROM releases
         WHERE model_version < ?1 ORDER BY model_version DESC LIMIT ?2";
    all(connection, "list releases", select, params![before, limited(limit)], |row| {
        Ok(ReleaseRow {
            model_version: ModelVersion(row.get(0)?),
            target: row.get(1)?,
            sha256: row.get(2)?,
            length: row.get(3)?,
            report_sha256: row.get(4)?,
            released_at: row.get(5)?,
            by: row.get(6)?,
        })
    })
}
