//! What of a history is used.

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::reading::Value;
use hearthwatch_edge_core::fixtures::{alarm, stored, thermometer};
use hearthwatch_edge_store::history::StepRow;

use super::*;
use crate::fixtures::{made_history, made_job};

const DAY: i64 = DAY_SECONDS;

fn steps(days: i64) -> Vec<i64> {
    (1..=days * 144).map(|step| 1_767_225_600 + step * STEP_SECONDS).collect()
}

#[test]
fn whole_days_are_counted_back_from_the_last_step_and_the_warm_up_lies_before_them() {
    let of = |days, most| span(&steps(days), most).unwrap();
    let end = *steps(35).last().unwrap();
    let expected = Span { begin: end - 28 * DAY, from: end - 14 * DAY, end, days: 14 };
    assert_eq!(of(35, TRAINED_DAYS_MAX), expected);
    assert_eq!(of(35, EVALUATED_DAYS_MAX).days, 21);
    assert_eq!(of(21, TRAINED_DAYS_MAX).days, 7);
}

#[test]
fn less_than_the_warm_up_and_a_week_is_too_short_and_so_is_nothing() {
    let short = |days| Err(RoundError::HistoryTooShort { days, needed: 21 });
    assert_eq!(span(&steps(20), TRAINED_DAYS_MAX), short(20));
    assert_eq!(span(&[], TRAINED_DAYS_MAX), short(0));
}

#[test]
fn a_sensor_of_states_and_one_that_was_silent_on_too_many_days_are_no_candidates() {
    let binary = EntityInfo { class: DeviceClass::Motion, ..thermometer("binary_sensor.hall") };
    let infos = [binary, thermometer("sensor.young"), thermometer("sensor.old")];
    let days = HashMap::from([(0, 28), (1, SENSOR_DAYS_MIN - 1), (2, SENSOR_DAYS_MIN)]);
    let found = candidates(&infos, &days);
    assert_eq!(found, [Candidate { number: 2, class: DeviceClass::Temperature, days: SENSOR_DAYS_MIN }]);
}

#[test]
fn answers_become_verdicts_of_the_chosen_sensors_and_nothing_is_learnt_from_what_was_expected() {
    let infos = [thermometer("sensor.a"), thermometer("sensor.b")];
    let answered = |id: &str, info: &EntityInfo, verdict: Option<Verdict>| {
        let mut stored = stored(alarm(id, 9_600), info);
        stored.answer = verdict.map(|verdict| (verdict, 10_000));
        stored
    };
    let alarms = [
        answered("1", &infos[1], Some(Verdict::Confirmed)),
        answered("2", &infos[0], Some(Verdict::Dismissed)),
        answered("3", &infos[0], Some(Verdict::Expected)),
        answered("4", &infos[0], None),
        answered("5", &thermometer("sensor.not_chosen"), Some(Verdict::Confirmed)),
    ];
    let of = |entity, confirmed| HomeVerdict { entity, at: 9_000, confirmed };
    assert_eq!(verdicts(&alarms, &infos), [of(1, true), of(0, false)]);
}

#[test]
fn days_without_the_agent_are_no_steps_and_only_the_chosen_sensors_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.db");
    let (infos, end) = made_history(&path, 3, 21).unwrap();
    let mut history = History::open(&path).unwrap();
    (0..).zip(&infos).for_each(|(number, info)| history.know(number, info).unwrap());
    // Two days later it runs again.
    let later = end + 2 * DAY;
    let row = StepRow { received: Some(Value::Number(20.0)), ..StepRow::silent(0) };
    history.save_step(later, &[row], &[]).unwrap();
    let mut job = made_job(&path, infos, later, folder.path());
    job.limits.entities = 2;
    let home = read(&job, TRAINED_DAYS_MAX, 1).unwrap();
    assert_eq!((home.days, home.from, home.recorded.entities.len()), (9, later - 9 * DAY, 2));
    assert_eq!(home.steps.len(), 21 * 144 + 1);
    assert!(home.recorded.readings.iter().all(|reading| reading.entity < 2));
    job.now = end - DAY;
    assert_eq!(read(&job, TRAINED_DAYS_MAX, 1).unwrap_err(), RoundError::HistoryTooShort { days: 20, needed: 21 });
}

#[test]
fn a_file_that_is_not_there_is_named_by_the_engines_code_alone() {
    let folder = tempfile::tempdir().unwrap();
    let job = made_job(&folder.path().join("none.db"), Vec::new(), 0, folder.path());
    assert_eq!(read(&job, TRAINED_DAYS_MAX, 1).unwrap_err(), RoundError::History { code: "CannotOpen".to_owned() });
}
