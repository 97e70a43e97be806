//! Who did what: a line in the hash-chained log before every change, and a second one if the change failed.

use std::future::Future;

use serde_json::{Value, json};

use super::Http;
use super::auth::Caller;
use super::problem::Problem;
use crate::store::{AuditEntry, blocking};

/// Does `work` on behalf of `caller`, between two lines of the audit log: what is not written down is not done.
///
/// # Errors
/// [`Problem`] of `work`, or of the log.
pub(crate) async fn audited<T>(
    http: &Http,
    caller: &Caller,
    action: &str,
    subject: &str,
    detail: Value,
    work: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    record(http, &caller.name, action, subject, &detail).await?;
    let done = work.await;
    if let Err(problem) = &done {
        record(http, &caller.name, &format!("{action}.failed"), subject, &json!({"why": problem.to_string()})).await?;
    }
    done
}

/// Appends one line.
///
/// # Errors
/// [`Problem::Internal`] when the store does not take it.
pub(crate) async fn record(
    http: &Http,
    actor: &str,
    action: &str,
    subject: &str,
    detail: &Value,
) -> Result<(), Problem> {
    let entry = AuditEntry {
        at: http.app.clock.now(),
        actor: actor.to_owned(),
        action: action.to_owned(),
        subject: subject.to_owned(),
        detail: detail.to_string(),
    };
    tracing::info!(actor, action, subject, "operator action");
    blocking(&http.app.store, move |store| store.append_audit(&entry)).await?;
    Ok(())
}
