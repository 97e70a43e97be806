//! Who gets a release when: of a rollout that is on its way, and of the next one if it began now.

use hearthwatch_fleet::rollout::schedule::{Place, WaveAhead};
use utoipa::IntoParams;

use super::prelude::*;
use super::rollouts::director;

/// Waves, and homes in the order in which they get the release. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScheduleView {
    /// Name of the policy.
    pub policy: String,
    /// When the rollout began, or would begin: now.
    pub started_at: i64,
    /// In order.
    pub waves: Vec<WaveView>,
    /// A page of homes, in the order in which they get the release.
    pub items: Vec<PlaceView>,
    /// Where the next page begins; none on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// One wave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WaveView {
    /// Counted from 1.
    pub number: usize,
    /// How much of the fleet has the release when it is out, in percent.
    pub percent: u8,
    /// Homes that it adds.
    pub homes: u64,
    /// Of these, ordered to run the release already.
    pub assigned: u64,
    /// Of these, heard of how it ended.
    pub reported: u64,
    /// When it opens at the earliest, Unix seconds.
    pub opens_at: i64,
    /// Homes of the waves before that must have told how it ended.
    pub reports_needed: u64,
}

/// A home's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlaceView {
    /// Name of the home.
    pub home: String,
    /// The wave that brings it the release.
    pub wave: usize,
    /// Its place among all homes, counted from 1.
    pub position: u64,
    /// Whether it was ordered to run the release already.
    pub assigned: bool,
    /// Whether it told how it ended.
    pub reported: bool,
}

/// Which homes of a schedule.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ScheduleAsked {
    /// Only homes of this wave, counted from 1.
    #[param(minimum = 1, maximum = 16)]
    wave: Option<usize>,
    /// Items of the page, 1 to 500; 50 if not given.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// Only items after this one: what the page before called `next`.
    after: Option<String>,
}

impl From<WaveAhead> for WaveView {
    fn from(wave: WaveAhead) -> Self {
        let WaveAhead { number, percent, homes, assigned, reported, opens_at, reports_needed } = wave;
        Self { number, percent, homes, assigned, reported, opens_at, reports_needed }
    }
}

impl From<Place> for PlaceView {
    fn from(place: Place) -> Self {
        let Place { home, wave, position, assigned, reported } = place;
        Self { home: home.to_string(), wave, position, assigned, reported }
    }
}

pub(super) fn router() -> OpenApiRouter<Http> {
    OpenApiRouter::new().routes(routes!(of_rollout)).routes(routes!(of_next))
}

/// Shows which homes a rollout brings the release in which wave, and when each wave opens at the earliest.
#[utoipa::path(get, path = "/api/v1/rollouts/{version}/schedule", tag = "rollouts",
    params(("version" = Number, Path), ScheduleAsked), responses(
    (status = 200, body = ScheduleView),
))]
pub(crate) async fn of_rollout(
    _: Viewer,
    http: State<Http>,
    Segment(version): Segment<ModelVersion>,
    Params(asked): Params<ScheduleAsked>,
) -> Answer<ScheduleView> {
    read(&http, Some(version), asked).await
}

/// Shows the same of the next release, as if it went out now by the policy in force.
#[utoipa::path(get, path = "/api/v1/rollout-schedule", tag = "rollouts", params(ScheduleAsked), responses(
    (status = 200, body = ScheduleView),
))]
pub(crate) async fn of_next(
    _: Viewer,
    http: State<Http>,
    Params(asked): Params<ScheduleAsked>,
) -> Answer<ScheduleView> {
    read(&http, None, asked).await
}

async fn read(http: &Http, version: Option<ModelVersion>, asked: ScheduleAsked) -> Answer<ScheduleView> {
    let window = Paging { limit: asked.limit, after: asked.after }.window(number)?;
    let director = director(http)?;
    let found = blocking(&http.app.store, move |store| director.schedule(store, version)).await?;
    let id = || version.map_or_else(String::new, |version| version.to_string());
    let found = found.ok_or_else(|| Problem::NotFound { noun: "rollout", id: id() })?;
    let wanted = |place: &Place| {
        window.after.is_none_or(|after| place.position > after) && asked.wave.is_none_or(|wave| place.wave == wave)
    };
    let places: Vec<Place> = found.places.into_iter().filter(wanted).take(window.needed()).collect();
    let Page { items, next } = window.cut(places, |place| place.position.to_string(), PlaceView::from);
    let (policy, started_at, waves) = (found.policy, found.started_at, found.waves);
    Ok(Json(ScheduleView { policy, started_at, waves: waves.into_iter().map(WaveView::from).collect(), items, next }))
}
