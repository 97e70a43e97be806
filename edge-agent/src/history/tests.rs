//! The agent remembers what it heard, tells silence from a gap, and forgets in time.

use hearthwatch_model::alarm::{Alarm, Severity, Verdict};
use hearthwatch_model::class::DeviceClass;
use hearthwatch_model::features::AnomalyKind;
use hearthwatch_protocol::ModelVersion;

use super::*;

fn info(entity_id: &str, class: DeviceClass) -> EntityInfo {
    EntityInfo { entity_id: entity_id.to_owned(), class, unit: String::new() }
}

fn open() -> (tempfile::TempDir, History) {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(&dir.path().join("history.sqlite")).unwrap();
    history.know(0, &info("sensor.t", DeviceClass::Temperature)).unwrap();
    history.know(1, &info("binary_sensor.m", DeviceClass::Motion)).unwrap();
    (dir, history)
}

fn row(entity: u32, heard: Option<Value>, score: Option<f32>) -> StepRow {
    StepRow { entity, heard, score }
}

#[test]
fn a_step_reads_back_with_its_gaps_and_without_its_silence() {
    let (_dir, mut history) = open();
    let change = BinaryChange { at: 650, entity: 1, on: Some(true) };
    history.save_step(600, &[row(0, Some(Value::Number(20.5)), None), row(1, None, Some(1.0))], &[]).unwrap();
    history.save_step(1200, &[row(0, Some(Value::Gap), None)], &[change]).unwrap();
    let stored = |at, entity, value| StoredReading { at, entity, value };
    assert_eq!(history.readings(600, 0).unwrap(), [stored(600, 0, Value::Number(20.5))]);
    assert_eq!(
        history.readings(1200, 600).unwrap(),
        [stored(650, 1, Value::Binary(true)), stored(1200, 0, Value::Gap)]
    );
    assert_eq!(history.steps(0, 1200).unwrap(), [600, 1200]);
    assert_eq!(history.last_step().unwrap(), Some(1200));
}

#[test]
fn what_is_older_than_five_weeks_is_forgotten() {
    let (_dir, mut history) = open();
    let heard = [row(0, Some(Value::Number(1.0)), None)];
    history.save_step(600, &heard, &[]).unwrap();
    history.save_step(1200 + KEPT_SECONDS, &heard, &[]).unwrap();
    assert_eq!(history.steps(0, i64::MAX).unwrap(), [1200 + KEPT_SECONDS]);
    assert_eq!(history.readings(600, 0).unwrap(), []);
}

#[test]
fn entities_keep_their_values_when_they_are_numbered_anew() {
    let (dir, mut history) = open();
    history.save_step(600, &[row(0, Some(Value::Number(20.5)), None)], &[]).unwrap();
    drop(history);
    let mut history = History::open(&dir.path().join("history.sqlite")).unwrap();
    history.know(0, &info("sensor.new", DeviceClass::Power)).unwrap();
    history.know(1, &info("sensor.t", DeviceClass::Temperature)).unwrap();
    let found = history.readings(600, 0).unwrap();
    assert_eq!(found, [StoredReading { at: 600, entity: 1, value: Value::Number(20.5) }]);
}

#[test]
fn an_alarm_keeps_its_window_when_its_answer_changes() {
    let (_dir, mut history) = open();
    let alarm = Alarm {
        id: "0123456789abcdef".to_owned(),
        entity: 0,
        start: 600,
        end: None,
        raised_at: 1200,
        severity: Severity::Warning,
        score: 4.0,
        threshold: 3.0,
        observed: Some(30.0),
        band: None,
        kind: AnomalyKind::Level,
        reason: "30 °C, where 20 °C is usual.".to_owned(),
    };
    let mut stored = StoredAlarm {
        alarm,
        entity_id: "sensor.t".to_owned(),
        class: DeviceClass::Temperature,
        unit: "°C".to_owned(),
        model_version: ModelVersion(2),
        answer: None,
    };
    history.save_alarm(&stored, Some(&[1.5, -2.0])).unwrap();
    stored.answer = Some((Verdict::Dismissed, 1300));
    history.save_alarm(&stored, None).unwrap();
    assert_eq!(history.alarms(0).unwrap(), [stored]);
    assert_eq!(history.window_of("0123456789abcdef").unwrap(), Some(vec![1.5, -2.0]));
    assert_eq!(history.window_of("unknown").unwrap(), None);
}

#[test]
fn a_file_of_a_newer_version_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.sqlite");
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(History::open(&path), Err(HistoryError::Newer { found: 99, known: 1 })));
}
