//! Homes whose certificate ran out while they were away, and the operator's word on each.

use std::sync::Arc;

use hearthwatch_provision::enrol::Enroller;
use hearthwatch_provision::late::{Late, LateError};
use jiff::Timestamp;

use super::prelude::*;

/// A home that wants to come back. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RenewalView {
    /// Name of the home.
    pub home: String,
    /// SHA-256 of the key that it wants certified, hexadecimal.
    pub key_sha256: String,
    /// When its last certificate ran out.
    pub expired_at: i64,
    /// When it asked first.
    pub asked_at: i64,
    /// Who said yes, if anybody did; it comes in when it asks again.
    pub approved_by: Option<String>,
}

/// A page of homes that wait for a word, in order of their names.
pub type RenewalPage = Page<RenewalView>;

impl From<Late> for RenewalView {
    fn from(late: Late) -> Self {
        Self {
            home: late.home.to_string(),
            key_sha256: late.key_sha256,
            expired_at: late.expired_at.as_second(),
            asked_at: late.asked_at.as_second(),
            approved_by: late.approved.map(|(by, _)| by),
        }
    }
}

pub(super) fn router() -> OpenApiRouter<Http> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one)).routes(routes!(approve)).routes(routes!(deny))
}

/// Lists homes whose certificate ran out and that wait for a word, by name.
#[utoipa::path(get, path = "/api/v1/renewals", tag = "homes", params(Paging), responses(
    (status = 200, body = RenewalPage),
))]
pub(crate) async fn list(_: Viewer, http: State<Http>, Params(paging): Params<Paging>) -> Answer<RenewalPage> {
    let window = paging.window(|text| HomeId::new(text).ok())?;
    let mut rows = match http.enroller.clone() {
        None => Vec::new(),
        Some(enroller) => on_thread(enroller, |enroller| enroller.waiting()).await?,
    };
    rows.retain(|row| window.after.as_ref().is_none_or(|after| row.home > *after));
    rows.sort_by(|one, other| one.home.cmp(&other.home));
    Ok(Json(window.cut(rows, |row| row.home.to_string(), RenewalView::from)))
}

/// Shows a home whose certificate ran out and that waits for a word.
#[utoipa::path(get, path = "/api/v1/renewals/{home}", tag = "homes", params(("home" = Name, Path)), responses(
    (status = 200, body = RenewalView),
))]
pub(crate) async fn one(_: Viewer, http: State<Http>, Segment(home): Segment<HomeId>) -> Answer<RenewalView> {
    waiting(&http, &home).await.map(|late| Json(late.into()))
}

/// The home, if it waits.
async fn waiting(http: &Http, home: &HomeId) -> Result<Late, Problem> {
    let rows = on_thread(enroller(http, home)?, |enroller| enroller.waiting()).await?;
    let found = rows.into_iter().find(|row| row.home == *home);
    found.ok_or_else(|| Problem::NotFound { noun: "renewal", id: home.to_string() })
}

/// Lets a home come back; it gets its certificate when it asks again, within the hour. Needs operator.
#[utoipa::path(post, path = "/api/v1/renewals/{home}/approve", tag = "homes", params(("home" = Name, Path)), responses(
    (status = 200, body = RenewalView),
))]
pub(crate) async fn approve(
    Operator(caller): Operator,
    http: State<Http>,
    Segment(home): Segment<HomeId>,
) -> Answer<RenewalView> {
    let enroller = enroller(&http, &home)?;
    if caller.dry_run {
        waiting(&http, &home).await?;
    }
    let (subject, by) = (home.clone(), caller.actor().to_string());
    let now = Timestamp::from_second(http.wall()).map_err(Problem::internal)?;
    let late = audited(&http, &caller, "renewal.approve", home.as_str(), json!({}), async {
        on_thread(enroller, move |enroller| enroller.approve(&subject, &by, now)).await
    })
    .await?;
    Ok(Json(late.into()))
}

/// Sends a home away that wants to come back. It may ask again; to end that, revoke it. Needs operator.
#[utoipa::path(post, path = "/api/v1/renewals/{home}/deny", tag = "homes", params(("home" = Name, Path)), responses(
    (status = 204),
))]
pub(crate) async fn deny(
    Operator(caller): Operator,
    http: State<Http>,
    Segment(home): Segment<HomeId>,
) -> Result<axum::http::StatusCode, Problem> {
    let enroller = enroller(&http, &home)?;
    if caller.dry_run {
        waiting(&http, &home).await?;
    }
    let subject = home.clone();
    audited(&http, &caller, "renewal.deny", home.as_str(), json!({}), async {
        on_thread(enroller, move |enroller| enroller.deny(&subject)).await
    })
    .await?;
    Ok(axum::http::StatusCode::NO_CONTENT)
}

/// The desk; where there is none, nobody waits.
fn enroller(http: &Http, home: &HomeId) -> Result<Arc<Enroller>, Problem> {
    http.enroller.clone().ok_or_else(|| Problem::NotFound { noun: "renewal", id: home.to_string() })
}

async fn on_thread<T: Send + 'static>(
    enroller: Arc<Enroller>,
    work: impl FnOnce(&Enroller) -> Result<T, LateError> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(move || work(&enroller)).await.map_err(Problem::internal)?;
    done.map_err(|error| match error {
        LateError::Nobody(home) => Problem::NotFound { noun: "renewal", id: home.to_string() },
        other => Problem::internal(other),
    })
}
