//! What waits for a second person, and the page on which that person decides.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Redirect, Response};
use hearthwatch_store::people::ApprovalState;
use hearthwatch_store::{Role, blocking};
use maud::{Markup, html};
use serde::Deserialize;

use super::doer::{Credential, credential, doer};
use super::parts::{looker, page, when};
use crate::http::Http;
use crate::http::auth::{Caller, Viewer};
use crate::http::extract::{Fields, Peer, Segment};
use crate::http::problem::Problem;
use crate::http::second_person::{Execute, role_of};
use crate::routes::approvals::{ApprovalView, decided};

/// Calls shown, the newest; the API lists all.
const SHOWN: usize = 100;

/// What the form sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    token: Option<String>,
    check: Option<String>,
}

/// The list.
pub(super) async fn list(viewer: Result<Viewer, Problem>, State(http): State<Http>) -> Result<Response, Problem> {
    let caller = match looker(viewer) {
        Ok(caller) => caller,
        Err(answer) => return Ok(*answer),
    };
    let rows = blocking(&http.app.store, |store| store.approvals_before(None, None, SHOWN)).await?;
    let now = http.wall();
    let views: Vec<ApprovalView> = rows.into_iter().map(|row| ApprovalView::of(row, now)).collect();
    Ok(page("Approvals", "/approvals", &caller, &about(&views, now)).into_response())
}

fn about(views: &[ApprovalView], now: i64) -> Markup {
    html! {
        section {
            h2 { "Approvals" }
            p.faint {
                "What needs two people is set by " code { "second_person" } " in " code { "[http]" }
                ": one asks for it, another approves it within a day."
            }
            @if views.is_empty() { p { "Nothing waits, and nothing ever did." } }
            @for view in views {
                article {
                    h3 { "No. " (view.id) ": " (what(view)) " " (state(&view.state)) }
                    p {
                        "Asked by " (view.asked_by) " " (when(now, view.asked_at))
                        @if let (Some(by), Some(at)) = (&view.decided_by, view.decided_at) { "; decided by " (by) " " (when(now, at)) }
                        @if let Some(status) = view.answer_status { "; the call ended with " (status) }
                        "."
                    }
                    @if let Some(reason) = view.body.get("reason").and_then(|reason| reason.as_str()) { p { "Why: " (reason) } }
                    @if view.state == "waiting" {
                        p {
                            a.button href={ "/approvals/" (view.id) "/approve" } { "Approve" } " "
                            a href={ "/approvals/" (view.id) "/deny" } { "Refuse" }
                        }
                    }
                }
            }
        }
    }
}

/// What is asked for, in a few words.
fn what(view: &ApprovalView) -> String {
    let word = |name: &str| view.would.get(name).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
    match (word("action"), word("subject")) {
        (action, _) if action.is_empty() => view.place.clone(),
        (action, subject) if subject.is_empty() => action,
        (action, subject) => format!("{action} of {subject}"),
    }
}

fn state(state: &str) -> Markup {
    match state {
        "waiting" => html! { span.warm { "waits" } },
        "done" => html! { span.good { "done" } },
        "approved" => html! { span.warm { "is being done" } },
        "denied" => html! { span.faint { "refused" } },
        other => html! { span.faint { (other) } },
    }
}

fn word_of(word: &str) -> Result<(ApprovalState, &'static str), Problem> {
    match word {
        "approve" => Ok((ApprovalState::Approved, "Approve")),
        "deny" => Ok((ApprovalState::Denied, "Refuse")),
        _ => Err(Problem::NotFound { noun: "place", id: word.to_owned() }),
    }
}

/// Says what is decided on.
pub(super) async fn ask(
    viewer: Result<Viewer, Problem>,
    State(http): State<Http>,
    Segment((id, word)): Segment<(u64, String)>,
) -> Result<Response, Problem> {
    let caller = match looker(viewer) {
        Ok(caller) => caller,
        Err(answer) => return Ok(*answer),
    };
    let (decision, name) = word_of(&word)?;
    let row = blocking(&http.app.store, move |store| store.approval(id)).await?;
    let row = row.ok_or_else(|| Problem::NotFound { noun: "approval", id: id.to_string() })?;
    let view = ApprovalView::of(row, http.wall());
    let title = format!("{name} no. {id}");
    Ok(page(&title, "/approvals", &caller, &form(&title, &view, decision, &caller)).into_response())
}

fn form(title: &str, view: &ApprovalView, decision: ApprovalState, caller: &Caller) -> Markup {
    let needed = if decision == ApprovalState::Approved { role_of(&view.place) } else { Role::Operator };
    html! {
        section.narrow {
            h2 { (title) }
            p { (view.asked_by) " asks for " strong { (what(view)) } " (" code { (view.place) } ")." }
            @if decision == ApprovalState::Approved { p { "It is done at once when you approve it, in the name of the one who asked; the audit log names both." } }
            @else { p { "It is not done. Whoever asked may ask again." } }
            form method="post" {
                (credential(caller, needed))
                button.danger { (title) }
                " " a href="/approvals" { "Leave it as it is" }
            }
        }
    }
}

/// Decides.
pub(super) async fn decide(
    State(http): State<Http>,
    peer: Peer,
    headers: HeaderMap,
    Segment((id, word)): Segment<(u64, String)>,
    Fields(Asked { token, check }): Fields<Asked>,
) -> Result<Response, Problem> {
    let (decision, _) = word_of(&word)?;
    let caller = doer(&http, peer, &headers, Credential::new(token, check), Role::Operator).await?;
    let row = decided(&http, &caller, id, decision).await?;
    let mut answer = Redirect::to("/approvals").into_response();
    if decision == ApprovalState::Approved {
        answer.extensions_mut().insert(Execute(row));
    }
    Ok(answer)
}
