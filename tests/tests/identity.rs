//! A home's certificate from end to end, over real TLS: renewed in time while the uplink lives, and after a long absence.

#[path = "identity/diskless.rs"]
mod diskless;
#[path = "identity/mirror.rs"]
mod mirror;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hearthwatch_api::http::config::{HttpConfig, HttpTls};
use hearthwatch_cloud::config::Config;
use hearthwatch_edge::enrol::{EnrolArgs, enrol};
use hearthwatch_edge_cloud::identity::pair::Pair;
use hearthwatch_edge_cloud::identity::renew::{Asked, renew};
use hearthwatch_edge_cloud::identity::{Identity, Life, keep};
use hearthwatch_edge_cloud::uplink::{self, UplinkConfig, UplinkState};
use hearthwatch_edge_store::outbox::{Outbox, SharingLevel};
use hearthwatch_emulator::broker::{BrokerFiles, EmbeddedBroker};
use hearthwatch_link::{LinkConfig, LinkEvent, TlsFiles, open};
use hearthwatch_protocol::messages::AgentStatus;
use hearthwatch_protocol::{HomeId, ModelVersion};
use hearthwatch_provision::claims::Claims;
use hearthwatch_provision::enrol::Enroller;
use hearthwatch_provision::{Layout, homes, init};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Far longer than anything here takes; reached only when a test fails.
const PATIENCE: Duration = Duration::from_secs(60);
/// Life of the certificates here, in days.
const DAYS: u32 = 30;

/// An installation whose `home-7` has had its certificate for so many days, and an aggregator that serves HTTPS on it.
struct Stand {
    layout: Layout,
    identity: Identity,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
    // Removed last.
    _dir: tempfile::TempDir,
}

impl Stand {
    async fn with_certificate_of(days_ago: i64) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().join("keys"));
        init::run(&layout, &init::Options::default(), Timestamp::now()).unwrap();
        let home = HomeId::new("home-7").unwrap();
        let then = Timestamp::now() - SignedDuration::from_hours(24 * days_ago);
        let (files, _) = homes::issue(&layout, &home, then, DAYS).unwrap();
        let listen = hearthwatch_tests::free_address();
        let mut config = Config::in_directory(dir.path().join("cloud"));
        hearthwatch_provision::files::make_dir(&config.data).unwrap();
        config.enrolment = Some(layout.root().to_owned());
        let tls = HttpTls { cert_file: layout.http_cert(), key_file: layout.http_key() };
        config.http = Some(HttpConfig { tls: Some(tls), calls_per_minute: 1_000_000, ..HttpConfig::new(listen) });
        let stop = CancellationToken::new();
        let serving = {
            let stop = stop.clone();
            tokio::spawn(async move { hearthwatch_cloud::serve::serve(config, stop).await.unwrap() })
        };
        let answers = async { while tokio::net::TcpStream::connect(listen).await.is_err() {} };
        tokio::time::timeout(PATIENCE, answers).await.expect("the aggregator listens");
        let pair = Pair { ca: files.ca(), cert: files.cert(), key: files.key() };
        let place = Some(format!("https://localhost:{}/", listen.port()).parse().unwrap());
        let identity = Identity { home, pair, place, seed: 1 };
        Self { layout, identity, stop, serving, _dir: dir }
    }

    async fn ask(&self) -> Asked {
        let place = self.identity.place.clone().unwrap();
        renew(&self.identity, &place, Timestamp::now().as_second(), &self.stop).await.unwrap()
    }

    async fn end(self) {
        self.stop.cancel();
        self.serving.await.unwrap();
    }
}

fn life(cert: &Path) -> Life {
    Life::of(&std::fs::read(cert).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_past_two_thirds_is_renewed_and_the_uplink_connects_with_it() {
    let mut stand = Stand::with_certificate_of(21).await;
    let broker = EmbeddedBroker::start(BrokerFiles::of(&stand.layout), 0).unwrap();
    let pair = stand.identity.pair.clone();
    let (before, key_before) = (life(&pair.cert), std::fs::read(&pair.key).unwrap());
    let uplink = {
        let tls = TlsFiles { ca: pair.ca.clone(), cert: Some(pair.cert.clone()), key: Some(pair.key.clone()) };
        let link = LinkConfig { tls: Some(tls), ..LinkConfig::new("localhost", broker.port(), "home-7") };
        let mut outbox = Outbox::open(&stand.layout.root().join("outbox.sqlite")).unwrap();
        outbox.configure_sharing(SharingLevel::Windows);
        let outbox = uplink::share(outbox);
        let config = UplinkConfig {
            home: stand.identity.home.clone(),
            link,
            directed: false,
            resend: uplink::RESEND,
            clock: Arc::new(|| Timestamp::now().as_second()),
            seed: 1,
        };
        let (_, status) = watch::channel(AgentStatus {
            online: true,
            agent_version: "test".to_owned(),
            model_version: ModelVersion::ROUTINE,
            entities: 0,
            outbox: 0,
        });
        uplink::start(config, outbox, status).unwrap()
    };
    let mut state = uplink.state();
    let connected = |state: &UplinkState| *state == UplinkState::Connected;
    tokio::time::timeout(PATIENCE, state.wait_for(connected)).await.expect("connected").unwrap();

    let identity = std::mem::replace(
        &mut stand.identity,
        Identity { home: HomeId::new("home-7").unwrap(), pair: pair.clone(), place: None, seed: 1 },
    );
    let clock = || Timestamp::now().as_second();
    let keeping = tokio::spawn(keep(identity, Some(uplink.clone()), clock, stand.stop.clone()));
    // The uplink lets go of the old certificate and comes back with the new one.
    let away = |state: &UplinkState| matches!(state, UplinkState::Away(_));
    tokio::time::timeout(PATIENCE, state.wait_for(away)).await.expect("connects anew").unwrap();
    tokio::time::timeout(PATIENCE, state.wait_for(connected)).await.expect("connected again").unwrap();

    assert!(life(&pair.cert).until > before.until);
    assert!(std::fs::read(&pair.key).unwrap() != key_before, "the key is new too");
    assert_eq!(std::fs::metadata(&pair.key).unwrap().permissions().mode() & 0o777, 0o600);
    uplink.stop().await;
    stand.stop.cancel();
    keeping.await.unwrap();
    stand.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_whose_certificate_ran_out_comes_back_when_an_operator_says_so() {
    let stand = Stand::with_certificate_of(40).await;
    assert_eq!(stand.ask().await, Asked::Waits);
    assert_eq!(stand.ask().await, Asked::Waits, "asking again is no word");
    let desk = Enroller::load(&stand.layout, DAYS).unwrap();
    desk.approve(&stand.identity.home, "ada", Timestamp::now()).unwrap();
    assert_eq!(stand.ask().await, Asked::Renewed);
    assert!(!life(&stand.identity.pair.cert).is_due(Timestamp::now().as_second()));
    stand.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_without_a_disk_enrols_at_each_start_and_only_its_newest_certificate_opens() {
    let stand = Stand::with_certificate_of(0).await;
    let token = Claims::at(stand.layout.claims()).issue_reusable(&stand.identity.home, Timestamp::now()).unwrap();
    let memory = tempfile::tempdir().unwrap();
    let token_file = memory.path().join("token");
    std::fs::write(&token_file, token.reveal()).unwrap();
    let start = |name: &str| EnrolArgs {
        url: stand.identity.place.clone().unwrap(),
        ca: stand.layout.ca_cert(),
        home: stand.identity.home.clone(),
        token_file: token_file.clone(),
        out: memory.path().join(name),
        wait: 0,
    };
    for name in ["first", "second"] {
        enrol(&start(name)).await.unwrap();
    }
    let broker = EmbeddedBroker::start(BrokerFiles::of(&stand.layout), 0).unwrap();
    let opens = async |name: &str| {
        let file = |kind: &str| memory.path().join(name).join(kind);
        let tls = TlsFiles { ca: file("ca.crt"), cert: Some(file("agent.crt")), key: Some(file("agent.key")) };
        let config = LinkConfig { tls: Some(tls), ..LinkConfig::new("localhost", broker.port(), "home-7") };
        let (handle, mut events) = open(config).unwrap();
        let first = tokio::time::timeout(PATIENCE, events.next()).await.expect("an answer").unwrap();
        handle.close().await;
        matches!(first, LinkEvent::Connected { .. })
    };
    assert!(opens("second").await);
    assert!(!opens("first").await, "taken back for the second");
    stand.end().await;
}
