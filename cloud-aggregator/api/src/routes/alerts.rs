//! Alerts: what the aggregator itself knows to be wrong.

use hearthwatch_store::lists::QuarantineQuery;
use hearthwatch_store::rollouts::RolloutRow;
use hearthwatch_store::story::RecallEstimate;
use hearthwatch_store::{FleetStates, ModelRow, ModelState, RunRow, StoreResult};

use super::homes::LATE_SECONDS;
use super::prelude::*;
use crate::alerts::{AlertView, Facts, alerts};

/// A page of alerts, the worst first.
pub type AlertPage = Page<AlertView>;

/// Models and refused payloads that are looked at: enough to see that somebody waits.
const LOOKED_AT: usize = 100;

/// How many refused payloads are counted: as many as make an alert, and some more.
const COUNTED: usize = 500;

pub(super) fn router() -> OpenApiRouter<Http> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Lists what is wrong now, the worst first.
#[utoipa::path(get, path = "/api/v1/alerts", tag = "alerts", params(Paging), responses(
    (status = 200, body = AlertPage),
))]
pub(crate) async fn list(_: Viewer, http: State<Http>, Params(paging): Params<Paging>) -> Answer<AlertPage> {
    let window = paging.window(id)?;
    let rows = alerts(&facts(&http).await?);
    let key = |alert: &AlertView| format!("{}/{}", alert.name, alert.subject);
    let after = window.after.as_ref().and_then(|after| rows.iter().position(|alert| key(alert) == *after));
    let rest = rows.into_iter().skip(after.map_or(0, |position| position + 1)).collect();
    Ok(Json(window.cut(rest, key, |alert| alert)))
}

/// What the store knows.
struct Known {
    states: FleetStates,
    quarantined: u64,
    run: Option<RunRow>,
    rollout: Option<RolloutRow>,
    awaiting: Vec<ModelRow>,
    recall: RecallEstimate,
}

/// Everything that alerts follow from, as it is now.
pub(crate) async fn facts(http: &Http) -> Result<Facts, Problem> {
    let now = http.app.clock.now();
    let waiting = match http.enroller.clone() {
        None => Vec::new(),
        Some(enroller) => tokio::task::spawn_blocking(move || enroller.waiting())
            .await
            .map_err(Problem::internal)?
            .map_err(Problem::internal)?,
    };
    let open: Vec<i64> =
        waiting.iter().filter(|late| late.approved.is_none()).map(|late| late.asked_at.as_second()).collect();
    let renewals = (open.len() as u64, open.into_iter().min());
    let known = blocking(&http.app.store, move |store| known(store, now)).await?;
    let Known { states, quarantined, run, rollout, awaiting, recall } = known;
    let FleetStates { online, offline, late, never_seen, .. } = states;
    let (parts, homes) = (http.app.health.look().parts, online + offline + late + never_seen);
    Ok(Facts { now, parts, homes, late, renewals, quarantined, run, rollout, awaiting, recall })
}

fn known(store: &dyn hearthwatch_store::Store, now: i64) -> StoreResult<Known> {
    let champion = store.champion()?.map(|model| model.version).unwrap_or_default();
    let mut awaiting = store.list_models(Some(ModelState::AwaitingSignature), None, LOOKED_AT)?;
    awaiting.retain(|model| model.version > champion);
    let open = QuarantineQuery { settled: Some(false), limit: COUNTED, ..QuarantineQuery::default() };
    let recall = store.newest_recall()?.and_then(|told| serde_json::from_str(&told).ok()).unwrap_or_default();
    Ok(Known {
        states: store.fleet_states(now.saturating_sub(LATE_SECONDS))?,
        quarantined: store.list_quarantine(&open)?.len() as u64,
        run: store.runs(2)?.into_iter().find(|run| run.ended_at.is_some()),
        rollout: store.rollouts(None, 1)?.pop(),
        awaiting,
        recall,
    })
}
