//! Calls that two people have to stand behind: what one asks for is kept, and done once another says yes.
//!
//! What is done is done as the asker; the audit log names both. The calls go their way in the module `approval`.

use std::sync::Arc;

use hearthwatch_store::people::{APPROVAL_SECONDS, APPROVALS_WAITING_MAX, ApprovalRow, ApprovalState};
use hearthwatch_store::{Actor, Role, blocking};
use serde_json::json;
use strum::{EnumString, IntoStaticStr, VariantNames};

use super::Http;
use super::audit::record;
use super::auth::{Caller, in_force};
use super::problem::Problem;

/// Kinds of calls that can be made to need two people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Guarded {
    /// A model goes out: against the gate's advice, or to all homes at once.
    Release,
    /// The fleet goes back to an older model.
    Rollback,
    /// A home is forgotten.
    Erase,
}

/// Which calls are of a kind, and the role that whoever approves one needs, as the call itself does.
const CALLS: [(Guarded, &str, Role); 5] = [
    (Guarded::Release, "/api/v1/runs/{id}/promote", Role::Operator),
    (Guarded::Release, "/api/v1/rollouts/{version}/promote", Role::Operator),
    (Guarded::Rollback, "/api/v1/releases/rollback", Role::Operator),
    (Guarded::Rollback, "/api/v1/rollouts/{version}/rollback", Role::Operator),
    (Guarded::Erase, "/api/v1/homes/{home}/erase", Role::Admin),
];

/// What a handler's answer carries to have an approved call done.
#[derive(Debug, Clone)]
pub(crate) struct Execute(pub ApprovalRow);

/// Whether a call at a path (as a pattern) needs two people here.
#[must_use]
pub(crate) fn guarded(kinds: &[Guarded], path: &str) -> bool {
    CALLS.iter().any(|(kind, call, _)| *call == path && kinds.contains(kind))
}

/// The role that approving a call at `place` needs.
#[must_use]
pub(crate) fn role_of(place: &str) -> Role {
    let path = place.split('?').next().unwrap_or_default();
    let alike = |pattern: &str| {
        pattern.split('/').count() == path.split('/').count()
            && pattern
                .split('/')
                .zip(path.split('/'))
                .all(|(pattern, word)| pattern.starts_with('{') || pattern == word)
    };
    CALLS.iter().find(|(_, call, _)| alike(call)).map_or(Role::Admin, |(_, _, role)| *role)
}

/// Why somebody may not decide on what another asked. Pure.
pub(crate) fn may_decide(row: &ApprovalRow, caller: &Caller) -> Result<(), Problem> {
    let same = row.asked_by == caller.holder || (row.subject.is_some() && row.subject == caller.subject);
    if same {
        return Err(Problem::Conflict("you asked for this yourself: a second person has to approve it".to_owned()));
    }
    let needed = role_of(&row.place);
    if caller.role < needed { Err(Problem::Forbidden(needed.as_str())) } else { Ok(()) }
}

/// Keeps what `caller` asks for until another decides.
///
/// # Errors
/// [`Problem::Conflict`] when too many wait; the store's.
pub(crate) async fn ask(
    http: &Http,
    caller: &Caller,
    place: &str,
    body: Vec<u8>,
    would: String,
) -> Result<ApprovalRow, Problem> {
    let now = http.wall();
    let row = ApprovalRow {
        id: 0,
        asked_at: now,
        ends_at: now.saturating_add(APPROVAL_SECONDS),
        asked_by: caller.actor(),
        subject: caller.subject.clone(),
        role: caller.role,
        method: "POST".to_owned(),
        place: place.to_owned(),
        body,
        would,
        state: ApprovalState::Waiting,
        decided_at: None,
        decided_by: None,
        answer_status: None,
        answer: None,
    };
    let full = || {
        Problem::Conflict(format!(
            "{APPROVALS_WAITING_MAX} calls wait for a second person already: decide on them first"
        ))
    };
    let row = blocking(&http.app.store, move |store| store.ask_approval(&row)).await?.ok_or_else(full)?;
    record(http, &caller.actor(), "approval.ask", &row.id.to_string(), &json!({"place": row.place})).await?;
    Ok(row)
}

/// Whether whoever asked may still ask: a token that was withdrawn meanwhile takes its wishes with it.
pub(crate) async fn asker_in_force(http: &Http, asker: &Actor) -> Result<bool, Problem> {
    let Actor::Token(name) = asker.clone() else { return Ok(true) };
    let now = http.wall();
    let there = blocking(&http.app.store, move |store| {
        Ok(store.tokens()?.iter().any(|token| token.name == name && in_force(token, now)))
    });
    Ok(there.await?)
}

/// What needs two people, as the API holds it.
pub(crate) type Kinds = Arc<[Guarded]>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_calls_of_the_configured_kinds_wait() {
        assert!(guarded(&[Guarded::Rollback], "/api/v1/releases/rollback"));
        assert!(!guarded(&[Guarded::Release], "/api/v1/releases/rollback"));
        assert!(!guarded(&[], "/api/v1/runs/{id}/promote"));
    }

    #[test]
    fn approving_needs_the_role_of_the_call() {
        assert_eq!(role_of("/api/v1/rollouts/7/rollback?x=1"), Role::Operator);
        assert_eq!(role_of("/api/v1/homes/home-7/erase"), Role::Admin);
        assert_eq!(role_of("/api/v1/unknown"), Role::Admin);
    }
}
