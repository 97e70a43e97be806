//! Homes: who is in the fleet, how they are, and shutting one out.

use hearthwatch_provision::revocation::RELOAD;
use hearthwatch_store::rollouts::ExclusionRow;
use hearthwatch_store::{Actor, Change, HomeRow, StatusRow};
use jiff::Timestamp;

use super::prelude::*;

/// A home as the aggregator knows it. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HomeView {
    /// The name in its certificate: 1 to 64 characters of a-z, 0-9 and `-`.
    pub home: String,
    /// When it was let in.
    pub enrolled_at: i64,
    /// When it was shut out, if it was.
    pub revoked_at: Option<i64>,
    /// Stored answers, those that it took back left out.
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
    /// Version of the agent's program, e.g. `0.1.0`.
    pub agent_version: String,
    /// The model in charge there; 0 is the baseline detector.
    pub model_version: u64,
    /// Entities that it watches.
    pub entities: u32,
    /// Records that wait for a receipt.
    pub outbox: u32,
    /// When this was heard, by the aggregator's clock.
    pub heard_at: i64,
}

/// A page of homes, in order of their names.
pub type HomePage = Page<HomeView>;

impl From<HomeRow> for HomeView {
    fn from(row: HomeRow) -> Self {
        let HomeRow { home, enrolled_at, revoked_at, records, through, status, .. } = row;
        let agent = status.map(|status| {
            let StatusRow { online, agent_version, model_version, entities, outbox, heard_at } = status;
            AgentView { online, agent_version, model_version: model_version.0, entities, outbox, heard_at }
        });
        Self { home: home.to_string(), enrolled_at, revoked_at, records, through: through.0, agent }
    }
}

pub(super) fn router() -> OpenApiRouter<Http> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(one))
        .routes(routes!(revoke))
        .routes(routes!(restore))
        .routes(routes!(exclude))
        .routes(routes!(include))
        .routes(routes!(exclusions))
}

/// Lists the homes by name.
#[utoipa::path(get, path = "/api/v1/homes", tag = "homes", params(Paging), responses(
    (status = 200, body = HomePage),
))]
pub(crate) async fn list(_: Viewer, http: State<Http>, Params(paging): Params<Paging>) -> Answer<HomePage> {
    let window = paging.window(|text| HomeId::new(text).ok())?;
    let (after, needed) = (window.after.clone(), window.needed());
    let rows = blocking(&http.app.store, move |store| store.homes_after(after.as_ref(), needed)).await?;
    Ok(Json(window.cut(rows, |row| row.home.to_string(), HomeView::from)))
}

/// Shows one home.
#[utoipa::path(get, path = "/api/v1/homes/{home}", tag = "homes", params(("home" = Name, Path)), responses(
    (status = 200, body = HomeView),
))]
pub(crate) async fn one(_: Viewer, http: State<Http>, Segment(home): Segment<HomeId>) -> Answer<HomeView> {
    read(&http, home).await.map(Json)
}

/// Shuts a home out: from now on nothing of it is admitted, and its certificates are taken back: the embedded broker ends its
/// session, mosquitto does when told to read its files again (SIGHUP). Needs admin.
#[utoipa::path(post, path = "/api/v1/homes/{home}/revoke", tag = "homes", params(("home" = Name, Path)), responses(
    (status = 200, body = HomeView),
))]
pub(crate) async fn revoke(
    Admin(caller): Admin,
    http: State<Http>,
    Segment(home): Segment<HomeId>,
) -> Answer<HomeView> {
    let change = Change::RevokeHome { home: home.clone(), at: http.app.clock.now() };
    changed(&http, &caller, "home.revoke", home.as_str(), json!({}), change).await?;
    if let Err(problem) = take_back(&http, home.clone(), caller.actor()).await {
        undone(&http, &caller, "home.certificates", home.as_str(), json!({}), &problem).await?;
        return Err(problem);
    }
    read(&http, home).await.map(Json)
}

/// Takes back what the home's certificates open; without an enrolment desk that is the operator's own command.
async fn take_back(http: &Http, home: HomeId, by: Actor) -> Result<(), Problem> {
    let Some(releaser) = http.enroller.clone() else { return Ok(()) };
    let at = Timestamp::from_second(http.wall()).map_err(Problem::internal)?;
    let subject = home.clone();
    let work = move || releaser.revoke(&subject, at, &format!("shut out by {by}"));
    let taken = tokio::task::spawn_blocking(work).await.map_err(Problem::internal)?.map_err(Problem::internal)?;
    tracing::info!(%home, certificates = taken.len(), reload = RELOAD, "certificates taken back");
    Ok(())
}

/// Lets a revoked home in again. Certificates that were taken back stay so: it enrols with a new claim token. Needs admin.
#[utoipa::path(post, path = "/api/v1/homes/{home}/restore", tag = "homes", params(("home" = Name, Path)), responses(
    (status = 200, body = HomeView),
))]
pub(crate) async fn restore(
    Admin(caller): Admin,
    http: State<Http>,
    Segment(home): Segment<HomeId>,
) -> Answer<HomeView> {
    let change = Change::RestoreHome { home: home.clone() };
    changed(&http, &caller, "home.restore", home.as_str(), json!({}), change).await?;
    read(&http, home).await.map(Json)
}

/// A home whose answers are kept and not learned from, or were. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExclusionView {
    /// Name of the home.
    pub home: String,
    /// What the operator gave as the reason, at most 1,000 characters; or the finding of the program.
    pub reason: String,
    /// Who decided: `token:NAME` or `system`.
    pub by: String,
    /// Since when it is not learned from, Unix seconds.
    pub at: i64,
    /// Who lifted it, if anybody did.
    pub lifted_by: Option<String>,
    /// When it was lifted.
    pub lifted_at: Option<i64>,
}

/// A page of exclusions, newest first, lifted ones included.
pub type ExclusionPage = Page<ExclusionView>;

/// Lists excluded homes, those whose exclusion was lifted included, newest first.
#[utoipa::path(get, path = "/api/v1/exclusions", tag = "homes", params(Paging), responses(
    (status = 200, body = ExclusionPage),
))]
pub(crate) async fn exclusions(_: Viewer, http: State<Http>, Params(paging): Params<Paging>) -> Answer<ExclusionPage> {
    let parse = |text: &str| {
        let (at, home) = text.split_once('/')?;
        Some((seconds(at)?, HomeId::new(home).ok()?))
    };
    let window = paging.window(parse)?;
    let (after, needed) = (window.after.clone(), window.needed());
    let rows = blocking(&http.app.store, move |store| store.exclusions(after.as_ref(), needed)).await?;
    let key = |row: &ExclusionRow| format!("{}/{}", row.at, row.home);
    Ok(Json(window.cut(rows, key, |row| {
        let (lifted_by, lifted_at) = row.lifted.map(|(by, at)| (by.to_string(), at)).unzip();
        let (home, by) = (row.home.to_string(), row.by.to_string());
        ExclusionView { home, reason: row.reason, by, at: row.at, lifted_by, lifted_at }
    })))
}

/// Keeps a home's answers out of every snapshot from now on; `POST /runs` then retrains without it. Needs operator.
#[utoipa::path(post, path = "/api/v1/homes/{home}/exclude", tag = "homes", params(("home" = Name, Path)),
    request_body = Reason, responses(
    (status = 200, body = HomeView),
))]
pub(crate) async fn exclude(
    Operator(caller): Operator,
    http: State<Http>,
    Segment(home): Segment<HomeId>,
    Body(reason): Body<Reason>,
) -> Answer<HomeView> {
    let reason = reason.checked()?;
    let view = read(&http, home.clone()).await?;
    let (by, at) = (caller.actor(), http.app.clock.now());
    let row = ExclusionRow { home: home.clone(), reason: reason.clone(), by, at, lifted: None };
    let (detail, change) = (json!({"reason": reason}), Change::ExcludeHome(row));
    changed(&http, &caller, "home.exclude", home.as_str(), detail, change).await?;
    Ok(Json(view))
}

/// Learns from a home again. Needs operator.
#[utoipa::path(post, path = "/api/v1/homes/{home}/include", tag = "homes", params(("home" = Name, Path)),
    request_body = Reason, responses(
    (status = 200, body = HomeView),
))]
pub(crate) async fn include(
    Operator(caller): Operator,
    http: State<Http>,
    Segment(home): Segment<HomeId>,
    Body(reason): Body<Reason>,
) -> Answer<HomeView> {
    let change = Change::IncludeHome { home: home.clone(), by: caller.actor(), at: http.app.clock.now() };
    let detail = json!({"reason": reason.checked()?});
    changed(&http, &caller, "home.include", home.as_str(), detail, change).await?;
    read(&http, home).await.map(Json)
}

async fn read(http: &Http, home: HomeId) -> Result<HomeView, Problem> {
    let asked = home.clone();
    let row = blocking(&http.app.store, move |store| store.home(&asked)).await?;
    row.map(HomeView::from).ok_or_else(|| Problem::NotFound { noun: "home", id: home.to_string() })
}
