//! Runs: retrainings, their gate's reports, starting one, and releasing a held candidate by hand.

use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::json_of;
use super::releases::ReleaseView;
use crate::http::Http;
use crate::http::audit::audited;
use crate::http::auth::{Operator, Viewer};
use crate::http::extract::{Body, Params, Segment};
use crate::http::paging::{Page, Paging};
use crate::http::problem::{Problem, ProblemBody};
use crate::release::by_hand;
use crate::store::{RunRow, RunTrigger, blocking};
use crate::training::TrainingStatus;

/// One retraining. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunView {
    /// Hash of data set, champion and configuration: the same work has the same id.
    pub id: String,
    /// The data set it learned from.
    pub dataset: String,
    /// `count`, `schedule` or `hand`.
    pub trigger: String,
    /// The whole training configuration.
    pub config: serde_json::Value,
    /// The model that its candidate had to beat besides the routine detector.
    pub champion: Option<u64>,
    /// `running`, `promoted`, `held` or `failed`.
    pub state: String,
    /// When it started.
    pub started_at: i64,
    /// When it ended.
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
    /// The run in hand.
    pub run: Option<String>,
    /// `idle`, `snapshot`, `preparing`, `training`, `evaluating` or `releasing`.
    pub phase: String,
    /// Units done in this phase.
    pub done: u64,
    /// Units in this phase; 0 if unknown.
    pub total: u64,
    /// The last training loss.
    pub loss: Option<f32>,
    /// Seconds that this phase still takes, once there is a pace.
    pub remaining_s: Option<u64>,
}

/// A run was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunAsked {
    /// Always true: the trainer takes it up when it is free.
    pub queued: bool,
}

/// Why something is done by hand; kept in the audit log.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// One line for those who read the audit log later.
    pub reason: String,
}

/// Longest reason, in bytes: a few sentences.
const REASON_BYTES_MAX: usize = 1000;

impl Reason {
    /// The reason, checked.
    ///
    /// # Errors
    /// [`Problem::Invalid`] when it is empty or long.
    pub(super) fn checked(self) -> Result<String, Problem> {
        let reason = self.reason.trim();
        if reason.is_empty() || reason.len() > REASON_BYTES_MAX {
            return Err(Problem::Invalid(format!("reason: say why, in 1 to {REASON_BYTES_MAX} bytes")));
        }
        Ok(reason.to_owned())
    }
}

/// A page of them.
pub type RunPage = Page<RunView>;

impl From<RunRow> for RunView {
    fn from(row: RunRow) -> Self {
        Self {
            id: row.id,
            dataset: row.snapshot,
            trigger: row.trigger.as_str().to_owned(),
            config: json_of(&row.config),
            champion: row.champion.map(|version| version.0),
            state: row.state.as_str().to_owned(),
            started_at: row.started_at,
            ended_at: row.ended_at,
            candidate: row.challenger,
            report: row.report.as_deref().map(json_of),
            failure: row.failure,
        }
    }
}

impl From<TrainingStatus> for TrainingView {
    fn from(status: TrainingStatus) -> Self {
        let TrainingStatus { run, phase, done, total, loss, remaining_s } = status;
        Self { run, phase: phase.to_owned(), done, total, loss, remaining_s }
    }
}

pub(super) fn router() -> Router<Http> {
    Router::new()
        .route("/runs", get(list).post(start))
        .route("/runs/{id}", get(one))
        .route("/runs/{id}/promote", post(promote))
        .route("/training", get(training))
}

/// Lists the runs, newest first.
#[utoipa::path(get, path = "/api/v1/runs", tag = "runs", params(Paging), responses(
    (status = 200, body = RunPage),
    (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn list(
    _: Viewer,
    http: axum::extract::State<Http>,
    Params(paging): Params<Paging>,
) -> Result<Json<RunPage>, Problem> {
    let window = paging.window(|text| Some(text.to_owned()))?;
    let (after, needed) = (window.after.clone(), window.needed());
    let rows = blocking(&http.app.store, move |store| match after {
        None => store.runs(needed),
        Some(after) => store.runs_after(&after, needed),
    });
    Ok(Json(window.cut(rows.await?, |row| row.id.clone(), RunView::from)))
}

/// Shows one run.
#[utoipa::path(get, path = "/api/v1/runs/{id}", tag = "runs", params(("id" = String, Path)), responses(
    (status = 200, body = RunView),
    (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn one(
    _: Viewer,
    http: axum::extract::State<Http>,
    Segment(id): Segment<String>,
) -> Result<Json<RunView>, Problem> {
    let asked = id.clone();
    let row = blocking(&http.app.store, move |store| store.run(&asked)).await?;
    row.map(|row| Json(row.into())).ok_or(Problem::NotFound { noun: "run", id })
}

/// Shows what the trainer is doing.
#[utoipa::path(get, path = "/api/v1/training", tag = "runs", responses(
    (status = 200, body = TrainingView),
    (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn training(_: Viewer, http: axum::extract::State<Http>) -> Json<TrainingView> {
    let status = http.app.training.status().borrow().clone();
    Json(status.into())
}

/// Asks for a retraining. Needs operator.
#[utoipa::path(post, path = "/api/v1/runs", tag = "runs", responses(
    (status = 202, body = RunAsked),
    (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn start(
    Operator(caller): Operator,
    http: axum::extract::State<Http>,
) -> Result<(StatusCode, Json<RunAsked>), Problem> {
    audited(&http, &caller, "run.start", "", json!({}), async {
        // The answer comes with the run's end; until then it is seen in the list of runs.
        drop(http.app.training.start(RunTrigger::Hand)?);
        Ok(())
    })
    .await?;
    Ok((StatusCode::ACCEPTED, Json(RunAsked { queued: true })))
}

/// Releases the candidate of a run that the gate held back, or that waits for a person. Needs operator.
#[utoipa::path(post, path = "/api/v1/runs/{id}/promote", tag = "runs", params(("id" = String, Path)),
    request_body = Reason, responses(
    (status = 200, body = ReleaseView),
    (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn promote(
    Operator(caller): Operator,
    http: axum::extract::State<Http>,
    Segment(id): Segment<String>,
    Body(reason): Body<Reason>,
) -> Result<Json<ReleaseView>, Problem> {
    let reason = reason.checked()?;
    let detail = json!({"reason": reason});
    let row = audited(&http, &caller, "run.promote", &id, detail, async {
        Ok(by_hand::promote(&http.app, &id, &caller.actor().to_string()).await?)
    })
    .await?;
    Ok(Json(row.into()))
}
