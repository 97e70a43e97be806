//! Tables `rollouts`, `assignments`, `manifests`, `exclusions`.

use hearthwatch_protocol::assignment::SignedAssignment;
use hearthwatch_protocol::manifest::SignedManifest;
use hearthwatch_protocol::{HomeId, ModelVersion};
use rusqlite::{Connection, OptionalExtension as _, Params, Row, Transaction, params};

use super::{SqliteStore, StoreError, corrupt, engine, home_id, limited, signed};
use crate::actor::Actor;
use crate::rollouts::{AnswerDay, AssignmentRow, ExclusionRow, ManifestRow, RolloutRow, RolloutState, RolloutStore};

/// Seconds of a day.
const DAY: i64 = 86_400;

impl RolloutStore for SqliteStore {
    fn put_rollout(&self, row: &RolloutRow) -> Result<RolloutRow, StoreError> {
        self.write("put rollout", |transaction| put(transaction, row))
    }

    fn rollout(&self, version: ModelVersion) -> Result<Option<RolloutRow>, StoreError> {
        one(&self.readers.short(), version)
    }

    fn rollouts(&self, before: Option<ModelVersion>, limit: usize) -> Result<Vec<RolloutRow>, StoreError> {
        let before = before.map_or(i64::MAX, |version| signed(version.0));
        let clause = "WHERE model_version < ?1 ORDER BY model_version DESC LIMIT ?2";
        select(&self.read(), clause, params![before, limited(limit)])
    }

    fn add_assignments(&self, under: &RolloutRow, rows: &[AssignmentRow]) -> Result<(), StoreError> {
        self.write("add assignments", |transaction| {
            let unchanged =
                one(transaction, under.model_version)?.is_some_and(|row| row.row_version == under.row_version);
            if !unchanged {
                return Err(conflict(transaction, under.model_version)?);
            }
            rows.iter().try_for_each(|row| add_assignment(transaction, under.model_version, row))
        })
    }

    fn assignments(&self) -> Result<Vec<AssignmentRow>, StoreError> {
        select_assignments(&self.read(), NEWEST_ORDERS, "", [])
    }

    fn assignments_of(&self, homes: &[HomeId]) -> Result<Vec<AssignmentRow>, StoreError> {
        let reader = self.read();
        let one = |home: &HomeId| select_assignments(&reader, NEWEST_ORDERS, "WHERE home = ?1", [home.as_str()]);
        let each = homes.iter().map(one);
        Ok(each.collect::<Result<Vec<_>, _>>()?.concat())
    }

    fn may_deliver(&self, home: &HomeId, generation: u64) -> Result<bool, StoreError> {
        let select = "SELECT delivered OR coalesce(state NOT IN ('paused', 'halted'), 1)
             FROM newest_orders LEFT JOIN rollouts ON model_version = rollout WHERE home = ?1 AND generation = ?2";
        let reader = self.readers.short();
        let mut statement = reader.prepare(select).map_err(engine("look up an order"))?;
        let found = statement.query_row(params![home.as_str(), signed(generation)], |row| row.get(0)).optional();
        Ok(found.map_err(engine("look up an order"))?.unwrap_or(false))
    }

    fn delivered(&self, orders: &[(HomeId, u64)]) -> Result<(), StoreError> {
        self.write("note deliveries", |transaction| {
            let update = "UPDATE newest_orders SET delivered = 1 WHERE home = ?1 AND generation = ?2";
            let mut update = transaction.prepare(update).map_err(engine("note deliveries"))?;
            for (home, generation) in orders {
                update.execute(params![home.as_str(), signed(*generation)]).map_err(engine("note deliveries"))?;
            }
            Ok(())
        })
    }

    fn assignment_history(&self) -> Result<Vec<AssignmentRow>, StoreError> {
        select_assignments(&self.read(), "assignments", "", [])
    }

    fn manifests(&self) -> Result<Vec<ManifestRow>, StoreError> {
        select_manifests(&self.read(), "ORDER BY home", [])
    }

    fn manifests_of(&self, homes: &[HomeId]) -> Result<Vec<ManifestRow>, StoreError> {
        let reader = self.read();
        let each = homes.iter().map(|home| select_manifests(&reader, "WHERE home = ?1", [home.as_str()]));
        Ok(each.collect::<Result<Vec<_>, _>>()?.concat())
    }

    fn answer_days(&self, since: i64) -> Result<Vec<AnswerDay>, StoreError> {
        let reader = self.read();
        // Whole days are counted already; what was stored on the first one after `since` is counted here.
        let select = format!(
            "SELECT home, received_at / {DAY} AS day, sum(verdict = 'confirmed'), sum(verdict = 'dismissed')
                 FROM feedback WHERE received_at >= ?1 AND received_at < ?2 * {DAY} GROUP BY home, day
             UNION ALL SELECT home, day, confirmed, dismissed FROM answer_days WHERE day >= ?2
             ORDER BY 1, 2"
        );
        let first_whole = since.div_euclid(DAY) + i64::from(since.rem_euclid(DAY) != 0);
        let mut statement = reader.prepare(&select).map_err(engine("count answers"))?;
        let rows = statement
            .query_map([since, first_whole], |row| {
                Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })
            .map_err(engine("count answers"))?;
        rows.map(|row| {
            let (home, day, confirmed, dismissed) = row.map_err(engine("count answers"))?;
            Ok(AnswerDay { home: home_id("feedback", home)?, day, confirmed, dismissed })
        })
        .collect()
    }

    fn exclude_home(&self, row: &ExclusionRow) -> Result<(), StoreError> {
        self.write("exclude home", |transaction| exclude_home(transaction, row).map(drop))
    }

    fn lift_exclusion(&self, home: &HomeId, by: &Actor, at: i64) -> Result<(), StoreError> {
        self.write("lift exclusion", |transaction| lift_exclusion(transaction, home, by, at))
    }

    fn exclusions(&self, after: Option<&(i64, HomeId)>, limit: usize) -> Result<Vec<ExclusionRow>, StoreError> {
        let (at, home) = after.map_or((i64::MAX, ""), |(at, home)| (*at, home.as_str()));
        let clause = "WHERE at < ?1 OR (at = ?1 AND home > ?2) ORDER BY at DESC, home LIMIT ?3";
        select_exclusions(&self.read(), clause, params![at, home, limited(limit)])
    }

    fn excluded(&self, limit: usize) -> Result<Vec<ExclusionRow>, StoreError> {
        let clause = "WHERE lifted_at IS NULL ORDER BY at DESC, home LIMIT ?1";
        select_exclusions(&self.read(), clause, [limited(limit)])
    }
}

const ROLLOUT: &str = "model_version, previous, policy, state, forced, started_at, paused_at, paused_seconds, ended_at,
     reason, row_version";

/// Writes a new rollout, or over the version that was read.
pub(super) fn put(tx: &Transaction<'_>, row: &RolloutRow) -> Result<RolloutRow, StoreError> {
    let values = params![
        signed(row.model_version.0),
        row.previous.map(|version| signed(version.0)),
        row.policy,
        row.state.as_str(),
        row.forced,
        row.started_at,
        row.paused_at,
        row.paused_seconds,
        row.ended_at,
        row.reason,
        signed(row.row_version),
    ];
    let write = if row.row_version == 0 {
        format!(
            "INSERT INTO rollouts ({ROLLOUT}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11 + 1)
                 ON CONFLICT (model_version) DO NOTHING"
        )
    } else {
        "UPDATE rollouts SET previous = ?2, policy = ?3, state = ?4, forced = ?5, started_at = ?6, paused_at = ?7,
             paused_seconds = ?8, ended_at = ?9, reason = ?10, row_version = ?11 + 1
             WHERE model_version = ?1 AND row_version = ?11"
            .to_owned()
    };
    match tx.execute(&write, values).map_err(engine("put rollout"))? {
        0 => Err(conflict(tx, row.model_version)?),
        _ => Ok(RolloutRow { row_version: row.row_version + 1, ..row.clone() }),
    }
}

pub(super) fn one(connection: &Connection, version: ModelVersion) -> Result<Option<RolloutRow>, StoreError> {
    Ok(select(connection, "WHERE model_version = ?1", [signed(version.0)])?.pop())
}

fn select(connection: &Connection, clause: &str, values: impl Params) -> Result<Vec<RolloutRow>, StoreError> {
    let select = format!("SELECT {ROLLOUT} FROM rollouts {clause}");
    let mut statement = connection.prepare(&select).map_err(engine("list rollouts"))?;
    let rows = statement.query_map(values, rollout).map_err(engine("list rollouts"))?;
    rows.map(|row| {
        let (state, read) = row.map_err(engine("list rollouts"))?;
        let state = RolloutState::parse(&state).ok_or_else(|| corrupt("rollouts", state))?;
        Ok(RolloutRow { state, ..read })
    })
    .collect()
}

/// What the loser of a race is told: where the rollout is now.
fn conflict(connection: &Connection, version: ModelVersion) -> Result<StoreError, StoreError> {
    let id = version.to_string();
    Ok(match one(connection, version)? {
        None => StoreError::NotFound { noun: "rollout", id },
        Some(row) => {
            let present = row.state.as_str().to_owned();
            StoreError::Conflict { noun: "rollout", id, present, row_version: row.row_version }
        }
    })
}

/// False for a home that is excluded already.
pub(super) fn exclude_home(tx: &Transaction<'_>, row: &ExclusionRow) -> Result<bool, StoreError> {
    let insert = "INSERT INTO exclusions (home, reason, by, at) SELECT ?1, ?2, ?3, ?4
         WHERE NOT EXISTS (SELECT 1 FROM exclusions WHERE home = ?1 AND lifted_at IS NULL)
         ON CONFLICT (home, at) DO UPDATE SET reason = ?2, by = ?3, lifted_by = NULL, lifted_at = NULL";
    let values = params![row.home.as_str(), row.reason, row.by.to_string(), row.at];
    tx.execute(insert, values).map(|changed| changed > 0).map_err(engine("exclude home"))
}

pub(super) fn lift_exclusion(tx: &Transaction<'_>, home: &HomeId, by: &Actor, at: i64) -> Result<(), StoreError> {
    let update = "UPDATE exclusions SET lifted_by = ?2, lifted_at = ?3 WHERE home = ?1 AND lifted_at IS NULL";
    match tx.execute(update, params![home.as_str(), by.to_string(), at]).map_err(engine("lift exclusion"))? {
        0 => Err(StoreError::NotFound { noun: "exclusion", id: home.to_string() }),
        _ => Ok(()),
    }
}

fn select_exclusions(
    connection: &Connection,
    clause: &str,
    values: impl Params,
) -> Result<Vec<ExclusionRow>, StoreError> {
    let select = format!("SELECT home, reason, by, at, lifted_by, lifted_at FROM exclusions {clause}");
    let mut statement = connection.prepare(&select).map_err(engine("list exclusions"))?;
    let rows = statement.query_map(values, exclusion).map_err(engine("list exclusions"))?;
    rows.map(|row| {
        let (home, read) = row.map_err(engine("list exclusions"))?;
        Ok(read(home_id("exclusions", home)?))
    })
    .collect()
}

fn select_manifests(
    connection: &Connection,
    clause: &str,
    values: impl Params,
) -> Result<Vec<ManifestRow>, StoreError> {
    let select = format!("SELECT home, signed, heard_at FROM manifests {clause}");
    let mut statement = connection.prepare(&select).map_err(engine("list manifests"))?;
    let rows = statement
        .query_map(values, |row| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?)))
        .map_err(engine("list manifests"))?;
    rows.map(|row| {
        let (home, signed, heard_at) = row.map_err(engine("list manifests"))?;
        Ok(ManifestRow { home: home_id("manifests", home)?, signed: SignedManifest::from_bytes(signed), heard_at })
    })
    .collect()
}

pub(super) fn put_manifest(
    connection: &Connection,
    home: &HomeId,
    manifest: &SignedManifest,
    at: i64,
) -> Result<(), StoreError> {
    let insert = "INSERT OR REPLACE INTO manifests (home, signed, heard_at) VALUES (?1, ?2, ?3)";
    connection
        .execute(insert, params![home.as_str(), manifest.as_bytes(), at])
        .map(drop)
        .map_err(engine("put manifest"))
}

pub(super) fn add_assignment(
    tx: &Transaction<'_>,
    rollout: ModelVersion,
    row: &AssignmentRow,
) -> Result<(), StoreError> {
    let newest = "SELECT generation FROM newest_orders WHERE home = ?1";
    let mut newest = tx.prepare(newest).map_err(engine("add assignment"))?;
    let newest: Option<u64> =
        newest.query_row([row.home.as_str()], |row| row.get(0)).optional().map_err(engine("add assignment"))?;
    if newest.is_some_and(|newest| newest >= row.generation) {
        return Err(corrupt("assignments", format!("{} had generation {} before", row.home, row.generation)));
    }
    let insert = "INSERT INTO assignments (home, generation, model_version, nonce, issued_at, expires_at, signed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let values = params![
        row.home.as_str(),
        signed(row.generation),
        signed(row.model_version.0),
        &row.nonce[..],
        row.issued_at,
        row.expires_at,
        row.signed.as_bytes(),
    ];
    let run = |sql: &str, values: &[&dyn rusqlite::ToSql]| -> Result<(), StoreError> {
        let mut statement = tx.prepare(sql).map_err(engine("add assignment"))?;
        statement.execute(values).map(drop).map_err(engine("add assignment"))
    };
    run(insert, values)?;
    let note = "INSERT INTO newest_orders (home, generation, rollout) VALUES (?1, ?2, ?3)
         ON CONFLICT (home) DO UPDATE SET generation = ?2, rollout = ?3, delivered = 0";
    run(note, params![row.home.as_str(), signed(row.generation), signed(rollout.0)])
}

/// Read from the smaller table: every order that was ever given stays in the other.
const NEWEST_ORDERS: &str = "newest_orders CROSS JOIN assignments USING (home, generation)";

fn select_assignments(
    connection: &Connection,
    from: &str,
    clause: &str,
    values: impl Params,
) -> Result<Vec<AssignmentRow>, StoreError> {
    let select = format!(
        "SELECT home, generation, model_version, nonce, issued_at, expires_at, signed FROM {from} {clause}
             ORDER BY home, generation"
    );
    let mut statement = connection.prepare(&select).map_err(engine("list assignments"))?;
    let rows = statement
        .query_map(values, |row| {
            let (generation, model_version) = (row.get(1)?, ModelVersion(row.get(2)?));
            let (nonce, issued_at, expires_at) = (row.get(3)?, row.get(4)?, row.get(5)?);
            let signed = SignedAssignment::from_bytes(row.get(6)?);
            let read =
                move |home| AssignmentRow { home, generation, model_version, nonce, issued_at, expires_at, signed };
            Ok((row.get::<_, String>(0)?, read))
        })
        .map_err(engine("list assignments"))?;
    rows.map(|row| {
        let (home, read) = row.map_err(engine("list assignments"))?;
        Ok(read(home_id("assignments", home)?))
    })
    .collect()
}

fn rollout(row: &Row<'_>) -> rusqlite::Result<(String, RolloutRow)> {
    let read = RolloutRow {
        model_version: ModelVersion(row.get(0)?),
        previous: row.get::<_, Option<u64>>(1)?.map(ModelVersion),
        policy: row.get(2)?,
        state: RolloutState::Halted,
        forced: row.get(4)?,
        started_at: row.get(5)?,
        paused_at: row.get(6)?,
        paused_seconds: row.get(7)?,
        ended_at: row.get(8)?,
        reason: row.get(9)?,
        row_version: row.get(10)?,
    };
    Ok((row.get(3)?, read))
}

/// Everything but the home's name, which may turn out not to be one.
fn exclusion(row: &Row<'_>) -> rusqlite::Result<(String, impl FnOnce(HomeId) -> ExclusionRow + use<>)> {
    let (reason, by, at) = (row.get(1)?, Actor::parse(&row.get::<_, String>(2)?), row.get(3)?);
    let lifted = row.get::<_, Option<String>>(4)?.map(|by| Actor::parse(&by)).zip(row.get(5)?);
    Ok((row.get(0)?, move |home| ExclusionRow { home, reason, by, at, lifted }))
}
