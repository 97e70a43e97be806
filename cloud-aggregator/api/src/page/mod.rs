//! The operator's page: the fleet, the current model, the last run live, federated rounds, what goes out, what waits for a decision,
//! what was refused lately.
//!
//! Rendered on the server and readable without script; a few lines of script only replace the run's part while it
//! moves. Nothing comes from elsewhere, every text is escaped by the template, and the strict content policy of
//! [`crate::router`] stands behind that. It is read with a session, begun by giving a token at `/login`.

mod alerts;
mod approvals;
mod audit;
mod confirm;
mod doer;
mod evaluation;
mod gate;
mod homes;
mod labels;
mod live;
mod login;
mod models;
mod parts;
mod quarantine;
mod rollout;
mod rollouts;
mod rounds;
mod runs;
mod sign_in;
mod view;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use hearthwatch_fleet::rollout::Director;
use hearthwatch_rounds::{privacy, reputation};
use hearthwatch_store::story::RecallEstimate;
use hearthwatch_store::{ModelRow, ModelState, OutcomeTotals, Store, StoreResult, blocking};
use maud::Markup;

use self::rollouts::{Cases, Rollouts};
use self::rounds::Rounds;
use crate::http::Http;
use crate::http::auth::Viewer;
use crate::http::problem::Problem;
use crate::http::state::AppState;

/// Homes shown; the page of homes has all of them.
const HOMES_SHOWN: usize = 50;

/// Excluded homes, and models among the newest that await a signature, that are shown.
const CASES_SHOWN: usize = 100;

/// Rollouts before the newest that are shown; the API lists all.
const ROLLOUTS_SHOWN: usize = 3;

/// Refusals that are shown, the newest; the API lists all.
const REFUSALS_SHOWN: usize = 10;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
const ICON: &str = include_str!("icon.svg");

/// What each page takes in its address; the others take nothing.
const TAKEN: [(&str, &[&str]); 4] = [
    (
        "/homes",
        &["q", "state", "excluded", "model_version", "agent_version", "tag", "heard_before", "sort", "limit", "after"],
    ),
    ("/evaluation", &["days", "until"]),
    ("/audit", &["after"]),
    ("/labels", &["home", "verdict", "class", "after"]),
];

/// Where another program sends browsers, with whatever it likes in the address.
pub(crate) const TAKES_ANYTHING: &str = "/login/callback";

/// The query parameters that the page at `path` takes.
pub(crate) fn takes(path: &str) -> Vec<String> {
    let found = TAKEN.iter().find(|(page, _)| *page == path);
    found.map(|(_, names)| names.iter().map(|name| (*name).to_owned()).collect()).unwrap_or_default()
}

/// The pages and what they load.
pub(crate) fn router() -> Router<Http> {
    Router::new()
        .route("/", get(page))
        .route("/login", get(login::form).post(login::begin))
        .route("/login/start", get(sign_in::start))
        .route("/login/callback", get(sign_in::end))
        .route("/logout", post(login::end))
        .route("/quarantine/{id}", post(quarantine::settle))
        .route("/live", get(live::run))
        .route("/homes", get(homes::list))
        .route("/homes/{home}", get(homes::one))
        .route("/homes/{home}/{action}", get(confirm::ask_home).post(confirm::do_home))
        .route("/rollouts", get(rollout::list))
        .route("/rollouts/{version}", get(rollout::one))
        .route("/rollouts/{version}/{action}", get(confirm::ask_rollout).post(confirm::do_rollout))
        .route("/runs", get(runs::list))
        .route("/runs/{id}", get(runs::one))
        .route("/evaluation", get(evaluation::show))
        .route("/alerts", get(alerts::show))
        .route("/approvals", get(approvals::list))
        .route("/approvals/{id}/{word}", get(approvals::ask).post(approvals::decide))
        .route("/audit", get(audit::list))
        .route("/labels", get(labels::list))
        .route("/models", get(models::list))
        .route("/icon.svg", get(async || asset("image/svg+xml", ICON)))
        .route("/page.css", get(async || asset("text/css; charset=utf-8", STYLE)))
        .route("/page.js", get(async || asset("text/javascript; charset=utf-8", SCRIPT)))
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], text).into_response()
}

async fn page(viewer: Result<Viewer, Problem>, State(http): State<Http>) -> Result<Response, Problem> {
    match viewer {
        Ok(Viewer(caller)) => {
            let fleet = read(&http).await?;
            Ok(view::page(&fleet, &caller).into_response())
        }
        Err(Problem::Unauthenticated) => Ok(Redirect::to("/login").into_response()),
        Err(problem) => Err(problem),
    }
}

/// Everything that the page shows, read in one go.
async fn read(http: &Http) -> Result<view::Fleet, Problem> {
    let app = &http.app;
    let now = app.clock.now();
    let late = match http.enroller.clone() {
        None => Vec::new(),
        Some(releaser) => tokio::task::spawn_blocking(move || releaser.waiting())
            .await
            .map_err(Problem::internal)?
            .map_err(Problem::internal)?,
    };
    let director = app.director.clone();
    let training = app.training.status().borrow().clone();
    let fleet = blocking(&app.store, move |store| {
        let champion = store.champion()?;
        let report = match &champion {
            Some(model) => store.run(hearthwatch_store::release::origin(&model.run))?.and_then(|run| run.report),
            None => None,
        };
        let released = store.releases_before(None, 1)?.pop();
        let outcomes = match &released {
            Some(release) => store.outcome_totals(release.model_version)?,
            None => OutcomeTotals::default(),
        };
        Ok(view::Fleet {
            now,
            homes: store.homes_after(None, HOMES_SHOWN)?,
            totals: store.fleet_totals()?,
            champion,
            report,
            released,
            outcomes,
            feedback: store.feedback_totals()?,
            recall: recall(store)?,
            refusals: store.quarantine(REFUSALS_SHOWN)?,
            rollouts: going_out(store, director.as_ref())?,
            rounds: held(store)?,
            cases: Cases { awaiting: awaiting(store)?, excluded: store.excluded(CASES_SHOWN)?, late },
            run: view::RunPanel { run: store.runs(1)?.into_iter().next(), training, now },
        })
    });
    Ok(fleet.await?)
}

/// The newest rollout with its tests, and a few before it.
fn going_out(store: &dyn Store, director: Option<&Director>) -> StoreResult<Rollouts> {
    let mut rows = store.rollouts(None, 1 + ROLLOUTS_SHOWN)?.into_iter();
    let (Some(newest), Some(director)) = (rows.next(), director) else { return Ok(Rollouts::default()) };
    Ok(Rollouts { newest: director.look_lately(store, newest.model_version)?, earlier: rows.collect() })
}

/// The newest rounds with counts of their homes.
fn held(store: &dyn Store) -> StoreResult<Rounds> {
    let rounds = store.round_tallies(None, rounds::ROUNDS_SHOWN)?;
    let not_used = match rounds.first() {
        Some((newest, _)) => store.round_homes_not_used(newest.number, rounds::HOMES_LISTED)?,
        None => Vec::new(),
    };
    let suspected = reputation::suspected(store, rounds::HOMES_LISTED)?;
    let privacy = privacy::of_newest(store)?;
    Ok(Rounds { willing: store.willing_homes()?, rounds, not_used, suspected, privacy })
}

/// What waits for a second person's word, unless a newer model is in charge by now.
fn awaiting(store: &dyn Store) -> StoreResult<Vec<ModelRow>> {
    let champion = store.champion()?.map(|model| model.version).unwrap_or_default();
    let mut models = store.models_before(None, CASES_SHOWN)?;
    models.retain(|model| model.state == ModelState::AwaitingSignature && model.version > champion);
    Ok(models)
}

/// What the last run's snapshot says of the current model.
fn recall(store: &dyn Store) -> StoreResult<RecallEstimate> {
    let told = store.newest_recall()?;
    Ok(told.and_then(|told| serde_json::from_str(&told).ok()).unwrap_or_default())
}

/// The run's part alone, as it is sent while it moves.
async fn read_run(app: &AppState) -> Result<Markup, Problem> {
    let (now, training) = (app.clock.now(), app.training.status().borrow().clone());
    let run = blocking(&app.store, |store| Ok(store.runs(1)?.into_iter().next())).await?;
    Ok(view::run_panel(&view::RunPanel { run, training, now }))
}
