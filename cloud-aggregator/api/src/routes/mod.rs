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

use axum::Router;

use crate::http::Http;

/// Everything under `/api/v1`.
pub(crate) fn router() -> Router<Http> {
    Router::new()
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
