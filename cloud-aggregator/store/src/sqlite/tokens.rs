//! Tables `tokens` and `audit`.

use rusqlite::{Connection, Params, params};

use super::query::{all, first, one, run, word};
use super::{found, limited, signed};
use crate::actor::Actor;
use crate::rows::{AuditEntry, AuditRow, Digest, Role, TokenRow};
use crate::store::{StoreError, StoreResult};

/// A name is taken as long as its token was not withdrawn.
pub(super) fn put_token(connection: &Connection, row: &TokenRow) -> StoreResult<()> {
    let insert = "INSERT INTO tokens (name, hash, role, created_at, expires_at, revoked_at, scopes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (name) DO UPDATE SET hash = ?2, role = ?3, created_at = ?4,
             expires_at = ?5, revoked_at = ?6, scopes = ?7 WHERE revoked_at IS NOT NULL";
    let scopes = row.scopes.as_ref().map(|scopes| scopes.join(" "));
    let values =
        params![row.name, &row.hash[..], row.role.as_str(), row.created_at, row.expires_at, row.revoked_at, scopes];
    match run(connection, "put token", insert, values)? {
        0 => {
            let (id, present) = (row.name.clone(), "in force".to_owned());
            Err(StoreError::Conflict { noun: "token", id, present, row_version: 0 })
        }
        _ => Ok(()),
    }
}

pub(super) fn token_by_hash(connection: &Connection, hash: &Digest) -> StoreResult<Option<TokenRow>> {
    Ok(select(connection, "WHERE hash = ?1", [&hash[..]])?.pop())
}

/// By name, after `after`.
pub(super) fn tokens(connection: &Connection, after: Option<&str>, limit: usize) -> StoreResult<Vec<TokenRow>> {
    let after = after.unwrap_or_default();
    select(connection, "WHERE name > ?1 ORDER BY name LIMIT ?2", params![after, limited(limit)])
}

fn select(connection: &Connection, clause: &str, values: impl Params) -> StoreResult<Vec<TokenRow>> {
    let select = format!("SELECT name, hash, role, created_at, expires_at, revoked_at, scopes FROM tokens {clause}");
    all(connection, "list tokens", &select, values, |row| {
        Ok(TokenRow {
            name: row.get(0)?,
            hash: row.get(1)?,
            role: word("tokens", row, 2)?,
            created_at: row.get(3)?,
            expires_at: row.get(4)?,
            revoked_at: row.get(5)?,
            scopes: row.get::<_, Option<String>>(6)?.map(|text| text.split_whitespace().map(str::to_owned).collect()),
        })
    })
}

pub(super) fn revoke_token(connection: &Connection, name: &str, at: i64) -> StoreResult<()> {
    // Counted in the transaction that withdraws it: of two admins who withdraw each other's token at once, one stays.
    let admins = "SELECT count(*), coalesce(sum(name = ?1), 0) FROM tokens
         WHERE role = ?2 AND scopes IS NULL AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)";
    let values = params![name, Role::Admin.as_str(), at];
    let (in_force, own): (u64, u64) =
        one(connection, "revoke token", admins, values, |row| Ok((row.get(0)?, row.get(1)?)))?;
    if own > 0 && in_force == own {
        return Err(StoreError::LastAdmin(name.to_owned()));
    }
    let update = "UPDATE tokens SET revoked_at = coalesce(revoked_at, ?2) WHERE name = ?1";
    found(run(connection, "revoke token", update, params![name, at])?, "token", name)
}

pub(super) fn append_audit(connection: &Connection, entry: &AuditEntry) -> StoreResult<AuditRow> {
    let last = "SELECT position, hash FROM audit ORDER BY position DESC LIMIT 1";
    let last: Option<(u64, Digest)> =
        first(connection, "append audit", last, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (index, previous) = last.map_or((1, [0; 32]), |(index, hash)| (index + 1, hash));
    let AuditEntry { at, actor, action, subject, detail } = entry.clone();
    let row = AuditRow { index, at, actor, action, subject, detail, previous, hash: entry.hash(index, &previous) };
    let insert = "INSERT INTO audit (position, at, actor, action, subject, detail, previous, hash)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let (actor, previous, hash) = (row.actor.to_string(), &row.previous[..], &row.hash[..]);
    let values = params![signed(index), at, actor, row.action, row.subject, row.detail, previous, hash];
    run(connection, "append audit", insert, values)?;
    Ok(row)
}

pub(super) fn audit(connection: &Connection, before: Option<u64>, limit: usize) -> StoreResult<Vec<AuditRow>> {
    let values = params![before.map_or(i64::MAX, signed), limited(limit)];
    select_audit(connection, "WHERE position < ?1 ORDER BY position DESC LIMIT ?2", values)
}

pub(super) fn audit_after(connection: &Connection, after: u64, limit: usize) -> StoreResult<Vec<AuditRow>> {
    let values = params![signed(after), limited(limit)];
    select_audit(connection, "WHERE position > ?1 ORDER BY position LIMIT ?2", values)
}

pub(super) fn webhook_position(connection: &Connection, name: &str) -> StoreResult<Option<u64>> {
    let select = "SELECT position FROM webhooks WHERE name = ?1";
    first(connection, "look up a webhook", select, [name], |row| Ok(row.get(0)?))
}

pub(super) fn set_webhook_position(connection: &Connection, name: &str, position: u64) -> StoreResult<()> {
    let put = "INSERT INTO webhooks (name, position) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET position = ?2";
    run(connection, "note a webhook", put, params![name, signed(position)]).map(drop)
}

fn select_audit(connection: &Connection, clause: &str, values: impl Params) -> StoreResult<Vec<AuditRow>> {
    let select = format!("SELECT position, at, actor, action, subject, detail, previous, hash FROM audit {clause}");
    all(connection, "list audit", &select, values, |row| {
        Ok(AuditRow {
            index: row.get(0)?,
            at: row.get(1)?,
            actor: Actor::parse(&row.get::<_, String>(2)?),
            action: row.get(3)?,
            subject: row.get(4)?,
            detail: row.get(5)?,
            previous: row.get(6)?,
            hash: row.get(7)?,
        })
    })
}
