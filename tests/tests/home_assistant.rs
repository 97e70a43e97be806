//! The agent beside a real Home Assistant 2026.11 and a real mosquitto: what a resident sees, and what they survive.
//!
//! Each test has a home of its own, brought up by `tests/home-assistant/`. Where that is impossible the test says so
//! loudly, and fails when `CI=true`.

#[path = "home_assistant/api.rs"]
mod api;
#[path = "home_assistant/app.rs"]
mod app;
#[path = "../../edge-agent/tests/browser/chrome.rs"]
#[expect(dead_code, reason = "the suite of the page alone uses the rest")]
mod chrome;
#[path = "home_assistant/fleet.rs"]
mod fleet;
#[path = "home_assistant/forgetful.rs"]
mod forgetful;
#[path = "home_assistant/home.rs"]
mod home;
#[path = "home_assistant/image.rs"]
mod image;
#[path = "home_assistant/instance.rs"]
mod instance;
#[path = "home_assistant/names.rs"]
mod names;
#[path = "home_assistant/phone.rs"]
mod phone;
#[path = "home_assistant/supervisor.rs"]
mod supervisor;
#[path = "home_assistant/walk.rs"]
mod walk;

use std::time::Duration;

use serde_json::{Value, json};

use home::Home;
use phone::Phone;

const ALARM: &str = "binary_sensor.hearthwatch_alarm";
const EVENT: &str = "event.hearthwatch_alarm_event";

/// How long anything may take, on a machine that compiles beside it.
const PATIENCE: Duration = Duration::from_secs(90);

/// What no freezer can measure: the rule needs no second look.
const IMPOSSIBLE: &str = "5000";

fn is(wanted: &str) -> impl Fn(&Value) -> bool {
    move |state| state["state"] == wanted
}

fn answered(wanted: &str) -> impl Fn(&Value) -> bool {
    move |state| state["attributes"]["answer"] == wanted
}

#[tokio::test(flavor = "multi_thread")]
async fn an_impossible_value_becomes_an_alarm_and_its_answer_comes_back() {
    let Some(mut home) = Home::new().await else { return };
    home.listen().await;
    home.owner.state_when(ALARM, "off", is("off")).await;
    // Whether a network ships with the program is the release's affair; a home without updates runs what came with it.
    let own_model = |state: &Value| state["state"] == "shipped" || state["state"] == "routine";
    home.owner.state_when("sensor.hearthwatch_model_version", "what came with the program", own_model).await;
    for entity_id in [
        "update.hearthwatch_model_update",
        "button.hearthwatch_roll_back_model",
        "button.hearthwatch_real",
        "button.hearthwatch_false_alarm",
        "button.hearthwatch_expected",
        "sensor.hearthwatch_score",
        "sensor.hearthwatch_mode",
        "sensor.hearthwatch_last_alarm",
        "sensor.hearthwatch_open_questions",
        "sensor.hearthwatch_false_alarms_this_month",
        "sensor.hearthwatch_readiness",
        "select.hearthwatch_house_mode",
        "switch.hearthwatch_pause",
        "number.hearthwatch_alarms_a_week",
        "text.hearthwatch_quiet_hours",
        "text.hearthwatch_daily_brief",
        "image.hearthwatch_alarm_picture",
        "image.hearthwatch_alarm_picture_on_dark",
        EVENT,
    ] {
        home.owner.state_when(entity_id, "available", |state| state["state"] != "unavailable").await;
    }

    home.say_temperature(IMPOSSIBLE).await;
    let alarm = home.owner.state_when(ALARM, "on", is("on")).await;
    let attributes = &alarm["attributes"];
    assert_eq!(attributes["watched_entity"], "sensor.cellar_freezer");
    assert_eq!(attributes["observed"], 5000.0);
    assert_eq!(attributes["unit"], "°C");
    assert!(attributes["why"].as_str().is_some_and(|why| why.contains("5000")), "{attributes}");
    for key in ["expected", "score", "threshold", "severity", "alarm_id"] {
        assert!(attributes.get(key).is_some(), "{key} is missing in {attributes}");
    }
    let id = attributes["alarm_id"].clone();
    let event = home.owner.state_when(EVENT, "raised", |state| state["attributes"]["event_type"] == "raised").await;
    assert_eq!(event["attributes"]["alarm_id"], id);

    home.owner.press("button.hearthwatch_false_alarm").await;
    home.owner.state_when(ALARM, "off", is("off")).await;
    home.owner.state_when(ALARM, "dismissed", answered("dismissed")).await;
    home.owner.state_when(EVENT, "dismissed", |state| state["attributes"]["event_type"] == "dismissed").await;

    // The answer can be changed, by an automation that names the alarm.
    let answer = json!({"alarm_id": id, "verdict": "confirmed"}).to_string();
    home.command("hearthwatch/home/command/answer", &answer).await;
    home.owner.state_when(ALARM, "confirmed", answered("confirmed")).await;
    home.owner.state_when(ALARM, "on", is("on")).await;
    home.stop_agent();
    home.owner.state_when(ALARM, "unavailable", is("unavailable")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_survives_restarts_of_everything_around_it_and_its_own() {
    let Some(mut home) = Home::new().await else { return };
    home.listen().await;
    home.say_temperature(IMPOSSIBLE).await;
    let alarm = home.owner.state_when(ALARM, "on", is("on")).await;
    let id = alarm["attributes"]["alarm_id"].clone();
    let same = |state: &Value| state["state"] == "on" && state["attributes"]["alarm_id"] == id;

    // Its own, without a chance to say farewell: the will speaks for it, and the alarm goes on under its id.
    home.agent = None;
    home.owner.state_when(ALARM, "unavailable", is("unavailable")).await;
    home.listen().await;
    home.owner.state_when(ALARM, "on again, the same", same).await;

    // The broker's, with everything it had kept lost.
    let from = home.agent_log().len();
    home.mosquitto.kill();
    home.agent_says("home's broker is away", from).await;
    home.mosquitto.start_again();
    home.agent_says("home's broker connected", from).await;
    home.owner.state_when(ALARM, "on again, the same", same).await;
    home.add_sensors().await;

    // Home Assistant's.
    let from = home.agent_log().len();
    home.home_assistant.stop();
    home.agent_says("mode: Home Assistant is away", from).await;
    home.home_assistant.start_again();
    home.agent_says("mode: listening to Home Assistant", from).await;
    home.owner.state_when(ALARM, "there again", |state| state["attributes"]["alarm_id"] == id).await;

    // And it still hears.
    home.owner.press("button.hearthwatch_expected").await;
    home.owner.state_when(ALARM, "expected", answered("expected")).await;
    home.stop_agent();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_broker_the_agent_listens_and_logs_its_alarms() {
    let Some(mut home) = Home::new().await else { return };
    let config = home.configure(false, &home.token.clone());
    home.start_agent(&config);
    home.agent_says("no home broker, so alarms are only logged; no cloud, all stays local", 0).await;
    home.agent_says("mode: listening to Home Assistant", 0).await;
    home.say_temperature(IMPOSSIBLE).await;
    home.agent_says("alarm raised", 0).await;
    home.stop_agent();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_said_in_words_and_the_agent_waits() {
    let Some(mut home) = Home::new().await else { return };
    let config = home.configure(true, "not-a-token");
    home.start_agent(&config);
    home.agent_says("mode: Home Assistant refuses the token (write a new one into the token file)", 0).await;
    assert!(!home.agent_log().contains("not-a-token"), "a token is never logged");
    home.owner.state_when(ALARM, "there all the same", |state| state["state"] != "unavailable").await;
    let refused = |state: &Value| state["state"].as_str().is_some_and(|text| text.starts_with("Nothing is watched"));
    home.owner.state_when("sensor.hearthwatch_what_is_unusual", "true while nothing is watched", refused).await;
    std::fs::write(home.path("token"), &home.token).unwrap();
    home.agent_says("mode: listening to Home Assistant", 0).await;
    home.stop_agent();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_learns_from_hourly_statistics_where_states_are_gone() {
    let Some(mut home) = Home::new().await else { return };
    home.remember_hours(72).await;

    home.listen().await;
    home.stop_agent();
    let history = rusqlite::Connection::open(home.path("state/history.sqlite")).unwrap();
    let values: i64 = history
        .query_row("SELECT count(*) FROM grid WHERE value BETWEEN -18.1 AND -17.9", [], |row| row.get(0))
        .unwrap();
    // Six steps an hour; the hours of the newest slices may already be told by states.
    assert!(values >= 60 * 6, "only {values} steps were learned");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_leaves_leaves_nothing_of_ours_in_the_registries() {
    let Some(mut home) = Home::new().await else { return };
    home.listen().await;
    home.owner.state_when(ALARM, "off", is("off")).await;
    assert!(!home.owner.ours().await.is_empty());
    home.stop_agent();
    home.leave(&home.path("edge.toml"));
    home.owner.until("nothing of ours", async |owner| owner.ours().await.is_empty().then_some(())).await;
    assert!(!home.path("state").exists());
    home.owner.state_when("sensor.cellar_freezer", "untouched", |state| state["state"] != "unavailable").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_phones_are_told_with_a_picture_and_answer_in_one_tap() {
    let Some(mut home) = Home::new().await else { return };
    home.listen().await;
    home.owner.state_when(ALARM, "off", is("off")).await;
    let (mut ann, mut ben) = (Phone::new(&home.owner, "ann").await, Phone::new(&home.owner, "ben").await);

    home.say_temperature(IMPOSSIBLE).await;
    let (told, also) = (ann.hears().await, ben.hears().await);
    let alarm = home.owner.state_when(ALARM, "on", is("on")).await;
    let id = alarm["attributes"]["alarm_id"].as_str().unwrap().to_owned();
    let tag = format!("hearthwatch_{id}");
    assert_eq!((&told["data"]["tag"], &also["data"]["tag"]), (&json!(tag), &json!(tag)));
    assert_eq!(told["title"], alarm["attributes"]["title"]);
    assert!(told["message"].as_str().is_some_and(|message| message.contains("5000 °C")), "{told}");
    assert_eq!(told["data"]["actions"].as_array().map(Vec::len), Some(5), "{told}");
    assert!(told["data"]["image"].as_str().is_some_and(|image| image.starts_with("/api/image_proxy/")), "{told}");
    let picture = home.owner.bytes(told["data"]["image"].as_str().unwrap()).await;
    assert!(picture.starts_with(b"\x89PNG"), "{} bytes", picture.len());

    // The answer names its alarm and who gave it; the message goes from both phones.
    ann.taps(&home.owner, "CONFIRMED", &id).await;
    let state = home.owner.state_when(ALARM, "confirmed", answered("confirmed")).await;
    assert_eq!(state["attributes"]["answers"][0]["by"], "ann");
    for phone in [&mut ann, &mut ben] {
        let cleared = phone.hears().await;
        assert_eq!((&cleared["message"], &cleared["data"]["tag"]), (&json!("clear_notification"), &json!(tag)));
    }
    // Who sees it differently is heard as well: the last answer counts, and both are shown.
    ben.replies(&home.owner, "REASON", &id, "the freezer was defrosted").await;
    let state = home.owner.state_when(ALARM, "expected", answered("expected")).await;
    assert_eq!(state["attributes"]["answers"][1]["reason"], "the freezer was defrosted");
    assert_eq!(state["attributes"]["disagreement"], true);
    assert_eq!(state["attributes"]["answers"].as_array().map(Vec::len), Some(2));
    home.owner.state_when(ALARM, "off", is("off")).await;
    home.stop_agent();
}

#[tokio::test(flavor = "multi_thread")]
async fn wishes_are_made_in_home_assistant_and_outlive_the_agent() {
    let Some(mut home) = Home::new().await else { return };
    home.listen().await;
    home.owner.state_when("select.hearthwatch_house_mode", "home", is("home")).await;
    let choose = json!({"entity_id": "select.hearthwatch_house_mode", "option": "maintenance"});
    home.owner.post("/api/services/select/select_option", &choose).await;
    let budget = json!({"entity_id": "number.hearthwatch_alarms_a_week", "value": 2.5});
    home.owner.post("/api/services/number/set_value", &budget).await;
    home.owner.state_when("select.hearthwatch_house_mode", "maintenance", is("maintenance")).await;
    home.owner.state_when("number.hearthwatch_alarms_a_week", "2.5", is("2.5")).await;
    // While somebody works on the house, a broken sensor is remembered and not said.
    home.say_temperature(IMPOSSIBLE).await;
    let held = |state: &Value| state["attributes"]["remembered_only"] == 1;
    home.owner.state_when("sensor.hearthwatch_false_alarms_this_month", "told of one held back", held).await;
    assert_eq!(home.owner.state(ALARM).await.unwrap()["state"], "off");

    home.agent = None;
    home.listen().await;
    home.owner.state_when("select.hearthwatch_house_mode", "maintenance", is("maintenance")).await;
    home.owner.state_when("number.hearthwatch_alarms_a_week", "2.5", is("2.5")).await;
    home.owner.post("/api/services/switch/turn_on", &json!({"entity_id": "switch.hearthwatch_pause"})).await;
    home.owner.state_when("switch.hearthwatch_pause", "on", is("on")).await;
    home.stop_agent();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_is_set_up_by_one_command_and_its_names_follow_the_registries() {
    let Some(mut home) = Home::new().await else { return };
    let mut registries = home.owner.socket().await;
    let area: Value =
        registries.command("config/area_registry/create", json!({"name": "Under the stairs"})).await.unwrap();
    let place = json!({"entity_id": "sensor.cellar_freezer", "area_id": area["area_id"]});
    let _: Value = registries.command("config/entity_registry/update", place).await.unwrap();

    let (config, said) = home.set_up();
    assert!(said.contains("Good: Home Assistant 2026.11.0, with ") && said.contains("lets us in"), "{said}");
    assert!(!said.contains("administrator"), "{said}");
    home.start_agent(&config);
    home.agent_says("mode: listening to Home Assistant", 0).await;
    home.say_temperature(IMPOSSIBLE).await;
    let alarm = home.owner.state_when(ALARM, "on", is("on")).await;
    assert_eq!(alarm["attributes"]["name"], "Cellar Freezer");
    assert_eq!(alarm["attributes"]["area"], "Under the stairs");
    assert_eq!(alarm["attributes"]["title"], "Cellar Freezer (Under the stairs): impossible value");

    // A rename is heard of while the agent runs, and nothing begins anew.
    let rename = json!({"entity_id": "sensor.cellar_freezer", "new_entity_id": "sensor.deep_freeze"});
    let _: Value = registries.command("config/entity_registry/update", rename).await.unwrap();
    home.agent_says("an entity is called otherwise", 0).await;
    let renamed = |state: &Value| state["attributes"]["watched_entity"] == "sensor.deep_freeze";
    let same = home.owner.state_when(ALARM, "of the renamed entity", renamed).await;
    assert_eq!((&same["state"], &same["attributes"]["alarm_id"]), (&json!("on"), &alarm["attributes"]["alarm_id"]));

    // The home moves: Home Assistant tells, and the days are those of there.
    let from = home.agent_log().len();
    let _: Value = registries.command("config/core/update", json!({"time_zone": "Asia/Tokyo"})).await.unwrap();
    home.agent_says("the home's time zone is another", from).await;
    home.agent_says("the home's routine is learnt anew", from).await;

    // One that is taken away is forgotten, and its alarm is over.
    let _: Value =
        registries.command("config/entity_registry/remove", json!({"entity_id": "sensor.deep_freeze"})).await.unwrap();
    home.agent_says("an entity is no more", 0).await;
    home.owner.state_when(ALARM, "off", is("off")).await;
    registries.close().await;
    home.stop_agent();
}
