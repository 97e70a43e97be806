//! Releases: what was let out, how it ended on the homes, and rolling back.

use axum::routing::{get, post};
use axum::{Json, Router};
use hearthwatch_protocol::ModelVersion;
use hearthwatch_protocol::messages::UpdateResult;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::runs::Reason;
use crate::http::Http;
use crate::http::audit::audited;
use crate::http::auth::{Operator, Viewer};
use crate::http::extract::{Body, Params, Segment, whole};
use crate::http::paging::{Page, Paging};
use crate::http::problem::Problem;
use crate::http::words::{NUMBER_MAX, Number, OutcomeWord, Sentence};
use crate::release::rollback;
use crate::store::{OutcomeRow, ReleaseRow, blocking};

/// A model let out to the fleet. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReleaseView {
    /// Which model.
    pub model_version: u64,
    /// Flat TUF target name.
    pub target: String,
    /// Hexadecimal SHA-256 of the artifact.
    pub sha256: String,
    /// The artifact's length in bytes.
    pub length: u64,
    /// Hexadecimal SHA-256 of the gate's report.
    pub report_sha256: String,
    /// When it was signed and published.
    pub released_at: i64,
    /// Who or what released it: `auto`, or the name of a token.
    pub by: String,
}

/// How an update ended on one home. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutcomeView {
    /// Where.
    pub home: String,
    /// Which model.
    pub model_version: u64,
    /// How it ended.
    #[schema(value_type = OutcomeWord)]
    pub result: String,
    /// Why, where it was not installed.
    pub reason: Option<String>,
    /// What is in charge again, after a roll back.
    pub back_to: Option<u64>,
    /// When, by the home's clock.
    pub at: i64,
    /// When it was heard here.
    pub received_at: i64,
}

/// An order to roll back.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RollBack {
    /// The model whose bytes are released again, under a new version.
    #[serde(deserialize_with = "whole")]
    #[schema(value_type = Number)]
    pub to: u64,
    /// One line for those who read the audit log later.
    #[schema(value_type = Sentence)]
    pub reason: String,
}

impl From<ReleaseRow> for ReleaseView {
    fn from(row: ReleaseRow) -> Self {
        Self {
            model_version: row.model_version.0,
            target: row.target,
            sha256: row.sha256,
            length: row.length,
            report_sha256: row.report_sha256,
            released_at: row.released_at,
            by: row.by,
        }
    }
}

impl From<OutcomeRow> for OutcomeView {
    fn from(row: OutcomeRow) -> Self {
        let (result, reason, back_to) = match row.result {
            UpdateResult::Installed => ("installed", None, None),
            UpdateResult::Refused { reason } => ("refused", Some(reason), None),
            UpdateResult::RolledBack { reason, to } => ("rolled_back", Some(reason), Some(to.0)),
        };
        Self {
            home: row.home.to_string(),
            model_version: row.model_version.0,
            result: result.to_owned(),
            reason,
            back_to,
            at: row.at,
            received_at: row.received_at,
        }
    }
}

/// A page of them.
pub type ReleasePage = Page<ReleaseView>;

/// A page of them.
pub type OutcomePage = Page<OutcomeView>;

pub(super) fn router() -> Router<Http> {
    Router::new()
        .route("/releases", get(list))
        .route("/releases/{version}/outcomes", get(outcomes))
        .route("/releases/rollback", post(roll_back))
}

/// Lists the releases, newest first.
#[utoipa::path(get, path = "/api/v1/releases", tag = "releases", params(Paging), responses(
    (status = 200, body = ReleasePage),
))]
pub(crate) async fn list(
    _: Viewer,
    http: axum::extract::State<Http>,
    Params(paging): Params<Paging>,
) -> Result<Json<ReleasePage>, Problem> {
    let window = paging.window()?;
    let rows = blocking(&http.app.store, |store| store.releases()).await?;
    Ok(Json(window.cut(rows, ReleaseView::from)))
}

/// Lists how a release ended on the homes, newest first.
#[utoipa::path(get, path = "/api/v1/releases/{version}/outcomes", tag = "releases",
    params(("version" = Number, Path), Paging), responses(
    (status = 200, body = OutcomePage),
))]
pub(crate) async fn outcomes(
    _: Viewer,
    http: axum::extract::State<Http>,
    Segment(version): Segment<ModelVersion>,
    Params(paging): Params<Paging>,
) -> Result<Json<OutcomePage>, Problem> {
    let window = paging.window()?;
    if version.0 > NUMBER_MAX {
        return Err(Problem::Invalid(format!("version is at most {NUMBER_MAX}")));
    }
    let rows = blocking(&http.app.store, move |store| store.outcomes(Some(version), window.needed())).await?;
    Ok(Json(window.cut(rows, OutcomeView::from)))
}

/// Releases an older model's bytes under a new, higher version, so that no agent goes down. Needs operator.
#[utoipa::path(post, path = "/api/v1/releases/rollback", tag = "releases", request_body = RollBack, responses(
    (status = 200, body = ReleaseView),
))]
pub(crate) async fn roll_back(
    Operator(caller): Operator,
    http: axum::extract::State<Http>,
    Body(order): Body<RollBack>,
) -> Result<Json<ReleaseView>, Problem> {
    let to = ModelVersion(order.to);
    let reason = Reason { reason: order.reason }.checked()?;
    let detail = json!({"reason": reason});
    let row = audited(&http, &caller, "release.rollback", &to.to_string(), detail, async {
        Ok(rollback::roll_back(&http.app, to, &caller.name).await?)
    })
    .await?;
    Ok(Json(row.into()))
}
