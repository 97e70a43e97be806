//! Tables `rollouts`, `assignments`, `manifests`, `exclusions`.

use hearthwatch_protocol::assignment::SignedAssignment;
use hearthwatch_protocol::manifest::SignedManifest;
use hearthwatch_protocol::{HomeId, ModelVersion};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{SqliteStore, StoreError, corrupt, engine, home_id, signed};
use crate::store::rollouts::{
    AnswerDay, AssignmentRow, ExclusionRow, ManifestRow, RolloutRow, RolloutState, RolloutStore,
};

/// Seconds of a day.
const DAY: i64 = 86_400;

impl RolloutStore for SqliteStore {
    fn put_rollout(&self, row: &RolloutRow) -> Result<(), StoreError> {
        self.write("put rollout", |transaction| {
            let insert = "INSERT OR REPLACE INTO rollouts (model_version, previous, policy, state, forced, started_at,
                 paused_at, paused_seconds, ended_at, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
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
            ];
            transaction.execute(insert, values).map(drop).map_err(engine("put rollout"))
        })
    }

    fn rollouts(&self) -> Result<Vec<RolloutRow>, StoreError> {
        let reader = self.read();
        let select = "SELECT model_version, previous, policy, state, forced, started_at, paused_at, paused_seconds,
             ended_at, reason FROM rollouts ORDER BY model_version DESC";
        let mut statement = reader.prepare(select).map_err(engine("list rollouts"))?;
        let rows = statement.query_map([], rollout).map_err(engine("list rollouts"))?;
        rows.map(|row| {
            let (state, read) = row.map_err(engine("list rollouts"))?;
            let state = RolloutState::parse(&state).ok_or_else(|| corrupt("rollouts", state))?;
            Ok(RolloutRow { state, ..read })
        })
        .collect()
    }

    fn add_assignments(&self, rows: &[AssignmentRow]) -> Result<(), StoreError> {
        self.write("add assignments", |transaction| rows.iter().try_for_each(|row| add_assignment(transaction, row)))
    }

    fn assignments(&self) -> Result<Vec<AssignmentRow>, StoreError> {
        let newest = "WHERE generation = (SELECT max(generation) FROM assignments AS other WHERE other.home = a.home)";
        select_assignments(&self.read(), newest)
    }

    fn assignment_history(&self) -> Result<Vec<AssignmentRow>, StoreError> {
        select_assignments(&self.read(), "")
    }

    fn manifests(&self) -> Result<Vec<ManifestRow>, StoreError> {
        let reader = self.read();
        let select = "SELECT home, signed, heard_at FROM manifests ORDER BY home";
        let mut statement = reader.prepare(select).map_err(engine("list manifests"))?;
        let rows = statement
            .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?)))
            .map_err(engine("list manifests"))?;
        rows.map(|row| {
            let (home, signed, heard_at) = row.map_err(engine("list manifests"))?;
            Ok(ManifestRow { home: home_id("manifests", home)?, signed: SignedManifest::from_bytes(signed), heard_at })
        })
        .collect()
    }

    fn answer_days(&self, since: i64) -> Result<Vec<AnswerDay>, StoreError> {
        let reader = self.read();
        let select = format!(
            "SELECT home, received_at / {DAY} AS day, sum(verdict = 'confirmed'), sum(verdict = 'dismissed')
                 FROM feedback WHERE received_at >= ?1 GROUP BY home, day ORDER BY home, day"
        );
        let mut statement = reader.prepare(&select).map_err(engine("count answers"))?;
        let rows = statement
            .query_map([since], |row| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
            .map_err(engine("count answers"))?;
        rows.map(|row| {
            let (home, day, confirmed, dismissed) = row.map_err(engine("count answers"))?;
            Ok(AnswerDay { home: home_id("feedback", home)?, day, confirmed, dismissed })
        })
        .collect()
    }

    fn exclude_home(&self, row: &ExclusionRow) -> Result<(), StoreError> {
        self.write("exclude home", |transaction| {
            let insert = "INSERT INTO exclusions (home, reason, by, at) SELECT ?1, ?2, ?3, ?4
                 WHERE NOT EXISTS (SELECT 1 FROM exclusions WHERE home = ?1 AND lifted_at IS NULL)
                 ON CONFLICT (home, at) DO UPDATE SET lifted_by = NULL, lifted_at = NULL";
            let values = params![row.home.as_str(), row.reason, row.by, row.at];
            transaction.execute(insert, values).map(drop).map_err(engine("exclude home"))
        })
    }

    fn lift_exclusion(&self, home: &HomeId, by: &str, at: i64) -> Result<(), StoreError> {
        self.write("lift exclusion", |transaction| {
            let update = "UPDATE exclusions SET lifted_by = ?2, lifted_at = ?3 WHERE home = ?1 AND lifted_at IS NULL";
            let changed = transaction.execute(update, params![home.as_str(), by, at]);
            match changed.map_err(engine("lift exclusion"))? {
                0 => Err(StoreError::NotFound { noun: "exclusion", id: home.to_string() }),
                _ => Ok(()),
            }
        })
    }

    fn exclusions(&self) -> Result<Vec<ExclusionRow>, StoreError> {
        let reader = self.read();
        let select = "SELECT home, reason, by, at, lifted_by, lifted_at FROM exclusions ORDER BY at DESC, home";
        let mut statement = reader.prepare(select).map_err(engine("list exclusions"))?;
        let rows = statement.query_map([], exclusion).map_err(engine("list exclusions"))?;
        rows.map(|row| {
            let (home, read) = row.map_err(engine("list exclusions"))?;
            Ok(read(home_id("exclusions", home)?))
        })
        .collect()
    }
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

fn add_assignment(transaction: &Transaction<'_>, row: &AssignmentRow) -> Result<(), StoreError> {
    let newest: Option<u64> = transaction
        .query_row("SELECT max(generation) FROM assignments WHERE home = ?1", [row.home.as_str()], |row| row.get(0))
        .optional()
        .map_err(engine("add assignment"))?
        .flatten();
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
    transaction.execute(insert, values).map(drop).map_err(engine("add assignment"))
}

fn select_assignments(connection: &Connection, clause: &str) -> Result<Vec<AssignmentRow>, StoreError> {
    let select = format!(
        "SELECT home, generation, model_version, nonce, issued_at, expires_at, signed FROM assignments AS a {clause}
             ORDER BY home, generation"
    );
    let mut statement = connection.prepare(&select).map_err(engine("list assignments"))?;
    let rows = statement
        .query_map([], |row| {
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
    };
    Ok((row.get(3)?, read))
}

/// Everything but the home's name, which may turn out not to be one.
fn exclusion(row: &Row<'_>) -> rusqlite::Result<(String, impl FnOnce(HomeId) -> ExclusionRow + use<>)> {
    let (reason, by, at) = (row.get(1)?, row.get(2)?, row.get(3)?);
    let lifted = row.get::<_, Option<String>>(4)?.zip(row.get(5)?);
    Ok((row.get(0)?, move |home| ExclusionRow { home, reason, by, at, lifted }))
}
