//! Rows as a recorder has them, honest and otherwise.

use serde_json::json;

use super::*;

const SALT: &[u8] = b"this home's";
const ENTITY: &str = "sensor.cellar_freezer";
/// 2026-11-20T10:00:00Z.
const RAISED: i64 = 1_795_168_800;
const NOW: i64 = RAISED + 86_400;

fn stamp(at: i64) -> String {
    Timestamp::from_second(at).unwrap().to_string()
}

/// The row of an alarm that began at `start`, as the alarm entity has it; `change` is done to its attributes.
fn row(at: i64, start: i64, change: impl FnOnce(&mut Value)) -> RecordedState {
    let mut attributes = json!({
        "open_alarms": 1,
        "watched_entities": 12,
        "alarm_id": alarm_id(SALT, ENTITY, start),
        "watched_entity": ENTITY,
        "name": "Cellar freezer",
        "area": "Cellar",
        "device_class": "problem",
        "watched_class": "temperature",
        "friendly_name": "Hearthwatch Alarm",
        "kind": "level",
        "title": "Cellar freezer: too high",
        "message": "…",
        "why": "sensor.cellar_freezer is -9 °C, high for this time of day: -19 to -17 °C is usual.",
        "how_unusual": "once in four years",
        "moved_with": ["Fridge"],
        "asks": false,
        "held": null,
        "observed": -9.0,
        "unit": "°C",
        "expected": -18.0,
        "expected_low": -19.0,
        "expected_high": -17.0,
        "amount": -9.0,
        "usual": 0.0,
        "score": 5.25,
        "threshold": 3.5,
        "severity": "warning",
        "start": stamp(start),
        "end": null,
        "raised_at": stamp(start + 600),
        "model_version": 4,
        "answer": "none",
        "answers": [],
        "disagreement": false,
        "shared": false,
    });
    change(&mut attributes);
    let Value::Object(attributes) = attributes else { panic!("an object") };
    RecordedState { at: at as f64, attributes }
}

fn ids(alarms: &[ShownAlarm]) -> Vec<&str> {
    alarms.iter().map(|alarm| alarm.alarm.id.as_str()).collect()
}

#[test]
fn an_alarm_comes_back_as_it_was_said_and_without_an_answer_where_there_was_none() {
    let found = recovered(&[row(RAISED, RAISED - 600, |_| {})], SALT, NOW);
    let [alarm] = &found[..] else { panic!("{found:?}") };
    assert_eq!((alarm.entity_id.as_str(), alarm.class, alarm.unit.as_str()), (ENTITY, DeviceClass::Temperature, "°C"));
    assert_eq!((alarm.alarm.raised_at, alarm.alarm.end, alarm.alarm.kind), (RAISED, None, AnomalyKind::Level));
    assert_eq!((alarm.alarm.score, alarm.alarm.threshold, alarm.alarm.severity), (5.25, 3.5, Severity::Warning));
    assert_eq!(alarm.alarm.band, Some(Band { low: -19.0, expected: -18.0, high: -17.0 }));
    assert_eq!(
        (alarm.model_version, alarm.answer, alarm.shared, alarm.recovered),
        (ModelVersion(4), None, false, true)
    );
}

#[test]
fn the_newest_row_about_an_alarm_counts_with_every_persons_answer_and_the_last_one_holds() {
    let answered = |attributes: &mut Value| {
        attributes["end"] = stamp(RAISED + 7_200).into();
        attributes["shared"] = true.into();
        attributes["answers"] = json!([
            {"by": "ann", "answer": "dismissed", "at": stamp(RAISED + 60)},
            {"by": "ben", "answer": "confirmed", "at": stamp(RAISED + 90), "reason": "the door stood open"},
        ]);
    };
    let rows = [row(RAISED + 100, RAISED - 600, answered), row(RAISED, RAISED - 600, |_| {})];
    let found = recovered(&rows, SALT, NOW);
    let [alarm] = &found[..] else { panic!("{found:?}") };
    assert_eq!((alarm.answer, alarm.shared), (Some((Verdict::Confirmed, RAISED + 90)), true));
    let reasons: Vec<_> = alarm.answers.iter().map(|answer| answer.reason.as_ref().map(Reason::as_str)).collect();
    assert_eq!(reasons, [None, Some("the door stood open")]);
    assert!(alarm.is_disputed() && alarm.alarm.end == Some(RAISED + 7_200));
}

#[test]
fn another_homes_alarm_and_one_of_a_renamed_entity_or_another_moment_are_not_ours() {
    let theirs = row(RAISED, RAISED - 600, |row| row["alarm_id"] = alarm_id(b"theirs", ENTITY, RAISED - 600).into());
    let renamed = row(RAISED, RAISED - 600, |row| row["watched_entity"] = "sensor.deep_freeze".into());
    let moved = row(RAISED, RAISED - 600, |row| row["start"] = stamp(RAISED - 1_200).into());
    assert_eq!(recovered(&[theirs, renamed, moved], SALT, NOW), []);
}

#[test]
fn rows_that_make_no_sense_are_left_out_and_spoil_no_others() {
    type Change = fn(&mut Value);
    let changes: &[Change] = &[
        |row| *row = json!({}),
        |row| *row = json!({"alarm_id": 7}),
        |row| *row = json!({"alarm_id": "a", "watched_entity": null}),
        |row| row["kind"] = "ghostly".into(),
        |row| row["watched_class"] = "problem".into(),
        |row| row["score"] = "high".into(),
        |row| row["score"] = json!(1e300),
        |row| row["expected_low"] = json!(-1e300),
        |row| row["why"] = "x".repeat(TEXT_CHARS_MAX + 1).into(),
        |row| row["moved_with"] = vec!["x"; LIST_MAX + 1].into(),
        |row| {
            row["answers"] = vec![json!({"by": "a", "answer": "confirmed", "at": stamp(RAISED)}); LIST_MAX + 1].into();
        },
        |row| row["answers"] = json!([{"by": "a", "answer": "maybe", "at": stamp(RAISED)}]),
        |row| row["raised_at"] = stamp(RAISED - 1_200).into(),
        |row| row["raised_at"] = "yesterday".into(),
        |row| row["model_version"] = json!(-1),
    ];
    let mut rows: Vec<RecordedState> = changes.iter().map(|change| row(RAISED, RAISED - 600, change)).collect();
    rows.push(row(RAISED - 5, RAISED - 600, |_| {}));
    assert_eq!(ids(&recovered(&rows, SALT, NOW)), [alarm_id(SALT, ENTITY, RAISED - 600)]);
}

#[test]
fn what_is_older_than_ten_days_or_from_the_future_stays_away() {
    let start = RAISED - 600;
    assert_eq!(recovered(&[row(RAISED, start, |_| {})], SALT, RAISED + RECOVERED_SECONDS + 1), []);
    assert_eq!(recovered(&[row(RAISED, start, |_| {})], SALT, RAISED - AHEAD_SECONDS_MAX - 1), []);
    // An answer from the future was given now at the latest.
    let early = |row: &mut Value| row["answers"] = json!([{"by": "", "answer": "expected", "at": stamp(NOW + 999)}]);
    let found = recovered(&[row(RAISED, start, early)], SALT, NOW);
    assert_eq!(found[0].answer, Some((Verdict::Expected, NOW)));
}

#[test]
fn of_too_many_alarms_the_newest_come_back() {
    let rows: Vec<RecordedState> =
        (0..ALARMS_MAX as i64 + 20).map(|index| row(RAISED, RAISED - 600 + index, |_| {})).collect();
    let found = recovered(&rows, SALT, NOW);
    assert_eq!(found.len(), ALARMS_MAX);
    assert_eq!(found[0].alarm.start, RAISED - 600 + 20);
}
