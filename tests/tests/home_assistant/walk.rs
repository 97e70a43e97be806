//! A stranger's walk: a home whose recorder holds four weeks of a recorded one, from set-up to the empty registries.
//!
//! Home Assistant, mosquitto, browser, agent, aggregator, fleet's broker and signed repository are real; the phone is simulated,
//! and the aggregator's learner is a [stand-in](crate::fleet). What is seen on the way is kept under the target directory's
//! `tmp/walk/`: the log, pictures of the page and of Home Assistant, the picture on the phone.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use hearthwatch_detector::reading::{EntityInfo, Value};
use hearthwatch_emulator::data::{Source, homes};
use hearthwatch_evaluation::dataset::RecordedHome;
use serde_json::{Value as Json, json};

use crate::chrome::{Chrome, Light};
use crate::fleet::Fleet;
use crate::home::Home;
use crate::phone::Phone;
use crate::{ALARM, IMPOSSIBLE, answered, is};

/// What the recorder remembers before the agent comes.
const SEEDED_SECONDS: i64 = 28 * 86_400;
/// A recorded home of the bundled set, and where in its year that begins: in its sixth week.
const SET: &str = "citylearn_2022_homes";
const HOME: &str = "building-01";
const BEGIN_SECONDS: i64 = 40 * 86_400;
/// What is replayed while the agent watches: the next day of the recording, an hour at a time.
const REPLAYED_SECONDS: i64 = 86_400;
/// The recorded sensor that breaks.
const BROKEN: &str = "temperature";
/// What is put into the past beside the recording, that there be something to judge in hindsight: on some days the house takes
/// so many watts more for six hours, as if ovens, heaters and a car were on at once: it must be plain.
const LEFT_ON: [(i64, f64); 5] = [(22, 5_000.0), (23, 7_000.0), (24, 10_000.0), (25, 14_000.0), (26, 19_000.0)];
const LEFT_ON_FROM_SECONDS: i64 = 10 * 3_600;
const LEFT_ON_SECONDS: i64 = 6 * 3_600;

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

/// The weeks that are remembered, and the day after them.
fn recorded() -> (RecordedHome, RecordedHome) {
    let mut all = homes(&Source::Bundled, &[SET]).unwrap();
    let home = all.swap_remove(all.iter().position(|home| home.name == HOME).unwrap());
    let begin = home.span().unwrap().0 + BEGIN_SECONDS;
    let until = begin + SEEDED_SECONDS;
    let mut remembered = home.between(begin, until);
    let power = remembered.entities.iter().position(|info| info.class.as_str() == "power").unwrap();
    for reading in remembered.readings.iter_mut().filter(|reading| reading.entity as usize == power) {
        let since = |day: i64| reading.at - begin - day * 86_400 - LEFT_ON_FROM_SECONDS;
        let more = LEFT_ON.iter().find(|(day, _)| (0..LEFT_ON_SECONDS).contains(&since(*day)));
        if let (Value::Number(number), Some((_, more))) = (&mut reading.value, more) {
            *number += more;
        }
    }
    (remembered, home.between(until, until + REPLAYED_SECONDS))
}

fn place_of_broken(recorded: &RecordedHome) -> usize {
    recorded.entities.iter().position(|info| info.class.as_str() == BROKEN).unwrap()
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

/// Goes on with the recording, faster than it was lived; how many states that are.
async fn replay(home: &Home, recorded: &RecordedHome) -> usize {
    let mut told = 0;
    for reading in &recorded.readings {
        if let Value::Number(number) = reading.value {
            home.publish(&format!("recorded/{}", reading.entity), &number.to_string()).await;
            told += 1;
        }
    }
    told
}

/// Everything that the walk needs and that is not the home's.
struct Walk {
    home: Home,
    fleet: Fleet,
    chrome: Chrome,
    diary: Diary,
    page: String,
}

impl Walk {
    /// What the page shows from the top to its end, at a phone's width in the dark and at a desk's in the light.
    async fn picture_page(&mut self, name: &str) {
        for (width, height, light, suffix) in [(360, 740, Light::Dark, "phone"), (1280, 900, Light::Bright, "desk")] {
            self.chrome.look(width, height, light).await;
            self.chrome.open(&format!("http://{}/", self.page)).await;
            self.chrome.picture(&self.diary.folder.join(format!("{name}-{suffix}.png"))).await;
        }
    }

    async fn command(&self, what: &str, payload: &Json) {
        let topic = format!("hearthwatch/{}/command/{what}", self.fleet.node());
        self.home.command(&topic, &payload.to_string()).await;
    }

    /// Breaks a sensor, and answers what comes of it by every path; the last answer counts.
    async fn alarm_and_answers(&mut self, phone: &mut Phone, topic: &str) {
        let since = Instant::now();
        self.home.publish(topic, IMPOSSIBLE).await;
        let told = phone.hears().await;
        let (took, title, message) = (since.elapsed().as_millis(), &told["title"], &told["message"]);
        self.diary.note(&format!("the phone is told after {took} ms: {title} {message}"));
        let picture = self.home.owner.bytes(told["data"]["image"].as_str().unwrap()).await;
        assert!(picture.starts_with(b"\x89PNG"));
        self.diary.keep("phone.png", &picture);
        let alarm = self.home.owner.state_when(ALARM, "on", is("on")).await;
        let id = alarm["attributes"]["alarm_id"].as_str().unwrap().to_owned();
        self.picture_page("alarm").await;

        phone.taps(&self.home.owner, "CONFIRMED", &id).await;
        self.home.owner.state_when(ALARM, "confirmed", answered("confirmed")).await;
        self.diary.note("answered on the phone: real");
        self.home.owner.press("button.hearthwatch_expected").await;
        self.home.owner.state_when(ALARM, "expected", answered("expected")).await;
        self.diary.note("answered by the device's button: expected");
        self.command("answer", &json!({"alarm_id": id, "verdict": "dismissed", "by": "Ben"})).await;
        self.home.owner.state_when(ALARM, "dismissed", answered("dismissed")).await;
        self.diary.note("answered by an automation: false alarm");
        self.chrome.open(&format!("http://{}/", self.page)).await;
        self.chrome.ask("document.querySelector('#timeline details').open = true").await;
        self.chrome.click_through("#timeline button[value=confirmed]").await;
        self.home.owner.state_when(ALARM, "confirmed", answered("confirmed")).await;
        self.diary.note("answered on the page: real");
        let entity_id = alarm["attributes"]["watched_entity"].clone();
        self.command("miss", &json!({ "entity_id": entity_id })).await;
        self.home.agent_says("a resident says that something was missed", 0).await;
        self.diary.note("a miss reported by an automation");
    }

    /// The fleet learns from the answers, and says so; a resident goes back to the model before.
    async fn receipt_and_way_back(&mut self) {
        let fleet = &self.fleet;
        self.home
            .owner
            .until("the answers to reach the aggregator", async |_| (fleet.answers() > 0).then_some(()))
            .await;
        self.diary.note(&format!("{} answers are in the aggregator's store", fleet.answers()));
        let version = fleet.promote().await.0;
        let name = version.to_string();
        let since = Instant::now();
        let of_it =
            |state: &Json| state["state"] == name.as_str() && state["attributes"]["answers_in_model"] == version;
        self.home.owner.state_when("sensor.hearthwatch_model_version", "the promoted one", of_it).await;
        self.diary.note(&format!("model {version} in charge {} ms after its release", since.elapsed().as_millis()));
        let compared = |state: &Json| of_it(state) && state["attributes"]["alarms_before"].is_number();
        let model = self.home.owner.state_when("sensor.hearthwatch_model_version", "compared", compared).await;
        let attributes = &model["attributes"];
        let (before, after) =
            (attributes["alarms_before"].as_u64().unwrap(), attributes["alarms_after"].as_u64().unwrap());
        assert!(before >= after && before > 0, "thresholds are a little stricter: {attributes}");
        let alarms = if after == 1 { "alarm" } else { "alarms" };
        let receipt = format!(
            "Your 1 answer is in model {version}. On your home model {version} would have raised {after} {alarms} instead of \
             {before} in the last 14 days."
        );
        assert_eq!(attributes["receipt"], receipt);
        self.diary.note(&format!("the receipt, after {} ms: {receipt}", since.elapsed().as_millis()));
        self.picture_page("receipt").await;
        self.picture_home_assistant().await;

        self.home.owner.press("button.hearthwatch_roll_back_model").await;
        self.home.owner.state_when("sensor.hearthwatch_model_version", "the one before", is("shipped")).await;
        self.diary.note("went back to the model that came with the program, by the device's button");
    }

    /// What the resident sees in Home Assistant itself.
    async fn picture_home_assistant(&mut self) {
        let url = self.home.home_assistant.url();
        let device = self.home.owner.device_id("Hearthwatch").await;
        self.chrome.look(1280, 900, Light::Bright).await;
        self.chrome.open(&format!("{url}/manifest.json")).await;
        let tokens = json!({"access_token": self.home.owner.token(), "token_type": "Bearer", "expires_in": 86_400,
            "hassUrl": url, "clientId": format!("{url}/"), "expires": 4_000_000_000_000_u64, "refresh_token": ""});
        self.chrome.ask(&format!("localStorage.setItem('hassTokens', {:?})", tokens.to_string())).await;
        self.chrome.open(&format!("{url}/config/devices/device/{device}")).await;
        let everywhere = "(function all(node) { return (node.shadowRoot ? all(node.shadowRoot) : '') + [...node.childNodes]\
            .map(child => child.nodeType === 3 ? child.data : all(child)).join(' '); })(document.body)";
        self.chrome.until(&format!("{everywhere}.includes('Alarms a week')")).await;
        self.chrome.picture(&self.diary.folder.join("home-assistant.png")).await;
        self.diary.note("the device's page in Home Assistant is pictured");
    }

    /// The days of the warm start are judged in hindsight, so that there is something to try a budget on.
    async fn preview_of_the_first_day(&mut self) {
        let since = Instant::now();
        let preview = self.home.owner.page(&self.page, "/preview?per_week=3").await;
        let took = since.elapsed().as_millis();
        assert!(preview.contains("All of it was judged in hindsight"), "{preview}");
        let bold: Vec<&str> = preview.split("<strong>").skip(1).filter_map(|part| part.split('<').next()).collect();
        let alarms: u32 = bold[1].split(' ').next().unwrap().parse().unwrap();
        assert!(alarms >= 1, "the ovens that were left on: {preview}");
        self.diary
            .note(&format!("the preview of the first day took {took} ms: three a week would have given {}", bold[1]));
    }

    async fn withdrawal(&mut self) {
        let sample = self.home.owner.page(&self.page, "/sample/windows").await;
        assert!(sample.contains("96 steps"), "what the level sends is shown");
        self.chrome.open(&format!("http://{}/", self.page)).await;
        self.chrome.click_through("#sharing form[action='/withdraw'] button.danger").await;
        let page = format!("http://{}/", self.page);
        let chrome = &mut self.chrome;
        let deadline = Instant::now() + crate::PATIENCE;
        while chrome.ask("document.querySelector('#sharing').textContent.includes('receipt of')").await != json!(true) {
            assert!(Instant::now() < deadline, "no receipt for what was taken back");
            chrome.open(&page).await;
        }
        assert_eq!(self.fleet.answers(), 0, "the aggregator's store has nothing of this home");
        self.diary.note("everything taken back, with the aggregator's receipt");
        self.picture_page("withdrawn").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_told_answers_by_every_path_and_leaves_no_trace() {
    let (Some(mut home), Some(chrome)) = (Home::new().await, Chrome::start().await) else { return };
    let mut diary = Diary::open();
    let fleet = Fleet::start(&home.path("fleet")).await;
    diary.note("the fleet is up: broker, aggregator, signer, repository");
    let (remembered, next_day) = recorded();
    announce(&home, &remembered).await;
    home.home_assistant.stop();
    let seeded = seed(&home, &remembered);
    home.home_assistant.start_again();
    home.owner.state_when("sensor.cellar_freezer", "there again", |state| state["state"] != "unavailable").await;
    let sensors = remembered.entities.len();
    diary.note(&format!("seeded {seeded} states of {sensors} sensors of {}, 28 days", remembered.full_name()));

    let page = format!("127.0.0.1:{}", hearthwatch_tests::free_address().port());
    let (config, said) = home.set_up_with(&format!("[page]\nlisten = \"{page}\"\n{}", fleet.configuration()));
    said.lines().for_each(|line| diary.note(line));
    home.start_agent(&config);
    home.agent_says("mode: listening to Home Assistant", 0).await;
    diary.note("listening");
    let ready = |state: &Json| state["attributes"]["days"].as_i64().is_some_and(|days| days >= 13);
    let state = home.owner.state_when("sensor.hearthwatch_readiness", "told", ready).await;
    diary.note(&format!("readiness, before the first step: {}", state["state"]));
    let mut phone = Phone::new(&home.owner, "ann").await;
    let mut walk = Walk { home, fleet, chrome, diary, page };
    walk.picture_page("first").await;
    walk.preview_of_the_first_day().await;

    let told = replay(&walk.home, &next_day).await;
    assert_eq!(walk.home.owner.state(ALARM).await.unwrap()["state"], "off");
    walk.diary.note(&format!("replayed the recording's next day, {told} states: no alarm"));
    walk.alarm_and_answers(&mut phone, &format!("recorded/{}", place_of_broken(&remembered))).await;
    walk.receipt_and_way_back().await;
    walk.withdrawal().await;

    let (memory, busy) = walk.home.agent_usage();
    let lived = walk.diary.begun.elapsed().as_secs_f64();
    walk.diary.note(&format!(
        "the agent holds {memory:.1} MB and was busy for {busy:.2} s of {lived:.0} s, warm start included"
    ));

    // The automation is the resident's own; they take it away as they made it.
    phone.forget(&walk.home.owner).await;
    walk.home.stop_agent();
    walk.home.leave(&config);
    walk.home.owner.until("nothing of ours", async |owner| owner.ours().await.is_empty().then_some(())).await;
    assert!(!walk.home.path("agent/state").exists());
    walk.diary.note("left: nothing of ours in Home Assistant's registries and states, no memory on disk");
    walk.fleet.end().await;
}
