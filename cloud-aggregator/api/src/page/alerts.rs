//! What is wrong now.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};

use super::parts::{looker, page, when};
use crate::alerts::{AlertView, Severity, alerts};
use crate::http::Http;
use crate::http::auth::Viewer;
use crate::http::problem::Problem;
use crate::routes::alerts::facts;

/// The page.
pub(super) async fn show(viewer: Result<Viewer, Problem>, State(http): State<Http>) -> Result<Response, Problem> {
    let caller = match looker(viewer) {
        Ok(caller) => caller,
        Err(answer) => return Ok(*answer),
    };
    let facts = facts(&http).await?;
    Ok(page("Alerts", "/alerts", &caller, &about(&alerts(&facts), facts.now)).into_response())
}

fn about(found: &[AlertView], now: i64) -> Markup {
    html! {
        section {
            h2 { "Alerts" }
            @if found.is_empty() { p { span.good { "Nothing is wrong" } " as far as the aggregator itself can see. What only a history shows is seen by the monitoring." } }
            @for alert in found {
                article {
                    h3 { (severity(alert.severity)) " " (alert.name) @if !alert.subject.is_empty() { " · " (alert.subject) } }
                    p { (alert.summary) @if let Some(since) = alert.since { span.faint { " Since " (when(now, since)) "." } } }
                    p { strong { "What to do: " } (alert.remedy) span.faint { " Runbook: docs/runbooks/" (alert.runbook) } }
                }
            }
        }
    }
}

fn severity(severity: Severity) -> Markup {
    match severity {
        Severity::Critical => html! { span.bad { "Critical" } },
        Severity::Warning => html! { span.warm { "Warning" } },
        Severity::Info => html! { span.faint { "Note" } },
    }
}
