//! A damaged memory: whatever is damaged, the home is watched on, and what can be read is kept.

use std::sync::LazyLock;

use hearthwatch_edge_core::alarm::StoredAlarm;
use proptest::prelude::*;

use super::*;

fn alarm(id: &str, raised_at: i64) -> StoredAlarm {
    fixtures::stored(fixtures::alarm(id, raised_at), &info("sensor.t", DeviceClass::Temperature))
}

fn question(id: &str, at: i64) -> StoredQuestion {
    StoredQuestion { id: id.to_owned(), at, answer: Some((Verdict::Confirmed, at + 1)), ..question_of("sensor.t") }
}

fn miss(id: &str, at: i64, reported_at: i64) -> StoredMiss {
    StoredMiss { id: id.to_owned(), entity_id: "sensor.t".to_owned(), at, reported_at, shared: false }
}

/// A memory that has lived: its file, in one piece.
static LIVED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let (dir, mut history) = open();
    for step in 1..=60 {
        let change = BinaryChange { at: step * 600 - 5, entity: 1, on: Some(step % 2 == 0) };
        history.save_step(step * 600, &[row(0, Some(Value::Number(20.5)), Some(1.0))], &[change]).unwrap();
    }
    for number in 1..=5 {
        history.save_alarm(&alarm(&format!("alarm-{number}"), number * 600), Some(&[0.5; 40])).unwrap();
        history.save_question(&question(&format!("question-{number}"), number * 600), Some(&[0.5; 40])).unwrap();
        history.save_miss(&miss(&format!("miss-{number}"), number * 600, number * 700)).unwrap();
    }
    history.set_note("house", "{}").unwrap();
    drop(history);
    std::fs::read(dir.path().join("history.sqlite")).unwrap()
});

fn lived() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("history.sqlite");
    std::fs::write(&file, &*LIVED).unwrap();
    (dir, file)
}

fn damage(file: &Path, sql: &str) {
    assert!(Connection::open(file).unwrap().execute(sql, []).unwrap() > 0, "{sql}");
}

/// Everything that a detector service and a page do with the memory; the alarms that are left.
fn live_on(file: &Path) -> Vec<String> {
    let mut history = History::open(file).unwrap();
    history.know(0, &info("sensor.t", DeviceClass::Temperature)).unwrap();
    history.know(1, &info("binary_sensor.m", DeviceClass::Motion)).unwrap();
    let ids: Vec<String> = history.alarms(0).unwrap().into_iter().map(|alarm| alarm.alarm.id).collect();
    history.questions(0).unwrap();
    history.misses().unwrap();
    history.note("house").unwrap();
    for step in history.steps(0, 60 * 600).unwrap() {
        history.readings(step, step - 600).unwrap();
    }
    for id in &ids {
        history.window_of(id).unwrap();
    }
    history.save_step(61 * 600, &[row(0, Some(Value::Number(1.0)), None)], &[]).unwrap();
    history.save_alarm(&alarm("new", 61 * 600), None).unwrap();
    history.save_question(&question("new", 61 * 600), None).unwrap();
    history.save_miss(&StoredMiss { shared: true, ..miss("new", 1, 1) }).unwrap();
    history.set_note("house", "{\"a\": 1}").unwrap();
    history.rename("sensor.t", "sensor.u").unwrap();
    history.forget("sensor.u").unwrap();
    let reader = History::open_to_read(file).unwrap();
    reader.points("binary_sensor.m", 0, 36_000).unwrap();
    reader.loud_steps(0, 0.1).unwrap();
    reader.judged(0).unwrap();
    reader.extent(0).unwrap();
    reader.entity_ids().unwrap();
    assert!(history.alarms(0).unwrap().iter().any(|alarm| alarm.alarm.id == "new"));
    ids
}

#[test]
fn an_alarm_that_cannot_be_read_hides_no_other_and_is_kept_aside() {
    let (_dir, file) = lived();
    damage(&file, "UPDATE alarms SET body = substr(body, 1, 40) WHERE id = 'alarm-2'");
    damage(
        &file,
        "UPDATE alarms SET body = replace(body, '\"raised_at\":1800', '\"raised_at\":9223372036854775807') WHERE id = 'alarm-3'",
    );
    damage(&file, "UPDATE questions SET body = 'no json' WHERE id = 'question-1'");
    let history = History::open(&file).unwrap();
    assert_eq!((history.alarms(0).unwrap().len(), history.questions(0).unwrap().len(), history.set_aside()), (3, 4, 3));
    drop(history);
    assert_eq!(live_on(&file), ["alarm-1", "alarm-4", "alarm-5"]);
}

#[test]
fn a_row_that_is_damaged_while_the_agent_runs_hides_no_other_one() {
    let (_dir, file) = lived();
    let history = History::open(&file).unwrap();
    damage(&file, "UPDATE alarms SET body = x'ff00' WHERE id = 'alarm-1'");
    damage(&file, "UPDATE misses SET at = 'noon' WHERE alarm = 'miss-1'");
    damage(&file, "UPDATE grid SET value = 'warm' WHERE step = 600");
    damage(&file, "UPDATE grid SET value = 1e300 WHERE step = 1200");
    assert_eq!((history.alarms(0).unwrap().len(), history.misses().unwrap().len()), (4, 4));
    history.readings(600, 0).unwrap();
    assert!(history.points("sensor.t", 0, 36_000).unwrap().len() >= 58);
}

#[test]
fn a_file_that_is_no_database_is_kept_under_a_new_name() {
    let (dir, file) = lived();
    std::fs::write(&file, "no database").unwrap();
    live_on(&file);
    assert_eq!(std::fs::read(dir.path().join("history.sqlite.damaged-1")).unwrap(), b"no database");
}

#[test]
fn of_a_file_with_a_damaged_page_the_rest_goes_on() {
    let (_dir, file) = lived();
    let mut bytes = LIVED.clone();
    // The last page belongs to one table.
    let last = bytes.len() - 4096;
    bytes[last..].fill(0xff);
    std::fs::write(&file, &bytes).unwrap();
    let history = History::open(&file).unwrap();
    assert_eq!(history.set_aside(), 1);
    let kept = [history.alarms(0).unwrap().len(), history.questions(0).unwrap().len(), history.misses().unwrap().len()];
    assert!(kept.iter().filter(|&&rows| rows == 5).count() >= 2, "{kept:?}");
    drop(history);
    live_on(&file);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_bytes_are_damaged_the_home_is_watched_on(
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..24),
    ) {
        let (_dir, file) = lived();
        std::fs::write(&file, crate::fixtures::damaged(&LIVED, places)).unwrap();
        live_on(&file);
    }

    #[test]
    fn wherever_the_file_was_cut_the_home_is_watched_on(cut in any::<prop::sample::Index>()) {
        let (_dir, file) = lived();
        std::fs::write(&file, &LIVED[..cut.index(LIVED.len())]).unwrap();
        live_on(&file);
    }
}
