//! A stranger's walk: a home whose recorder holds a fortnight of a recorded one, from set-up to the empty registries.
//!
//! What is seen on the way is kept under the target directory's `tmp/walk/`: the log, the page, the picture on the phone.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use hearthwatch_emulator::data::{Source, homes};
use hearthwatch_model::dataset::RecordedHome;
use hearthwatch_model::reading::{EntityInfo, Value};
use serde_json::{Value as Json, json};

use crate::home::Home;
use crate::instance::free_port;
use crate::phone::Phone;
use crate::{ALARM, IMPOSSIBLE, answered, is};

/// What the recorder remembers before the agent comes.
const SEEDED_SECONDS: i64 = 14 * 86_400;
/// A recorded home of the bundled set, and where in its year the fortnight begins: in its sixth week.
const SET: &str = "citylearn_2022_homes";
const HOME: &str = "building-01";
const BEGIN_SECONDS: i64 = 40 * 86_400;

/// Keeps a protocol of the walk.
struct Diary {
    folder: PathBuf,
    begun: Instant,
    text: String,
}

impl Diary {
    fn open() -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("walk");
        std::fs::create_dir_all(&folder).unwrap();
        Self { folder, begun: Instant::now(), text: String::new() }
    }

    fn note(&mut self, line: &str) {
        let seconds = self.begun.elapsed().as_secs_f64();
        println!("{seconds:6.1} s  {line}");
        writeln!(self.text, "{seconds:6.1} s  {line}").unwrap();
        std::fs::write(self.folder.join("log.txt"), &self.text).unwrap();
    }

    fn keep(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.folder.join(name), bytes).unwrap();
    }
}

fn recorded() -> RecordedHome {
    let mut all = homes(&Source::Bundled, &[SET]).unwrap();
    let home = all.swap_remove(all.iter().position(|home| home.name == HOME).unwrap());
    let begin = home.span().unwrap().0 + BEGIN_SECONDS;
    home.between(begin, begin + SEEDED_SECONDS)
}

fn entity_id(info: &EntityInfo) -> String {
    format!("sensor.recorded_{}", info.entity_id.split_once('.').map_or("x", |(_, name)| name))
}

/// Announces what was recorded as sensors of one device, each with its last value.
async fn announce(home: &Home, recorded: &RecordedHome) {
    let components: serde_json::Map<String, Json> = recorded
        .entities
        .iter()
        .enumerate()
        .map(|(index, info)| {
            let component = json!({"platform": "sensor", "unique_id": format!("recorded_{index}"),
                "name": format!("Sensor {index}"), "default_entity_id": entity_id(info), "state_class": "measurement",
                "device_class": info.class.as_str(), "unit_of_measurement": info.unit,
                "state_topic": format!("recorded/{index}")});
            (format!("s{index}"), component)
        })
        .collect();
    let device = json!({"device": {"identifiers": ["recorded"], "name": "Recorded"}, "origin": {"name": "the test"},
        "components": components});
    home.publish("homeassistant/device/recorded/config", &device.to_string()).await;
    for (index, info) in recorded.entities.iter().enumerate() {
        let last = recorded.readings.iter().rev().find(|reading| reading.entity as usize == index);
        if let Some(Value::Number(number)) = last.map(|reading| reading.value) {
            home.publish(&format!("recorded/{index}"), &number.to_string()).await;
            home.owner.state_when(&entity_id(info), "known", |state| state["state"] != "unknown").await;
        }
    }
}

/// Writes the recording into the recorder's database, moved so that it ends now; how many states that are. Home Assistant
/// must be stopped.
fn seed(home: &Home, recorded: &RecordedHome) -> usize {
    let mut database = rusqlite::Connection::open(home.path("config/home-assistant_v2.db")).unwrap();
    let shift = jiff::Timestamp::now().as_second() - recorded.span().unwrap().1 - 600;
    let tx = database.transaction().unwrap();
    let mut seeded = 0;
    for (index, info) in recorded.entities.iter().enumerate() {
        let select = "SELECT metadata_id FROM states_meta WHERE entity_id = ?1";
        let meta: i64 = tx.query_row(select, [entity_id(info)], |row| row.get(0)).unwrap();
        let mut insert =
            tx.prepare("INSERT INTO states (state, last_updated_ts, metadata_id) VALUES (?1, ?2, ?3)").unwrap();
        for reading in recorded.readings.iter().filter(|reading| reading.entity as usize == index) {
            if let Value::Number(number) = reading.value {
                insert.execute(rusqlite::params![number.to_string(), reading.at + shift, meta]).unwrap();
                seeded += 1;
            }
        }
    }
    tx.commit().unwrap();
    seeded
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_told_answers_by_every_path_and_leaves_no_trace() {
    let Some(mut home) = Home::new().await else { return };
    let mut diary = Diary::open();
    let recorded = recorded();
    announce(&home, &recorded).await;
    home.home_assistant.stop();
    let seeded = seed(&home, &recorded);
    home.home_assistant.start_again();
    home.owner.state_when("sensor.cellar_freezer", "there again", |state| state["state"] != "unavailable").await;
    diary.note(&format!(
        "seeded {seeded} states of {} sensors of {}, 14 days",
        recorded.entities.len(),
        recorded.full_name()
    ));

    let page = format!("127.0.0.1:{}", free_port());
    let (config, said) = home.set_up_with_page(&page);
    said.lines().for_each(|line| diary.note(line));
    home.start_agent(&config);
    home.agent_says("mode: listening to Home Assistant", 0).await;
    diary.note("listening");
    let ready = |state: &Json| state["attributes"]["days"].as_i64().is_some_and(|days| days >= 13);
    let readiness = home.owner.state_when("sensor.hearthwatch_readiness", "told", ready);
    // The first step closes within ten minutes; what is ready is on the page before that.
    let shown = tokio::time::timeout(std::time::Duration::from_secs(1), readiness).await;
    diary.note(
        &shown.map_or("readiness: after the first step".to_owned(), |state| format!("readiness: {}", state["state"])),
    );

    let mut phone = Phone::new(&home.owner, "ann").await;
    let since = Instant::now();
    home.say_temperature(IMPOSSIBLE).await;
    let told = phone.hears().await;
    diary.note(&format!(
        "the phone is told after {} ms: {} {}",
        since.elapsed().as_millis(),
        told["title"],
        told["message"]
    ));
    diary.keep("phone.png", &home.owner.bytes(told["data"]["image"].as_str().unwrap()).await);
    let alarm = home.owner.state_when(ALARM, "on", is("on")).await;
    let id = alarm["attributes"]["alarm_id"].as_str().unwrap().to_owned();

    // By the phone, the device's button, an automation, the page; the last answer counts.
    phone.taps(&home.owner, "CONFIRMED", &id).await;
    home.owner.state_when(ALARM, "confirmed", answered("confirmed")).await;
    diary.note("answered on the phone");
    home.owner.press("button.hearthwatch_expected").await;
    home.owner.state_when(ALARM, "expected", answered("expected")).await;
    diary.note("answered by the button");
    let answer = json!({"alarm_id": id, "verdict": "confirmed", "by": "Ben"}).to_string();
    home.command("hearthwatch/home/command/answer", &answer).await;
    home.owner.state_when(ALARM, "confirmed", answered("confirmed")).await;
    diary.note("answered by an automation");
    let text = home.owner.page(&page, "/").await;
    diary.keep("page.html", text.as_bytes());
    assert!(text.contains("Freezer") && text.contains("5000"), "the page shows the alarm");
    home.owner.answer_on_page(&page, &text, &id, "dismissed").await;
    home.owner.state_when(ALARM, "dismissed", answered("dismissed")).await;
    diary.note("answered on the page");

    let since = Instant::now();
    home.owner.page(&page, "/preview?budget=3").await;
    diary.note(&format!("the preview of the last 30 days took {} ms", since.elapsed().as_millis()));
    let sample = home.owner.page(&page, "/sample/windows").await;
    diary.keep("sample.html", sample.as_bytes());
    home.command("hearthwatch/home/command/miss", &json!({"entity_id": "sensor.cellar_freezer"}).to_string()).await;
    home.agent_says("a resident says that something was missed", 0).await;
    diary.note("reported a miss");

    let (memory, busy) = home.agent_usage();
    let lived = diary.begun.elapsed().as_secs_f64();
    diary.note(&format!(
        "the agent holds {memory:.1} MB and was busy for {busy:.2} s of {lived:.0} s, warm start included"
    ));

    // The automation is the resident's own; they take it away as they made it.
    phone.forget(&home.owner).await;
    home.stop_agent();
    home.leave(&config);
    home.owner.until("nothing of ours", async |owner| owner.ours().await.is_empty().then_some(())).await;
    assert!(!home.path("agent/state").exists());
    diary.note("left: nothing of ours in Home Assistant's registries and states, no memory on disk");
}
