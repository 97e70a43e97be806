//! Sessions: who is logged in to the pages and to the command line.

use axum::http::StatusCode;
use hearthwatch_store::Role;
use hearthwatch_store::people::SessionRow;

use super::prelude::*;

/// Somebody who is logged in. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionView {
    /// How it is named; says nothing of its secret.
    pub id: String,
    /// Who it is, `token:NAME` or `person:NAME`.
    pub holder: String,
    /// The person's issuer and subject at the identity provider; null for a token.
    pub subject: Option<String>,
    /// What the holder may do.
    pub role: Role,
    /// `page` or `command_line`.
    pub purpose: String,
    /// When it began.
    pub created_at: i64,
    /// When it was last used, to the minute.
    pub seen_at: i64,
    /// When it ends at the latest; without use it ends before.
    pub ends_at: i64,
}

/// A page of sessions, in order of their ids.
pub type SessionPage = Page<SessionView>;

impl From<SessionRow> for SessionView {
    fn from(row: SessionRow) -> Self {
        let SessionRow { id, holder, subject, role, purpose, created_at, seen_at, ends_at, .. } = row;
        let purpose = <&str>::from(purpose).to_owned();
        Self { id, holder: holder.to_string(), subject, role, purpose, created_at, seen_at, ends_at }
    }
}

pub(super) fn router() -> OpenApiRouter<Http> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(end)).routes(routes!(own, log_out))
}

/// Lists who is logged in. Needs admin.
#[utoipa::path(get, path = "/api/v1/sessions", tag = "tokens", params(Paging), responses(
    (status = 200, body = SessionPage),
))]
pub(crate) async fn list(_: Admin, http: State<Http>, Params(paging): Params<Paging>) -> Answer<SessionPage> {
    // Ids are hexadecimal; whatever a name can be is taken for the place of one.
    let window = paging.window(|text| HomeId::new(text).ok().map(|id| id.to_string()))?;
    let (after, needed) = (window.after.clone(), window.needed());
    let rows = blocking(&http.app.store, move |store| store.sessions_after(after.as_deref(), needed)).await?;
    Ok(Json(window.cut(rows, |row| row.id.clone(), SessionView::from)))
}

/// Ends a session at once. Needs admin.
#[utoipa::path(delete, path = "/api/v1/sessions/{id}", tag = "tokens", params(("id" = Name, Path)), responses(
    (status = 204),
))]
pub(crate) async fn end(
    Admin(caller): Admin,
    http: State<Http>,
    Segment(id): Segment<String>,
) -> Result<StatusCode, Problem> {
    finish(&http, &caller, id).await
}

/// Shows the caller: name, role, and when the session ends. Needs viewer.
#[utoipa::path(get, path = "/api/v1/session", tag = "tokens", responses((status = 200, body = CallerView)))]
pub(crate) async fn own(Viewer(caller): Viewer, http: State<Http>) -> Answer<CallerView> {
    let ends_at = match caller.session.clone() {
        None => None,
        Some(id) => blocking(&http.app.store, move |store| store.session(&id)).await?.map(|row| row.ends_at),
    };
    let (holder, subject) = (caller.holder.to_string(), caller.subject);
    Ok(Json(CallerView { holder, subject, role: caller.role, session: caller.session, ends_at }))
}

/// Logs out: ends the session that the request is made with. A token is not one: it is withdrawn by `DELETE /api/v1/tokens/{name}`. Needs
/// viewer.
#[utoipa::path(delete, path = "/api/v1/session", tag = "tokens", responses((status = 204)))]
pub(crate) async fn log_out(Viewer(caller): Viewer, http: State<Http>) -> Result<StatusCode, Problem> {
    let none = "this request is made with a token, which is no session";
    let id = caller.session.clone().ok_or_else(|| Problem::Conflict(none.to_owned()))?;
    finish(&http, &caller, id).await
}

/// Who makes a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CallerView {
    /// `token:NAME` or `person:NAME`.
    pub holder: String,
    /// The person's issuer and subject at the identity provider; null for a token.
    pub subject: Option<String>,
    /// What the caller may do.
    pub role: Role,
    /// The session; null where the request is made with a token.
    pub session: Option<String>,
    /// When the session ends, Unix seconds; null for a token.
    pub ends_at: Option<i64>,
}

async fn finish(http: &Http, caller: &Caller, id: String) -> Result<StatusCode, Problem> {
    let asked = id.clone();
    let there = blocking(&http.app.store, move |store| store.session(&asked)).await?;
    let row = there.ok_or_else(|| Problem::NotFound { noun: "session", id: id.clone() })?;
    let detail = json!({"holder": row.holder.to_string(), "purpose": <&str>::from(row.purpose)});
    let subject = id.clone();
    audited(http, caller, "session.end", &subject, detail, async {
        blocking(&http.app.store, move |store| store.end_session(&id)).await?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// What the audit log says of a session that begins.
pub(crate) async fn began(http: &Http, row: &SessionRow) -> Result<(), Problem> {
    let detail = json!({
        "subject": row.subject, "role": row.role.as_str(), "purpose": <&str>::from(row.purpose), "ends_at": row.ends_at,
    });
    crate::http::audit::record(http, &row.holder, "session.begin", &row.id, &detail).await
}
