//! The admin API, one file for each noun. Views are types of their own: a column added to a table is not thereby told.

pub mod alerts;
pub mod approvals;
pub mod audit;
pub mod claims;
pub mod datasets;
pub mod enroll;
pub mod evaluation;
pub mod feedback;
pub(crate) mod health;
pub mod homes;
pub mod login;
pub(crate) mod metrics;
pub mod models;
pub mod quarantine;
pub mod releases;
pub mod renew;
pub mod renewals;
pub mod repository_files;
pub mod rollout_schedule;
pub mod rollouts;
pub mod rounds;
pub mod run_compare;
pub mod runs;
pub mod sessions;
pub mod settings;
pub mod tokens;

use prelude::*;

/// What the file of every noun is written with.
mod prelude {
    pub(super) use axum::Json;
    pub(super) use axum::extract::State;
    pub(super) use hearthwatch_protocol::{HomeId, ModelVersion};
    pub(super) use hearthwatch_store::blocking;
    pub(super) use serde::{Deserialize, Serialize};
    pub(super) use serde_json::json;
    pub(super) use utoipa::ToSchema;
    pub(super) use utoipa_axum::router::OpenApiRouter;
    pub(super) use utoipa_axum::routes;

    pub(super) use super::json_of;
    pub(super) use super::runs::Reason;
    pub(super) use crate::http::Http;
    pub(super) use crate::http::audit::{audited, changed, undone};
    pub(super) use crate::http::auth::{Admin, Caller, Operator, Viewer};
    pub(super) use crate::http::extract::{Body, Params, Segment, whole, whole_or_none};
    pub(super) use crate::http::paging::{Page, Paging, Window, id, number, seconds};
    pub(super) use crate::http::problem::{Answer, Problem};
    pub(super) use crate::http::words::*;
}

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
        .merge(rounds::router())
        .merge(tokens::router())
        .merge(sessions::router())
        .merge(login::router())
        .merge(approvals::router())
        .merge(run_compare::router())
        .merge(rollout_schedule::router())
        .merge(evaluation::router())
        .merge(claims::router())
        .merge(alerts::router())
        .merge(settings::router())
        .merge(audit::router())
}

/// JSON that the store keeps as text; null if it is not JSON.
fn json_of(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_default()
}
