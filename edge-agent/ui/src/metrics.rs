//! `/metrics`: the agent in numbers, for who watches many of them. No label names an entity, a room or a home.

use std::fmt;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hearthwatch_edge_core::mode::{BrokerState, CloudState, Mode, SessionState};
use hearthwatch_edge_detection::service::HomeView;
use hearthwatch_edge_rounds::RoundsView;
use hearthwatch_edge_update::UpdateView;
use hearthwatch_metrics::{gauge, negotiate, register_build, register_parts, register_process, render};
use hearthwatch_protocol::ModelVersion;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use super::{Page, PageParts, may_read_numbers};

/// Name of every metric of this program, up to its first own word.
const PREFIX: &str = "hearthwatch_edge";

pub(super) fn router() -> Router<Page> {
    Router::new().route("/metrics", get(answer))
}

async fn answer(
    State(page): State<Page>,
    peer: Option<axum::Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
) -> Response {
    let Some(metrics) = &page.metrics else {
        return (StatusCode::NOT_FOUND, "There is nothing here.\n").into_response();
    };
    if !may_read_numbers(&page, &headers, peer.map(|peer| peer.0.0)) {
        return (StatusCode::FORBIDDEN, "the numbers are served to this machine only\n").into_response();
    }
    if let Some(uplink) = &page.parts.uplink {
        match uplink.with_outbox(|outbox| outbox.waiting()).await {
            Ok(waiting) => drop(metrics.outbox.set(i64::from(waiting))),
            Err(error) => tracing::debug!(%error, "the outbox is not counted"),
        }
    }
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let (kind, text) = negotiate(accept, render(&metrics.registry));
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")], text).into_response()
}

/// Everything that is counted, and the one number that must be looked up before it is shown.
pub(crate) struct AgentMetrics {
    registry: Registry,
    outbox: Gauge,
}

impl AgentMetrics {
    pub(crate) fn new(parts: &PageParts) -> Self {
        let (mut registry, outbox) = (Registry::default(), Gauge::default());
        register_process(&mut registry);
        let own = registry.sub_registry_with_prefix(PREFIX);
        register_build(own);
        register_parts(own, &parts.health);
        parts.detection.health().counts.register(own);
        if parts.uplink.is_some() {
            own.register("outbox_records", "Records that wait for a receipt of the fleet", outbox.clone());
        }
        own.register_collector(Box::new(Sights {
            view: parts.view.clone(),
            mode: parts.mode.clone(),
            updates: parts.updates.clone(),
            rounds: parts.rounds.as_ref().map(|rounds| rounds.view.clone()),
        }));
        Self { registry, outbox }
    }
}

/// What other parts show anyway.
#[derive(Debug)]
struct Sights {
    view: watch::Receiver<HomeView>,
    mode: watch::Receiver<Mode>,
    updates: watch::Receiver<UpdateView>,
    rounds: Option<watch::Receiver<RoundsView>>,
}

impl Collector for Sights {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        connections(&mut encoder, &self.mode.borrow())?;
        home(&mut encoder, &self.view.borrow())?;
        updates(&mut encoder, &self.updates.borrow())?;
        match &self.rounds {
            Some(rounds) => {
                let taken = ConstCounter::new(rounds.borrow().taken);
                let help = "Rounds of federated training in which this home took part";
                taken.encode(encoder.encode_descriptor("rounds", help, None, MetricType::Counter)?)
            }
            None => Ok(()),
        }
    }
}

fn connections(encoder: &mut DescriptorEncoder<'_>, mode: &Mode) -> fmt::Result {
    let version = match &mode.session {
        SessionState::Listening { version, .. } => Some(version.as_str()),
        _ => None,
    };
    let connected = |is: bool| f64::from(u8::from(is));
    gauge(
        encoder,
        "home_assistant_connected",
        "1 while readings come from Home Assistant",
        connected(version.is_some()),
    )?;
    if let Some(version) = version {
        let help = "Version of Home Assistant";
        encoder
            .encode_descriptor("home_assistant", help, None, MetricType::Info)?
            .encode_info(&[("version", version)])?;
    }
    if let Some(broker) = &mode.home_broker {
        let is = connected(*broker == BrokerState::Connected);
        gauge(encoder, "home_broker_connected", "1 while alarms reach the home's broker", is)?;
    }
    if !matches!(mode.cloud, CloudState::None | CloudState::UpdatesOnly) {
        let is = connected(mode.cloud == CloudState::Connected);
        gauge(encoder, "fleet_connected", "1 while the fleet's broker is connected", is)?;
    }
    Ok(())
}

fn home(encoder: &mut DescriptorEncoder<'_>, view: &HomeView) -> fmt::Result {
    gauge(encoder, "entities", "Entities that are watched", view.entities as f64)?;
    gauge(encoder, "model_version", "Version of the model in use", version(view.model))?;
    gauge(encoder, "budget_alarms_per_week", "Alarms a week that residents want at most", view.budget)?;
    let month = view.month;
    let ends = [
        ("confirmed", month.confirmed),
        ("dismissed", month.dismissed),
        ("expected", month.expected),
        ("unanswered", month.unanswered),
        ("suppressed", month.suppressed),
        ("withheld", month.withheld),
    ];
    let help = "Alarms of the last 30 days, by what became of them";
    let mut family = encoder.encode_descriptor("alarms_month", help, None, MetricType::Gauge)?;
    for (end, alarms) in ends {
        ConstGauge::new(alarms as f64).encode(family.encode_family(&[("end", end)])?)?;
    }
    Ok(())
}

fn updates(encoder: &mut DescriptorEncoder<'_>, view: &UpdateView) -> fmt::Result {
    if let Some(latest) = view.latest {
        gauge(encoder, "model_latest_version", "Version of the newest release that is known here", version(latest))?;
    }
    let ended = view.ended;
    let ends = [("installed", ended.installed), ("refused", ended.refused), ("rolled_back", ended.rolled_back)];
    let help = "Updates of the model that ended, by end";
    let mut family = encoder.encode_descriptor("updates", help, None, MetricType::Counter)?;
    for (end, count) in ends {
        ConstCounter::new(count).encode(family.encode_family(&[("end", end)])?)?;
    }
    Ok(())
}

fn version(version: ModelVersion) -> f64 {
    version.0 as f64
}
