//! Claims: what lets a new home in. A claim's token is shown once, when it is made.

use std::sync::Arc;

use axum::http::StatusCode;
use hearthwatch_provision::claims::{Claim, ClaimError};
use hearthwatch_provision::enrol::Enroller;
use hearthwatch_provision::homes::HomeError;
use jiff::Timestamp;

use super::prelude::*;

/// A claim, without its token. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClaimView {
    /// The home that it lets in.
    pub home: String,
    /// Whether it can be used.
    pub state: ClaimState,
    /// Whether it certifies a new key at each start, for a home without a disk.
    pub reusable: bool,
    /// When it was made.
    pub issued_at: i64,
    /// When it ends.
    pub expires_at: i64,
    /// When it was used last.
    pub used_at: Option<i64>,
    /// SHA-256 of the key that it certified last, hexadecimal.
    pub key_sha256: Option<String>,
}

/// A claim to be made.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewClaim {
    /// Name of the home that it lets in.
    #[schema(value_type = Name)]
    pub home: HomeId,
    /// For a home without a disk: certifies a new key at each start, for a year. One use within 72 hours if not given.
    #[serde(default)]
    pub reusable: bool,
}

/// A new claim with its token, which is not shown again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClaimMade {
    /// What the home's agent is given to enrol.
    pub token: String,
    /// As in the list of claims.
    pub claim: ClaimView,
}

/// A page of claims, in order of homes' names.
pub type ClaimPage = Page<ClaimView>;

pub(super) fn router() -> OpenApiRouter<Http> {
    OpenApiRouter::new().routes(routes!(list, make)).routes(routes!(one, void))
}

fn view(claim: Claim, now: Timestamp) -> ClaimView {
    let state = match (claim.is_open(now), &claim.used) {
        (true, _) => ClaimState::Open,
        (false, Some(_)) if claim.reused.is_none() => ClaimState::Used,
        (false, _) => ClaimState::Expired,
    };
    ClaimView {
        home: claim.home.to_string(),
        state,
        reusable: claim.reused.is_some(),
        issued_at: claim.issued_at.as_second(),
        expires_at: claim.expires_at.as_second(),
        used_at: claim.used.as_ref().map(|used| used.at.as_second()),
        key_sha256: claim.used.map(|used| used.key_sha256),
    }
}

/// The newest claim of each home, by name.
async fn newest(http: &Http) -> Result<Vec<ClaimView>, Problem> {
    let Some(enroller) = http.enroller.clone() else { return Ok(Vec::new()) };
    let now = now(http)?;
    let claims = on_thread(move || enroller.claims().list()).await?.map_err(claim_problem)?;
    let mut of_home = std::collections::BTreeMap::new();
    for claim in claims {
        of_home.insert(claim.home.clone(), claim);
    }
    Ok(of_home.into_values().map(|claim| view(claim, now)).collect())
}

/// Lists the newest claim of each home, by name. Needs operator.
#[utoipa::path(get, path = "/api/v1/claims", tag = "homes", params(Paging), responses(
    (status = 200, body = ClaimPage),
))]
pub(crate) async fn list(_: Operator, http: State<Http>, Params(paging): Params<Paging>) -> Answer<ClaimPage> {
    let window = paging.window(id)?;
    let mut rows = newest(&http).await?;
    rows.retain(|row| window.after.as_ref().is_none_or(|after| row.home > *after));
    Ok(Json(window.cut(rows, |row| row.home.clone(), |row| row)))
}

/// Shows the newest claim of a home. Needs operator.
#[utoipa::path(get, path = "/api/v1/claims/{home}", tag = "homes", params(("home" = Name, Path)), responses(
    (status = 200, body = ClaimView),
))]
pub(crate) async fn one(_: Operator, http: State<Http>, Segment(home): Segment<HomeId>) -> Answer<ClaimView> {
    let found = newest(&http).await?.into_iter().find(|row| row.home == home.as_str());
    found.map(Json).ok_or_else(|| Problem::NotFound { noun: "claim", id: home.to_string() })
}

/// Makes a claim for a home; one that it had before and could still use is void. Needs admin.
#[utoipa::path(post, path = "/api/v1/claims", tag = "homes", request_body = NewClaim, responses(
    (status = 201, body = ClaimMade),
))]
pub(crate) async fn make(
    Admin(caller): Admin,
    http: State<Http>,
    Body(asked): Body<NewClaim>,
) -> Result<(StatusCode, Json<ClaimMade>), Problem> {
    let (enroller, at) = (desk(&http)?, now(&http)?);
    let (home, reusable) = (asked.home.clone(), asked.reusable);
    let detail = json!({"reusable": reusable});
    let made = audited(&http, &caller, "claim.make", asked.home.as_str(), detail, async {
        let made = on_thread(move || enroller.new_claim(&home, at, reusable)).await?;
        made.map_err(|error| match error {
            HomeError::Claim(error) => claim_problem(error),
            HomeError::Name(error) => Problem::Invalid(error.to_string()),
            other => Problem::internal(other),
        })
    })
    .await?;
    let found = newest(&http).await?.into_iter().find(|row| row.home == asked.home.as_str());
    let claim = found.ok_or_else(|| Problem::internal("the new claim is not there"))?;
    Ok((StatusCode::CREATED, Json(ClaimMade { token: made.reveal().to_owned(), claim })))
}

/// Makes every claim of a home void that could still be used. A home that is in stays in. Needs admin.
#[utoipa::path(delete, path = "/api/v1/claims/{home}", tag = "homes", params(("home" = Name, Path)), responses(
    (status = 204),
))]
pub(crate) async fn void(
    Admin(caller): Admin,
    http: State<Http>,
    Segment(home): Segment<HomeId>,
) -> Result<StatusCode, Problem> {
    let (enroller, at) = (desk(&http)?, now(&http)?);
    if !newest(&http).await?.iter().any(|row| row.home == home.as_str()) {
        return Err(Problem::NotFound { noun: "claim", id: home.to_string() });
    }
    let subject = home.clone();
    audited(&http, &caller, "claim.void", home.as_str(), json!({}), async {
        on_thread(move || enroller.claims().void(&subject, at)).await?.map_err(claim_problem)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn desk(http: &Http) -> Result<Arc<Enroller>, Problem> {
    let none = || Problem::Unavailable("homes do not enrol here: `enrolment` is not configured".to_owned());
    http.enroller.clone().ok_or_else(none)
}

fn now(http: &Http) -> Result<Timestamp, Problem> {
    Timestamp::from_second(http.wall()).map_err(Problem::internal)
}

async fn on_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(Problem::internal)
}

fn claim_problem(error: ClaimError) -> Problem {
    match error {
        ClaimError::Full => Problem::Conflict(error.to_string()),
        other => Problem::internal(other),
    }
}
