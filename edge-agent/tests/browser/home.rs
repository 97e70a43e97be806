//! A month in a small home, lived through the agent's own detector service: six entities, a freezer that warms up, a lazy sensor.

use std::net::SocketAddr;
use std::sync::Arc;

use hearthwatch_detector::alarm::Verdict;
use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::detector::{DetectorConfig, HomeDetector, Model};
use hearthwatch_detector::reading::{EntityInfo, Reading, Value};
use hearthwatch_edge_cloud::uplink::{self, UplinkConfig, UplinkHandle};
use hearthwatch_edge_core::backtest::Backtest;
use hearthwatch_edge_core::mode::BrokerState;
use hearthwatch_edge_core::mode::Mode;
use hearthwatch_edge_core::mode::SessionState;
use hearthwatch_edge_detection::service::{
    self, DetectorCommand, DetectorHandle, DetectorParts, DetectorService, HomeView, ToFleet,
};
use hearthwatch_edge_store::history::History;
use hearthwatch_edge_store::outbox::{Outbox, SharingLevel};
use hearthwatch_edge_ui::guard::Door;
use hearthwatch_edge_ui::{self, PageParts};
use hearthwatch_edge_update::UpdateRequests;
use hearthwatch_edge_update::UpdateView;
use hearthwatch_link::LinkConfig;
use hearthwatch_protocol::messages::{AgentStatus, Contribution, Receipt};
use hearthwatch_protocol::{HomeId, ModelVersion, Sequence};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

const DAY: i64 = 86_400;
const STEP: i64 = 600;
/// The 30 days begin on 2026-10-20.
const FIRST: i64 = 1_792_454_400;
/// Days that are learnt from without a word.
const LEARNT_DAYS: i64 = 15;
/// The present.
pub const NOW: i64 = FIRST + 30 * DAY + 15 * 3_600;

/// The page of a home that has lived.
pub struct Home {
    pub address: SocketAddr,
    pub detection: DetectorHandle,
    pub uplink: UplinkHandle,
    pub leaving: mpsc::Receiver<()>,
    pub requests: UpdateRequests,
    pub stop: CancellationToken,
    _dir: tempfile::TempDir,
}

fn entities() -> Vec<EntityInfo> {
    let info = |id: &str, class, unit: &str| EntityInfo { entity_id: id.to_owned(), class, unit: unit.to_owned() };
    vec![
        info("sensor.living_room_temperature", DeviceClass::Temperature, "°C"),
        info("sensor.bathroom_humidity", DeviceClass::Humidity, "%"),
        info("sensor.freezer_temperature", DeviceClass::Temperature, "°C"),
        info("sensor.washing_machine_power", DeviceClass::Power, "W"),
        info("binary_sensor.front_door", DeviceClass::Door, ""),
        info("sensor.garden_illuminance", DeviceClass::Illuminance, "lx"),
    ]
}

/// What each entity says at `at`; the same every time.
fn value(entity: u32, at: i64) -> Option<Value> {
    let day = (at - FIRST) as f64 / DAY as f64;
    let hour = day.fract() * 24.0;
    let daily = (day * std::f64::consts::TAU - 2.0).sin();
    let jitter = f64::from((((at / 60) * 7919 + i64::from(entity) * 104_729).rem_euclid(1009)) as u16) / 504.5 - 1.0;
    let number = match entity {
        0 => {
            // A window left open on one afternoon.
            let open = if (21.55..21.72).contains(&day) { -5.5 } else { 0.0 };
            // And ajar on others: less, and told where more may be.
            let ajar = [(17.55, 0.5), (18.55, 0.8), (19.55, 1.1)].into_iter();
            let open = ajar.fold(open, |open, (at, by)| if (at..at + 0.17).contains(&day) { open - by } else { open });
            20.5 + 1.2 * daily + 0.1 * jitter + open
        }
        1 => 52.0 + 6.0 * daily + if (6.5..7.5).contains(&hour) { 14.0 } else { 0.0 } + jitter,
        2 => {
            // The door of the freezer does not close: from the last morning on.
            let warm = if day > 30.3 { ((day - 30.3) * 24.0).min(9.0) } else { 0.0 };
            -18.2 + 0.4 * (day * 40.0).sin() + 0.1 * jitter + warm
        }
        3 => {
            let washes = (day as i64) % 2 == 0 && (10.0..11.5).contains(&hour);
            let forgotten = (26.8..26.95).contains(&day);
            if washes || forgotten { 640.0 + 40.0 * jitter } else { 2.0 + 0.1 * jitter }
        }
        4 => {
            let opened = [8.1, 12.4, 17.6].iter().any(|time| (hour - time).abs() < 0.08);
            return (at % STEP == 0).then_some(Value::Binary(opened));
        }
        _ => (9_000.0 * daily.max(0.0) * (0.8 + 0.2 * jitter)).max(0.5),
    };
    Some(Value::Number(number))
}

fn readings(from: i64, until: i64) -> Vec<Reading> {
    let moments = (from / 300 + 1..=until / 300).map(|moment| moment * 300);
    let all =
        moments.flat_map(|at| (0..6).filter_map(move |entity| Some(Reading { at, entity, value: value(entity, at)? })));
    all.collect()
}

/// Lives the month, answers two alarms, shares, and serves the page on a port of its own.
pub async fn lived() -> Home {
    let dir = tempfile::tempdir().unwrap();
    let history = dir.path().join("history.sqlite");
    let uplink = offline_uplink(dir.path());
    let (sink, runtime) = (uplink.clone(), tokio::runtime::Handle::current());
    let (view, view_seen) = watch::channel(HomeView::default());
    let (notices, _heard) = mpsc::channel(64);
    let parts = DetectorParts {
        model: Arc::new(Model::shipped().unwrap_or_else(|_| Model::baseline())),
        model_version: ModelVersion(14),
        history: History::open(&history).unwrap(),
        salt: vec![7; 32],
        budget: 2.0,
        timezone: Some(jiff::tz::TimeZone::get("Europe/Brussels").unwrap()),
        feedback: Some((
            uplink.home().clone(),
            Box::new(move |word| {
                let kept = match word {
                    ToFleet::Announcement(announcement) => runtime.block_on(sink.announce(announcement)),
                    ToFleet::Answer(record) => runtime.block_on(sink.push(record)),
                };
                kept.map(|_| true).map_err(|error| error.to_string())
            }),
        )),
    };
    let (detection, _thread) = service::start(DetectorService::new(parts, view, notices).unwrap()).unwrap();
    detection.request(|reply| DetectorCommand::AddEntities(entities(), reply)).await.unwrap();
    let live_from = FIRST + LEARNT_DAYS * DAY;
    for day in 0..LEARNT_DAYS {
        let (from, until) = (FIRST + day * DAY, FIRST + (day + 1) * DAY);
        detection.request(|reply| DetectorCommand::Learn(readings(from, until), until, reply)).await.unwrap();
    }
    detection.send(DetectorCommand::Listening(true, live_from)).await.unwrap();
    let mut at = live_from;
    while at < NOW {
        detection.send(DetectorCommand::Ingest(readings(at, at + STEP))).await.unwrap();
        at += STEP;
        detection.send(DetectorCommand::Tick(at + 6)).await.unwrap();
    }
    answer_and_share(&detection, &uplink).await;
    let (leave, leaving) = mpsc::channel(1);
    let updates = UpdateView {
        latest: Some(ModelVersion(14)),
        percent: None,
        summary: "Model 14 is installed and proven on this home.".to_owned(),
        fallback: Some(ModelVersion(13)),
        ..UpdateView::default()
    };
    let requests = UpdateRequests::open(&dir.path().join("wishes.json")).unwrap();
    let parts = PageParts {
        door: Door::Loopback { hosts: vec![] },
        detection: detection.clone(),
        view: view_seen,
        updates: watch::channel(updates).1,
        mode: watch::channel(mode()).1,
        history,
        uplink: Some(uplink.clone()),
        rounds: Some(crate::rounds::page(dir.path())),
        leave,
        requests: requests.clone(),
        token: "0123456789abcdef".to_owned(),
        clock: || NOW,
        health: Arc::default(),
        metrics: true,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    tokio::spawn(hearthwatch_edge_ui::serve(parts, listener, stop.clone()));
    Home { address, detection, uplink, leaving, requests, stop, _dir: dir }
}

/// A fleet that is away: port 1 of this machine, where nobody listens.
fn offline_uplink(dir: &std::path::Path) -> UplinkHandle {
    let mut outbox = Outbox::open(&dir.join("outbox.sqlite")).unwrap();
    outbox.configure_sharing(SharingLevel::Windows);
    let status = AgentStatus {
        online: true,
        agent_version: "0.1.0".to_owned(),
        model_version: ModelVersion(14),
        entities: 6,
        outbox: 0,
    };
    let home = HomeId::new("home-7").unwrap();
    let config = UplinkConfig {
        link: LinkConfig::new("127.0.0.1", 1, "home-7"),
        home,
        clock: Arc::new(|| NOW),
        directed: false,
        resend: uplink::RESEND,
        seed: 7,
    };
    uplink::start(config, uplink::share(outbox), watch::channel(status).1).unwrap()
}

/// Answers all alarms but the newest, has them stored by an aggregator, and hears what they did.
async fn answer_and_share(detection: &DetectorHandle, uplink: &UplinkHandle) {
    let alarms = detection.request(DetectorCommand::Look).await.unwrap().alarms;
    let answered = alarms.len().saturating_sub(1) as u64;
    for (place, alarm) in alarms.iter().take(answered as usize).enumerate() {
        let verdict = if place % 2 == 0 { Verdict::Dismissed } else { Verdict::Confirmed };
        let answer = DetectorCommand::Answer {
            alarm: Some(alarm.alarm.id.clone()),
            verdict,
            by: String::new(),
            reason: None,
            at: alarm.alarm.raised_at + 900,
        };
        detection.send(answer).await.unwrap();
    }
    let period = (FIRST + 2 * DAY, FIRST + 30 * DAY);
    let backtest =
        Backtest { from: period.0, until: period.1, before: (ModelVersion(13), 5), after: (ModelVersion(14), 2) };
    let config = DetectorConfig { timezone: jiff::tz::TimeZone::UTC, budget_per_week: 1.0, salt: Vec::new() };
    let unheard = HomeDetector::new(config, Arc::new(Model::baseline())).records();
    detection.send(DetectorCommand::KeepBacktest(backtest, unheard)).await.unwrap();
    // Every command before this one is carried out.
    detection.request(DetectorCommand::Look).await.unwrap();
    let credit = Contribution {
        model_version: ModelVersion(14),
        snapshot: "5f3a".repeat(16),
        answers: 7,
        examples: 6,
        at: NOW - DAY,
    };
    let store = move |outbox: &mut Outbox| {
        let mut last = 0;
        while let Some(numbered) = outbox.number_next()? {
            last = numbered.sequence.0;
        }
        outbox.settle(&Receipt { through: Sequence(last), refused: vec![], digests: vec![] }, NOW)?;
        outbox.credit(&credit)
    };
    uplink.with_outbox(store).await.unwrap();
}

fn mode() -> Mode {
    let session = SessionState::Listening { version: "2026.11.0".to_owned(), entities: 6 };
    Mode { session, home_broker: Some(BrokerState::Connected), ..Mode::default() }
}
