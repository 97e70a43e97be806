//! Releases: what was let out, how it ended on the homes, and rolling back.

use hearthwatch_fleet::release::rollback;
use hearthwatch_protocol::messages::{UpdateResult, UpdateStage};
use hearthwatch_store::{OutcomeKey, OutcomeRow, ReleaseRow};

use super::prelude::*;

/// A model let out to the fleet. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReleaseView {
    /// Version of the model that is let out.
    pub model_version: u64,
    /// Name of the file in the TUF repository: `model-N.safetensors`.
    pub target: String,
    /// Hexadecimal SHA-256 of the artifact.
    pub sha256: String,
    /// The artifact's length in bytes.
    pub length: u64,
    /// Hexadecimal SHA-256 of the gate's report.
    pub report_sha256: String,
    /// When it was signed and published.
    pub released_at: i64,
    /// Who or what released it: `auto`, or `token:NAME` (a bare name in old rows).
    pub by: String,
}

/// How an update ended on one home. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutcomeView {
    /// Name of the home.
    pub home: String,
    /// Version that the update led to, or was to lead to.
    pub model_version: u64,
    /// `fetch`, `verify`, `install` or `run`: where it stood when it ended; none in the words of agents that name no stage.
    #[schema(value_type = Option<StageWord>)]
    pub stage: Option<UpdateStage>,
    /// Whether it says how good the release is: a refusal at `fetch` or `verify` is about a mirror, a line or a clock.
    pub weighs: bool,
    /// Whether the model is in charge there, never was, or was and gave way.
    pub result: OutcomeWord,
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
        let ReleaseRow { model_version, target, sha256, length, report_sha256, released_at, by } = row;
        Self { model_version: model_version.0, target, sha256, length, report_sha256, released_at, by }
    }
}

impl From<OutcomeRow> for OutcomeView {
    fn from(row: OutcomeRow) -> Self {
        let weighs = row.weighs_on_release();
        let (result, reason, back_to) = match row.result {
            UpdateResult::Installed => (OutcomeWord::Installed, None, None),
            UpdateResult::Refused { reason } => (OutcomeWord::Refused, Some(reason), None),
            UpdateResult::RolledBack { reason, to } => (OutcomeWord::RolledBack, Some(reason), Some(to.0)),
        };
        let OutcomeRow { home, model_version, stage, at, received_at, .. } = row;
        let (home, model_version) = (home.to_string(), model_version.0);
        Self { home, model_version, stage, weighs, result, reason, back_to, at, received_at }
    }
}

/// A page of releases, highest version first.
pub type ReleasePage = Page<ReleaseView>;

/// A page of ends of one release, newest first.
pub type OutcomePage = Page<OutcomeView>;

pub(super) fn router() -> OpenApiRouter<Http> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(outcomes)).routes(routes!(roll_back))
}

/// Lists the releases, newest first.
#[utoipa::path(get, path = "/api/v1/releases", tag = "releases", params(Paging), responses(
    (status = 200, body = ReleasePage),
))]
pub(crate) async fn list(_: Viewer, http: State<Http>, Params(paging): Params<Paging>) -> Answer<ReleasePage> {
    let window = paging.window(number)?;
    let (before, needed) = (window.after.map(ModelVersion), window.needed());
    let rows = blocking(&http.app.store, move |store| store.releases_before(before, needed)).await?;
    Ok(Json(window.cut(rows, |row| row.model_version.to_string(), ReleaseView::from)))
}

/// Lists the homes' last words on how a release ended, newest first: at most one that weighs on it and one about the way to it.
#[utoipa::path(get, path = "/api/v1/releases/{version}/outcomes", tag = "releases",
    params(("version" = Number, Path), Paging), responses(
    (status = 200, body = OutcomePage),
))]
pub(crate) async fn outcomes(
    _: Viewer,
    http: State<Http>,
    Segment(version): Segment<ModelVersion>,
    Params(paging): Params<Paging>,
) -> Answer<OutcomePage> {
    if version.0 > NUMBER_MAX {
        return Err(Problem::Invalid(format!("version is at most {NUMBER_MAX}")));
    }
    let parse = |text: &str| {
        let mut parts = text.split('/');
        let (received_at, home, at) = (parts.next()?, parts.next()?, parts.next()?);
        let key = OutcomeKey { received_at: seconds(received_at)?, home: HomeId::new(home).ok()?, at: seconds(at)? };
        parts.next().is_none().then_some(key)
    };
    let window = paging.window(parse)?;
    let (after, needed) = (window.after.clone(), window.needed());
    let rows = blocking(&http.app.store, move |store| store.outcomes_after(version, after.as_ref(), needed)).await?;
    let key = |row: &OutcomeRow| format!("{}/{}/{}", row.received_at, row.home, row.at);
    Ok(Json(window.cut(rows, key, OutcomeView::from)))
}

/// Releases an older model's bytes under a new, higher version, so that no agent goes down. Needs operator.
#[utoipa::path(post, path = "/api/v1/releases/rollback", tag = "releases", request_body = RollBack, responses(
    (status = 200, body = ReleaseView),
))]
pub(crate) async fn roll_back(
    Operator(caller): Operator,
    http: State<Http>,
    Body(order): Body<RollBack>,
) -> Answer<ReleaseView> {
    let to = ModelVersion(order.to);
    let reason = Reason { reason: order.reason }.checked()?;
    let detail = json!({"reason": reason});
    if caller.dry_run {
        rollback::check(&http.app.releases, to).await?;
    }
    let row = audited(&http, &caller, "release.rollback", &to.to_string(), detail, async {
        Ok(rollback::roll_back(&http.app.releases, to, &caller.actor().to_string()).await?)
    })
    .await?;
    Ok(Json(row.into()))
}
