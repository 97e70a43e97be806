//! The brain learns quietly, closes steps in order, remembers alarms over a restart and takes answers.

use hearthwatch_model::alarm::{Alarm, Severity};
use hearthwatch_model::features::AnomalyKind;
use hearthwatch_model::reading::Value;

use super::*;
use crate::history::StoredAlarm;

struct Home {
    dir: tempfile::TempDir,
    view: watch::Receiver<HomeView>,
    notices: mpsc::Receiver<Notice>,
    brain: Brain,
}

fn brain_in(dir: tempfile::TempDir) -> Home {
    let (view, view_seen) = watch::channel(HomeView::default());
    let (notices, heard) = mpsc::channel(16);
    let parts = BrainParts {
        model: Arc::new(Model::routine()),
        model_version: ModelVersion::ROUTINE,
        history: History::open(&dir.path().join("history.sqlite")).unwrap(),
        salt: vec![1; 32],
        budget: 1.0,
        timezone: Some(TimeZone::UTC),
        feedback: None,
    };
    let brain = Brain::new(parts, view, notices).unwrap();
    Home { dir, view: view_seen, notices: heard, brain }
}

fn home() -> Home {
    brain_in(tempfile::tempdir().unwrap())
}

fn thermometer() -> EntityInfo {
    EntityInfo { entity_id: "sensor.t".to_owned(), class: DeviceClass::Temperature, unit: "°C".to_owned() }
}

fn reading(at: i64, number: f64) -> Reading {
    Reading { at, entity: 0, value: Value::Number(number) }
}

fn stored_alarm(id: &str, end: Option<i64>) -> StoredAlarm {
    let alarm = Alarm {
        id: id.to_owned(),
        entity: 0,
        start: 600,
        end,
        raised_at: 600,
        severity: Severity::Warning,
        score: 4.0,
        threshold: 3.0,
        observed: Some(30.0),
        band: None,
        kind: AnomalyKind::Level,
        reason: "30 °C, where 20 °C is usual.".to_owned(),
    };
    StoredAlarm {
        alarm,
        entity_id: "sensor.t".to_owned(),
        class: DeviceClass::Temperature,
        unit: "°C".to_owned(),
        model_version: ModelVersion::ROUTINE,
        answer: None,
    }
}

#[test]
fn nothing_is_closed_before_home_assistant_is_heard() {
    let mut home = home();
    home.brain.add_entities(vec![thermometer()]);
    home.brain.tick(100_000);
    assert_eq!(home.brain.history.last_step().unwrap(), None);
    home.brain.set_listening(true, 100_000);
    home.brain.tick(100_000 + 1200);
    assert_eq!(home.brain.history.last_step().unwrap(), Some(100_800));
}

#[test]
fn a_step_waits_for_its_grace() {
    let mut home = home();
    home.brain.set_listening(true, 600);
    home.brain.tick(1200 + CLOSING_GRACE_SECONDS - 1);
    assert_eq!(home.brain.history.last_step().unwrap(), None);
    home.brain.tick(1200 + CLOSING_GRACE_SECONDS);
    assert_eq!(home.brain.history.last_step().unwrap(), Some(1200));
}

#[test]
fn an_outage_stops_the_judging_and_memory_fills_it() {
    let mut home = home();
    home.brain.add_entities(vec![thermometer()]);
    home.brain.set_listening(true, 600);
    home.brain.hear(&[reading(700, 20.0)]);
    home.brain.tick(1300);
    home.brain.set_listening(false, 1300);
    home.brain.tick(5000);
    assert_eq!(home.brain.history.last_step().unwrap(), Some(1200));
    assert_eq!(home.brain.recall(5000), Some(1200));
    home.brain.learn(&[reading(1300, 20.5), reading(4900, 21.0)], 5000);
    assert_eq!(home.brain.history.last_step().unwrap(), Some(4800));
    assert!(home.notices.try_recv().is_err());
}

#[test]
fn a_restart_recalls_what_was_remembered() {
    let mut home = home();
    home.brain.add_entities(vec![thermometer()]);
    home.brain.learn(&[reading(650, 20.0), reading(1300, 20.5)], 3000);
    let mut home = brain_in(home.dir);
    home.brain.add_entities(vec![thermometer()]);
    assert_eq!(home.brain.recall(4000), Some(3000));
    assert_eq!(home.brain.recall(3000 + WARM_UP_SECONDS + STEP_SECONDS), None, "too long ago to go on from");
    assert_eq!(home.brain.closed, Some(3000));
}

#[test]
fn an_alarm_that_was_open_before_a_restart_ends_when_the_detector_does_not_follow_it() {
    let mut home = home();
    home.brain.save(&stored_alarm("00d1", None), None);
    let mut home = brain_in(home.dir);
    assert_eq!(home.view.borrow().open, 1);
    home.brain.set_listening(true, 1300);
    assert_eq!(home.view.borrow().open, 0);
    let notice = home.notices.try_recv().unwrap();
    assert_eq!((notice.kind, notice.alarm.alarm.end), (NoticeKind::Ended, Some(1300)));
}

#[test]
fn an_answer_counts_for_the_shown_alarm_also_after_a_restart_and_can_be_changed() {
    let mut home = home();
    home.brain.save(&stored_alarm("00d1", None), None);
    let mut home = brain_in(home.dir);
    home.brain.answer(None, Verdict::Dismissed, 700);
    assert_eq!(home.view.borrow().open, 0);
    assert_eq!(home.view.borrow().shown.as_ref().unwrap().answer, Some((Verdict::Dismissed, 700)));
    home.brain.answer(Some("00d1"), Verdict::Confirmed, 800);
    assert_eq!(home.view.borrow().open, 1);
    let kinds: Vec<NoticeKind> =
        std::iter::from_fn(|| home.notices.try_recv().ok()).map(|notice| notice.kind).collect();
    assert_eq!(kinds, [NoticeKind::Answered(Verdict::Dismissed), NoticeKind::Answered(Verdict::Confirmed)]);
}

#[test]
fn an_answer_to_an_unknown_alarm_changes_nothing() {
    let mut home = home();
    home.brain.answer(Some("ffff"), Verdict::Confirmed, 700);
    home.brain.answer(None, Verdict::Confirmed, 700);
    assert!(home.notices.try_recv().is_err());
}

#[test]
fn an_impossible_value_is_said_at_once_and_goes_on_over_a_restart_under_one_id() {
    let mut home = home();
    home.brain.add_entities(vec![thermometer()]);
    home.brain.set_listening(true, 600);
    home.brain.hear(&[reading(650, 20.0)]);
    assert!(home.notices.try_recv().is_err());
    home.brain.hear(&[reading(700, 5000.0)]);
    let raised = home.notices.try_recv().unwrap();
    assert_eq!((raised.kind, raised.alarm.alarm.kind), (NoticeKind::Raised, AnomalyKind::Physics));
    assert_eq!(home.view.borrow().open, 1);

    let mut home = brain_in(home.dir);
    assert_eq!(home.view.borrow().open, 1);
    home.brain.add_entities(vec![thermometer()]);
    home.brain.recall(800);
    home.brain.set_listening(true, 800);
    assert!(home.notices.try_recv().is_err(), "nobody is told twice");
    let id = raised.alarm.alarm.id;
    assert_eq!(home.view.borrow().shown.as_ref().unwrap().alarm.id, id);
    home.brain.answer(Some(&id), Verdict::Dismissed, 900);
    assert_eq!(home.brain.detector.answers().lessons().len(), 1, "the detector knows the alarm again");
}

#[test]
fn a_record_for_the_fleet_needs_a_full_window() {
    let alarm = stored_alarm("00d1", None);
    let home = HomeId::new("home-7").unwrap();
    assert!(alarms::feedback_record(home.clone(), &alarm, None, Verdict::Confirmed, 700).is_err());
    let window = vec![0.5; hearthwatch_model::grid::WINDOW_STEPS * hearthwatch_model::grid::FEATURES];
    let record = alarms::feedback_record(home, &alarm, Some(window), Verdict::Dismissed, 500).unwrap();
    assert_eq!(record.verdict, hearthwatch_protocol::messages::Verdict::Dismissed);
    assert_eq!((record.device_class.as_str(), record.answered_at), ("temperature", 600));
    let encoded = hearthwatch_protocol::encode(&hearthwatch_protocol::Message::Feedback(record));
    assert!(encoded.is_ok());
}
