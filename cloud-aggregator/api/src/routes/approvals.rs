//! Approvals: calls that wait for a second person.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use hearthwatch_store::people::{ApprovalRow, ApprovalState};
use utoipa::IntoParams;

use super::prelude::*;
use crate::http::audit::record;
use crate::http::second_person::{Execute, asker_in_force, may_decide};

/// A call that a second person has to approve. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApprovalView {
    /// Counted from 1.
    pub id: u64,
    /// When it was asked for.
    pub asked_at: i64,
    /// Until when it can be approved: a day.
    pub ends_at: i64,
    /// Who asked, `token:NAME` or `person:NAME`.
    pub asked_by: String,
    /// The call's path.
    pub place: String,
    /// The call's body as it was sent.
    pub body: serde_json::Value,
    /// What its dry run answered when it was asked for.
    pub would: serde_json::Value,
    /// `waiting`, `lapsed`, `denied`, `approved` (being done) or `done`.
    pub state: String,
    /// When it was decided.
    pub decided_at: Option<i64>,
    /// Who decided.
    pub decided_by: Option<String>,
    /// HTTP status of the call, once done.
    pub answer_status: Option<u16>,
    /// The call's answer, once done.
    pub answer: Option<serde_json::Value>,
}

impl ApprovalView {
    /// As it stands at `now`.
    pub(crate) fn of(row: ApprovalRow, now: i64) -> Self {
        let lapsed = row.state == ApprovalState::Waiting && now >= row.ends_at;
        let state = if lapsed { "lapsed" } else { <&str>::from(row.state) };
        Self {
            id: row.id,
            asked_at: row.asked_at,
            ends_at: row.ends_at,
            asked_by: row.asked_by.to_string(),
            place: row.place,
            body: serde_json::from_slice(&row.body).unwrap_or_default(),
            would: json_of(&row.would),
            state: state.to_owned(),
            decided_at: row.decided_at,
            decided_by: row.decided_by.map(|by| by.to_string()),
            answer_status: row.answer_status,
            answer: row.answer.as_deref().map(json_of),
        }
    }
}

/// Which calls.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ApprovalQuery {
    /// Only those in this state: `waiting` (those that lapsed among them), `approved`, `done` or `denied`.
    #[param(pattern = "^(waiting|approved|done|denied)$")]
    state: Option<String>,
    /// Items of the page, 1 to 500; 50 if not given.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// Only items after this one: what the page before called `next`.
    after: Option<String>,
}

/// A page of calls, newest first.
pub type ApprovalPage = Page<ApprovalView>;

pub(super) fn router() -> OpenApiRouter<Http> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one)).routes(routes!(approve)).routes(routes!(deny))
}

/// Lists calls that wait or waited for a second person, newest first. Needs viewer.
#[utoipa::path(get, path = "/api/v1/approvals", tag = "approvals", params(ApprovalQuery), responses(
    (status = 200, body = ApprovalPage),
))]
pub(crate) async fn list(_: Viewer, http: State<Http>, Params(query): Params<ApprovalQuery>) -> Answer<ApprovalPage> {
    let ApprovalQuery { state, limit, after } = query;
    let unknown = |_| Problem::Invalid("state: waiting, approved, done or denied".to_owned());
    let state = state.map(|word| word.parse::<ApprovalState>().map_err(unknown)).transpose()?;
    let window = Paging { limit, after }.window(number)?;
    let (before, needed, now) = (window.after, window.needed(), http.wall());
    let rows = blocking(&http.app.store, move |store| store.approvals_before(state, before, needed)).await?;
    Ok(Json(window.cut(rows, |row| row.id.to_string(), |row| ApprovalView::of(row, now))))
}

/// Shows a call that waits or waited for a second person. Needs viewer.
#[utoipa::path(get, path = "/api/v1/approvals/{id}", tag = "approvals", params(("id" = Number, Path)), responses(
    (status = 200, body = ApprovalView),
))]
pub(crate) async fn one(_: Viewer, http: State<Http>, Segment(id): Segment<u64>) -> Answer<ApprovalView> {
    Ok(Json(ApprovalView::of(look(&http, id).await?, http.wall())))
}

async fn look(http: &Http, id: u64) -> Result<ApprovalRow, Problem> {
    let row = blocking(&http.app.store, move |store| store.approval(id)).await?;
    row.ok_or_else(|| Problem::NotFound { noun: "approval", id: id.to_string() })
}

/// Approves a call that another asked for, and has it done as the asker; the answer says how it ended. Needs the role of that call.
#[utoipa::path(post, path = "/api/v1/approvals/{id}/approve", tag = "approvals", params(("id" = Number, Path)), responses(
    (status = 200, body = ApprovalView),
))]
pub(crate) async fn approve(
    Operator(caller): Operator,
    http: State<Http>,
    Segment(id): Segment<u64>,
) -> Result<Response, Problem> {
    let row = decided(&http, &caller, id, ApprovalState::Approved).await?;
    let mut answer = StatusCode::OK.into_response();
    answer.extensions_mut().insert(Execute(row));
    Ok(answer)
}

/// Refuses a call that waits; whoever asked for it can take it back in the same way. Needs operator.
#[utoipa::path(post, path = "/api/v1/approvals/{id}/deny", tag = "approvals", params(("id" = Number, Path)), responses(
    (status = 200, body = ApprovalView),
))]
pub(crate) async fn deny(
    Operator(caller): Operator,
    http: State<Http>,
    Segment(id): Segment<u64>,
) -> Answer<ApprovalView> {
    Ok(Json(ApprovalView::of(decided(&http, &caller, id, ApprovalState::Denied).await?, http.wall())))
}

/// Decides, once.
pub(crate) async fn decided(
    http: &Http,
    caller: &Caller,
    id: u64,
    state: ApprovalState,
) -> Result<ApprovalRow, Problem> {
    let (now, row) = (http.wall(), look(http, id).await?);
    let action = if state == ApprovalState::Approved { "approval.approve" } else { "approval.deny" };
    let open = row.state == ApprovalState::Waiting && now < row.ends_at;
    let stands = ApprovalView::of(row.clone(), now).state;
    let closed = || Problem::Conflict(format!("call {id} does not wait any more: it is {stands}"));
    if !open {
        return Err(closed());
    }
    if state == ApprovalState::Approved {
        may_decide(&row, caller)?;
        if !asker_in_force(http, &row.asked_by).await? {
            return Err(Problem::Conflict(format!("{} may not ask for anything any more", row.asked_by)));
        }
    }
    let detail = json!({"place": row.place, "asked_by": row.asked_by.to_string()});
    if caller.dry_run {
        return Err(crate::http::audit::would(action, &id.to_string(), detail));
    }
    let by = caller.actor();
    let decided = blocking(&http.app.store, move |store| store.decide_approval(id, state, &by, now)).await?;
    let row = decided.ok_or_else(closed)?;
    record(http, &caller.actor(), action, &id.to_string(), &detail).await?;
    Ok(row)
}
