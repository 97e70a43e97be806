//! `/metrics`: what is counted.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use hearthwatch_metrics::OPEN_METRICS;

use crate::http::Http;

/// Counters in the OpenMetrics text format.
#[utoipa::path(get, path = "/metrics", tag = "health", security(()), responses(
    (status = 200, body = String, content_type = "application/openmetrics-text"),
))]
pub(crate) async fn metrics(State(http): State<Http>) -> Response {
    ([(header::CONTENT_TYPE, OPEN_METRICS)], http.app.metrics.render()).into_response()
}
