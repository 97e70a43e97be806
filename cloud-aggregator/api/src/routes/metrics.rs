//! `/metrics`: what is counted.

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use hearthwatch_metrics::negotiate;

use crate::http::Http;

/// What is counted: OpenMetrics for whoever accepts it, else Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "health", security(()), responses(
    (status = 200, content((String = "application/openmetrics-text"), (String = "text/plain"))),
))]
pub(crate) async fn metrics(State(http): State<Http>, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let (kind, text) = negotiate(accept, http.app.metrics.render());
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}
