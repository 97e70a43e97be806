//! `/healthz` and `/readyz`: what the parts say of themselves. Reads no database.

use axum::Json;
use axum::extract;
use axum::http::StatusCode;
use hearthwatch_supervision::{Grade, PartReport, Report, State, Verdict};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::Http;
use crate::http::words::{GradeWord, HealthWord, PartState};

/// How the program is doing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HealthBody {
    /// `able`, `unable` (waiting or a person mends that) or `dead` (only a restart does).
    #[schema(value_type = HealthWord)]
    status: Verdict,
    /// Every part, in the order in which they were started.
    parts: Vec<PartBody>,
}

/// How one part is doing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PartBody {
    /// Name of the part, as in the log.
    part: &'static str,
    /// `vital`: the program ends with it; or `optional`.
    #[schema(value_type = GradeWord)]
    grade: Grade,
    /// `able`, `unable`, `stuck`, `restarting`, `dead` or `stopped`.
    #[schema(value_type = PartState)]
    state: State,
    /// Since when it was seen so, Unix seconds.
    since: i64,
}

impl From<Report> for HealthBody {
    fn from(report: Report) -> Self {
        let part = |PartReport { part, grade, state, since }| PartBody { part, grade, state, since };
        Self { status: report.status, parts: report.parts.into_iter().map(part).collect() }
    }
}

fn answer(http: &Http, is_good: impl FnOnce(&Report) -> bool) -> (StatusCode, Json<HealthBody>) {
    let report = http.app.health.look();
    let status = if is_good(&report) { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(report.into()))
}

/// Says whether the aggregator is alive: 503 while a part is dead or has stood still for longer than it ever takes, which only a restart
/// mends.
#[utoipa::path(get, path = "/healthz", tag = "health", security(()), responses(
    (status = 200, description = "It is alive.", body = HealthBody),
    (status = 503, description = "It is to be started again.", body = HealthBody),
))]
pub(crate) async fn healthz(extract::State(http): extract::State<Http>) -> (StatusCode, Json<HealthBody>) {
    answer(&http, Report::is_alive)
}

/// Says whether the aggregator can do all of its work: 503 while a part cannot, for example because the broker is away.
#[utoipa::path(get, path = "/readyz", tag = "health", security(()), responses(
    (status = 200, description = "Every part does its work.", body = HealthBody),
    (status = 503, description = "Some part does not at the moment.", body = HealthBody),
))]
pub(crate) async fn readyz(extract::State(http): extract::State<Http>) -> (StatusCode, Json<HealthBody>) {
    answer(&http, Report::is_able)
}
