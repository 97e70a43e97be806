//! Homes: who is in the fleet, how they are, and shutting one out.

use axum::routing::{get, post};
use axum::{Json, Router};
use hearthwatch_protocol::HomeId;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::http::Http;
use crate::http::audit::audited;
use crate::http::auth::{Admin, Viewer};
use crate::http::extract::{Params, Segment};
use crate::http::paging::{Page, Paging};
use crate::http::problem::{Problem, ProblemBody};
use crate::store::{HomeRow, blocking};

/// A home as the aggregator knows it. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HomeView {
    /// Its pseudonym.
    pub home: String,
    /// When it was let in.
    pub enrolled_at: i64,
    /// When it was shut out, if it was.
    pub revoked_at: Option<i64>,
    /// Records stored.
    pub records: u64,
    /// Every record up to this one was stored or refused.
    pub through: u64,
    /// What its agent last said of itself, if it ever did.
    pub agent: Option<AgentView>,
}

/// What an agent last said of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgentView {
    /// False after a clean stop or a lost connection.
    pub online: bool,
    /// The agent's own version.
    pub agent_version: String,
    /// The model in charge there; 0 is the routine detector.
    pub model_version: u64,
    /// Watched entities.
    pub entities: u32,
    /// Records that wait for a receipt.
    pub outbox: u32,
    /// When this was heard.
    pub heard_at: i64,
}

/// A page of them.
pub type HomePage = Page<HomeView>;

impl From<HomeRow> for HomeView {
    fn from(row: HomeRow) -> Self {
        Self {
            home: row.home.to_string(),
            enrolled_at: row.enrolled_at,
            revoked_at: row.revoked_at,
            records: row.records,
            through: row.through.0,
            agent: row.status.map(|status| AgentView {
                online: status.online,
                agent_version: status.agent_version,
                model_version: status.model_version.0,
                entities: status.entities,
                outbox: status.outbox,
                heard_at: status.heard_at,
            }),
        }
    }
}

pub(super) fn router() -> Router<Http> {
    Router::new()
        .route("/homes", get(list))
        .route("/homes/{home}", get(one))
        .route("/homes/{home}/revoke", post(revoke))
        .route("/homes/{home}/restore", post(restore))
}

/// Lists the homes by name.
#[utoipa::path(get, path = "/api/v1/homes", tag = "homes", params(Paging), responses(
    (status = 200, body = HomePage),
    (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn list(
    _: Viewer,
    http: axum::extract::State<Http>,
    Params(paging): Params<Paging>,
) -> Result<Json<HomePage>, Problem> {
    let window = paging.window()?;
    let rows = blocking(&http.app.store, |store| store.homes()).await?;
    Ok(Json(window.cut(rows, HomeView::from)))
}

/// Shows one home.
#[utoipa::path(get, path = "/api/v1/homes/{home}", tag = "homes", params(("home" = String, Path)), responses(
    (status = 200, body = HomeView),
    (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn one(
    _: Viewer,
    http: axum::extract::State<Http>,
    Segment(home): Segment<HomeId>,
) -> Result<Json<HomeView>, Problem> {
    read(&http, home).await.map(Json)
}

/// Shuts a home out: from now on nothing of it is admitted. Needs admin.
#[utoipa::path(post, path = "/api/v1/homes/{home}/revoke", tag = "homes", params(("home" = String, Path)), responses(
    (status = 200, body = HomeView),
    (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn revoke(
    Admin(caller): Admin,
    http: axum::extract::State<Http>,
    Segment(home): Segment<HomeId>,
) -> Result<Json<HomeView>, Problem> {
    let (subject, now) = (home.clone(), http.app.clock.now());
    audited(&http, &caller, "home.revoke", home.as_str(), json!({}), async {
        Ok(blocking(&http.app.store, move |store| store.revoke_home(&subject, now)).await?)
    })
    .await?;
    read(&http, home).await.map(Json)
}

/// Lets a revoked home in again. Needs admin.
#[utoipa::path(post, path = "/api/v1/homes/{home}/restore", tag = "homes", params(("home" = String, Path)), responses(
    (status = 200, body = HomeView),
    (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn restore(
    Admin(caller): Admin,
    http: axum::extract::State<Http>,
    Segment(home): Segment<HomeId>,
) -> Result<Json<HomeView>, Problem> {
    let subject = home.clone();
    audited(&http, &caller, "home.restore", home.as_str(), json!({}), async {
        Ok(blocking(&http.app.store, move |store| store.restore_home(&subject)).await?)
    })
    .await?;
    read(&http, home).await.map(Json)
}

async fn read(http: &Http, home: HomeId) -> Result<HomeView, Problem> {
    let asked = home.clone();
    let row = blocking(&http.app.store, move |store| store.home(&asked)).await?;
    row.map(HomeView::from).ok_or_else(|| Problem::NotFound { noun: "home", id: home.to_string() })
}
