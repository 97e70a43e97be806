//! A home without a disk as a real process: killed, its memory gone, and back by itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hearthwatch_cloud::aggregator::DATABASE_FILE;
use hearthwatch_cloud::dataset::Example;
use hearthwatch_cloud::training::{Challenger, Learner, Step};
use hearthwatch_emulator::demo::Stage;
use hearthwatch_model::train::Checkpoints;
use hearthwatch_protocol::{HomeId, Message, decode};
use hearthwatch_provision::claims::Claims;
use hearthwatch_tests::double::Sensor;
use hearthwatch_tests::guest::{Guest, Membership};
use hearthwatch_tests::program;
use jiff::Timestamp;
use serde_json::Value;

/// The recorder holds a state of each sensor every ten minutes.
const STEP: i64 = 600;
const SENSORS: [&str; 2] = ["sensor.hall", "sensor.kitchen"];

/// Nothing is trained here.
struct Idle;

impl Learner for Idle {
    fn corpus(&self) -> Result<String, String> {
        Ok("none".to_owned())
    }

    fn config(&self) -> String {
        "{}".to_owned()
    }

    fn learn(
        &self,
        _examples: &[Example],
        _champion: Option<&[u8]>,
        _checkpoints: &mut dyn Checkpoints,
        _progress: &mut dyn FnMut(Step),
    ) -> Result<Challenger, String> {
        Err("nothing is trained here".to_owned())
    }
}

/// The home's folder in memory, cleared when the test ends however it ends.
struct Memory(PathBuf);

impl Memory {
    fn of(home: &HomeId) -> Self {
        let shared = Path::new("/dev/shm");
        let memory = if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() };
        Self(memory.join(format!("hearthwatch-{home}")))
    }

    /// What a container's end does.
    fn lose(&self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }

    fn key(&self) -> Vec<u8> {
        std::fs::read(self.0.join("keys/agent.key")).unwrap()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // Gone already, when all went well.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Alarm and number of each answer that is stored, in the order of numbers.
fn stored(stage: &Stage) -> Vec<(String, u64)> {
    let store = rusqlite::Connection::open(stage.aggregator.state().config.data.join(DATABASE_FILE)).unwrap();
    let mut rows = store.prepare("SELECT payload FROM feedback ORDER BY sequence").unwrap();
    let payloads = rows.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    let answers = payloads.map(|payload| match decode(&payload.unwrap()) {
        Ok(Message::Feedback(record)) => (record.alarm.to_string(), record.sequence.0),
        other => panic!("stored as an answer: {other:?}"),
    });
    answers.collect()
}

/// Breaks a sensor, confirms the alarm that comes of it, and waits until the fleet has the answer; the alarm's id.
async fn answered(guest: &mut Guest, stage: &Stage, sensor: &str) -> String {
    guest.double.say([(sensor, "5000".to_owned())]);
    let about = |text: &str| {
        let attributes: Value = serde_json::from_str(text).unwrap();
        (attributes["watched_entity"] == sensor).then(|| attributes["alarm_id"].as_str().unwrap().to_owned())
    };
    let id = guest.line.wait_for_some("alarm/attributes", about).await.unwrap();
    guest.line.say("answer", &format!("{{\"alarm_id\":\"{id}\",\"verdict\":\"confirmed\"}}")).await.unwrap();
    let arrives = async {
        while !stored(stage).iter().any(|(alarm, _)| *alarm == id) {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(super::PATIENCE, arrives).await.unwrap_or_else(|_| panic!("not stored: {}", guest.log()));
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_without_a_disk_is_killed_and_enrols_again_and_nothing_is_stored_twice() {
    let has = ["/usr/sbin/mosquitto", "/usr/bin/mosquitto"].into_iter().any(|path| Path::new(path).exists());
    if !has {
        assert!(std::env::var_os("HEARTHWATCH_REQUIRE_MOSQUITTO").is_none(), "mosquitto is required and not installed");
        eprintln!("skipped: mosquitto is not installed");
        return;
    }
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    // Two runs on one machine share its memory.
    let home = HomeId::new(format!("diskless-{}", std::process::id())).unwrap();
    let memory = Memory::of(&home);
    let now = Timestamp::now();
    let homes = std::slice::from_ref(&home);
    let emulator = program("hearthwatch-emulator");
    let stage = Stage::build(&emulator, folder.path(), homes, Arc::new(Idle), 1, now.as_second()).await.unwrap();
    let token = Claims::at(stage.layout.claims()).issue_reusable(&home, now).unwrap();
    let claim = folder.path().join("claim");
    std::fs::write(&claim, token.reveal()).unwrap();
    let (ca, url, port) = (stage.layout.ca_cert(), &stage.url, stage.broker.port());
    let tables = format!(
        "[cloud]\nhome = \"{home}\"\n[cloud.enrol]\nurl = \"{url}\"\nca_file = {ca:?}\ntoken_file = {claim:?}\n\
         [cloud.mqtt]\nhost = \"localhost\"\nport = {port}\n[cloud.updates]\nurl = \"{url}/tuf/\"\nca_file = {ca:?}\n"
    );
    let sensor = |name: &str| Sensor {
        entity_id: name.to_owned(),
        device_class: "temperature",
        unit: "°C",
        state: "20.0".to_owned(),
    };
    let member = Membership { node: home.as_str(), state: "none", tables: &tables };
    // Only what has a full window of before can be learnt from; a little unrest, for a sensor that says nothing new is no sensor.
    let calm = Box::new(|_: &str, from: i64, until: i64| {
        let times = (from / STEP + 1)..=(until / STEP);
        times.map(|step| (step * STEP, format!("20.{}", step % 5))).collect()
    });
    let sensors = SENSORS.map(sensor).to_vec();
    let mut guest = Guest::start_as(member, &program("hearthwatch-edge"), sensors, calm).await.unwrap();

    let before = answered(&mut guest, &stage, SENSORS[0]).await;
    let key = memory.key();
    guest.kill();
    memory.lose();
    guest.start_again().await.unwrap();
    assert!(memory.key() != key, "enrolled anew, for a new key");
    let after = answered(&mut guest, &stage, SENSORS[1]).await;

    let stored = stored(&stage);
    let alarms: Vec<&str> = stored.iter().map(|(alarm, _)| alarm.as_str()).collect();
    assert_eq!(alarms, [before.as_str(), after.as_str()], "each once, in order");
    assert!(stored[0].1 < stored[1].1, "under numbers of their own: {stored:?}");
    assert!(!guest.log().contains(token.reveal()), "the token is in no log");
    guest.end().unwrap();
    assert!(!memory.0.exists(), "nothing is left in memory");
    stage.strike().await;
}
