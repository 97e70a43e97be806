//! The link against a real mosquitto: what is promised about publications, subscriptions, wills and certificates.
//!
//! Without mosquitto on the machine each test says so and does nothing; with `HEARTHWATCH_REQUIRE_MOSQUITTO` set it fails.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hearthwatch_link::{
    Backoff, CREDENTIALS_REFUSED, LinkConfig, LinkError, LinkEvent, LinkEvents, LinkHandle, Publication, TlsFiles,
    open, open_after,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// Longest that any single step may take before the test is called failed; generous for a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct Broker {
    child: Child,
    directory: tempfile::TempDir,
    port: u16,
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn mosquitto() -> Option<PathBuf> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")])
        .map(|directory| directory.join("mosquitto"))
        .find(|path| path.is_file());
    if found.is_none() {
        assert!(std::env::var_os("HEARTHWATCH_REQUIRE_MOSQUITTO").is_none(), "mosquitto is required and not installed");
        eprintln!("skipped: mosquitto is not installed");
    }
    found
}

/// Writes the configuration and starts the broker; `extra` lines come after the listener's.
fn start(extra: &str, directory: tempfile::TempDir) -> Option<Broker> {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let program = mosquitto()?;
    let base = directory.path().display().to_string();
    let user = std::env::var("USER").unwrap_or_else(|_| "root".to_owned());
    let text = format!("listener {port} 127.0.0.1\nuser {user}\n{}", extra.replace("@", &base));
    std::fs::write(directory.path().join("mosquitto.conf"), text).unwrap();
    let child = spawn(&program, directory.path());
    Some(Broker { child, directory, port })
}

fn spawn(program: &Path, directory: &Path) -> Child {
    Command::new(program)
        .arg("-c")
        .arg(directory.join("mosquitto.conf"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn config(broker: &Broker, client_id: &str, subscriptions: &[&str]) -> LinkConfig {
    LinkConfig {
        subscriptions: subscriptions.iter().map(|&filter| filter.to_owned()).collect(),
        backoff: Backoff { first: Duration::from_millis(20), longest: Duration::from_millis(200) },
        keep_alive_seconds: 5,
        ..LinkConfig::new("127.0.0.1", broker.port, client_id)
    }
}

fn say(topic: &str, payload: &str, retain: bool) -> Publication {
    Publication { topic: topic.to_owned(), payload: payload.as_bytes().to_vec(), retain }
}

async fn next(events: &mut LinkEvents) -> LinkEvent {
    tokio::time::timeout(PATIENCE, events.next()).await.expect("an event in time").expect("an open link")
}

async fn until_connected(events: &mut LinkEvents) -> bool {
    loop {
        if let LinkEvent::Connected { session_present } = next(events).await {
            return session_present;
        }
    }
}

async fn message(events: &mut LinkEvents) -> (String, String, bool) {
    loop {
        if let LinkEvent::Message { topic, payload, retain } = next(events).await {
            return (topic, String::from_utf8(payload.to_vec()).unwrap(), retain);
        }
    }
}

async fn connected(config: LinkConfig) -> (LinkHandle, LinkEvents) {
    let (handle, mut events) = open(config).unwrap();
    until_connected(&mut events).await;
    (handle, events)
}

fn heard(topic: &str, payload: &str, retain: bool) -> (String, String, bool) {
    (topic.to_owned(), payload.to_owned(), retain)
}

#[tokio::test]
async fn a_publication_resolves_on_acknowledgement_and_reaches_a_subscriber() {
    let Some(broker) = start("allow_anonymous true\n", tempfile::tempdir().unwrap()) else { return };
    let (_listener, mut heard_by) = connected(config(&broker, "listener", &["a/+"])).await;
    let (speaker, _events) = connected(config(&broker, "speaker", &[])).await;
    speaker.publish(say("a/b", "hello", false)).await.unwrap();
    assert_eq!(message(&mut heard_by).await, heard("a/b", "hello", false));

    speaker.publish(say("a/kept", "kept", true)).await.unwrap();
    let (_late, mut heard_late) = connected(config(&broker, "late", &["a/kept"])).await;
    assert_eq!(message(&mut heard_late).await, heard("a/kept", "kept", true));
}

#[tokio::test]
async fn a_broker_that_does_not_accept_who_we_are_is_told_apart_from_one_that_is_away() {
    let Some(broker) = start("allow_anonymous false\n", tempfile::tempdir().unwrap()) else { return };
    let (_link, mut events) = open(config(&broker, "stranger", &[])).unwrap();
    // Until the broker listens nobody answers.
    loop {
        match next(&mut events).await {
            LinkEvent::Disconnected { reason } if reason == CREDENTIALS_REFUSED => break,
            LinkEvent::Disconnected { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_refused_publication_is_an_error_with_the_reason_and_the_link_stays_up() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("acl"), "topic readwrite mine/#\n").unwrap();
    let Some(broker) = start("allow_anonymous true\nacl_file @/acl\n", directory) else { return };
    let (speaker, _events) = connected(config(&broker, "speaker", &[])).await;
    let error = speaker.publish(say("theirs/a", "x", false)).await.unwrap_err();
    assert!(matches!(&error, LinkError::Refused(reason) if reason == "NotAuthorized"), "{error:?}");
    speaker.publish(say("mine/a", "x", false)).await.unwrap();
    assert!(matches!(speaker.publish(say("a/+", "x", false)).await, Err(LinkError::Topic(_))));
    let big = Publication { payload: vec![0; 2 << 20], ..say("mine/a", "", false) };
    assert!(matches!(speaker.publish(big).await, Err(LinkError::TooLarge { .. })));
}

#[tokio::test]
async fn a_broker_that_dies_and_returns_finds_the_link_subscribed_again() {
    let Some(mut broker) = start("allow_anonymous true\n", tempfile::tempdir().unwrap()) else { return };
    let (handle, mut events) = connected(config(&broker, "a", &["a/b"])).await;
    broker.child.kill().unwrap();
    broker.child.wait().unwrap();
    assert!(matches!(next(&mut events).await, LinkEvent::Disconnected { .. }));
    assert!(matches!(handle.publish(say("a/b", "lost", false)).await, Err(LinkError::NotConnected)));
    broker.child = spawn(&mosquitto().unwrap(), broker.directory.path());
    until_connected(&mut events).await;
    handle.publish(say("a/b", "again", false)).await.unwrap();
    assert_eq!(message(&mut events).await, heard("a/b", "again", false));
}

#[tokio::test]
async fn the_will_is_published_when_a_link_is_dropped_and_not_when_it_is_closed() {
    let Some(broker) = start("allow_anonymous true\n", tempfile::tempdir().unwrap()) else { return };
    let (_watcher, mut heard_by) = connected(config(&broker, "watcher", &["will/+"])).await;
    let with_will = |name: &str| LinkConfig {
        will: Some(say(&format!("will/{name}"), "gone", false)),
        ..config(&broker, name, &[])
    };
    let (closed, mut closed_events) = connected(with_will("closed")).await;
    closed.clone().close().await;
    assert_eq!(closed_events.next().await, None);
    assert!(matches!(closed.publish(say("a", "", false)).await, Err(LinkError::Closed)));

    let (_dropped, dropped_events) = connected(with_will("dropped")).await;
    drop(dropped_events);
    assert_eq!(message(&mut heard_by).await, heard("will/dropped", "gone", false));
}

#[tokio::test]
async fn a_kept_session_delivers_what_was_said_while_the_program_was_away() {
    let Some(broker) = start("allow_anonymous true\n", tempfile::tempdir().unwrap()) else { return };
    let kept = LinkConfig { clean_start: false, ..config(&broker, "worker", &["$share/workers/up/+"]) };
    let (first, mut first_events) = open(kept.clone()).unwrap();
    assert!(!until_connected(&mut first_events).await);
    first.close().await;
    let (speaker, _events) = connected(config(&broker, "speaker", &[])).await;
    for i in 0..300 {
        speaker.publish(say("up/a", &i.to_string(), false)).await.unwrap();
    }
    let (second, mut events) = open(kept).unwrap();
    assert!(until_connected(&mut events).await);
    // mosquitto queues 1,000 messages for an absent client by default.
    for i in 0..100 {
        assert_eq!(message(&mut events).await.1, i.to_string());
        // The reader publishes between two messages, as an aggregator does, while more wait to be read.
        second.publish(say("down/a", "receipt", false)).await.unwrap();
    }
    for i in 100..300 {
        assert_eq!(message(&mut events).await.1, i.to_string());
    }
}

#[tokio::test]
async fn a_kept_session_loses_the_filters_of_earlier_days_and_nothing_that_was_said_meanwhile() {
    let Some(broker) = start("allow_anonymous true\n", tempfile::tempdir().unwrap()) else { return };
    let old = LinkConfig { clean_start: false, ..config(&broker, "worker", &["$share/old/up/+"]) };
    let (first, mut first_events) = open(old.clone()).unwrap();
    until_connected(&mut first_events).await;
    first.close().await;
    let (speaker, _events) = connected(config(&broker, "speaker", &[])).await;
    speaker.publish(say("up/a", "meanwhile", false)).await.unwrap();

    let subscriptions = vec!["$share/new/up/+".to_owned(), "known".to_owned()];
    let (second, mut events) = open(LinkConfig { subscriptions, forgotten: old.subscriptions.clone(), ..old }).unwrap();
    assert!(until_connected(&mut events).await);
    assert_eq!(message(&mut events).await.1, "meanwhile");
    // The broker takes packets in order: what the worker says itself comes after its farewell to the old filter.
    second.publish(say("known", "forgotten", false)).await.unwrap();
    assert_eq!(message(&mut events).await.1, "forgotten");
    speaker.publish(say("up/a", "later", false)).await.unwrap();
    speaker.publish(say("known", "end", false)).await.unwrap();
    assert_eq!(message(&mut events).await.1, "later");
    assert_eq!(message(&mut events).await.1, "end", "once, by the new filter alone");
}

struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    fn issue(&self, directory: &Path, name: &str) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(directory.join(format!("{name}.crt")), certificate.pem()).unwrap();
        std::fs::write(directory.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

#[tokio::test]
async fn with_mutual_tls_only_a_known_certificate_from_the_pinned_authority_connects() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    ours.issue(&path, "server");
    ours.issue(&path, "home-7");
    theirs.issue(&path, "stranger");
    std::fs::write(path.join("ca.crt"), ours.issuer.pem()).unwrap();
    std::fs::write(path.join("other-ca.crt"), theirs.issuer.pem()).unwrap();
    let extra = "cafile @/ca.crt\ncertfile @/server.crt\nkeyfile @/server.key\nrequire_certificate true\n\
                 use_identity_as_username true\ntls_version tlsv1.3\n";
    let Some(broker) = start(extra, directory) else { return };
    let files = |ca: &str, name: Option<&str>| {
        Some(TlsFiles {
            ca: path.join(ca),
            cert: name.map(|name| path.join(format!("{name}.crt"))),
            key: name.map(|name| path.join(format!("{name}.key"))),
        })
    };
    let config = |tls| LinkConfig { host: "localhost".to_owned(), tls, ..config(&broker, "home-7", &["a"]) };
    let (handle, mut events) = connected(config(files("ca.crt", Some("home-7")))).await;
    handle.publish(say("a", "secret", false)).await.unwrap();
    assert_eq!(message(&mut events).await.1, "secret");
    handle.close().await;

    for (tls, expected) in [
        (files("ca.crt", None), "CertificateRequired"),
        (files("ca.crt", Some("stranger")), "UnknownCA"),
        (files("other-ca.crt", Some("home-7")), "UnknownIssuer"),
    ] {
        let (_handle, mut events) = open(config(tls)).unwrap();
        match next(&mut events).await {
            LinkEvent::Disconnected { reason } => assert!(reason.contains(expected), "{reason}"),
            other => panic!("{expected}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_link_that_waits_for_its_files_connects_when_they_are_there_and_can_be_closed_before() {
    let Some(broker) = start("allow_anonymous true\n", tempfile::tempdir().unwrap()) else { return };
    let files = TlsFiles { ca: broker.directory.path().join("not-yet"), cert: None, key: None };
    let waiting = LinkConfig { tls: Some(files), ..config(&broker, "never", &[]) };
    assert!(matches!(open(waiting.clone()), Err(LinkError::File { .. })));
    let (handle, mut events) = open_after(waiting, std::future::pending());
    tokio::time::timeout(PATIENCE, handle.close()).await.expect("closed while it waits");
    assert_eq!(events.next().await, None, "nothing was tried, so nothing is told");

    let (ready, wait) = tokio::sync::oneshot::channel();
    let (_handle, mut events) = open_after(config(&broker, "later", &[]), async { drop(wait.await) });
    ready.send(()).unwrap();
    until_connected(&mut events).await;
}
