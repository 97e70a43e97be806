//! `/healthz` and `/readyz`: the states of the parts, for who restarts the agent and for who monitors it.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use hearthwatch_supervision::Report;

use super::Page;

pub(super) fn router() -> Router<Page> {
    Router::new()
        // 503 only where a restart is the cure: who asks restarts the agent.
        .route("/healthz", get(async |State(page): State<Page>| answer(&page, Report::is_alive)))
        .route("/readyz", get(async |State(page): State<Page>| answer(&page, Report::is_able)))
}

fn answer(page: &Page, good: fn(&Report) -> bool) -> Response {
    let report = page.parts.health.look();
    let status = if good(&report) { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(report)).into_response()
}
