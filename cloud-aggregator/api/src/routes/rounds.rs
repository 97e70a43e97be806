//! Federated rounds: what homes were asked for, who answered, who was left out, and what came of it.

use hearthwatch_rounds::privacy::PrivacyLoss;
use hearthwatch_rounds::{privacy, reputation};
use hearthwatch_store::rounds::{
    OfferRow, RoundDuty, RoundHomeRow, RoundHomeState, RoundOutcome, RoundRow, RoundStage,
};
use hearthwatch_store::standings::StandingRow;

use super::prelude::*;

/// A round. Times are Unix seconds; files are named by the hex SHA-256 of their bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RoundView {
    /// Counts up in the fleet, from 1.
    pub number: u64,
    /// Where it is.
    pub stage: RoundStage,
    /// How it ended; none before that.
    pub outcome: Option<RoundOutcome>,
    /// Why it ended so.
    pub reason: String,
    /// Number of the first round of its series: rounds of a series start from one another's weights.
    pub series: u64,
    /// Its place in the series, from 0.
    pub place: u32,
    /// The fleet's model when it opened; none where homes run the one that ships.
    pub champion: Option<u64>,
    /// The artifact that homes start from.
    pub base: String,
    /// The artifact that came of it.
    pub candidate: Option<String>,
    /// The artifact of as much replay without homes.
    pub control: Option<String>,
    /// SHA-256 over the deltas that were used and what they became.
    pub aggregate: Option<String>,
    /// When it opened.
    pub opened_at: i64,
    /// Deltas that come later are not used.
    pub deadline: i64,
    /// Counts that come later are not used; none before homes were asked to evaluate.
    pub evaluate_deadline: Option<i64>,
    /// When it ended; none before that.
    pub ended_at: Option<i64>,
    /// Recipe, clip, noise, strategy and limits.
    #[schema(value_type = Object)]
    pub settings: serde_json::Value,
    /// What the gate found; null before it judged.
    #[schema(value_type = Object)]
    pub report: serde_json::Value,
    /// The run under which its model is recorded, where it was promoted.
    pub run: Option<String>,
}

/// One home's part in a round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RoundHomeView {
    /// Name of the home.
    pub home: String,
    /// What it was asked for.
    pub duty: RoundDuty,
    /// How its answer stands.
    pub state: RoundHomeState,
    /// Why, where it declined, was refused or left out.
    pub reason: String,
    /// Bytes of its answer.
    pub bytes: u64,
    /// Hex SHA-256 of its answer's body.
    pub digest: Option<String>,
    /// Euclidean norm of its delta.
    pub norm: Option<f64>,
    /// Cosine between its delta and the aggregate, from -1 to 1.
    pub similarity: Option<f64>,
    /// When its state last changed, Unix seconds.
    pub at: Option<i64>,
    /// The round that it was asked in: an earlier one where that went on without it.
    pub asked_in: u64,
    /// The later round in which its delta counts, where its own went on without it.
    pub counted_in: Option<u64>,
}

/// Whether a home takes part in rounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OfferView {
    /// Name of the home.
    pub home: String,
    /// Whether its residents agreed.
    pub willing: bool,
    /// Sensors that it could train on, all classes together.
    pub entities: u64,
    /// When this was heard, by the aggregator's clock, Unix seconds.
    pub heard_at: i64,
}

/// What earlier rounds say of a home.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StandingView {
    /// Name of the home.
    pub home: String,
    /// Rounds in which its delta was judged.
    pub rounds: u32,
    /// Rounds of them in which it was left out for a reason that counts against it.
    pub left_out: u32,
    /// Rounds of them in which it sent the aggregate of the round before.
    pub copied: u32,
    /// The home whose deltas have the same direction over the rounds.
    pub alike: Option<String>,
    /// Share of bad rounds, later ones weighing more, from 0 to 1.
    pub suspicion: f64,
    /// How its next delta is used: `trusted`, `doubted` (counts less) or `left_out`.
    pub verdict: String,
}

/// What the noise of rounds guarantees, against one observer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GuaranteeView {
    /// ε; none where nothing is promised.
    pub epsilon: Option<f64>,
    /// `nothing`, `meaningless` (above 10), `reasonable` (1 to 10) or `strong`.
    pub strength: String,
    /// Share of guesses, at most, that are right on whether a home took part, from 0.5 to 1.
    pub guessed_right: f64,
}

/// What the newest rounds with noise guarantee together to a home that was in all of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PrivacyView {
    /// Number of the first of these rounds; none before deltas became one for the first time.
    pub since: Option<u64>,
    /// How many they are.
    pub rounds: u32,
    /// Homes in the smallest of them.
    pub homes: u32,
    /// δ: the chance that the guarantee does not hold.
    pub delta: f64,
    /// Against everybody who has the models.
    pub published: Option<GuaranteeView>,
    /// Against the aggregator itself.
    pub server: Option<GuaranteeView>,
    /// The same in words.
    pub words: String,
}

/// A page of rounds, newest first.
pub type RoundPage = Page<RoundView>;

/// A page of the homes of a round, in order of their names.
pub type RoundHomePage = Page<RoundHomeView>;

/// A page of offers, in order of the homes' names.
pub type OfferPage = Page<OfferView>;

/// A page of standings, in order of the homes' names.
pub type StandingPage = Page<StandingView>;

impl From<RoundRow> for RoundView {
    fn from(row: RoundRow) -> Self {
        Self {
            number: row.number,
            stage: row.stage,
            outcome: row.outcome,
            reason: row.reason,
            series: row.series,
            place: row.place,
            champion: row.champion.map(|version| version.0),
            base: row.base,
            candidate: row.candidate,
            control: row.control,
            aggregate: row.aggregate,
            opened_at: row.opened_at,
            deadline: row.deadline,
            evaluate_deadline: row.evaluate_deadline,
            ended_at: row.ended_at,
            settings: json_of(&row.settings),
            report: row.report.as_deref().map(json_of).unwrap_or_default(),
            run: row.run,
        }
    }
}

impl From<RoundHomeRow> for RoundHomeView {
    fn from(row: RoundHomeRow) -> Self {
        Self {
            home: row.home.to_string(),
            duty: row.duty,
            state: row.state,
            reason: row.reason,
            bytes: row.bytes,
            digest: row.digest.map(hex::encode),
            norm: row.norm,
            similarity: row.similarity,
            at: row.at,
            asked_in: row.round,
            counted_in: row.counted_in,
        }
    }
}

impl From<OfferRow> for OfferView {
    fn from(row: OfferRow) -> Self {
        let entities = row.classes.iter().map(|count| u64::from(count.entities)).sum();
        Self { home: row.home.to_string(), willing: row.willing, entities, heard_at: row.heard_at }
    }
}

impl From<StandingRow> for StandingView {
    fn from(row: StandingRow) -> Self {
        let verdict = reputation::verdict(&row).to_owned();
        let StandingRow { home, rounds, left_out, copied, alike, suspicion, .. } = row;
        let alike = alike.map(|(home, _)| home);
        Self { home: home.to_string(), rounds, left_out, copied, alike, suspicion, verdict }
    }
}

impl From<PrivacyLoss> for GuaranteeView {
    fn from(loss: PrivacyLoss) -> Self {
        let epsilon = Some(loss.epsilon).filter(|epsilon| epsilon.is_finite());
        let strength = privacy::strength(&loss).to_owned();
        Self { epsilon, strength, guessed_right: loss.guessed_right() }
    }
}

pub(super) fn router() -> OpenApiRouter<Http> {
    let rounds = OpenApiRouter::new().routes(routes!(list)).routes(routes!(one)).routes(routes!(homes));
    rounds.routes(routes!(offers)).routes(routes!(standings)).routes(routes!(stated))
}

/// Lists the rounds, newest first.
#[utoipa::path(get, path = "/api/v1/rounds", tag = "rounds", params(Paging), responses(
    (status = 200, body = RoundPage),
))]
pub(crate) async fn list(_: Viewer, http: State<Http>, Params(paging): Params<Paging>) -> Answer<RoundPage> {
    let window = paging.window(number)?;
    let (before, needed) = (window.after, window.needed());
    let rows = blocking(&http.app.store, move |store| store.rounds(before, needed)).await?;
    Ok(Json(window.cut(rows, |row| row.number.to_string(), RoundView::from)))
}

/// Shows one round.
#[utoipa::path(get, path = "/api/v1/rounds/{round}", tag = "rounds", params(("round" = Number, Path)), responses(
    (status = 200, body = RoundView),
))]
pub(crate) async fn one(_: Viewer, http: State<Http>, Segment(round): Segment<u64>) -> Answer<RoundView> {
    let row = blocking(&http.app.store, move |store| store.round(round)).await?;
    row.map(RoundView::from).map(Json).ok_or_else(|| Problem::NotFound { noun: "round", id: round.to_string() })
}

/// Lists the homes that a round asked, by name: how each answer stands, and why one was not used.
#[utoipa::path(get, path = "/api/v1/rounds/{round}/homes", tag = "rounds", params(("round" = Number, Path), Paging), responses(
    (status = 200, body = RoundHomePage),
))]
pub(crate) async fn homes(
    _: Viewer,
    http: State<Http>,
    Segment(round): Segment<u64>,
    Params(paging): Params<Paging>,
) -> Answer<RoundHomePage> {
    let window = paging.window(|text| HomeId::new(text).ok())?;
    let (after, needed) = (window.after.clone(), window.needed());
    let read = move |store: &dyn hearthwatch_store::Store| match store.round(round)? {
        Some(_) => store.round_homes(round, after.as_ref(), needed).map(Some),
        None => Ok(None),
    };
    let rows = blocking(&http.app.store, read)
        .await?
        .ok_or_else(|| Problem::NotFound { noun: "round", id: round.to_string() })?;
    Ok(Json(window.cut(rows, |row| row.home.to_string(), RoundHomeView::from)))
}

/// Lists what homes said about taking part, by name.
#[utoipa::path(get, path = "/api/v1/offers", tag = "rounds", params(Paging), responses(
    (status = 200, body = OfferPage),
))]
pub(crate) async fn offers(_: Viewer, http: State<Http>, Params(paging): Params<Paging>) -> Answer<OfferPage> {
    let window = paging.window(|text| HomeId::new(text).ok())?;
    let (after, needed) = (window.after.clone(), window.needed());
    let rows = blocking(&http.app.store, move |store| store.offers_after(after.as_ref(), needed)).await?;
    Ok(Json(window.cut(rows, |row| row.home.to_string(), OfferView::from)))
}

/// Lists what earlier rounds say of homes, by name. Including a home gives it a fresh start.
#[utoipa::path(get, path = "/api/v1/standings", tag = "rounds", params(Paging), responses(
    (status = 200, body = StandingPage),
))]
pub(crate) async fn standings(_: Viewer, http: State<Http>, Params(paging): Params<Paging>) -> Answer<StandingPage> {
    let window = paging.window(|text| HomeId::new(text).ok())?;
    let (after, needed) = (window.after.clone(), window.needed());
    let rows = blocking(&http.app.store, move |store| store.standings(after.as_ref(), needed)).await?;
    Ok(Json(window.cut(rows, |row| row.home.to_string(), StandingView::from)))
}

/// Shows what the noise of the newest rounds guarantees, and what that is worth.
#[utoipa::path(get, path = "/api/v1/privacy", tag = "rounds", responses(
    (status = 200, body = PrivacyView),
))]
pub(crate) async fn stated(_: Viewer, http: State<Http>) -> Answer<PrivacyView> {
    let stated = blocking(&http.app.store, privacy::of_newest).await?;
    let (since, stated) = stated.unzip();
    let words = stated.map_or_else(|| "No deltas became one yet.".to_owned(), |stated| stated.for_operator());
    Ok(Json(PrivacyView {
        since,
        rounds: stated.map_or(0, |stated| stated.terms.rounds),
        homes: stated.map_or(0, |stated| stated.terms.homes),
        delta: privacy::DELTA,
        published: stated.map(|stated| stated.published.into()),
        server: stated.map(|stated| stated.server.into()),
        words,
    }))
}
