//! Tables `rollouts`, `assignments`, `manifests`, `exclusions`.

use hearthwatch_protocol::assignment::SignedAssignment;
use hearthwatch_protocol::manifest::SignedManifest;
use hearthwatch_protocol::{HomeId, ModelVersion};
use rusqlite::{Connection, Params, Transaction, params};

use super::query::{all, first, home, run, word};
use super::{SqliteStore, StoreError, StoreResult, corrupt, engine, found, limited, lost, signed};
use crate::actor::Actor;
use crate::rollouts::{AnswerDay, AssignmentRow, ExclusionRow, ManifestRow, RolloutRow, RolloutStore};

/// Seconds of a day.
const DAY: i64 = 86_400;

impl RolloutStore for SqliteStore {
    fn put_rollout(&self, row: &RolloutRow) -> StoreResult<RolloutRow> {
        self.write("put rollout", |transaction| put(transaction, row))
    }

    fn rollout(&self, version: ModelVersion) -> StoreResult<Option<RolloutRow>> {
        one(&self.look_up(), version)
    }

    fn rollouts(&self, before: Option<ModelVersion>, limit: usize) -> StoreResult<Vec<RolloutRow>> {
        let before = before.map_or(i64::MAX, |version| signed(version.0));
        let clause = "WHERE model_version < ?1 ORDER BY model_version DESC LIMIT ?2";
        select(&self.read(), clause, params![before, limited(limit)])
    }

    fn add_assignments(&self, under: &RolloutRow, rows: &[AssignmentRow]) -> StoreResult<()> {
        self.write("add assignments", |transaction| {
            let unchanged =
                one(transaction, under.model_version)?.is_some_and(|row| row.row_version == under.row_version);
            if !unchanged {
                return Err(conflict(transaction, under.model_version)?);
            }
            rows.iter().try_for_each(|row| add_assignment(transaction, under.model_version, row))
        })
    }

    fn assignments(&self) -> StoreResult<Vec<AssignmentRow>> {
        select_assignments(&self.read(), NEWEST_ORDERS, "", [])
    }

    fn assignments_of(&self, homes: &[HomeId]) -> StoreResult<Vec<AssignmentRow>> {
        let reader = self.read();
        let one = |home: &HomeId| select_assignments(&reader, NEWEST_ORDERS, "WHERE home = ?1", [home.as_str()]);
        let each = homes.iter().map(one);
        Ok(each.collect::<Result<Vec<_>, _>>()?.concat())
    }

    fn may_deliver(&self, home: &HomeId, generation: u64) -> StoreResult<bool> {
        let select = "SELECT delivered OR coalesce(state NOT IN ('paused', 'halted'), 1)
             FROM newest_orders LEFT JOIN rollouts ON model_version = rollout WHERE home = ?1 AND generation = ?2";
        let values = params![home.as_str(), signed(generation)];
        let found = first(&self.look_up(), "look up an order", select, values, |row| Ok(row.get(0)?))?;
        Ok(found.unwrap_or(false))
    }

    fn delivered(&self, orders: &[(HomeId, u64)]) -> StoreResult<()> {
        self.write("note deliveries", |transaction| {
            let update = "UPDATE newest_orders SET delivered = 1 WHERE home = ?1 AND generation = ?2";
            let mut update = transaction.prepare(update).map_err(engine("note deliveries"))?;
            for (home, generation) in orders {
                update.execute(params![home.as_str(), signed(*generation)]).map_err(engine("note deliveries"))?;
            }
            Ok(())
        })
    }

    fn assignment_history(&self) -> StoreResult<Vec<AssignmentRow>> {
        select_assignments(&self.read(), "assignments", "", [])
    }

    fn manifests(&self) -> StoreResult<Vec<ManifestRow>> {
        select_manifests(&self.read(), "ORDER BY home", [])
    }

    fn manifests_of(&self, homes: &[HomeId]) -> StoreResult<Vec<ManifestRow>> {
        let reader = self.read();
        let each = homes.iter().map(|home| select_manifests(&reader, "WHERE home = ?1", [home.as_str()]));
        Ok(each.collect::<Result<Vec<_>, _>>()?.concat())
    }

    fn answer_days(&self, since: i64) -> StoreResult<Vec<AnswerDay>> {
        // Whole days are counted already; what was stored on the first one after `since` is counted here.
        let select = format!(
            "SELECT home, received_at / {DAY} AS day, sum(verdict = 'confirmed'), sum(verdict = 'dismissed')
                 FROM feedback WHERE received_at >= ?1 AND received_at < ?2 * {DAY} GROUP BY home, day
             UNION ALL SELECT home, day, confirmed, dismissed FROM answer_days WHERE day >= ?2
             ORDER BY 1, 2"
        );
        let first_whole = since.div_euclid(DAY) + i64::from(since.rem_euclid(DAY) != 0);
        all(&self.read(), "count answers", &select, [since, first_whole], |row| {
            let home = home("feedback", row, 0)?;
            Ok(AnswerDay { home, day: row.get(1)?, confirmed: row.get(2)?, dismissed: row.get(3)? })
        })
    }

    fn exclude_home(&self, row: &ExclusionRow) -> StoreResult<()> {
        self.write("exclude home", |transaction| exclude_home(transaction, row).map(drop))
    }

    fn lift_exclusion(&self, home: &HomeId, by: &Actor, at: i64) -> StoreResult<()> {
        self.write("lift exclusion", |transaction| lift_exclusion(transaction, home, by, at))
    }

    fn exclusions(&self, after: Option<&(i64, HomeId)>, limit: usize) -> StoreResult<Vec<ExclusionRow>> {
        let (at, home) = after.map_or((i64::MAX, ""), |(at, home)| (*at, home.as_str()));
        let clause = "WHERE at < ?1 OR (at = ?1 AND home > ?2) ORDER BY at DESC, home LIMIT ?3";
        select_exclusions(&self.read(), clause, params![at, home, limited(limit)])
    }

    fn excluded(&self, limit: usize) -> StoreResult<Vec<ExclusionRow>> {
        let clause = "WHERE lifted_at IS NULL ORDER BY at DESC, home LIMIT ?1";
        select_exclusions(&self.read(), clause, [limited(limit)])
    }
}

const ROLLOUT: &str = "model_version, previous, policy, state, forced, started_at, paused_at, paused_seconds, ended_at,
     reason, row_version";

/// Writes a new rollout, or over the version that was read.
pub(super) fn put(tx: &Transaction<'_>, row: &RolloutRow) -> StoreResult<RolloutRow> {
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
    match run(tx, "put rollout", &write, values)? {
        0 => Err(conflict(tx, row.model_version)?),
        _ => Ok(RolloutRow { row_version: row.row_version + 1, ..row.clone() }),
    }
}

pub(super) fn one(connection: &Connection, version: ModelVersion) -> StoreResult<Option<RolloutRow>> {
    Ok(select(connection, "WHERE model_version = ?1", [signed(version.0)])?.pop())
}

pub(super) fn select(connection: &Connection, clause: &str, values: impl Params) -> StoreResult<Vec<RolloutRow>> {
    let select = format!("SELECT {ROLLOUT} FROM rollouts {clause}");
    all(connection, "list rollouts", &select, values, |row| {
        Ok(RolloutRow {
            model_version: ModelVersion(row.get(0)?),
            previous: row.get::<_, Option<u64>>(1)?.map(ModelVersion),
            policy: row.get(2)?,
            state: word("rollouts", row, 3)?,
            forced: row.get(4)?,
            started_at: row.get(5)?,
            paused_at: row.get(6)?,
            paused_seconds: row.get(7)?,
            ended_at: row.get(8)?,
            reason: row.get(9)?,
            row_version: row.get(10)?,
        })
    })
}

/// The error of a write that came too late.
fn conflict(connection: &Connection, version: ModelVersion) -> StoreResult<StoreError> {
    let now = one(connection, version)?.map(|row| (row.state.as_str(), row.row_version));
    Ok(lost("rollout", version.to_string(), now))
}

/// False for a home that is excluded already.
pub(super) fn exclude_home(tx: &Transaction<'_>, row: &ExclusionRow) -> StoreResult<bool> {
    let insert = "INSERT INTO exclusions (home, reason, by, at) SELECT ?1, ?2, ?3, ?4
         WHERE NOT EXISTS (SELECT 1 FROM exclusions WHERE home = ?1 AND lifted_at IS NULL)
         ON CONFLICT (home, at) DO UPDATE SET reason = ?2, by = ?3, lifted_by = NULL, lifted_at = NULL";
    let values = params![row.home.as_str(), row.reason, row.by.to_string(), row.at];
    Ok(run(tx, "exclude home", insert, values)? > 0)
}

pub(super) fn lift_exclusion(tx: &Transaction<'_>, home: &HomeId, by: &Actor, at: i64) -> StoreResult<()> {
    let update = "UPDATE exclusions SET lifted_by = ?2, lifted_at = ?3 WHERE home = ?1 AND lifted_at IS NULL";
    found(run(tx, "lift exclusion", update, params![home.as_str(), by.to_string(), at])?, "exclusion", home)
}

fn select_exclusions(connection: &Connection, clause: &str, values: impl Params) -> StoreResult<Vec<ExclusionRow>> {
    let select = format!("SELECT home, reason, by, at, lifted_by, lifted_at FROM exclusions {clause}");
    all(connection, "list exclusions", &select, values, |row| {
        let (home, by) = (home("exclusions", row, 0)?, Actor::parse(&row.get::<_, String>(2)?));
        let lifted = row.get::<_, Option<String>>(4)?.map(|by| Actor::parse(&by)).zip(row.get(5)?);
        Ok(ExclusionRow { home, reason: row.get(1)?, by, at: row.get(3)?, lifted })
    })
}

fn select_manifests(connection: &Connection, clause: &str, values: impl Params) -> StoreResult<Vec<ManifestRow>> {
    let select = format!("SELECT home, signed, heard_at FROM manifests {clause}");
    all(connection, "list manifests", &select, values, |row| {
        let signed = SignedManifest::from_bytes(row.get(1)?);
        Ok(ManifestRow { home: home("manifests", row, 0)?, signed, heard_at: row.get(2)? })
    })
}

pub(super) fn put_manifest(
    connection: &Connection,
    home: &HomeId,
    manifest: &SignedManifest,
    at: i64,
) -> StoreResult<()> {
    let insert = "INSERT OR REPLACE INTO manifests (home, signed, heard_at) VALUES (?1, ?2, ?3)";
    run(connection, "put manifest", insert, params![home.as_str(), manifest.as_bytes(), at]).map(drop)
}

pub(super) fn add_assignment(tx: &Transaction<'_>, rollout: ModelVersion, row: &AssignmentRow) -> StoreResult<()> {
    let newest = "SELECT generation FROM newest_orders WHERE home = ?1";
    let newest: Option<u64> = first(tx, "add assignment", newest, [row.home.as_str()], |row| Ok(row.get(0)?))?;
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
    run(tx, "add assignment", insert, values)?;
    let note = "INSERT INTO newest_orders (home, generation, rollout) VALUES (?1, ?2, ?3)
         ON CONFLICT (home) DO UPDATE SET generation = ?2, rollout = ?3, delivered = 0";
    let values = params![row.home.as_str(), signed(row.generation), signed(rollout.0)];
    run(tx, "add assignment", note, values).map(drop)
}

/// Read from the smaller table: every order that was ever given stays in the other.
const NEWEST_ORDERS: &str = "newest_orders CROSS JOIN assignments USING (home, generation)";

fn select_assignments(
    connection: &Connection,
    from: &str,
    clause: &str,
    values: impl Params,
) -> StoreResult<Vec<AssignmentRow>> {
    let select = format!(
        "SELECT home, generation, model_version, nonce, issued_at, expires_at, signed FROM {from} {clause}
             ORDER BY home, generation"
    );
    all(connection, "list assignments", &select, values, |row| {
        Ok(AssignmentRow {
            home: home("assignments", row, 0)?,
            generation: row.get(1)?,
            model_version: ModelVersion(row.get(2)?),
            nonce: row.get(3)?,
            issued_at: row.get(4)?,
            expires_at: row.get(5)?,
            signed: SignedAssignment::from_bytes(row.get(6)?),
        })
    })
}
