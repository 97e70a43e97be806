//! Runs: retrainings, their gate's reports, starting one, and releasing a held candidate by hand.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use hearthwatch_fleet::release::manual;
use hearthwatch_learning::training::{TrainingStatus, new_id};
use hearthwatch_store::lists::{RunQuery, RunRequestQuery};
use hearthwatch_store::run_requests::RunRequestRow;
use hearthwatch_store::{RequestState, RunRow, RunState, RunTrigger};

use utoipa::IntoParams;

use super::prelude::*;
use super::releases::ReleaseView;
use crate::http::events::{self, EventView, Seen};

/// One retraining. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunView {
    /// Hash of data set, champion and configuration: the same work has the same id.
    pub id: String,
    /// The data set it learned from.
    pub dataset: String,
    /// Whether a person asked, or a rule of `[training]` did.
    pub trigger: RunTrigger,
    /// The training configuration, every setting of it; null while it has not begun.
    pub config: serde_json::Value,
    /// The model that its candidate had to beat besides the baseline detector.
    pub champion: Option<u64>,
    /// Whether it works, or how it ended.
    pub state: RunState,
    /// When it started, Unix seconds; of a run that was taken up again, the last time.
    pub started_at: i64,
    /// When it ended, Unix seconds; none while it works.
    pub ended_at: Option<i64>,
    /// Hexadecimal SHA-256 of the candidate's artifact, once there is one.
    pub candidate: Option<String>,
    /// The gate's report, once there is one.
    pub report: Option<serde_json::Value>,
    /// What went wrong, in a failed run.
    pub failure: Option<String>,
}

/// What the trainer is doing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TrainingView {
    /// Id of the run in hand; none while the trainer rests.
    pub run: Option<String>,
    /// What it is at.
    #[schema(value_type = PhaseWord)]
    pub phase: String,
    /// Units done in this phase.
    pub done: u64,
    /// Units in this phase; 0 if unknown.
    pub total: u64,
    /// The loss of the last training step, lower is better; none outside of training.
    pub loss: Option<f32>,
    /// Seconds that this phase still takes, once there is a pace.
    pub remaining_s: Option<u64>,
}

/// A retraining that was asked for. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunRequestView {
    /// Given when it was asked for.
    pub id: String,
    /// Whether a person asked, or a rule of `[training]` did.
    pub trigger: RunTrigger,
    /// Who asked: `token:NAME`, or `system`.
    pub by: String,
    /// Whether it waits, works, or how it ended.
    pub state: RequestState,
    /// When it was asked for.
    pub asked_at: i64,
    /// When it was taken up, the last time.
    pub started_at: Option<i64>,
    /// When it ended, Unix seconds; none before that.
    pub ended_at: Option<i64>,
    /// How often it was taken up: more than once when the process ended meanwhile.
    pub attempts: u32,
    /// The run that it became: `/api/v1/runs/{id}`. The same work is done once, so several requests may have become one run.
    pub run: Option<String>,
    /// Why it failed or was given up.
    pub reason: Option<String>,
}

/// A page of requests for runs, newest first.
pub type RunRequestPage = Page<RunRequestView>;

impl From<RunRequestRow> for RunRequestView {
    fn from(row: RunRequestRow) -> Self {
        let RunRequestRow { id, trigger, by, state, asked_at, started_at, ended_at, attempts, run, reason } = row;
        Self { id, trigger, by, state, asked_at, started_at, ended_at, attempts, run, reason }
    }
}

/// Why something is done by hand; kept in the audit log.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// One line for those who read the audit log later.
    #[schema(value_type = Sentence)]
    pub reason: String,
}

/// Longest reason, in characters: a few sentences.
const REASON_MAX: usize = 1_000;

impl Reason {
    /// The reason, checked.
    ///
    /// # Errors
    /// [`Problem::Invalid`] when it is blank or long.
    pub(super) fn checked(self) -> Result<String, Problem> {
        let reason = self.reason.trim();
        if reason.is_empty() || self.reason.chars().count() > REASON_MAX {
            return Err(Problem::Invalid(format!("reason: say why, in 1 to {REASON_MAX} characters")));
        }
        Ok(reason.to_owned())
    }
}

/// Which runs.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct RunsAsked {
    /// Only runs in this state.
    state: Option<RunState>,
    /// Only runs that this started.
    trigger: Option<RunTrigger>,
    /// Only runs that learned from this data set.
    #[param(pattern = "^[0-9a-f]{1,64}$")]
    dataset: Option<String>,
    /// Items of the page, 1 to 500; 50 if not given.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// Only items after this one: what the page before called `next`.
    after: Option<String>,
}

/// Which requests for runs.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct RunRequestsAsked {
    /// Only requests in this state.
    state: Option<RequestState>,
    /// Only requests of this caller: `token:NAME`, or `system`.
    #[param(pattern = "^[ -~]{1,80}$")]
    by: Option<String>,
    /// Items of the page, 1 to 500; 50 if not given.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// Only items after this one: what the page before called `next`.
    after: Option<String>,
}

/// A page of runs, newest first.
pub type RunPage = Page<RunView>;

impl From<RunRow> for RunView {
    fn from(row: RunRow) -> Self {
        let (config, report) = (json_of(&row.config), row.report.as_deref().map(json_of));
        let RunRow { id, snapshot: dataset, trigger, state, started_at, ended_at, failure, .. } = row;
        let (champion, candidate) = (row.champion.map(|version| version.0), row.challenger);
        Self { id, dataset, trigger, config, champion, state, started_at, ended_at, candidate, report, failure }
    }
}

impl From<TrainingStatus> for TrainingView {
    fn from(status: TrainingStatus) -> Self {
        let TrainingStatus { run, phase, done, total, loss, remaining_s } = status;
        Self { run, phase: phase.to_owned(), done, total, loss, remaining_s }
    }
}

pub(super) fn router() -> OpenApiRouter<Http> {
    OpenApiRouter::new()
        .routes(routes!(list, start))
        .routes(routes!(one))
        .routes(routes!(requests))
        .routes(routes!(request))
        .routes(routes!(promote))
        .routes(routes!(cancel))
        .routes(routes!(events))
        .routes(routes!(training))
}

/// Lists the runs, newest first.
#[utoipa::path(get, path = "/api/v1/runs", tag = "runs", params(RunsAsked), responses(
    (status = 200, body = RunPage),
))]
pub(crate) async fn list(_: Viewer, http: State<Http>, Params(asked): Params<RunsAsked>) -> Answer<RunPage> {
    let RunsAsked { state, trigger, dataset: snapshot, limit, after } = asked;
    let window = Paging { limit, after }.window(id)?;
    let query = RunQuery { state, trigger, snapshot, after: window.after.clone(), limit: window.needed() };
    let rows = blocking(&http.app.store, move |store| store.list_runs(&query)).await?;
    Ok(Json(window.cut(rows, |row| row.id.clone(), RunView::from)))
}

/// Shows one run. By the id of a request: the run that it became, or, before there is one, the request as a run without data
/// set and configuration, *running* until it ends.
#[utoipa::path(get, path = "/api/v1/runs/{id}", tag = "runs", params(("id" = String, Path)), responses(
    (status = 200, body = RunView),
))]
pub(crate) async fn one(_: Viewer, http: State<Http>, Segment(id): Segment<String>) -> Answer<RunView> {
    find(&http, id).await.map(Json)
}

/// The run of this id, or of the request of this id.
async fn find(http: &Http, id: String) -> Result<RunView, Problem> {
    let asked = id.clone();
    let found = blocking(&http.app.store, move |store| {
        if let Some(run) = store.run(&asked)? {
            return Ok(Some(RunView::from(run)));
        }
        let Some(request) = store.run_request(&asked)? else { return Ok(None) };
        let run = request.run.as_deref().map(|run| store.run(run)).transpose()?.flatten();
        Ok(Some(run.map_or_else(|| not_begun(request), RunView::from)))
    });
    found.await?.ok_or(Problem::NotFound { noun: "run", id })
}

/// A request that became no run, or none yet.
fn not_begun(request: RunRequestRow) -> RunView {
    let state = if request.ended_at.is_some() { RunState::Failed } else { RunState::Running };
    RunView {
        id: request.id,
        dataset: String::new(),
        trigger: request.trigger,
        config: serde_json::Value::Null,
        champion: None,
        state,
        started_at: request.started_at.unwrap_or(request.asked_at),
        ended_at: request.ended_at,
        candidate: None,
        report: None,
        failure: request.reason,
    }
}

/// Shows what the trainer is doing.
#[utoipa::path(get, path = "/api/v1/training", tag = "runs", responses(
    (status = 200, body = TrainingView),
))]
pub(crate) async fn training(_: Viewer, http: State<Http>) -> Json<TrainingView> {
    let status = http.app.training.status().borrow().clone();
    Json(status.into())
}

/// Asks for a retraining. The answer comes at once; what becomes of it is told at `Location`. Needs operator.
#[utoipa::path(post, path = "/api/v1/runs", tag = "runs", responses(
    (status = 202, body = RunRequestView, description = "Written down, and put through when the trainer is free.",
        headers(("Location" = String, description = "Where the request tells how it stands."))),
))]
pub(crate) async fn start(Operator(caller): Operator, http: State<Http>) -> Result<Response, Problem> {
    let id = new_id();
    let by = caller.holder.to_string();
    let row = audited(&http, &caller, "run.start", &id, json!({}), async {
        // Whoever wants to know how it ended asks for the request; nobody waits here.
        let (row, _) = http.app.training.ask(id.clone(), RunTrigger::Hand, &by).await?;
        Ok(row)
    })
    .await?;
    let place = [(header::LOCATION, format!("/api/v1/run-requests/{}", row.id))];
    Ok((StatusCode::ACCEPTED, place, Json(RunRequestView::from(row))).into_response())
}

/// Lists retrainings that were asked for, newest first; also those that the triggers wanted and that could not begin.
#[utoipa::path(get, path = "/api/v1/run-requests", tag = "runs", params(RunRequestsAsked), responses(
    (status = 200, body = RunRequestPage),
))]
pub(crate) async fn requests(
    _: Viewer,
    http: State<Http>,
    Params(asked): Params<RunRequestsAsked>,
) -> Answer<RunRequestPage> {
    let RunRequestsAsked { state, by, limit, after } = asked;
    let window = Paging { limit, after }.window(id)?;
    let query = RunRequestQuery { state, by, after: window.after.clone(), limit: window.needed() };
    let rows = blocking(&http.app.store, move |store| store.list_run_requests(&query)).await?;
    Ok(Json(window.cut(rows, |row| row.id.clone(), RunRequestView::from)))
}

/// Shows one retraining that was asked for: where it is, and the run that it became.
#[utoipa::path(get, path = "/api/v1/run-requests/{id}", tag = "runs", params(("id" = String, Path)), responses(
    (status = 200, body = RunRequestView),
))]
pub(crate) async fn request(_: Viewer, http: State<Http>, Segment(id): Segment<String>) -> Answer<RunRequestView> {
    let asked = id.clone();
    let row = blocking(&http.app.store, move |store| store.run_request(&asked)).await?;
    row.map(|row| Json(row.into())).ok_or(Problem::NotFound { noun: "run request", id })
}

/// Streams a retraining that was asked for, until it has ended: as a row, and while it runs what the trainer is doing.
#[utoipa::path(get, path = "/api/v1/run-requests/{id}/events", tag = "runs", params(("id" = String, Path)), responses(
    (status = 200, body = EventView, content_type = "text/event-stream",
        description = "Events `changed`, and `ended` at the end, each with a `RunProgress`."),
))]
pub(crate) async fn events(_: Viewer, http: State<Http>, Segment(id): Segment<String>) -> Result<Response, Problem> {
    let watched = http.0.clone();
    events::watch(&http, move || {
        let (http, id) = (watched.clone(), id.clone());
        async move {
            let asked = id.clone();
            let row = blocking(&http.app.store, move |store| store.run_request(&asked)).await?;
            let request: RunRequestView = row.ok_or(Problem::NotFound { noun: "run request", id })?.into();
            let running = request.state == RequestState::Running;
            let training = running.then(|| http.app.training.status().borrow().clone().into());
            let ended = request.ended_at.is_some();
            Ok(Seen { thing: RunProgress { request, training }, ended })
        }
    })
    .await
}

/// A retraining that was asked for, and how far it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunProgress {
    /// The request.
    pub request: RunRequestView,
    /// What the trainer is doing; none while the request waits, or once it has ended.
    pub training: Option<TrainingView>,
}

/// Ends a run, or a request for one, before its time. It ends after the batch that it is at; the answer shows it as it was. Needs operator.
#[utoipa::path(post, path = "/api/v1/runs/{id}/cancel", tag = "runs", params(("id" = String, Path)),
    request_body = Reason, responses(
    (status = 202, body = RunView, description = "The wish is known; `GET` of the run shows when it has ended."),
))]
pub(crate) async fn cancel(
    Operator(caller): Operator,
    http: State<Http>,
    Segment(id): Segment<String>,
    Body(reason): Body<Reason>,
) -> Result<(StatusCode, Json<RunView>), Problem> {
    let detail = json!({"reason": reason.checked()?});
    let run = find(&http, id.clone()).await?;
    if run.state != RunState::Running {
        return Err(Problem::Conflict(format!("run {id} has ended: it is {}", run.state.as_str())));
    }
    audited(&http, &caller, "run.cancel", &id, detail, async {
        let known = http.app.training.cancellations().wish(&id, &caller.actor().to_string());
        if known { Ok(()) } else { Err(Problem::Conflict("too many runs are being cancelled already".to_owned())) }
    })
    .await?;
    Ok((StatusCode::ACCEPTED, Json(run)))
}

/// Releases the candidate of a run that the gate held back, or that waits for a person. Needs operator.
#[utoipa::path(post, path = "/api/v1/runs/{id}/promote", tag = "runs", params(("id" = String, Path)),
    request_body = Reason, responses(
    (status = 200, body = ReleaseView),
))]
pub(crate) async fn promote(
    Operator(caller): Operator,
    http: State<Http>,
    Segment(id): Segment<String>,
    Body(reason): Body<Reason>,
) -> Answer<ReleaseView> {
    let reason = reason.checked()?;
    let detail = json!({"reason": reason});
    if caller.dry_run {
        manual::check(&http.app.releases, &id).await?;
    }
    let row = audited(&http, &caller, "run.promote", &id, detail, async {
        Ok(manual::promote(&http.app.releases, &id, &caller.actor().to_string()).await?)
    })
    .await?;
    Ok(Json(row.into()))
}
