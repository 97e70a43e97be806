//! Changes with their line of the audit log, in one transaction.

use hearthwatch_protocol::HomeId;
use rusqlite::{Connection, Transaction};
use serde_json::{Value, json};

use super::{StoreError, StoreResult, corrupt, homes, models, query, rollouts, standings, tags, tokens};
use crate::change::{Change, Note};
use crate::rollouts::{AssignmentRow, RolloutRow};
use crate::rows::{AuditEntry, AuditRow, ModelState};

/// What was, and what is.
struct Done {
    subject: String,
    before: Value,
    after: Value,
}

pub(super) fn change(tx: &Transaction<'_>, change: &Change, note: &Note) -> StoreResult<AuditRow> {
    let Done { subject, before, after } = match change {
        Change::Rollout(row) => rollout(tx, row)?,
        Change::RollBack { row, orders } => roll_back(tx, row, orders)?,
        Change::RevokeHome { home, at } => access(tx, home, Some(*at))?,
        Change::RestoreHome { home } => access(tx, home, None)?,
        Change::TagHome { home, tags } => {
            let none = || StoreError::NotFound { noun: "home", id: home.to_string() };
            homes::one(tx, home)?.ok_or_else(none)?;
            let before = json!({"tags": tags::of(tx, home)?});
            tags::set(tx, home, tags)?;
            Done { subject: home.to_string(), before, after: json!({"tags": tags}) }
        }
        Change::ExcludeHome(row) => {
            let before = learning(tx, &row.home)?;
            if !rollouts::exclude_home(tx, row)? {
                let present = before["state"].as_str().unwrap_or_default().to_owned();
                return Err(StoreError::Conflict { noun: "home", id: row.home.to_string(), present, row_version: 0 });
            }
            Done { subject: row.home.to_string(), before, after: learning(tx, &row.home)? }
        }
        Change::IncludeHome { home, by, at } => {
            let before = learning(tx, home)?;
            // A home without an exclusion may have a reputation, and one with it deserves a fresh one.
            let forgotten = standings::forget(tx, home)?;
            match rollouts::lift_exclusion(tx, home, by, *at) {
                Err(StoreError::NotFound { .. }) if forgotten => {}
                lifted => lifted?,
            }
            Done { subject: home.to_string(), before, after: learning(tx, home)? }
        }
    };
    let mut detail = note.detail.clone();
    let Some(fields) = detail.as_object_mut() else { return Err(corrupt("audit", "the detail is no JSON object")) };
    fields.insert("before".to_owned(), before);
    fields.insert("after".to_owned(), after);
    let (actor, action) = (note.actor.clone(), note.action.clone());
    tokens::append_audit(tx, &AuditEntry { at: note.at, actor, action, subject, detail: detail.to_string() })
}

fn rollout(tx: &Transaction<'_>, row: &RolloutRow) -> StoreResult<Done> {
    let as_json =
        |row: &RolloutRow| json!({"state": row.state.as_str(), "forced": row.forced, "row_version": row.row_version});
    let before = rollouts::one(tx, row.model_version)?.as_ref().map_or(Value::Null, as_json);
    let after = rollouts::put(tx, row)?;
    Ok(Done { subject: row.model_version.to_string(), before, after: as_json(&after) })
}

/// The rollout's version is looked at first: orders and models follow only if nobody wrote since.
fn roll_back(tx: &Transaction<'_>, row: &RolloutRow, orders: &[AssignmentRow]) -> StoreResult<Done> {
    let done = rollout(tx, row)?;
    for order in orders {
        match rollouts::add_assignment(tx, row.model_version, order) {
            // The director gave this home a newer order after these were signed: they are signed anew on what is there now.
            Err(StoreError::Corrupt { .. }) => {
                let (id, present) = (row.model_version.to_string(), "giving orders".to_owned());
                return Err(StoreError::Conflict { noun: "rollout", id, present, row_version: row.row_version });
            }
            added => added?,
        }
    }
    let Some(model) = models::one(tx, row.model_version)? else { return Ok(done) };
    let was_champion = model.state == ModelState::Champion;
    models::set_state(tx, &model, ModelState::Withdrawn)?;
    // A model that came out since stays in charge.
    if let (true, Some(previous)) = (was_champion, row.previous)
        && let Some(previous) = models::one(tx, previous)?
    {
        models::set_state(tx, &previous, ModelState::Champion)?;
    }
    Ok(done)
}

fn access(tx: &Transaction<'_>, home: &HomeId, revoked_at: Option<i64>) -> StoreResult<Done> {
    let as_json = || -> StoreResult<Value> {
        let row = homes::one(tx, home)?;
        let row = row.ok_or_else(|| StoreError::NotFound { noun: "home", id: home.to_string() })?;
        let state = if row.revoked_at.is_some() { "revoked" } else { "admitted" };
        Ok(json!({"state": state, "row_version": row.row_version}))
    };
    let before = as_json()?;
    homes::set_revoked(tx, home, revoked_at)?;
    Ok(Done { subject: home.to_string(), before, after: as_json()? })
}

/// Whether a home is learned from, and why not.
fn learning(connection: &Connection, home: &HomeId) -> StoreResult<Value> {
    let select = "SELECT reason, by FROM exclusions WHERE home = ?1 AND lifted_at IS NULL";
    let found = query::first(connection, "look up an exclusion", select, [home.as_str()], |row| {
        let (reason, by): (String, String) = (row.get(0)?, row.get(1)?);
        Ok(json!({"state": "excluded", "reason": reason, "by": by}))
    })?;
    Ok(found.unwrap_or_else(|| json!({"state": "included"})))
}
