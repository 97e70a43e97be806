//! Rollouts: how a release goes out, what is proven to run where, and what an operator may do about it.

use axum::response::Response;
use hearthwatch_fleet::rollout::Director;
use hearthwatch_fleet::rollout::execute::Watched;
use hearthwatch_fleet::rollout::gate::{Finding, Test};
use hearthwatch_fleet::rollout::manual::{self, Asked, ManualError, RolloutAction};
use hearthwatch_store::rollouts::{RolloutRow, RolloutState};

use utoipa::IntoParams;

use super::prelude::*;
use crate::http::audit::would;
use crate::http::events::{self, EventView, Seen};
use crate::http::problem::Present;

/// A release on its way. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RolloutView {
    /// Version of the model that goes out.
    pub model_version: u64,
    /// What the fleet ran before, where there was a release.
    pub previous: Option<u64>,
    /// The rules that it began with, as TOML.
    pub policy: String,
    /// Whether it goes on, waits, or is over; `reason` says why.
    pub state: RolloutState,
    /// Whether a person opened every wave.
    pub forced: bool,
    /// When it began, Unix seconds; waves are timed from here, pauses left out.
    pub started_at: i64,
    /// Since when it is paused.
    pub paused_at: Option<i64>,
    /// When it was complete, stopped or overtaken, Unix seconds; none before that.
    pub ended_at: Option<i64>,
    /// Why it is where it is.
    pub reason: String,
    /// Counts up with every change. Sent along with a wish, it is refused if the rollout has changed since.
    pub row_version: u64,
}

/// What an operator says with a wish about a rollout.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RolloutWish {
    /// One line for those who read the audit log later.
    #[schema(value_type = Sentence)]
    pub reason: String,
    /// The `row_version` that was looked at: the wish is refused (409) if the rollout has changed since.
    #[serde(default, deserialize_with = "whole_or_none")]
    #[schema(value_type = Option<Number>)]
    pub row_version: Option<u64>,
}

/// A release on its way, with everything that is known about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RolloutDetail {
    /// As in the list of rollouts.
    pub rollout: RolloutView,
    /// Homes that were ordered to run it.
    pub assigned: u64,
    /// Homes that told how the installation ended.
    pub reported: u64,
    /// Homes to which it did not come whole, or was not trusted there; they weigh in no test.
    pub undelivered: u64,
    /// Homes that are proven to run it.
    pub attested: u64,
    /// Waves that are open; 0 once a test stopped it.
    pub open: usize,
    /// What comes next, in words.
    pub next: String,
    /// The five tests, always all of them.
    pub tests: Vec<TestView>,
}

/// How near one test is to stopping the rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TestView {
    /// What the test is about.
    #[schema(value_type = TestWord)]
    pub test: Test,
    /// Its e-value, as a power of ten.
    pub log10_e: f64,
    /// From where on it stops the rollout.
    pub limit: f64,
}

/// What one home is proven to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttestationView {
    /// Name of the home.
    pub home: String,
    /// What it was ordered to run.
    pub ordered: Option<u64>,
    /// What it is proven to run.
    pub runs: Option<u64>,
    /// How its signed word stands to the newest order.
    pub state: AttestationWord,
}

impl From<RolloutRow> for RolloutView {
    fn from(row: RolloutRow) -> Self {
        let (model_version, previous) = (row.model_version.0, row.previous.map(|version| version.0));
        let RolloutRow { policy, state, forced, started_at, paused_at, ended_at, reason, row_version, .. } = row;
        Self { model_version, previous, policy, state, forced, started_at, paused_at, ended_at, reason, row_version }
    }
}

impl From<Watched> for RolloutDetail {
    fn from(watched: Watched) -> Self {
        let test = |finding: &Finding| TestView { test: finding.test, log10_e: finding.log10_e, limit: finding.limit };
        Self {
            assigned: watched.assigned,
            reported: watched.reported,
            undelivered: watched.evidence.undelivered,
            attested: watched.attested,
            open: watched.open,
            next: watched.next.to_string(),
            tests: watched.findings.iter().map(test).collect(),
            rollout: watched.row.into(),
        }
    }
}

/// Which rollouts.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct RolloutsAsked {
    /// Only rollouts in this state.
    state: Option<RolloutState>,
    /// Items of the page, 1 to 500; 50 if not given.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// Only items after this one: what the page before called `next`.
    after: Option<String>,
}

/// A page of rollouts, highest version first.
pub type RolloutPage = Page<RolloutView>;

/// A page of what homes are proven to run, in order of their names.
pub type AttestationPage = Page<AttestationView>;

pub(super) fn router() -> OpenApiRouter<Http> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(one))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(promote))
        .routes(routes!(halt))
        .routes(routes!(roll_back))
        .routes(routes!(events))
        .routes(routes!(attestations))
}

/// Lists the rollouts, newest first.
#[utoipa::path(get, path = "/api/v1/rollouts", tag = "rollouts", params(RolloutsAsked), responses(
    (status = 200, body = RolloutPage),
))]
pub(crate) async fn list(_: Viewer, http: State<Http>, Params(asked): Params<RolloutsAsked>) -> Answer<RolloutPage> {
    let RolloutsAsked { state, limit, after } = asked;
    let window = Paging { limit, after }.window(number)?;
    let (before, needed) = (window.after.map(ModelVersion), window.needed());
    let rows = blocking(&http.app.store, move |store| store.list_rollouts(state, before, needed)).await?;
    Ok(Json(window.cut(rows, |row| row.model_version.to_string(), RolloutView::from)))
}

/// Shows one rollout: waves, reports, and where its tests stand.
#[utoipa::path(get, path = "/api/v1/rollouts/{version}", tag = "rollouts", params(("version" = Number, Path)), responses(
    (status = 200, body = RolloutDetail),
))]
pub(crate) async fn one(
    _: Viewer,
    http: State<Http>,
    Segment(version): Segment<ModelVersion>,
) -> Answer<RolloutDetail> {
    read(&http, version).await.map(Json)
}

/// Streams a rollout as it changes, until it is over.
#[utoipa::path(get, path = "/api/v1/rollouts/{version}/events", tag = "rollouts", params(("version" = Number, Path)),
    responses(
    (status = 200, body = EventView, content_type = "text/event-stream",
        description = "Events `changed`, and `ended` at the end, each with a `RolloutDetail`."),
))]
pub(crate) async fn events(
    _: Viewer,
    http: State<Http>,
    Segment(version): Segment<ModelVersion>,
) -> Result<Response, Problem> {
    let watched = http.0.clone();
    events::watch(&http, move || {
        let http = watched.clone();
        async move {
            let director = director(&http)?;
            let found = blocking(&http.app.store, move |store| director.look_lately(store, version)).await?;
            let none = || Problem::NotFound { noun: "rollout", id: version.to_string() };
            let thing = found.map(RolloutDetail::from).ok_or_else(none)?;
            let ended = !matches!(thing.rollout.state, RolloutState::Running | RolloutState::Paused);
            Ok(Seen { thing, ended })
        }
    })
    .await
}

/// Lists what each home is proven to run, by name.
#[utoipa::path(get, path = "/api/v1/attestations", tag = "rollouts", params(Paging), responses(
    (status = 200, body = AttestationPage),
))]
pub(crate) async fn attestations(
    _: Viewer,
    http: State<Http>,
    Params(paging): Params<Paging>,
) -> Answer<AttestationPage> {
    let window = paging.window(|text| HomeId::new(text).ok())?;
    let director = director(&http)?;
    let (after, needed) = (window.after.clone(), window.needed());
    let rows = blocking(&http.app.store, move |store| director.attestations(store, after.as_ref(), needed)).await?;
    Ok(Json(window.cut(
        rows,
        |(home, _, _)| home.to_string(),
        |(home, ordered, attestation)| AttestationView {
            home: home.to_string(),
            ordered: ordered.map(|version| version.0),
            runs: attestation.runs().map(|version| version.0),
            state: (&attestation).into(),
        },
    )))
}

/// Stops the clock of a rollout: no further home gets the release until it goes on. Needs operator.
#[utoipa::path(post, path = "/api/v1/rollouts/{version}/pause", tag = "rollouts", params(("version" = Number, Path)),
    request_body = RolloutWish, responses(
    (status = 200, body = RolloutDetail),
))]
pub(crate) async fn pause(
    Operator(caller): Operator,
    http: State<Http>,
    Segment(version): Segment<ModelVersion>,
    Body(asked): Body<RolloutWish>,
) -> Answer<RolloutDetail> {
    act(&http, caller, version, RolloutAction::Pause, asked).await
}

/// Lets a paused rollout go on. Needs operator.
#[utoipa::path(post, path = "/api/v1/rollouts/{version}/resume", tag = "rollouts", params(("version" = Number, Path)),
    request_body = RolloutWish, responses(
    (status = 200, body = RolloutDetail),
))]
pub(crate) async fn resume(
    Operator(caller): Operator,
    http: State<Http>,
    Segment(version): Segment<ModelVersion>,
    Body(asked): Body<RolloutWish>,
) -> Answer<RolloutDetail> {
    act(&http, caller, version, RolloutAction::Resume, asked).await
}

/// Opens every wave of a rollout now; its tests can still stop it. Needs operator.
#[utoipa::path(post, path = "/api/v1/rollouts/{version}/promote", tag = "rollouts", params(("version" = Number, Path)),
    request_body = RolloutWish, responses(
    (status = 200, body = RolloutDetail),
))]
pub(crate) async fn promote(
    Operator(caller): Operator,
    http: State<Http>,
    Segment(version): Segment<ModelVersion>,
    Body(asked): Body<RolloutWish>,
) -> Answer<RolloutDetail> {
    act(&http, caller, version, RolloutAction::Promote, asked).await
}

/// Stops a rollout for good; homes that have the release keep it. Needs operator.
#[utoipa::path(post, path = "/api/v1/rollouts/{version}/halt", tag = "rollouts", params(("version" = Number, Path)),
    request_body = RolloutWish, responses(
    (status = 200, body = RolloutDetail),
))]
pub(crate) async fn halt(
    Operator(caller): Operator,
    http: State<Http>,
    Segment(version): Segment<ModelVersion>,
    Body(asked): Body<RolloutWish>,
) -> Answer<RolloutDetail> {
    act(&http, caller, version, RolloutAction::Halt, asked).await
}

/// Orders every home that has the release back to the one before, by signed orders. Needs operator.
#[utoipa::path(post, path = "/api/v1/rollouts/{version}/rollback", tag = "rollouts", params(("version" = Number, Path)),
    request_body = RolloutWish, responses(
    (status = 200, body = RolloutDetail),
))]
pub(crate) async fn roll_back(
    Operator(caller): Operator,
    http: State<Http>,
    Segment(version): Segment<ModelVersion>,
    Body(asked): Body<RolloutWish>,
) -> Answer<RolloutDetail> {
    act(&http, caller, version, RolloutAction::RollBack, asked).await
}

pub(crate) async fn act(
    http: &Http,
    caller: Caller,
    version: ModelVersion,
    action: RolloutAction,
    asked: RolloutWish,
) -> Answer<RolloutDetail> {
    let reason = Reason { reason: asked.reason }.checked()?;
    let (director, now, row_version) = (director(http)?, http.wall(), asked.row_version);
    let (name, subject) = (format!("rollout.{}", action.as_str().replace(' ', "_")), version.to_string());
    if caller.dry_run {
        return Err(tried(http, (version, action, &name), &reason, row_version, now).await?);
    }
    let (detail, actor, acting) = (json!({"reason": reason}), caller.actor(), director.clone());
    let work = blocking(&http.app.store, move |store| {
        let asked = Asked { version, action, reason: &reason, actor, row_version, now };
        Ok(manual::act(&acting, store, &asked))
    });
    let done = work.await?.map_err(|error| match error {
        ManualError::Unknown(version) => Problem::NotFound { noun: "rollout", id: version.to_string() },
        ManualError::Store(error) => error.into(),
        refused @ (ManualError::State { .. } | ManualError::NothingBefore(_)) => Problem::Conflict(refused.to_string()),
    });
    match done {
        Ok(()) => tracing::info!(actor = %caller.actor(), action = name, subject, "operator action"),
        Err(problem) => {
            undone(http, &caller, &name, &subject, detail, &problem).await?;
            return Err(problem);
        }
    }
    if matches!(action, RolloutAction::Pause | RolloutAction::Halt | RolloutAction::RollBack) {
        // Answered once the orders that were on their way have come to an end.
        director.settled().await;
    }
    read(http, version).await.map(Json)
}

/// What a wish would make of a rollout: decided as it would be, and not written. Orders that would be signed are counted and not made.
async fn tried(
    http: &Http,
    (version, action, name): (ModelVersion, RolloutAction, &str),
    reason: &str,
    row_version: Option<u64>,
    now: i64,
) -> Result<Problem, Problem> {
    let none = || Problem::NotFound { noun: "rollout", id: version.to_string() };
    let row = blocking(&http.app.store, move |store| store.rollout(version)).await?.ok_or_else(none)?;
    if row_version.is_some_and(|seen| seen != row.row_version) {
        let present = Present { state: row.state.as_str().to_owned(), row_version: row.row_version };
        let detail = format!("rollout {version} was changed meanwhile: it is {}", present.state);
        return Err(Problem::Changed { detail, present });
    }
    let after = manual::decide(&row, action, reason, now).map_err(|refused| Problem::Conflict(refused.to_string()))?;
    let state = if action == RolloutAction::RollBack { RolloutState::RolledBack } else { after.state };
    let brief = |state: RolloutState, forced: bool| json!({"state": state.as_str(), "forced": forced});
    let mut detail =
        json!({"reason": reason, "before": brief(row.state, row.forced), "after": brief(state, after.forced)});
    if action == RolloutAction::RollBack {
        detail["homes_ordered_back"] = json!(read(http, version).await?.assigned);
    }
    Ok(would(name, &version.to_string(), detail))
}

pub(super) fn director(http: &Http) -> Result<Director, Problem> {
    let none = || Problem::Unavailable("no [rollout] is configured: nothing is ordered to homes".to_owned());
    http.app.director.clone().ok_or_else(none)
}

async fn read(http: &Http, version: ModelVersion) -> Result<RolloutDetail, Problem> {
    let director = director(http)?;
    let watched = blocking(&http.app.store, move |store| director.look(store, version)).await?;
    watched.map(RolloutDetail::from).ok_or_else(|| Problem::NotFound { noun: "rollout", id: version.to_string() })
}
