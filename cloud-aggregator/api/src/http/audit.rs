//! Who did what: one line in the hash-chained log for every wish, saying what came of it.
//!
//! What changes the store alone is written with its line in one transaction ([`changed`]). What reaches further (signer, repository,
//! files) is written down once it has ended ([`audited`]). A wish that was refused is `ACTION.refused`, one that broke is
//! `ACTION.failed`, each with its cause; a line with the bare action says that it was done.

use std::future::Future;

use hearthwatch_store::{Actor, AuditEntry, Change, Note, blocking};
use serde_json::{Value, json};

use super::Http;
use super::auth::Caller;
use super::dry_run::DryRunView;
use super::problem::Problem;

/// What would be done, as the end of a call that only asks.
pub(crate) fn would(action: &str, subject: &str, detail: Value) -> Problem {
    Problem::WouldDo(Box::new(DryRunView::new(action, subject, detail)))
}

/// The detail of a line, with the second person where there had to be one.
fn approved(caller: &Caller, mut detail: Value) -> Value {
    if let (Some(by), Some(fields)) = (&caller.approved_by, detail.as_object_mut()) {
        fields.insert("approved_by".to_owned(), by.to_string().into());
    }
    detail
}

/// Does `work` on behalf of `caller` and writes down what came of it. What can be refused before `work` is to be refused before this: a
/// call that only asks ends here.
///
/// # Errors
/// [`Problem`] of `work`, or of the log; [`Problem::WouldDo`] for a caller who only asks.
pub(crate) async fn audited<T>(
    http: &Http,
    caller: &Caller,
    action: &str,
    subject: &str,
    detail: Value,
    work: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    if caller.dry_run {
        return Err(would(action, subject, detail));
    }
    let detail = approved(caller, detail);
    let done = work.await;
    match &done {
        Ok(_) => record(http, &caller.actor(), action, subject, &detail).await?,
        Err(problem) => undone(http, caller, action, subject, detail, problem).await?,
    }
    done
}

/// Changes the store on behalf of `caller`; `subject` is only for the line of a change that was refused.
///
/// # Errors
/// [`Problem::Changed`] when somebody else was faster, or the store's own.
pub(crate) async fn changed(
    http: &Http,
    caller: &Caller,
    action: &str,
    subject: &str,
    detail: Value,
    change: Change,
) -> Result<(), Problem> {
    let detail = approved(caller, detail);
    let note =
        Note { at: http.app.clock.now(), actor: caller.actor(), action: action.to_owned(), detail: detail.clone() };
    if caller.dry_run {
        let line = blocking(&http.app.store, move |store| store.try_change(&change, &note)).await?;
        return Err(would(action, subject, serde_json::from_str(&line.detail).unwrap_or(detail)));
    }
    let done = blocking(&http.app.store, move |store| store.change(&change, &note)).await;
    match done.map_err(Problem::from) {
        Ok(line) => {
            tracing::info!(actor = %line.actor, action, subject, "operator action");
            Ok(())
        }
        Err(problem) => {
            undone(http, caller, action, subject, detail, &problem).await?;
            Err(problem)
        }
    }
}

/// Writes down that a wish was refused, or that it broke.
///
/// # Errors
/// [`Problem::Internal`] when the store does not take it.
pub(crate) async fn undone(
    http: &Http,
    caller: &Caller,
    action: &str,
    subject: &str,
    mut detail: Value,
    problem: &Problem,
) -> Result<(), Problem> {
    let end = if problem.status().is_client_error() { "refused" } else { "failed" };
    match detail.as_object_mut() {
        Some(fields) => drop(fields.insert("why".to_owned(), problem.to_string().into())),
        None => detail = json!({"why": problem.to_string()}),
    }
    record(http, &caller.actor(), &format!("{action}.{end}"), subject, &detail).await
}

/// Appends one line.
///
/// # Errors
/// [`Problem::Internal`] when the store does not take it.
pub(crate) async fn record(
    http: &Http,
    actor: &Actor,
    action: &str,
    subject: &str,
    detail: &Value,
) -> Result<(), Problem> {
    let entry = AuditEntry {
        at: http.app.clock.now(),
        actor: actor.clone(),
        action: action.to_owned(),
        subject: subject.to_owned(),
        detail: detail.to_string(),
    };
    tracing::info!(%actor, action, subject, "operator action");
    blocking(&http.app.store, move |store| store.append_audit(&entry)).await?;
    Ok(())
}
