//! The admin API, one file for each noun. Views are types of their own: a column added to a table is not thereby told.

pub mod audit;
pub mod datasets;
pub mod enroll;
pub mod feedback;
pub(crate) mod health;
pub mod homes;
pub(crate) mod metrics;
pub mod models;
pub mod quarantine;
pub mod releases;
pub mod renew;
pub mod renewals;
pub mod repository_files;
pub mod rollouts;
pub mod runs;
pub mod tokens;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::Http;

/// Every call of the API. The list of what is served and the OpenAPI document are made from this one registration: a handler has
/// its path in its `utoipa::path` and nowhere else.
pub(crate) fn router() -> OpenApiRouter<Http> {
    OpenApiRouter::new()
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(metrics::metrics))
        .merge(enroll::router())
        .merge(renew::router())
        .merge(homes::router())
        .merge(feedback::router())
        .merge(quarantine::router())
        .merge(datasets::router())
        .merge(runs::router())
        .merge(models::router())
        .merge(releases::router())
        .merge(renewals::router())
        .merge(rollouts::router())
        .merge(tokens::router())
        .merge(audit::router())
}

/// JSON that the store keeps as text; null if it is not JSON.
fn json_of(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_default()
}
