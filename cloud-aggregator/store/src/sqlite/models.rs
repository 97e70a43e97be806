//! Tables `models` and `releases`.

use hearthwatch_protocol::ModelVersion;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{corrupt, engine, limited, signed};
use crate::rows::{ModelRow, ModelState, ReleaseRow};
use crate::store::{NewModel, StoreError};

const COLUMNS: &str = "version, sha256, length, weights_id, run, state, created_at, row_version";

pub(super) fn add(connection: &Connection, model: &NewModel) -> Result<ModelRow, StoreError> {
    if !model.run.is_empty() {
        let known = select(connection, "WHERE run = ?1", [&model.run])?.pop();
        if let Some(known) = known {
            return Ok(known);
        }
    }
    connection
        .execute(
            "INSERT INTO models (version, sha256, length, weights_id, run, state, created_at)
                 VALUES ((SELECT coalesce(max(version), 0) + 1 FROM models), ?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                model.sha256,
                signed(model.length),
                model.weights_id,
                model.run,
                ModelState::Approved.as_str(),
                model.at
            ],
        )
        .map_err(engine("add model"))?;
    let version = ModelVersion(connection.last_insert_rowid().unsigned_abs());
    one(connection, version)?.ok_or_else(|| corrupt("models", "the new row is not there"))
}

pub(super) fn one(connection: &Connection, version: ModelVersion) -> Result<Option<ModelRow>, StoreError> {
    Ok(select(connection, "WHERE version = ?1", [signed(version.0)])?.pop())
}

/// Newest first, below `before`.
pub(super) fn list(
    connection: &Connection,
    before: Option<ModelVersion>,
    limit: usize,
) -> Result<Vec<ModelRow>, StoreError> {
    let before = before.map_or(i64::MAX, |version| signed(version.0));
    select(connection, "WHERE version < ?1 ORDER BY version DESC LIMIT ?2", params![before, limited(limit)])
}

pub(super) fn champion(connection: &Connection) -> Result<Option<ModelRow>, StoreError> {
    Ok(select(connection, "WHERE state = ?1", [ModelState::Champion.as_str()])?.pop())
}

fn select(connection: &Connection, clause: &str, values: impl rusqlite::Params) -> Result<Vec<ModelRow>, StoreError> {
    let mut statement =
        connection.prepare(&format!("SELECT {COLUMNS} FROM models {clause}")).map_err(engine("list models"))?;
    let rows = statement.query_map(values, read).map_err(engine("list models"))?;
    rows.map(|row| {
        let (state, read) = row.map_err(engine("list models"))?;
        let state = ModelState::parse(&state).ok_or_else(|| corrupt("models", state))?;
        Ok(ModelRow { state, ..read })
    })
    .collect()
}

fn read(row: &Row<'_>) -> rusqlite::Result<(String, ModelRow)> {
    let read = ModelRow {
        version: ModelVersion(row.get(0)?),
        sha256: row.get(1)?,
        length: row.get(2)?,
        weights_id: row.get(3)?,
        run: row.get(4)?,
        state: ModelState::Approved,
        created_at: row.get(6)?,
        row_version: row.get(7)?,
    };
    Ok((row.get(5)?, read))
}

/// Over the version that was read.
pub(super) fn set_state(connection: &Connection, seen: &ModelRow, state: ModelState) -> Result<(), StoreError> {
    let update = "UPDATE models SET state = ?3, row_version = row_version + 1 WHERE version = ?1 AND row_version = ?2";
    let values = params![signed(seen.version.0), signed(seen.row_version), state.as_str()];
    match connection.execute(update, values).map_err(engine("set model state"))? {
        0 => Err(conflict(connection, seen.version)?),
        _ => Ok(()),
    }
}

/// What the loser of a race is told: where the model is now.
fn conflict(connection: &Connection, version: ModelVersion) -> Result<StoreError, StoreError> {
    let id = version.to_string();
    Ok(match one(connection, version)? {
        None => StoreError::NotFound { noun: "model", id },
        Some(row) => {
            let present = row.state.as_str().to_owned();
            StoreError::Conflict { noun: "model", id, present, row_version: row.row_version }
        }
    })
}

pub(super) fn put_release(connection: &Connection, row: &ReleaseRow) -> Result<(), StoreError> {
    let version = signed(row.model_version.0);
    let none = || StoreError::NotFound { noun: "model", id: row.model_version.to_string() };
    let model = one(connection, row.model_version)?.ok_or_else(none)?;
    if model.state == ModelState::Withdrawn {
        return Err(conflict(connection, row.model_version)?);
    }
    let newest: Option<i64> = connection
        .query_row("SELECT max(model_version) FROM releases", [], |row| row.get(0))
        .optional()
        .map_err(engine("put release"))?
        .flatten();
    connection
        .execute(
            "INSERT INTO releases (model_version, target, sha256, length, report_sha256, released_at, by)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (model_version) DO NOTHING",
            params![version, row.target, row.sha256, signed(row.length), row.report_sha256, row.released_at, row.by],
        )
        .map_err(engine("put release"))?;
    // A release that comes late, after a newer one, must not take the crown back.
    if newest.is_none_or(|newest| newest <= version) {
        let retire = "UPDATE models SET state = 'retired', row_version = row_version + 1
             WHERE state = 'champion' AND version <> ?1";
        connection.execute(retire, [version]).map_err(engine("put release"))?;
        set_state(connection, &model, ModelState::Champion)?;
    }
    Ok(())
}

/// Newest first, below `before`.
pub(super) fn releases(
    connection: &Connection,
    before: Option<ModelVersion>,
    limit: usize,
) -> Result<Vec<ReleaseRow>, StoreError> {
    let before = before.map_or(i64::MAX, |version| signed(version.0));
    let mut statement = connection
        .prepare(
            "SELECT model_version, target, sha256, length, report_sha256, released_at, by FROM releases
                 WHERE model_version < ?1 ORDER BY model_version DESC LIMIT ?2",
        )
        .map_err(engine("list releases"))?;
    let rows = statement
        .query_map(params![before, limited(limit)], |row| {
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
        .map_err(engine("list releases"))?;
    rows.collect::<rusqlite::Result<_>>().map_err(engine("list releases"))
}
