//! The uplink against a real mosquitto and an aggregator that comes and goes.
//!
//! Without mosquitto on the machine each test says so and does nothing; with `HEARTHWATCH_REQUIRE_MOSQUITTO` set it fails.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use hearthwatch_edge_cloud::uplink::{self, RoundDelivery, SharedOutbox, UplinkConfig, UplinkHandle, UplinkState};
use hearthwatch_edge_store::outbox::{Outbox, SharingLevel};
use hearthwatch_link::{Backoff, LinkConfig, LinkEvent, LinkEvents, LinkHandle, Publication, open};
use hearthwatch_protocol::manifest::SignedManifest;
use hearthwatch_protocol::messages::{
    AgentStatus, FeatureWindow, FeedbackRecord, Origin, Receipt, ReleaseNotice, RoundPart, RoundReceipt, RoundRequest,
    RoundState, UpdateOutcome, Verdict,
};
use hearthwatch_protocol::round::{SignedGroupRequest, SignedRoundAnswer, SignedRoundOffer, SignedRoundPlan};
use hearthwatch_protocol::topic::{UP_FILTER, shared};
use hearthwatch_protocol::{AlarmId, HomeId, Message, ModelVersion, Sequence, Topic, decode, encode};
use tokio::sync::watch;

/// Longest that any single step may take before the test is called failed; generous for a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// An outbox whose resident shares windows.
fn windows(file: &Path) -> Outbox {
    let mut outbox = Outbox::open(file).unwrap();
    outbox.configure_sharing(SharingLevel::Windows);
    outbox
}

struct Broker {
    child: Child,
    directory: tempfile::TempDir,
    port: u16,
}

impl Broker {
    fn start() -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let directory = tempfile::tempdir().unwrap();
        let user = std::env::var("USER").unwrap_or_else(|_| "root".to_owned());
        let text = format!("listener {port} 127.0.0.1\nuser {user}\nallow_anonymous true\n");
        std::fs::write(directory.path().join("mosquitto.conf"), text).unwrap();
        let child = spawn(directory.path())?;
        Some(Self { child, directory, port })
    }

    fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn restart(&mut self) {
        self.child = spawn(self.directory.path()).unwrap();
    }

    fn link(&self, client_id: &str) -> LinkConfig {
        LinkConfig {
            backoff: Backoff { first: Duration::from_millis(20), longest: Duration::from_millis(200) },
            keep_alive_seconds: 5,
            ..LinkConfig::new("127.0.0.1", self.port, client_id)
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop();
    }
}

fn spawn(directory: &Path) -> Option<Child> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let program = std::env::split_paths(&paths)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")])
        .map(|directory| directory.join("mosquitto"))
        .find(|path| path.is_file());
    let Some(program) = program else {
        assert!(std::env::var_os("HEARTHWATCH_REQUIRE_MOSQUITTO").is_none(), "mosquitto is required and not installed");
        eprintln!("skipped: mosquitto is not installed");
        return None;
    };
    let conf = directory.join("mosquitto.conf");
    Some(Command::new(program).arg("-c").arg(conf).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

fn home() -> HomeId {
    HomeId::new("home-7").unwrap()
}

fn record(alarm: &str) -> FeedbackRecord {
    FeedbackRecord {
        home: home(),
        sequence: Sequence(0),
        alarm: AlarmId::new(alarm).unwrap(),
        device_class: "temperature".to_owned(),
        model_version: ModelVersion(1),
        feature_schema: 1,
        window: FeatureWindow { steps: 1, features: 1, values: vec![0.5] },
        score: 3.0,
        threshold: 2.0,
        verdict: Verdict::Confirmed,
        origin: Origin::Alarm,
        raised_at: 600,
        answered_at: 1_200,
    }
}

fn config(link: LinkConfig) -> UplinkConfig {
    UplinkConfig { home: home(), link, directed: false, resend: uplink::RESEND, clock: Arc::new(|| 77), seed: 7 }
}

struct Home {
    directory: tempfile::TempDir,
    status: watch::Sender<AgentStatus>,
}

impl Home {
    fn new() -> Self {
        let status = AgentStatus {
            online: true,
            agent_version: "0.1.0".to_owned(),
            model_version: ModelVersion(1),
            entities: 3,
            outbox: 0,
        };
        Self { directory: tempfile::tempdir().unwrap(), status: watch::channel(status).0 }
    }

    fn start(&self, broker: &Broker) -> (UplinkHandle, SharedOutbox) {
        let outbox = uplink::share(windows(&self.directory.path().join("outbox.db")));
        (
            uplink::start(config(broker.link("overwritten")), Arc::clone(&outbox), self.status.subscribe()).unwrap(),
            outbox,
        )
    }
}

/// An aggregator in memory: stores, answers with receipts, remembers what it heard.
struct Aggregator {
    link: LinkHandle,
    events: LinkEvents,
    stored: BTreeMap<u64, Vec<u8>>,
    statuses: Vec<AgentStatus>,
    outcomes: Vec<UpdateOutcome>,
    offers: usize,
    /// The parts of rounds' answers, in the order in which they came, and how many records were stored before each.
    parts: Vec<(u16, usize)>,
}

impl Aggregator {
    async fn start(broker: &Broker, stored: BTreeMap<u64, Vec<u8>>) -> Self {
        let subscriptions = vec![shared("group", UP_FILTER)];
        let (link, mut events) = open(LinkConfig { subscriptions, ..broker.link("aggregator") }).unwrap();
        while !matches!(tokio::time::timeout(PATIENCE, events.next()).await.unwrap(), Some(LinkEvent::Connected { .. }))
        {
        }
        Self { link, events, stored, statuses: Vec::new(), outcomes: Vec::new(), offers: 0, parts: Vec::new() }
    }

    async fn publish(&self, topic: Topic, message: Message) {
        let (retain, topic) = (topic.retained(), topic.to_string());
        self.link.publish(Publication { topic, payload: encode(&message).unwrap(), retain }).await.unwrap();
    }

    /// Hears messages until `enough`.
    async fn until(&mut self, enough: impl Fn(&Self) -> bool) {
        while !enough(self) {
            let event = tokio::time::timeout(PATIENCE, self.events.next()).await.expect("in time").unwrap();
            let LinkEvent::Message { payload, .. } = event else { continue };
            match decode(&payload).unwrap() {
                Message::Feedback(record) => {
                    let known = self.stored.entry(record.sequence.0).or_insert_with(|| payload.to_vec());
                    assert_eq!(*known, payload.to_vec(), "one number, one content");
                    let through = (1..).take_while(|sequence| self.stored.contains_key(sequence)).count() as u64;
                    let receipt = Receipt { through: Sequence(through), refused: vec![], digests: vec![] };
                    self.publish(Topic::Receipt(home()), Message::Receipt(receipt)).await;
                }
                Message::Status(status) => self.statuses.push(status),
                Message::Outcome(outcome) => self.outcomes.push(outcome),
                Message::RoundOffer(_) => self.offers += 1,
                Message::RoundPart(part) => self.parts.push((part.part, self.stored.len())),
                Message::Manifest(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Waits until the outbox is empty, driven by receipts.
async fn until_empty(outbox: &SharedOutbox) {
    let begun = tokio::time::Instant::now();
    while outbox.lock().unwrap().waiting().unwrap() > 0 {
        assert!(begun.elapsed() < PATIENCE, "receipts in time");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn until_connected(uplink: &UplinkHandle) {
    let mut state = uplink.state();
    let connected = state.wait_for(|state| *state == UplinkState::Connected);
    tokio::time::timeout(PATIENCE, connected).await.expect("in time").unwrap();
}

#[tokio::test]
async fn answers_given_while_broker_and_aggregator_are_away_arrive_once_both_are_back() {
    let Some(mut broker) = Broker::start() else { return };
    broker.stop();
    let home = Home::new();
    let (uplink, _) = home.start(&broker);
    for i in 0..50 {
        uplink.push(record(&format!("offline-{i}"))).await.unwrap();
    }
    uplink.stop().await;
    let (uplink, outbox) = home.start(&broker);
    broker.restart();
    until_connected(&uplink).await;
    uplink.push(record("online")).await.unwrap();
    let mut aggregator = Aggregator::start(&broker, BTreeMap::new()).await;
    broker.stop();
    broker.restart();
    aggregator.until(|heard| heard.stored.len() == 51).await;
    assert_eq!(aggregator.stored.keys().copied().collect::<Vec<_>>(), (1..=51).collect::<Vec<_>>());
    until_empty(&outbox).await;
}

#[tokio::test]
async fn status_is_kept_by_the_broker_and_turns_offline_with_a_farewell_and_without() {
    let Some(broker) = Broker::start() else { return };
    let home = Home::new();
    let (uplink, _) = home.start(&broker);
    until_connected(&uplink).await;
    uplink.push(record("a")).await.unwrap();
    let mut aggregator = Aggregator::start(&broker, BTreeMap::new()).await;
    home.status.send_modify(|status| status.model_version = ModelVersion(2));
    aggregator.until(|heard| heard.statuses.iter().any(|status| status.online && status.model_version.0 == 2)).await;
    uplink.stop().await;
    aggregator.until(|heard| heard.statuses.iter().any(|status| !status.online && status.model_version.0 == 2)).await;

    // A crash: the runtime goes, and with it the connection.
    let port = broker.port;
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let crashing = Home::new();
            let outbox = uplink::share(windows(&crashing.directory.path().join("outbox.db")));
            crashing.status.send_modify(|status| status.entities = 99);
            let config = config(LinkConfig::new("127.0.0.1", port, "overwritten"));
            until_connected(&uplink::start(config, outbox, crashing.status.subscribe()).unwrap()).await;
        });
    })
    .join()
    .unwrap();
    aggregator.until(|heard| heard.statuses.iter().any(|status| !status.online && status.entities == 99)).await;
}

#[tokio::test]
async fn a_release_notice_and_an_outcome_find_their_way() {
    let Some(broker) = Broker::start() else { return };
    let home = Home::new();
    let mut aggregator = Aggregator::start(&broker, BTreeMap::new()).await;
    let notice = ReleaseNotice { model_version: ModelVersion(3), target: "model-3.safetensors".to_owned(), at: 5 };
    aggregator.publish(Topic::Release, Message::Release(notice.clone())).await;
    let (uplink, _) = home.start(&broker);
    let mut release = uplink.release();
    let seen =
        tokio::time::timeout(PATIENCE, release.wait_for(Option::is_some)).await.expect("in time").unwrap().clone();
    assert_eq!(seen, Some(notice));
    let outcome = UpdateOutcome::installed(ModelVersion(3), 6);
    uplink.report(outcome.clone()).await.unwrap();
    aggregator.until(|heard| heard.outcomes == [outcome.clone()]).await;

    // A broker may have lost what it acknowledged: each manifest, one a day at least, brings status and newest outcome again.
    let statuses = aggregator.statuses.len();
    uplink.declare(SignedManifest::from_bytes(vec![0; 8]));
    aggregator.until(|heard| heard.outcomes.len() == 2 && heard.statuses.len() > statuses).await;
    assert_eq!(aggregator.outcomes, [outcome.clone(), outcome]);
}

#[tokio::test]
async fn a_rounds_plan_and_receipts_come_down_and_its_parts_go_up_after_everything_else() {
    let Some(broker) = Broker::start() else { return };
    let home = Home::new();
    let mut aggregator = Aggregator::start(&broker, BTreeMap::new()).await;
    let plan = SignedRoundPlan::from_bytes(vec![1; 8]);
    aggregator.publish(Topic::RoundPlan(self::home()), Message::RoundPlan(plan.clone())).await;
    let outbox = uplink::share(windows(&home.directory.path().join("outbox.db")));
    let directed = UplinkConfig { directed: true, ..config(broker.link("overwritten")) };
    // Everything waits before there is a connection.
    let (uplink, mut lives) = uplink::prepare(directed, outbox, home.status.subscribe(), None).unwrap();
    let mut rounds = uplink.rounds();
    rounds.offer.send_replace(Some(SignedRoundOffer::from_bytes(vec![2; 8])));
    let parts: Vec<RoundPart> = RoundPart::cut(&SignedRoundAnswer::from_bytes(vec![3; 8]), &[0; 30_000]);
    let delivery = RoundDelivery { parts: parts.into(), stored: 0, attempt: 0 };
    rounds.delivery.send_replace(Some(delivery.clone()));
    for i in 0..5 {
        uplink.push(record(&format!("answer-{i}"))).await.unwrap();
    }
    tokio::spawn(lives.run());
    let came = tokio::time::timeout(PATIENCE, rounds.plan.wait_for(Option::is_some)).await.expect("in time");
    assert_eq!(*came.unwrap(), Some(plan));
    aggregator.until(|heard| heard.parts.len() == 3 && heard.offers == 1).await;
    assert_eq!(aggregator.parts, [(0, 5), (1, 5), (2, 5)], "after every answer");
    let receipt = RoundReceipt { round: 3, state: RoundState::Wanted(2) };
    let request = RoundRequest { signed: SignedGroupRequest::from_bytes(vec![4; 8]), body: b"a group".to_vec() };
    aggregator.publish(Topic::RoundRequest(self::home()), Message::RoundRequest(request.clone())).await;
    let came = tokio::time::timeout(PATIENCE, rounds.request.wait_for(Option::is_some)).await.expect("in time");
    assert_eq!(*came.unwrap(), Some(request));
    aggregator.publish(Topic::RoundReceipt(self::home()), Message::RoundReceipt(receipt)).await;
    let came = tokio::time::timeout(PATIENCE, rounds.receipt.wait_for(Option::is_some)).await.expect("in time");
    assert_eq!(*came.unwrap(), Some(receipt));
    rounds.delivery.send_replace(Some(RoundDelivery { stored: 2, ..delivery }));
    uplink.reconnect("a test");
    aggregator.until(|heard| heard.parts.len() == 4 && heard.offers == 2).await;
    assert_eq!(aggregator.parts[3].0, 2, "a new connection begins where the receipts end");
}
