//! Tables `tokens` and `audit`.

use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use super::{corrupt, engine, limited, signed};
use crate::actor::Actor;
use crate::rows::{AuditEntry, AuditRow, Digest, Role, TokenRow};
use crate::store::StoreError;

/// A name is taken as long as its token was not withdrawn.
pub(super) fn put_token(connection: &Connection, row: &TokenRow) -> Result<(), StoreError> {
    let insert = "INSERT INTO tokens (name, hash, role, created_at, expires_at, revoked_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (name) DO UPDATE SET hash = ?2, role = ?3, created_at = ?4,
             expires_at = ?5, revoked_at = ?6 WHERE revoked_at IS NOT NULL";
    let values = params![row.name, &row.hash[..], row.role.as_str(), row.created_at, row.expires_at, row.revoked_at];
    match connection.execute(insert, values).map_err(engine("put token"))? {
        0 => {
            let (id, present) = (row.name.clone(), "in force".to_owned());
            Err(StoreError::Conflict { noun: "token", id, present, row_version: 0 })
        }
        _ => Ok(()),
    }
}

pub(super) fn token_by_hash(connection: &Connection, hash: &Digest) -> Result<Option<TokenRow>, StoreError> {
    Ok(select(connection, "WHERE hash = ?1", [&hash[..]])?.pop())
}

/// By name, after `after`.
pub(super) fn tokens(connection: &Connection, after: Option<&str>, limit: usize) -> Result<Vec<TokenRow>, StoreError> {
    let after = after.unwrap_or_default();
    select(connection, "WHERE name > ?1 ORDER BY name LIMIT ?2", params![after, limited(limit)])
}

fn select(connection: &Connection, clause: &str, values: impl Params) -> Result<Vec<TokenRow>, StoreError> {
    let select = format!("SELECT name, hash, role, created_at, expires_at, revoked_at FROM tokens {clause}");
    let mut statement = connection.prepare(&select).map_err(engine("list tokens"))?;
    let rows = statement
        .query_map(values, |row| {
            let role: String = row.get(2)?;
            let read = TokenRow {
                name: row.get(0)?,
                hash: row.get(1)?,
                role: Role::Viewer,
                created_at: row.get(3)?,
                expires_at: row.get(4)?,
                revoked_at: row.get(5)?,
            };
            Ok((role, read))
        })
        .map_err(engine("list tokens"))?;
    rows.map(|row| {
        let (role, read) = row.map_err(engine("list tokens"))?;
        let role = Role::parse(&role).ok_or_else(|| corrupt("tokens", role))?;
        Ok(TokenRow { role, ..read })
    })
    .collect()
}

pub(super) fn revoke_token(connection: &Connection, name: &str, at: i64) -> Result<(), StoreError> {
    // Counted in the transaction that withdraws it: of two admins who withdraw each other's token at once, one stays.
    let admins = "SELECT count(*), coalesce(sum(name = ?1), 0) FROM tokens
         WHERE role = ?2 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)";
    let (in_force, own): (u64, u64) = connection
        .query_row(admins, params![name, Role::Admin.as_str(), at], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(engine("revoke token"))?;
    if own > 0 && in_force == own {
        return Err(StoreError::LastAdmin(name.to_owned()));
    }
    let changed = connection
        .execute("UPDATE tokens SET revoked_at = coalesce(revoked_at, ?2) WHERE name = ?1", params![name, at])
        .map_err(engine("revoke token"))?;
    if changed == 0 {
        return Err(StoreError::NotFound { noun: "token", id: name.to_owned() });
    }
    Ok(())
}

pub(super) fn append_audit(connection: &Connection, entry: &AuditEntry) -> Result<AuditRow, StoreError> {
    let last: Option<(u64, Digest)> = connection
        .query_row("SELECT position, hash FROM audit ORDER BY position DESC LIMIT 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()
        .map_err(engine("append audit"))?;
    let (index, previous) = last.map_or((1, [0; 32]), |(index, hash)| (index + 1, hash));
    let AuditEntry { at, actor, action, subject, detail } = entry.clone();
    let row = AuditRow { index, at, actor, action, subject, detail, previous, hash: entry.hash(index, &previous) };
    connection
        .execute(
            "INSERT INTO audit (position, at, actor, action, subject, detail, previous, hash)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                signed(row.index),
                row.at,
                row.actor.to_string(),
                row.action,
                row.subject,
                row.detail,
                &row.previous[..],
                &row.hash[..]
            ],
        )
        .map_err(engine("append audit"))?;
    Ok(row)
}

pub(super) fn audit(connection: &Connection, before: Option<u64>, limit: usize) -> Result<Vec<AuditRow>, StoreError> {
    let mut statement = connection
        .prepare(
            "SELECT position, at, actor, action, subject, detail, previous, hash FROM audit
                 WHERE position < ?1 ORDER BY position DESC LIMIT ?2",
        )
        .map_err(engine("list audit"))?;
    let before = before.map_or(i64::MAX, signed);
    let rows = statement.query_map(params![before, limited(limit)], read).map_err(engine("list audit"))?;
    rows.collect::<rusqlite::Result<_>>().map_err(engine("list audit"))
}

fn read(row: &Row<'_>) -> rusqlite::Result<AuditRow> {
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
}
