//! The device is what Home Assistant demands, its states are true, and commands are read strictly.

use std::sync::Arc;

use hearthwatch_detector::alarm::{Alarm, Severity, Verdict};
use hearthwatch_detector::finding::{AnomalyKind, Band};
use hearthwatch_edge_core::backtest::Backtest;
use hearthwatch_edge_core::fixtures;
use hearthwatch_edge_core::mode::Mode;
use hearthwatch_edge_core::preferences::{Change, DailyTime, HomeMode, QuietHours};
use hearthwatch_edge_detection::service::{EntityReadiness, HomeView, Notice, NoticeKind, Readiness, ShownAlarm};
use hearthwatch_edge_update::UpdateView;
use hearthwatch_protocol::{AlarmId, ModelVersion};
use serde_json::{Value, json};

use super::commands::{AnswerError, Command};
use super::device::Device;
use super::stale::Published;
use super::states::{event, states};

fn shown() -> ShownAlarm {
    let alarm = Alarm {
        severity: Severity::Critical,
        score: 9.0,
        threshold: 3.25,
        observed: Some(12.1),
        band: Some(Band { low: -20.0, expected: -18.0, high: -16.0 }),
        reason: "Freezer at 12.1 °C, where -18 °C is usual.".to_owned(),
        ..fixtures::alarm("00d1f3a2b4c5d6e7", 600)
    };
    ShownAlarm { model_version: ModelVersion(3), ..fixtures::stored(alarm, &fixtures::thermometer("sensor.freezer")) }
}

fn state(view: &HomeView, name: &str) -> String {
    state_with(view, &UpdateView::default(), name)
}

fn state_with(view: &HomeView, updates: &UpdateView, name: &str) -> String {
    let device = Device::new("home-7");
    let topic = device.topic(name);
    let states = states(&device, view, updates, &Mode::default());
    states.into_iter().find(|(known, _)| *known == topic).map(|(_, payload)| payload).unwrap()
}

#[test]
fn leaving_empties_every_topic_of_a_retained_state() {
    let device = Device::new("home-7");
    let emptied = Published::topics(&device);
    let states = states(&device, &HomeView::default(), &UpdateView::default(), &Mode::default());
    let left: Vec<String> =
        states.into_iter().map(|(topic, _)| topic).filter(|topic| !emptied.contains(topic)).collect();
    assert_eq!(left, [""; 0]);
}

#[test]
fn the_answers_have_the_same_names_in_home_assistant_on_phones_and_on_the_page() {
    let document = Device::new("home-7").document(&[]);
    let blueprint = include_str!("../../blueprints/automation/hearthwatch/alarm.yaml");
    for (key, name, wire) in [
        ("confirm", "Real", "confirmed"),
        ("dismiss", "False alarm", "dismissed"),
        ("expected", "Expected", "expected"),
    ] {
        let button = &document["components"][key];
        assert_eq!((button["name"].as_str(), button["payload_press"].as_str()), (Some(name), Some(wire)));
        assert!(blueprint.contains(name), "{name}");
    }
    assert!(blueprint.contains("title: Keep quiet") && !blueprint.contains("Snooze\n"));
}

#[test]
fn the_document_has_what_home_assistant_demands_of_a_device() {
    let document = Device::new("home-7").document(&[]);
    assert_eq!(document["origin"]["name"], "hearthwatch-edge");
    assert_eq!(document["device"]["identifiers"], json!(["hearthwatch_home-7"]));
    assert_eq!(document["availability_topic"], "hearthwatch/home-7/availability");
    let components = document["components"].as_object().unwrap();
    assert_eq!(components.len(), Device::COMPONENTS.len());
    for (key, component) in components {
        assert_eq!(component["unique_id"], format!("hearthwatch_home-7_{key}"));
        assert!(component["platform"].is_string() && component["name"].is_string(), "{key}");
    }
    assert_eq!(components["event"]["event_types"].as_array().unwrap().len(), NoticeKind::WORDS.len() + 1);
}

#[test]
fn the_alarm_says_why_and_what_was_expected() {
    let view =
        HomeView { shown: Some(shown()), unusual: vec!["Freezer: unusual value".to_owned()], ..HomeView::default() };
    assert_eq!(state(&view, "alarm"), "ON");
    let attributes: Value = serde_json::from_str(&state(&view, "alarm/attributes")).unwrap();
    assert_eq!(attributes["why"], "Freezer at 12.1 °C, where -18 °C is usual.");
    assert_eq!(attributes["observed"], 12.1);
    assert_eq!(attributes["expected"], -18.0);
    assert_eq!(attributes["score"], 9.0);
    assert_eq!(attributes["alarm_id"], "00d1f3a2b4c5d6e7");
    assert_eq!(attributes["answer"], "none");
}

#[test]
fn the_reason_is_said_before_the_alarm() {
    let device = Device::new("home-7");
    let states = states(&device, &HomeView::default(), &UpdateView::default(), &Mode::default());
    let place = |name: &str| states.iter().position(|(topic, _)| *topic == device.topic(name)).unwrap();
    assert!(place("alarm/attributes") < place("alarm"));
}

#[test]
fn without_an_alarm_the_entity_is_off() {
    assert_eq!(state(&HomeView::default(), "alarm"), "OFF");
}

#[test]
fn the_update_state_has_only_keys_that_home_assistant_takes() {
    let known = ["installed_version", "latest_version", "title", "release_summary", "in_progress", "update_percentage"];
    let update: Value = serde_json::from_str(&state(&HomeView::default(), "update")).unwrap();
    let keys: Vec<&String> = update.as_object().unwrap().keys().collect();
    assert!(keys.iter().all(|key| known.contains(&key.as_str())), "{keys:?}");
    assert_eq!(update["installed_version"], update["latest_version"]);
}

#[test]
fn an_event_names_its_kind_its_alarm_and_where_an_answer_is_heard() {
    let device = Device::new("home-7");
    let event = event(&device, &Notice { kind: NoticeKind::Raised, alarm: shown() }, &HomeView::default());
    assert_eq!(event["command_topic"], "hearthwatch/home-7/command");
    assert_eq!((&event["event_type"], &event["alarm_id"]), (&json!("raised"), &json!("00d1f3a2b4c5d6e7")));
}

fn read(topic: &str, payload: &str, retained: bool) -> Result<Command, AnswerError> {
    Command::read(&Device::new("home-7"), topic, payload.as_bytes(), retained)
}

#[test]
fn a_button_answers_the_shown_alarm_and_json_a_named_one() {
    let button = read("hearthwatch/home-7/command/verdict", "dismissed", false).unwrap();
    assert_eq!(button, Command::Answer { alarm: None, verdict: Verdict::Dismissed, by: String::new(), reason: None });
    let text = r#"{"alarm_id": "00d1", "verdict": "confirmed", "by": "Ann"}"#;
    let named = read("hearthwatch/home-7/command/answer", text, false).unwrap();
    let alarm = Some(AlarmId::new("00d1").unwrap());
    assert_eq!(
        named,
        Command::Answer { alarm: alarm.clone(), verdict: Verdict::Confirmed, by: "Ann".to_owned(), reason: None }
    );
    let why = format!(
        r#"{{"alarm_id": "00d1", "verdict": "confirmed", "by": "Ann", "reason": " the boiler\nwas {} "}}"#,
        "x".repeat(300)
    );
    let Ok(Command::Answer { reason: Some(reason), .. }) = read("hearthwatch/home-7/command/answer", &why, false)
    else {
        panic!()
    };
    assert!(reason.as_str().starts_with("the boiler was xxx") && reason.as_str().chars().count() == 200, "{reason:?}");
    let snooze = read("hearthwatch/home-7/command/snooze", r#"{"alarm_id": "00d1", "hours": 24}"#, false).unwrap();
    assert_eq!(snooze, Command::Snooze { alarm: AlarmId::new("00d1").unwrap(), hours: 24 });
}

#[test]
fn wishes_are_read_as_their_entities_say_them() {
    let setting = |name: &str, word: &str| read(&format!("hearthwatch/home-7/command/{name}"), word, false);
    assert_eq!(setting("house_mode", "guests").unwrap(), Command::Preference(Change::Mode(HomeMode::Guests)));
    assert_eq!(setting("pause", "ON").unwrap(), Command::Preference(Change::Paused(true)));
    assert_eq!(setting("budget", "2.5").unwrap(), Command::Preference(Change::Budget(2.5)));
    let (from, until) = (DailyTime::parse("22:00").unwrap(), DailyTime::parse("07:30").unwrap());
    let hours = QuietHours { from, until, let_through: Severity::Critical };
    assert_eq!(setting("quiet_hours", "22:00-07:30").unwrap(), Command::Preference(Change::QuietHours(Some(hours))));
    assert_eq!(setting("quiet_hours", "off").unwrap(), Command::Preference(Change::QuietHours(None)));
    assert_eq!(setting("brief", "07:30").unwrap(), Command::Preference(Change::Brief(Some(until))));
    for (name, word) in [("quiet_hours", "22:00"), ("brief", "25:00"), ("brief", "")] {
        assert!(matches!(setting(name, word), Err(AnswerError::Preference)), "{name} {word}");
    }
    for (name, word) in [("house_mode", "party"), ("pause", "on"), ("budget", "few")] {
        assert!(matches!(setting(name, word), Err(AnswerError::Preference)), "{name} {word}");
    }
}

#[test]
fn the_receipt_says_what_answers_did() {
    let receipt = |view: &HomeView, updates: &UpdateView| {
        serde_json::from_str::<Value>(&state_with(view, updates, "model/attributes")).unwrap()
    };
    assert_eq!(receipt(&HomeView::default(), &UpdateView::default())["receipt"], "");
    let backtest =
        Backtest { from: 0, until: 28 * 86_400, before: (ModelVersion(13), 5), after: (ModelVersion(14), 2) };
    let view = HomeView { backtest: Some(backtest), ..HomeView::default() };
    let updates = UpdateView { contribution: Some((ModelVersion(14), 6)), ..UpdateView::default() };
    let told = receipt(&view, &updates);
    assert_eq!(
        told["receipt"],
        "Your 6 answers are in model 14. On your home model 14 would have raised 2 alarms instead of 5 in the last four weeks."
    );
    assert_eq!((&told["answers"], &told["alarms_before"], &told["alarms_after"]), (&json!(6), &json!(5), &json!(2)));
}

#[test]
fn readiness_is_told_in_one_line_and_by_entity() {
    let entity = |name: &str, days| EntityReadiness {
        entity_id: format!("sensor.{name}"),
        name: name.to_owned(),
        days,
        watching: vec![AnomalyKind::Physics, AnomalyKind::Silent],
    };
    let readiness = Arc::new(Readiness { entities: vec![entity("a", 3), entity("b", 3), entity("c", 14)] });
    let view = HomeView { readiness, ..HomeView::default() };
    assert_eq!(state(&view, "readiness"), "learning: 3 of 14 days; already watching: silent, impossible value");
    let attributes: Value = serde_json::from_str(&state(&view, "readiness/attributes")).unwrap();
    assert_eq!(attributes["entities"]["sensor.a"], "3 of 14 days; physics, silent");
}

#[test]
fn what_is_not_a_command_is_refused_with_its_reason() {
    let answer = "hearthwatch/home-7/command/answer";
    let verdict = "hearthwatch/home-7/command/verdict";
    assert!(matches!(read(verdict, "maybe", false), Err(AnswerError::Verdict)));
    assert!(matches!(read(verdict, "confirmed", true), Err(AnswerError::Retained)));
    assert!(matches!(read(answer, "{", false), Err(AnswerError::Json(_))));
    assert!(matches!(
        read(answer, r#"{"alarm_id":"a","verdict":"confirmed","x":1}"#, false),
        Err(AnswerError::Json(_))
    ));
    assert!(matches!(read(answer, r#"{"alarm_id":"../a","verdict":"confirmed"}"#, false), Err(AnswerError::Alarm(_))));
    assert!(matches!(read(answer, &"x".repeat(3000), false), Err(AnswerError::TooLong(3000))));
    assert!(matches!(read("hearthwatch/home-8/command/verdict", "confirmed", false), Err(AnswerError::Topic)));
}

#[test]
fn a_birth_counts_even_when_the_broker_kept_it() {
    assert_eq!(read("homeassistant/status", "online", true).unwrap(), Command::Birth { online: true });
    assert_eq!(read("homeassistant/status", "offline", false).unwrap(), Command::Birth { online: false });
}

#[test]
fn a_home_that_changed_its_name_clears_what_the_old_one_left() {
    let (old, new) = (Published::of(&Device::new("home")), Published::of(&Device::new("home-7")));
    let orphaned = old.orphaned_by(&new);
    assert_eq!(orphaned[0], "homeassistant/device/hearthwatch_home/config");
    assert!(orphaned.contains(&"hearthwatch/home/availability".to_owned()));
    assert!(new.orphaned_by(&new).is_empty() && new.removed_since(&old).is_empty());
}

#[test]
fn a_component_that_is_no_more_is_taken_away() {
    let device = Device::new("home");
    let now = Published::of(&device);
    let before: Published =
        serde_json::from_value(json!({"node": "home", "components": {"alarm": "binary_sensor", "old": "switch"}}))
            .unwrap();
    let removed = now.removed_since(&before);
    assert_eq!(removed, [("old".to_owned(), "switch".to_owned())]);
    assert_eq!(device.document(&removed)["components"]["old"], json!({"platform": "switch"}));
}
