//! Histories in JSON, whole and broken.

use super::*;
use crate::fixtures;

fn rows(text: &str) -> Result<Vec<String>, String> {
    let file = fixtures::file(".json", text);
    let history = JsonHistory::open(file.path(), false, &TimeZone::UTC)
        .map_err(|error| error.to_string().replace(&file.path().display().to_string(), "h.json"))?;
    let shown = |row: Row<'_>| match row {
        Ok(EventRow { at, entity_id, device_class, unit, state_class, state, .. }) => {
            format!("{} {entity_id} [{device_class}] [{unit}] [{state_class}] {state}", at.second())
        }
        Err(fault) => format!("{}: {}", fault.line, fault.what),
    };
    Ok(fixtures::rows(|each| history.read(each), shown).unwrap())
}

#[test]
fn minimal_states_are_of_the_entity_before_them() {
    let text = r#"[[{"entity_id": "sensor.a", "state": "21.5", "last_changed": "2026-01-31T08:30:00+00:00",
        "attributes": {"device_class": "temperature", "unit_of_measurement": "°C", "state_class": "measurement"}},
        {"state": "22", "last_changed": "2026-01-31T08:40:00+00:00"}],
        [{"entity_id": "light.b", "state": "on", "last_changed": "2026-01-31T08:30:00+00:00", "attributes": {}}]]"#;
    assert_eq!(
        rows(text).unwrap(),
        [
            "1769848200 sensor.a [temperature] [°C] [measurement] 21.5",
            "1769848800 sensor.a [temperature] [°C] [measurement] 22",
            "1769848200 light.b [] [] [] on",
        ]
    );
}

#[test]
fn the_web_sockets_short_names_and_a_state_a_line_are_read_too() {
    let text = r#"{"sensor.a": [{"s": "1", "a": {"unit_of_measurement": "W"}, "lu": 1769848200}, {"s": "2", "lu": 1769848260}]}"#;
    assert_eq!(rows(text).unwrap(), ["1769848200 sensor.a [] [W] [] 1", "1769848260 sensor.a [] [W] [] 2"]);
    let text = "{\"entity_id\": \"sensor.a\", \"state\": 3, \"last_updated\": \"2026-01-31T08:30:00Z\"}\n\
                {\"entity_id\": \"sensor.a\", \"state\": 4}\n";
    assert_eq!(rows(text).unwrap(), ["1769848200 sensor.a [] [] [] 3", "2: the timestamp is empty"]);
}

#[test]
fn what_is_no_history_is_told_with_what_to_give_instead() {
    assert_eq!(
        rows("[]").unwrap_err(),
        "h.json: is JSON without states; give the answer of /api/history/period, a copy of the recorder's database, or the \
         history panel's download"
    );
    assert!(rows("[[{\"state\": ").unwrap_err().contains("breaks off or is damaged"));
}

#[test]
fn sqlites_json_is_read_and_its_times_without_an_offset_are_utc() {
    let text = r#"[{"entity_id":"sensor.a","state":"1","last_updated_ts":1769848200.0},
        {"entity_id":"sensor.a","state":"2","last_updated":"2026-01-31 08:40:00"}]"#;
    assert_eq!(rows(text).unwrap(), ["1769848200 sensor.a [] [] [] 1", "1769848800 sensor.a [] [] [] 2"]);
}

#[test]
fn what_stands_before_a_break_is_read() {
    let text = r#"[[{"entity_id": "sensor.a", "state": "1", "last_changed": "2026-01-31T08:30:00Z", "attributes": {}},
        {"state": "2", "last_changed": "2026-01-31T08:40:00Z"}, {"state": "3", "last_ch"#;
    assert_eq!(rows(text).unwrap(), ["1769848200 sensor.a [] [] [] 1", "1769848800 sensor.a [] [] [] 2"]);
}
