//! Homes: who is in the fleet, how they are, and shutting one out.

use std::collections::{BTreeMap, BTreeSet};

use hearthwatch_provision::revocation::RELOAD;
use hearthwatch_store::lists::{Direction, HomeOrder, HomeQuery, HomeState, ListedHome, TAG_LENGTH_MAX, TAGS_MAX};
use hearthwatch_store::rollouts::ExclusionRow;
use hearthwatch_store::{Actor, Change, HomeRow, StatusRow};
use jiff::Timestamp;
use utoipa::IntoParams;

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
    /// How it stands. One that is offline and was not heard for a day is *late*.
    pub state: HomeState,
    /// Whether its answers are kept and not learned from.
    pub excluded: bool,
    /// Operators' words for it, in order of the alphabet.
    pub tags: Vec<String>,
    /// Counts up when somebody shuts it out or lets it in again.
    pub row_version: u64,
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

impl From<ListedHome> for HomeView {
    fn from(listed: ListedHome) -> Self {
        let ListedHome { row, state, excluded, tags, .. } = listed;
        let HomeRow { home, enrolled_at, revoked_at, records, through, status, row_version, .. } = row;
        let agent = status.map(|status| {
            let StatusRow { online, agent_version, model_version, entities, outbox, heard_at } = status;
            AgentView { online, agent_version, model_version: model_version.0, entities, outbox, heard_at }
        });
        let (home, through, tags) = (home.to_string(), through.0, tags.into_iter().collect());
        Self { home, enrolled_at, revoked_at, records, through, state, excluded, tags, row_version, agent }
    }
}

pub(super) fn router() -> OpenApiRouter<Http> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(one))
        .routes(routes!(set_tags))
        .routes(routes!(erase))
        .routes(routes!(tags))
        .routes(routes!(revoke))
        .routes(routes!(restore))
        .routes(routes!(exclude))
        .routes(routes!(include))
        .routes(routes!(exclusions))
}

/// How long a home that is offline may be silent before it is late, in seconds: a day.
pub(crate) const LATE_SECONDS: i64 = 86_400;

/// Which homes, in which order.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct HomesAsked {
    /// Only homes whose name has this in it.
    #[param(pattern = "^[a-z0-9-]{1,64}$")]
    pub(crate) q: Option<String>,
    /// Only homes that stand so.
    pub(crate) state: Option<HomeState>,
    /// Only homes that are excluded from learning (`true`), or only those that are not (`false`).
    pub(crate) excluded: Option<bool>,
    /// Only homes that last said that this model is in charge; 0 is the baseline detector.
    #[param(value_type = Option<Number>)]
    pub(crate) model_version: Option<u64>,
    /// Only homes whose agent has this version.
    #[param(pattern = "^[ -~]{1,64}$")]
    pub(crate) agent_version: Option<String>,
    /// Only homes that have all of these tags, with commas between.
    #[param(pattern = "^[a-z0-9._:-]{1,64}(,[a-z0-9._:-]{1,64}){0,19}$")]
    pub(crate) tag: Option<String>,
    /// Only homes last heard before this time, Unix seconds; one that was never heard is.
    #[param(value_type = Option<Number>)]
    pub(crate) heard_before: Option<u64>,
    /// `home`, `enrolled_at`, `heard_at`, `records`, `outbox`, `entities` or `model_version`; with `-` in front the largest first. By name if
    /// not given.
    #[param(pattern = "^-?(home|enrolled_at|heard_at|records|outbox|entities|model_version)$")]
    pub(crate) sort: Option<String>,
    /// Items of the page, 1 to 500; 50 if not given.
    #[param(minimum = 1, maximum = 500)]
    pub(crate) limit: Option<usize>,
    /// Only items after this one: what the page before called `next`.
    pub(crate) after: Option<String>,
}

/// A page of homes: begins after the value that they are in order of, and the name.
pub(crate) type HomeWindow = Window<(Option<i64>, HomeId)>;

impl HomesAsked {
    /// The question to the store at `now`, and the page.
    pub(crate) fn query(self, now: i64) -> Result<(HomeQuery, HomeWindow), Problem> {
        let sort = self.sort.as_deref().unwrap_or("home");
        let (word, direction) = sort.strip_prefix('-').map_or((sort, Direction::Up), |word| (word, Direction::Down));
        let order = HomeOrder::parse(word)
            .ok_or_else(|| Problem::Invalid(format!("sort: {word:?} is nothing that homes can be in order of")))?;
        // By name alone the name says where the page begins, as ever; else the value is in front of it.
        let parse = |text: &str| match text.split_once('/') {
            None => Some((None, HomeId::new(text).ok()?)),
            Some((value, home)) => Some((Some(seconds(value)?), HomeId::new(home).ok()?)),
        };
        let window = Paging { limit: self.limit, after: self.after }.window(parse)?;
        let tags = self.tag.as_deref().map(|tags| tags.split(',').map(checked_tag).collect::<Result<_, _>>());
        let heard_before = self.heard_before.map(|at| i64::try_from(at).unwrap_or(i64::MAX));
        let query = HomeQuery {
            name: self.q,
            state: self.state,
            excluded: self.excluded,
            model_version: self.model_version.map(ModelVersion),
            agent_version: self.agent_version,
            tags: tags.transpose()?.unwrap_or_default(),
            heard_before,
            late_before: now.saturating_sub(LATE_SECONDS),
            order,
            direction,
            after: window.after.clone(),
            limit: window.needed(),
        };
        Ok((query, window))
    }
}

/// Where the page after a home begins.
pub(crate) fn next_home(order: HomeOrder) -> impl Fn(&ListedHome) -> String {
    move |listed| match order {
        HomeOrder::Home => listed.row.home.to_string(),
        _ => format!("{}/{}", listed.value, listed.row.home),
    }
}

/// Lists the homes that are asked for, by name or in another order.
#[utoipa::path(get, path = "/api/v1/homes", tag = "homes", params(HomesAsked), responses(
    (status = 200, body = HomePage),
))]
pub(crate) async fn list(_: Viewer, http: State<Http>, Params(asked): Params<HomesAsked>) -> Answer<HomePage> {
    let (query, window) = asked.query(http.app.clock.now())?;
    let order = query.order;
    let rows = blocking(&http.app.store, move |store| store.list_homes(&query)).await?;
    Ok(Json(window.cut(rows, next_home(order), HomeView::from)))
}

/// Tags of a home.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HomeTags {
    /// At most 20, each of 1 to 64 characters of a-z, 0-9, `.`, `_`, `:` and `-`.
    #[schema(max_items = 20, value_type = Vec<Tag>)]
    pub tags: Vec<String>,
}

/// A tag, checked.
fn checked_tag(tag: &str) -> Result<String, Problem> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._:-".contains(&byte);
    if (1..=TAG_LENGTH_MAX).contains(&tag.len()) && tag.bytes().all(plain) {
        return Ok(tag.to_owned());
    }
    Err(Problem::Invalid(format!("tag {tag:?}: 1 to {TAG_LENGTH_MAX} characters of a-z, 0-9, '.', '_', ':' and '-'")))
}

/// Gives a home these tags and no others. Needs operator.
#[utoipa::path(put, path = "/api/v1/homes/{home}/tags", tag = "homes", params(("home" = Name, Path)),
    request_body = HomeTags, responses(
    (status = 200, body = HomeView),
))]
pub(crate) async fn set_tags(
    Operator(caller): Operator,
    http: State<Http>,
    Segment(home): Segment<HomeId>,
    Body(asked): Body<HomeTags>,
) -> Answer<HomeView> {
    let tags = asked.tags.iter().map(|tag| checked_tag(tag)).collect::<Result<BTreeSet<_>, _>>()?;
    if tags.len() > TAGS_MAX {
        return Err(Problem::Invalid(format!("tags: at most {TAGS_MAX} of one home")));
    }
    let change = Change::TagHome { home: home.clone(), tags };
    changed(&http, &caller, "home.tag", home.as_str(), json!({}), change).await?;
    read(&http, home).await.map(Json)
}

/// A tag and how many homes have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TagView {
    /// The tag.
    pub tag: String,
    /// Homes that have it.
    pub homes: u64,
}

/// A page of tags, in order of the alphabet.
pub type TagPage = Page<TagView>;

/// Lists every tag that a home has.
#[utoipa::path(get, path = "/api/v1/tags", tag = "homes", params(Paging), responses(
    (status = 200, body = TagPage),
))]
pub(crate) async fn tags(_: Viewer, http: State<Http>, Params(paging): Params<Paging>) -> Answer<TagPage> {
    let window = paging.window(id)?;
    let mut rows = blocking(&http.app.store, move |store| store.tags()).await?;
    rows.retain(|(tag, _)| window.after.as_ref().is_none_or(|after| tag > after));
    Ok(Json(window.cut(rows, |(tag, _)| tag.clone(), |(tag, homes)| TagView { tag, homes })))
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

/// What was erased of a home, or, with `dry_run`, would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErasedView {
    /// Name of the home.
    pub home: String,
    /// Rows that were deleted, or in which its name was replaced, by table.
    pub rows: BTreeMap<String, u64>,
    /// Files that were deleted, or in which its name was replaced.
    pub files: u64,
    /// What stays, and why.
    pub stays: Vec<String>,
}

/// What stays of a home that was erased.
const STAYS: [&str; 3] = [
    "its name in the audit log and in the lineage's chain: a line that could be changed would prove nothing",
    "serial numbers of its certificates, taken back, in the enrolment desk: so that they stay taken back",
    "weights of models that learned from it: start a run, and release its candidate",
];

/// Erases everything of a home: answers, announcements, what was refused, its state, orders, standings, data sets that hold its windows. Its
/// certificates are taken back. This cannot be undone. Needs admin.
#[utoipa::path(post, path = "/api/v1/homes/{home}/erase", tag = "homes", params(("home" = Name, Path)),
    request_body = Reason, responses(
    (status = 200, body = ErasedView),
))]
pub(crate) async fn erase(
    Admin(caller): Admin,
    http: State<Http>,
    Segment(home): Segment<HomeId>,
    Body(reason): Body<Reason>,
) -> Answer<ErasedView> {
    let reason = reason.checked()?;
    let subject = home.clone();
    let counted = blocking(&http.app.store, move |store| store.erase_home(&subject, true)).await?;
    let detail = json!({"reason": reason, "rows": counted.rows, "snapshots": counted.snapshots});
    let (subject, releases) = (home.clone(), http.app.releases.clone());
    let view = audited(&http, &caller, "home.erase", home.as_str(), detail, async {
        // Shut out first: nothing of it comes in any more.
        take_back(&http, home.clone(), caller.actor()).await?;
        if let Some(desk) = http.enroller.clone() {
            let (home, at) = (home.clone(), Timestamp::from_second(http.wall()).map_err(Problem::internal)?);
            let voided = tokio::task::spawn_blocking(move || desk.claims().void(&home, at)).await;
            voided.map_err(Problem::internal)?.map_err(Problem::internal)?;
        }
        let erased = blocking(&http.app.store, {
            let subject = subject.clone();
            move |store| store.erase_home(&subject, false)
        })
        .await?;
        let (data, snapshots, name) = (releases.artifact_store().clone(), erased.snapshots, subject.clone());
        let files = tokio::task::spawn_blocking(move || data.forget(&name, &snapshots)).await;
        let files = files.map_err(Problem::internal)?.map_err(Problem::internal)?;
        let (home, stays) = (subject.to_string(), STAYS.map(str::to_owned).into());
        Ok(ErasedView { home, rows: erased.rows, files, stays })
    })
    .await?;
    Ok(Json(view))
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
    let (asked, late_before) = (home.clone(), http.app.clock.now().saturating_sub(LATE_SECONDS));
    let row = blocking(&http.app.store, move |store| store.listed_home(&asked, late_before)).await?;
    row.map(HomeView::from).ok_or_else(|| Problem::NotFound { noun: "home", id: home.to_string() })
}
