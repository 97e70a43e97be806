//! What Home Assistant tells, and what is made of it.

use hearthwatch_edge_core::fixtures;

use super::*;

fn event(text: &str) -> EntitiesEvent {
    serde_json::from_str(text).unwrap()
}

fn stated(entity_id: &str, at: i64, value: Value) -> EntityChange {
    EntityChange::Stated { entity_id: entity_id.to_owned(), at, value }
}

/// A moment after the snapshot.
const NOW: i64 = 1_795_295_620;

const SNAPSHOT: &str = r#"{"a": {
    "sensor.kitchen_temperature": {"s": "20.5", "a": {"state_class": "measurement", "unit_of_measurement": "°C",
        "device_class": "temperature", "friendly_name": "Kitchen"}, "c": "01M7", "lc": 1795295617.15},
    "binary_sensor.kitchen_motion": {"s": "off", "a": {"device_class": "motion"}, "c": {"id": "1"}, "lc": 1795295600.0},
    "sensor.backup_next": {"s": "unknown", "a": {"device_class": "timestamp"}, "c": "01", "lc": 1.0}}}"#;

/// What is watched after [`SNAPSHOT`].
fn snapshot() -> WatchedEntities {
    let mut watched = WatchedEntities::default();
    watched.apply(&event(SNAPSHOT), NOW);
    watched
}

#[test]
fn a_snapshot_finds_what_can_be_watched_and_states_it() {
    let mut watched = WatchedEntities::default();
    let changes = watched.apply(&event(SNAPSHOT), NOW);
    let motion = fixtures::info("binary_sensor.kitchen_motion", DeviceClass::Motion, "");
    let temperature = fixtures::thermometer("sensor.kitchen_temperature");
    assert_eq!(
        changes,
        [
            EntityChange::Found(motion),
            stated("binary_sensor.kitchen_motion", 1_795_295_600, Value::Binary(false)),
            EntityChange::Found(temperature),
            stated("sensor.kitchen_temperature", 1_795_295_618, Value::Number(20.5)),
        ]
    );
}

#[test]
fn a_change_states_only_what_is_watched() {
    let mut watched = snapshot();
    let change = r#"{"c": {"sensor.kitchen_temperature": {"+": {"s": "21", "lc": 700.0, "c": "x"}},
        "sensor.backup_next": {"+": {"s": "2026", "lc": 700.0}}}}"#;
    let changes = watched.apply(&event(change), 700);
    assert_eq!(changes, [stated("sensor.kitchen_temperature", 700, Value::Number(21.0))]);
}

#[test]
fn what_home_assistant_has_no_more_is_not_watched_any_more() {
    let mut watched = snapshot();
    let missing = watched.missing_from(&HashSet::from(["sensor.kitchen_temperature", "light.hall"]));
    assert_eq!(missing, ["binary_sensor.kitchen_motion"]);
    assert_eq!(watched.len(), 1);
    assert_eq!(watched.missing_from(&HashSet::from(["sensor.kitchen_temperature"])), Vec::<String>::new());
}

#[test]
fn a_change_of_attributes_alone_is_not_a_reading() {
    let mut watched = snapshot();
    let change =
        r#"{"c": {"sensor.kitchen_temperature": {"+": {"lu": 700.0, "a": {"icon": "x"}}, "-": {"a": ["b"]}}}}"#;
    assert_eq!(watched.apply(&event(change), 700), []);
}

#[test]
fn unavailable_unknown_text_and_removal_are_gaps() {
    for text in ["unavailable", "unknown", "", "idle", "NaN", "inf"] {
        assert_eq!(parse_state(DeviceClass::Temperature, text), Value::Gap, "{text}");
        assert_eq!(parse_state(DeviceClass::Motion, text), Value::Gap, "{text}");
    }
    let mut watched = snapshot();
    let removed = watched.apply(&event(r#"{"r": ["sensor.kitchen_temperature", "light.hall"]}"#), 800);
    assert_eq!(removed, [stated("sensor.kitchen_temperature", 800, Value::Gap)]);
}

#[test]
fn only_an_entity_that_could_be_watched_is_a_find() {
    let mut watched = WatchedEntities::default();
    assert!(watched.finds_in(&event(SNAPSHOT)));
    watched.apply(&event(SNAPSHOT), NOW);
    assert!(!watched.finds_in(&event(SNAPSHOT)), "known already, or of no class");
    assert!(watched.finds_in(&event(r#"{"r": ["sensor.kitchen_temperature"]}"#)), "renamed, perhaps");
}

#[test]
fn an_ignored_entity_is_never_watched() {
    let mut watched = WatchedEntities::default();
    let ignored = ["binary_sensor.kitchen_motion", "sensor.kitchen_temperature"].map(str::to_owned);
    assert!(watched.set_ignored(ignored.into()).is_empty());
    assert_eq!(watched.apply(&event(SNAPSHOT), NOW), []);
    watched.set_ignored(HashSet::new());
    assert_eq!(watched.apply(&event(SNAPSHOT), NOW).len(), 4);
    assert_eq!(watched.set_ignored(["sensor.kitchen_temperature".to_owned()].into()), ["sensor.kitchen_temperature"]);
}

#[test]
fn no_more_than_the_bound_is_watched_and_the_rest_is_counted() {
    let mut watched = WatchedEntities::default();
    let attributes = Attributes { device_class: Some("temperature".to_owned()), ..Attributes::default() };
    for number in 0..WATCHED_MAX + 3 {
        watched.consider(&format!("sensor.t{number}"), &attributes);
    }
    assert_eq!((watched.len(), watched.refused()), (WATCHED_MAX, 3));
}

#[test]
fn a_change_of_the_unit_alone_is_another_meaning_of_the_same_entity() {
    let mut watched = WatchedEntities::default();
    let first = r#"{"a": {"sensor.t": {"s": "20", "a": {"device_class": "temperature", "unit_of_measurement": "°C"}, "lc": 1}}}"#;
    assert_eq!(watched.apply(&event(first), 1).len(), 2);
    let other = event(r#"{"c": {"sensor.t": {"+": {"s": "68", "a": {"unit_of_measurement": "°F"}, "lc": 2}}}}"#);
    let info = fixtures::info("sensor.t", DeviceClass::Temperature, "°F");
    let stated = stated("sensor.t", 2, Value::Number(68.0));
    assert_eq!(watched.apply(&other, 2), [EntityChange::Found(info), stated.clone()]);
    assert_eq!(watched.apply(&other, 2), [stated], "told once");
}

#[test]
fn a_number_that_falls_time_and_again_is_no_counter_and_is_known_for_that_after_a_restart() {
    let mut watched = WatchedEntities::default();
    let tank = |litres: i32, at: i32| {
        format!(r#"{{"a": {{"sensor.tank": {{"s": "{litres}", "a": {{"unit_of_measurement": "L"}}, "lc": {at}}}}}}}"#)
    };
    let mut found = Vec::new();
    for step in 0..10 {
        let changes = watched.apply(&event(&tank(900 - 5 * step, 600 * step)), i64::from(600 * step));
        found.extend(changes.into_iter().filter_map(|change| match change {
            EntityChange::Found(info) => Some(info.class),
            EntityChange::Stated { .. } => None,
        }));
    }
    assert_eq!(found, [DeviceClass::Water, DeviceClass::GenericNumber]);
    let mut again = WatchedEntities::default();
    again.remember([("sensor.tank".to_owned(), DeviceClass::GenericNumber)].into());
    again.apply(&event(&tank(850, 7000)), 7000);
    assert_eq!(again.class("sensor.tank"), Some(DeviceClass::GenericNumber));
    let mut said = WatchedEntities::default();
    said.remember([("sensor.tank".to_owned(), DeviceClass::GenericNumber)].into());
    let total = r#"{"a": {"sensor.tank": {"s": "9", "lc": 1,
        "a": {"unit_of_measurement": "L", "state_class": "total_increasing"}}}}"#;
    said.apply(&event(total), 1);
    assert_eq!(said.class("sensor.tank"), Some(DeviceClass::Water), "somebody has said what it is since");
}

#[test]
fn what_is_told_as_a_change_happened_now_whatever_the_clock_of_home_assistant_says() {
    let mut watched = snapshot();
    for (stamp, at) in [(NOW - 100, NOW - 100), (NOW - 10_800, NOW), (NOW + 10_800, NOW)] {
        let change = format!(r#"{{"c": {{"sensor.kitchen_temperature": {{"+": {{"s": "21", "lc": {stamp}.0}}}}}}}}"#);
        let changes = watched.apply(&event(&change), NOW);
        assert_eq!(changes, [stated("sensor.kitchen_temperature", at, Value::Number(21.0))]);
    }
    assert_eq!(watched.strange_times(), 2);
}

#[test]
fn an_attribute_that_is_no_text_says_nothing() {
    let mut watched = WatchedEntities::default();
    let odd = r#"{"a": {"sensor.t": {"s": "20", "lc": 1, "a": {"device_class": 5, "unit_of_measurement": "°C",
        "state_class": null, "friendly_name": ["a"]}}}}"#;
    watched.apply(&event(odd), 1);
    assert_eq!(watched.class("sensor.t"), Some(DeviceClass::Temperature));
}
