//! The agent remembers what it heard, tells silence from a gap, and forgets in time.

mod damage;

use hearthwatch_detector::alarm::Verdict;
use hearthwatch_detector::class::DeviceClass;
use hearthwatch_edge_core::alarm::{PersonsAnswer, Reason};
use hearthwatch_edge_core::fixtures;
use hearthwatch_protocol::ModelVersion;

use super::*;

fn info(entity_id: &str, class: DeviceClass) -> EntityInfo {
    fixtures::info(entity_id, class, "")
}

fn open() -> (tempfile::TempDir, History) {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(&dir.path().join("history.sqlite")).unwrap();
    history.know(0, &info("sensor.t", DeviceClass::Temperature)).unwrap();
    history.know(1, &info("binary_sensor.m", DeviceClass::Motion)).unwrap();
    (dir, history)
}

fn row(entity: u32, received: Option<Value>, score: Option<f32>) -> StepRow {
    let judged = score.map(|score| Judged { score: Some(score), ..Judged::default() });
    StepRow { entity, received, judged }
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
    let received = [row(0, Some(Value::Number(1.0)), None)];
    history.save_step(600, &received, &[]).unwrap();
    history.save_step(1200 + KEPT_SECONDS, &received, &[]).unwrap();
    assert_eq!(history.steps(0, i64::MAX).unwrap(), [1200 + KEPT_SECONDS]);
    assert_eq!(history.readings(600, 0).unwrap(), []);
}

#[test]
fn a_day_counts_once_for_each_entity_that_reported_a_number_in_it() {
    let (_dir, mut history) = open();
    let number = || row(0, Some(Value::Number(1.0)), None);
    for (step, rows) in [
        (600, vec![number()]),
        (1200, vec![number(), row(1, Some(Value::Number(2.0)), None)]),
        (86_400, vec![row(0, Some(Value::Gap), None), row(1, None, Some(1.0))]),
        (2 * 86_400, vec![number()]),
    ] {
        history.save_step(step, &rows, &[]).unwrap();
    }
    assert_eq!(history.days_with_numbers(0, i64::MAX).unwrap(), HashMap::from([(0, 2), (1, 1)]));
    assert_eq!(history.days_with_numbers(600, 86_400).unwrap(), HashMap::from([(0, 1), (1, 1)]));
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
    let mut stored = fixtures::stored(fixtures::alarm("0123456789abcdef", 1200), &fixtures::thermometer("sensor.t"));
    history.save_alarm(&stored, Some(&[1.5, -2.0])).unwrap();
    stored.answer = Some((Verdict::Dismissed, 1300));
    history.save_alarm(&stored, None).unwrap();
    assert_eq!(history.alarms(0).unwrap(), [stored]);
    assert_eq!(history.window_of("0123456789abcdef").unwrap(), Some(vec![1.5, -2.0]));
    assert_eq!(history.window_of("unknown").unwrap(), None);
}

#[test]
fn a_reason_is_one_line_of_bounded_length_and_answers_of_before_there_were_any_read() {
    assert_eq!(Reason::new(" the boiler\nwas\u{7}serviced ").unwrap().as_str(), "the boiler was serviced");
    assert_eq!(Reason::new(&"ä".repeat(500)).unwrap().as_str().chars().count(), Reason::CHARS_MAX);
    assert_eq!(Reason::new(" \n "), None);
    let before: PersonsAnswer = serde_json::from_str(r#"{"by": "Ann", "verdict": "expected", "at": 700}"#).unwrap();
    assert_eq!(before, PersonsAnswer { by: "Ann".into(), verdict: Verdict::Expected, at: 700, reason: None });
    assert!(!serde_json::to_string(&before).unwrap().contains("reason"), "and are written as they were");
}

#[test]
fn a_file_of_a_newer_version_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.sqlite");
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(History::open(&path), Err(HistoryError::Newer { found: 99, known: 3 })));
}

fn reader(dir: &tempfile::TempDir) -> History {
    History::open_to_read(&dir.path().join("history.sqlite")).unwrap()
}

#[test]
fn the_page_reads_what_is_drawn_while_the_detector_service_holds_the_file() {
    let (dir, mut history) = open();
    let band = Band { low: 19.0, expected: 20.0, high: 21.0 };
    let judged = Judged { observed: Some(20.5), band: Some(band), ..Judged::default() };
    let received = StepRow { entity: 0, received: Some(Value::Number(20.5)), judged: Some(judged) };
    let binary = StepRow { judged: Some(Judged { observed: Some(0.25), ..Judged::default() }), ..StepRow::silent(1) };
    history.save_step(600, &[received, binary], &[]).unwrap();
    let reader = reader(&dir);
    let point = |observed, band| hearthwatch_edge_core::explain::Point { at: 600, observed: Some(observed), band };
    assert_eq!(reader.points("sensor.t", 0, 600).unwrap(), [point(20.5, Some(band))]);
    assert_eq!(reader.points("binary_sensor.m", 0, 600).unwrap(), [point(0.25, None)]);
    assert_eq!(reader.points("sensor.unknown", 0, 600).unwrap(), []);
    assert_eq!(reader.extent(0).unwrap(), Some((600, 600, 1)));
}

#[test]
fn only_steps_that_may_speak_are_read_for_a_preview() {
    let (dir, mut history) = open();
    let with = |rarity, immediate| {
        let judged = Judged { score: Some(1.0), rarity: Some(rarity), immediate, ..Judged::default() };
        StepRow { judged: Some(judged), ..StepRow::silent(0) }
    };
    history.save_step(600, &[with(1.0, false)], &[]).unwrap();
    history.save_step(1200, &[with(6.5, false)], &[]).unwrap();
    history.save_step(1800, &[with(8.0, true)], &[]).unwrap();
    // A rule's finding counts under every budget, however rare its step.
    history.save_step(2400, &[with(0.5, true)], &[]).unwrap();
    let loud: Vec<_> = reader(&dir).loud_steps(0, 5.0).unwrap().iter().map(|one| (one.at, one.immediate)).collect();
    assert_eq!(loud, [(1200, false), (1800, true), (2400, true)]);
}

#[test]
fn what_was_judged_in_hindsight_is_told_from_what_was_lived() {
    let (dir, mut history) = open();
    let step = |rarity, score| {
        let judged = Judged { score, rarity, observed: Some(20.0), ..Judged::default() };
        [StepRow { judged: Some(judged), ..StepRow::silent(0) }]
    };
    history.save_step(600, &step(None, None), &[]).unwrap();
    assert_eq!(reader(&dir).judged(0).unwrap(), None, "too new to be judged");
    history.save_step(1200, &step(Some(5.0), None), &[]).unwrap();
    assert_eq!(reader(&dir).judged(0).unwrap(), Some(JudgedSpan { first: 1200, last: 1200, lived: None }));
    history.save_step(1800, &step(Some(6.0), Some(2.0)), &[]).unwrap();
    assert_eq!(reader(&dir).judged(0).unwrap(), Some(JudgedSpan { first: 1200, last: 1800, lived: Some(1800) }));
    assert_eq!(reader(&dir).loud_steps(0, 1.0).unwrap().len(), 2);
}

#[test]
fn a_memory_of_the_first_version_is_read_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.sqlite");
    schema::write_version_1(&path);
    let mut history = History::open(&path).unwrap();
    history.know(0, &info("sensor.t", DeviceClass::Temperature)).unwrap();
    assert_eq!(reader(&dir).points("sensor.t", 0, 600).unwrap()[0].observed, Some(20.5));
    history.save_step(1200, &[row(0, Some(Value::Number(21.0)), Some(2.0))], &[]).unwrap();
    assert_eq!(history.steps(0, 1200).unwrap(), [600, 1200]);
}

#[test]
fn a_declared_miss_is_kept_once_however_often_it_is_declared() {
    let (_dir, mut history) = open();
    let miss = StoredMiss { id: "a1".into(), entity_id: "sensor.t".into(), at: 600, reported_at: 900, shared: false };
    history.save_miss(&miss).unwrap();
    let again = StoredMiss { reported_at: 1000, shared: true, ..miss };
    history.save_miss(&again).unwrap();
    assert_eq!(history.misses().unwrap(), [again]);
}

fn question_of(entity_id: &str) -> StoredQuestion {
    StoredQuestion {
        id: format!("q-{entity_id}"),
        info: info(entity_id, DeviceClass::Temperature),
        at: 600,
        observed: Some(20.1),
        score: -1.25,
        threshold: 3.5,
        model_version: ModelVersion(2),
        propensity: 0.1,
        answer: None,
    }
}

#[test]
fn questions_and_misses_go_with_their_entity() {
    let (_dir, mut history) = open();
    let miss = StoredMiss { id: "m".into(), entity_id: "sensor.t".into(), at: 600, reported_at: 900, shared: false };
    history.save_miss(&miss).unwrap();
    for entity_id in ["sensor.t", "sensor.other"] {
        history.save_question(&question_of(entity_id), Some(&[1.5])).unwrap();
    }
    history.rename("sensor.t", "sensor.new").unwrap();
    assert_eq!(history.misses().unwrap(), [StoredMiss { entity_id: "sensor.new".into(), ..miss }]);
    let renamed = StoredQuestion { info: info("sensor.new", DeviceClass::Temperature), ..question_of("sensor.t") };
    assert_eq!(history.question("q-sensor.t").unwrap(), Some((renamed, Some(vec![1.5]))));

    history.forget("sensor.new").unwrap();
    assert_eq!(history.misses().unwrap(), []);
    assert_eq!(history.questions(0).unwrap(), [question_of("sensor.other")]);
}
