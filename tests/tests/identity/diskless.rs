//! A home without a disk as a real process: killed, its memory gone, and back by itself.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::Path;

use hearthwatch_cloud::aggregator::DATABASE_FILE;
use hearthwatch_edge_store::outbox::{LedgerState, Outbox};
use hearthwatch_emulator::demo::Stage;
use hearthwatch_emulator::home_assistant::Sensor;
use hearthwatch_protocol::{Message, decode};
use hearthwatch_tests::fleet::Fleet;
use hearthwatch_tests::guest::{Guest, Membership};
use hearthwatch_tests::memory::Memory;
use hearthwatch_tests::program;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

/// The recorder holds a state of each sensor every ten minutes.
const STEP: i64 = 600;
const SENSORS: [&str; 2] = ["sensor.hall", "sensor.kitchen"];

/// The key that the home enrolled with.
fn key(memory: &Memory) -> Vec<u8> {
    std::fs::read(memory.path().join("keys/agent.key")).unwrap()
}

/// A port at which nobody listens until it is opened.
struct Gate(u16);

impl Gate {
    fn shut() -> Self {
        Self(hearthwatch_tests::free_address().port())
    }

    /// Passes on to another port from now on.
    async fn open(&self, to: u16) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.0)).await.unwrap();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                tokio::spawn(async move {
                    if let Ok(mut far) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await {
                        // Either end may go at any time.
                        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                    }
                });
            }
        });
    }
}

/// Whether there is a mosquitto to be tried with.
fn has_mosquitto() -> bool {
    let has = ["/usr/sbin/mosquitto", "/usr/bin/mosquitto"].into_iter().any(|path| Path::new(path).exists());
    if !has {
        assert!(std::env::var_os("HEARTHWATCH_REQUIRE_MOSQUITTO").is_none(), "mosquitto is required and not installed");
        eprintln!("skipped: mosquitto is not installed");
    }
    has
}

async fn start_guest(fleet: &Fleet, tables: &str) -> Guest {
    let sensor = |name: &str| Sensor {
        entity_id: name.to_owned(),
        device_class: "temperature",
        unit: "°C".to_owned(),
        state: "20.0".to_owned(),
    };
    let member = Membership { node: fleet.home.as_str(), state: "none", tables };
    // Only what has a full window of before can be learnt from; a little unrest, for a sensor that says nothing new is no sensor.
    let calm = Box::new(|_: &str, from: i64, until: i64| {
        let times = (from / STEP + 1)..=(until / STEP);
        times.map(|step| (step * STEP, format!("20.{}", step % 5))).collect()
    });
    let sensors = SENSORS.map(sensor).to_vec();
    Guest::start_as(member, &program("hearthwatch-edge"), sensors, calm).await.unwrap()
}

/// Alarm and number of each answer that is stored, in the order of numbers.
fn stored(stage: &Stage) -> Vec<(String, u64)> {
    let store = rusqlite::Connection::open(stage.aggregator.config().data.join(DATABASE_FILE)).unwrap();
    let mut rows = store.prepare("SELECT payload FROM feedback ORDER BY sequence").unwrap();
    let payloads = rows.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    let answers = payloads.map(|payload| match decode(&payload.unwrap()) {
        Ok(Message::Feedback(record)) => (record.alarm.to_string(), record.sequence.0),
        other => panic!("stored as an answer: {other:?}"),
    });
    answers.collect()
}

/// Breaks a sensor and mends it; the id of the alarm that comes of it.
async fn alarmed(guest: &mut Guest, sensor: &str) -> String {
    guest.double.say([(sensor, "5000".to_owned())]);
    let about = |text: &str| {
        let attributes: Value = serde_json::from_str(text).unwrap();
        (attributes["watched_entity"] == sensor).then(|| attributes["alarm_id"].as_str().unwrap().to_owned())
    };
    let id = guest.line.wait_for_some("alarm/attributes", about).await.unwrap();
    guest.double.say([(sensor, "20.1".to_owned())]);
    id
}

async fn confirm(guest: &mut Guest, id: &str) {
    guest.line.say("answer", &format!("{{\"alarm_id\":\"{id}\",\"verdict\":\"confirmed\"}}")).await.unwrap();
    let confirmed = |text: &str| {
        let said: Value = serde_json::from_str(text).unwrap();
        said["alarm_id"] == id && said["event_type"] == "confirmed" && said["shared"] == true
    };
    guest.line.wait_for("event", confirmed).await.unwrap();
}

/// Waits until the aggregator's store is as wanted.
async fn until(guest: &Guest, what: &str, wanted: impl Fn() -> bool) {
    let comes = async {
        while !wanted() {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(super::PATIENCE, comes).await.unwrap_or_else(|_| panic!("{what}: {}", guest.log()));
}

/// Breaks a sensor, confirms the alarm that comes of it, and waits until the fleet has the answer; the alarm's id.
async fn answered(guest: &mut Guest, stage: &Stage, sensor: &str) -> String {
    let id = alarmed(guest, sensor).await;
    confirm(guest, &id).await;
    until(guest, "stored", || stored(stage).iter().any(|(alarm, _)| *alarm == id)).await;
    id
}

/// The alarms whose answers the home said in this life and knows to be safe, in the order of their ids; none while one waits.
fn settled(memory: &Memory) -> Option<Vec<String>> {
    let file = memory.path().join("state/outbox.sqlite");
    // Opening would make it.
    let outbox = file.exists().then(|| Outbox::open(&file).unwrap())?;
    let entries = outbox.ledger(None, 100).unwrap();
    let stored = entries.into_iter().filter(|entry| entry.state == LedgerState::Stored);
    let alarms = stored.filter_map(|entry| match decode(&entry.payload) {
        Ok(Message::Feedback(record)) => Some(record.alarm.to_string()),
        _ => None,
    });
    let alarms: BTreeSet<String> = alarms.collect();
    (outbox.waiting().unwrap() == 0).then(|| alarms.into_iter().collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_without_a_disk_is_killed_and_enrols_again_and_nothing_is_stored_twice() {
    if !has_mosquitto() {
        return;
    }
    let fleet = Fleet::of("diskless").await.unwrap();
    let (memory, stage) = (Memory::of(fleet.home.as_str()), &fleet.stage);
    let mut guest = start_guest(&fleet, &fleet.tables(fleet.http_port().unwrap(), fleet.mqtt_port())).await;

    let before = answered(&mut guest, stage, SENSORS[0]).await;
    let before_key = key(&memory);
    guest.kill();
    memory.lose().unwrap();
    guest.start_again().await.unwrap();
    let after = answered(&mut guest, stage, SENSORS[1]).await;
    assert!(key(&memory) != before_key, "enrolled anew, for a new key");

    let stored = stored(stage);
    let alarms: Vec<&str> = stored.iter().map(|(alarm, _)| alarm.as_str()).collect();
    assert_eq!(alarms, [before.as_str(), after.as_str()], "each once, in order");
    assert!(stored[0].1 < stored[1].1, "under numbers of their own: {stored:?}");
    assert!(!guest.log().contains(fleet.token.reveal()), "the token is in no log");
    guest.end().unwrap();
    assert!(!memory.path().exists(), "nothing is left in memory");
    fleet.stage.strike().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_that_is_away_silences_nobody_and_what_was_said_meanwhile_outlives_the_memory() {
    if !has_mosquitto() {
        return;
    }
    let fleet = Fleet::of("forgetful").await.unwrap();
    let (memory, stage, node) = (Memory::of(fleet.home.as_str()), &fleet.stage, fleet.home.as_str());
    let (http, mqtt) = (Gate::shut(), Gate::shut());
    // Nobody answers, and the home is watched all the same: alarms come and are answered.
    let mut guest = start_guest(&fleet, &fleet.tables(http.0, mqtt.0)).await;
    let outside = "mode: listening to Home Assistant 2026.11.0, 2 entities; home's broker connected; not in the fleet, answers wait here \
                   (the fleet does not answer";
    assert!(guest.log().contains(outside), "{}", guest.log());
    let said = alarmed(&mut guest, SENSORS[0]).await;
    confirm(&mut guest, &said).await;
    // What somebody confirmed does not count against the week's one alarm.
    let unanswered = alarmed(&mut guest, SENSORS[1]).await;

    // Memory, outbox and all go before the fleet is back; what is left is in Home Assistant's recorder.
    guest.kill();
    memory.lose().unwrap();
    guest.double.remember(guest.line.recorded(node));
    http.open(fleet.http_port().unwrap()).await;
    mqtt.open(fleet.mqtt_port()).await;
    guest.start_again().await.unwrap();
    until(&guest, "the answer arrives", || !stored(stage).is_empty()).await;
    confirm(&mut guest, &unanswered).await;
    until(&guest, "the other one too", || stored(stage).len() == 2).await;

    // Once more: what has arrived is said again, for nobody knows, and is not counted again.
    guest.kill();
    memory.lose().unwrap();
    guest.double.remember(guest.line.recorded(node));
    guest.start_again().await.unwrap();
    let mut both = vec![said.clone(), unanswered.clone()];
    both.sort();
    until(&guest, "both are known to be safe", || settled(&memory).as_ref() == Some(&both)).await;
    let alarms: Vec<String> = stored(stage).into_iter().map(|(alarm, _)| alarm).collect();
    assert_eq!(alarms, [said, unanswered], "each once");
    guest.end().unwrap();
    fleet.stage.strike().await;
}
