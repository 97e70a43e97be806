//! The detector service learns quietly, closes steps in order, remembers alarms over a restart and takes answers.

use std::collections::HashMap;

use hearthwatch_detector::alarm::{Alarm, Severity, Verdict};
use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::finding::AnomalyKind;
use hearthwatch_detector::reading::Value;
use hearthwatch_edge_core::alarm::{Reason, StoredAlarm};
use hearthwatch_edge_core::explain::Language;
use hearthwatch_edge_core::fixtures::{self, thermometer as info_of};
use hearthwatch_edge_core::preferences::{
    Change, DailyTime, HomeMode, Place, QuietHours, Scope, Suppression, WEEK_SECONDS,
};
use hearthwatch_edge_store::history::StoredQuestion;

use super::*;

mod clock;
mod memory;

struct Home {
    dir: tempfile::TempDir,
    view: watch::Receiver<HomeView>,
    notices: mpsc::Receiver<Notice>,
    detection: DetectorService,
}

impl std::ops::Deref for Home {
    type Target = DetectorService;

    fn deref(&self) -> &DetectorService {
        &self.detection
    }
}

impl std::ops::DerefMut for Home {
    fn deref_mut(&mut self) -> &mut DetectorService {
        &mut self.detection
    }
}

fn service_in(dir: tempfile::TempDir) -> Home {
    let (view, view_seen) = watch::channel(HomeView::default());
    let (notices, received) = mpsc::channel(16);
    let parts = crate::fixtures::parts(History::open(&dir.path().join("history.sqlite")).unwrap());
    let detection = DetectorService::new(parts, view, notices).unwrap();
    Home { dir, view: view_seen, notices: received, detection }
}

fn home() -> Home {
    service_in(tempfile::tempdir().unwrap())
}

fn thermometer() -> EntityInfo {
    info_of("sensor.t")
}

/// A thermometer that is listened to.
fn heard() -> Home {
    let mut home = home();
    home.add_entities(vec![thermometer()]);
    home.set_listening(true, 600);
    home
}

fn remembered(home: &Home) -> Vec<StoredAlarm> {
    home.memory.history.alarms(0).unwrap()
}

fn put_questions(home: &Home) -> Vec<StoredQuestion> {
    home.memory.history.questions(0).unwrap()
}

fn last_step(home: &Home) -> Option<i64> {
    home.memory.history.last_step().unwrap()
}

fn reading(at: i64, number: f64) -> Reading {
    Reading { at, entity: 0, value: Value::Number(number) }
}

fn stored_alarm(id: &str, end: Option<i64>) -> StoredAlarm {
    fixtures::stored(Alarm { start: 600, end, ..fixtures::alarm(id, 600) }, &thermometer())
}

#[test]
fn nothing_is_closed_before_home_assistant_is_heard() {
    let mut home = home();
    home.add_entities(vec![thermometer()]);
    home.tick(100_000);
    assert_eq!(last_step(&home), None);
    home.set_listening(true, 100_000);
    home.tick(100_000 + 1200);
    assert_eq!(last_step(&home), Some(100_800));
}

#[test]
fn a_step_waits_for_its_grace() {
    let mut home = home();
    home.set_listening(true, 600);
    home.tick(1200 + CLOSING_GRACE_SECONDS - 1);
    assert_eq!(last_step(&home), None);
    home.tick(1200 + CLOSING_GRACE_SECONDS);
    assert_eq!(last_step(&home), Some(1200));
}

#[test]
fn an_outage_stops_the_judging_and_memory_fills_it() {
    let mut home = heard();
    home.ingest(&[reading(700, 20.0)]);
    home.tick(1300);
    home.set_listening(false, 1300);
    home.tick(5000);
    assert_eq!(last_step(&home), Some(1200));
    assert_eq!(home.recall(5000), Some(1200));
    home.learn(&[reading(1300, 20.5), reading(4900, 21.0)], 5000);
    assert_eq!(last_step(&home), Some(4800));
    assert!(home.notices.try_recv().is_err());
}

#[test]
fn a_restart_recalls_what_was_remembered() {
    let mut home = home();
    home.add_entities(vec![thermometer()]);
    home.learn(&[reading(650, 20.0), reading(1300, 20.5)], 3000);
    let mut home = service_in(home.dir);
    home.add_entities(vec![thermometer()]);
    assert_eq!(home.recall(4000), Some(3000));
    assert_eq!(home.recall(3000 + WARM_UP_SECONDS + STEP_SECONDS), None, "too long ago to go on from");
    assert_eq!(home.steps.closed, Some(3000));
}

#[test]
fn an_alarm_that_was_open_before_a_restart_ends_when_the_detector_does_not_follow_it() {
    let mut home = home();
    home.memory.save_alarm(&stored_alarm("00d1", None), None);
    let mut home = service_in(home.dir);
    assert_eq!(home.view.borrow().unusual.len(), 1);
    home.set_listening(true, 1300);
    assert_eq!(home.view.borrow().unusual.len(), 0);
    let notice = home.notices.try_recv().unwrap();
    assert_eq!((notice.kind, notice.alarm.alarm.end), (NoticeKind::Ended, Some(1300)));
}

#[test]
fn an_answer_counts_for_the_shown_alarm_also_after_a_restart_and_can_be_changed() {
    let mut home = home();
    home.memory.save_alarm(&stored_alarm("00d1", None), None);
    let mut home = service_in(home.dir);
    home.answer(None, Verdict::Dismissed, "", None, 700);
    assert_eq!(home.view.borrow().unusual.len(), 0);
    assert_eq!(home.view.borrow().shown.as_ref().unwrap().answer, Some((Verdict::Dismissed, 700)));
    home.answer(Some("00d1"), Verdict::Confirmed, "", None, 800);
    assert_eq!(home.view.borrow().unusual.len(), 1);
    let kinds: Vec<NoticeKind> =
        std::iter::from_fn(|| home.notices.try_recv().ok()).map(|notice| notice.kind).collect();
    assert_eq!(kinds, [NoticeKind::Answered(Verdict::Dismissed), NoticeKind::Answered(Verdict::Confirmed)]);
}

#[test]
fn an_answer_to_an_unknown_alarm_changes_nothing() {
    let mut home = home();
    home.answer(Some("ffff"), Verdict::Confirmed, "", None, 700);
    home.answer(None, Verdict::Confirmed, "", None, 700);
    assert!(home.notices.try_recv().is_err());
}

#[test]
fn an_impossible_value_is_said_at_once_and_goes_on_over_a_restart_under_one_id() {
    let mut home = heard();
    home.ingest(&[reading(650, 20.0)]);
    assert!(home.notices.try_recv().is_err());
    home.ingest(&[reading(700, 5000.0)]);
    let raised = home.notices.try_recv().unwrap();
    assert_eq!((raised.kind, raised.alarm.alarm.kind), (NoticeKind::Raised, AnomalyKind::Physics));
    assert_eq!(home.view.borrow().unusual.len(), 1);

    let mut home = service_in(home.dir);
    assert_eq!(home.view.borrow().unusual.len(), 1);
    home.add_entities(vec![thermometer()]);
    home.recall(800);
    home.set_listening(true, 800);
    assert!(home.notices.try_recv().is_err(), "nobody is told twice");
    let id = raised.alarm.alarm.id;
    assert_eq!(home.view.borrow().shown.as_ref().unwrap().alarm.id, id);
    home.answer(Some(&id), Verdict::Dismissed, "", None, 900);
    assert_eq!(home.judging.detector.answers().all().len(), 1, "the detector knows the alarm again");
}

#[test]
fn a_record_for_the_fleet_needs_a_full_window() {
    let alarm = stored_alarm("00d1", None);
    let home = HomeId::new("home-7").unwrap();
    assert!(feedback::feedback_record(home.clone(), &alarm, None, Verdict::Confirmed, 700).is_err());
    let window = vec![0.5; hearthwatch_detector::grid::WINDOW_STEPS * hearthwatch_detector::grid::FEATURES];
    let record = feedback::feedback_record(home, &alarm, Some(window), Verdict::Dismissed, 500).unwrap();
    assert_eq!(record.verdict, hearthwatch_protocol::messages::Verdict::Dismissed);
    assert_eq!((record.device_class.as_str(), record.answered_at), ("temperature", 600));
    let encoded = hearthwatch_protocol::encode(&hearthwatch_protocol::Message::Feedback(record));
    assert!(encoded.is_ok());
}

/// Three thermometers, on two devices, that were heard.
fn three() -> Home {
    let mut home = home();
    add_three(&mut home);
    home
}

fn add_three(home: &mut Home) {
    home.add_entities(vec![info_of("sensor.a"), info_of("sensor.b"), info_of("sensor.c")]);
    let on = |device: &str| Place { device: Some(device.to_owned()), ..Place::default() };
    home.set_places(HashMap::from([
        ("sensor.a".to_owned(), on("hub")),
        ("sensor.b".to_owned(), on("hub")),
        ("sensor.c".to_owned(), on("stove")),
    ]));
    home.set_listening(true, 600);
    home.ingest(&[0, 1, 2].map(|entity| Reading { at: 610, entity, value: Value::Number(20.0) }));
}

fn impossible(at: i64, entity: u32) -> Reading {
    Reading { at, entity, value: Value::Number(5_000.0) }
}

fn kinds(home: &mut Home) -> Vec<(NoticeKind, String)> {
    std::iter::from_fn(|| home.notices.try_recv().ok()).map(|notice| (notice.kind, notice.alarm.entity_id)).collect()
}

#[test]
fn what_still_warns_of_danger_is_shown_as_such_whatever_was_answered() {
    let mut home = home();
    home.add_entities(vec![fixtures::info("binary_sensor.leak", DeviceClass::Moisture, "")]);
    home.set_listening(true, 600);
    let says = |home: &mut Home, at, wet| home.ingest(&[Reading { at, entity: 0, value: Value::Binary(wet) }]);
    says(&mut home, 610, false);
    says(&mut home, 620, true);
    assert_eq!(home.view.borrow().unusual, ["Water detected: Leak"]);
    // Kept quiet, called false: it is still wet.
    let id = home.view.borrow().shown.clone().unwrap().alarm.id;
    home.snooze(&id, 86_400, 630);
    home.answer(Some(&id), Verdict::Dismissed, "Ann", None, 640);
    assert_eq!(home.view.borrow().unusual, ["Water detected: Leak"]);
    home.answer(Some(&id), Verdict::Expected, "Ann", None, 650);
    assert_eq!(home.view.borrow().unusual, ["Leak: still warns of danger"]);
    kinds(&mut home);
    says(&mut home, 660, false);
    assert_eq!(home.view.borrow().unusual, [""; 0]);
    says(&mut home, 670, true);
    assert_eq!(kinds(&mut home), [(NoticeKind::Raised, "binary_sensor.leak".to_owned())]);
}

#[test]
fn what_fails_on_one_device_is_one_message_and_one_answer() {
    let mut home = three();
    home.ingest(&[impossible(620, 0), impossible(630, 1)]);
    let said = kinds(&mut home);
    assert_eq!(said, [(NoticeKind::Raised, "sensor.a".to_owned()), (NoticeKind::Changed, "sensor.a".to_owned())]);
    let shown = home.view.borrow().shown.clone().unwrap();
    assert_eq!((shown.moved_with, home.view.borrow().unusual.len()), (vec!["B".to_owned()], 1));
    home.answer(None, Verdict::Dismissed, "Ann", None, 700);
    assert!(remembered(&home).iter().all(|alarm| alarm.answer == Some((Verdict::Dismissed, 700))));
    assert_eq!(home.view.borrow().unusual.len(), 0);
}

/// Ten sensors of ten devices that reported every ten minutes for four days and then, with their hub, no more; two others go
/// on, so that it is not the home's own network that is down.
#[test]
fn a_hub_that_takes_ten_sensors_down_is_one_message_that_says_where_to_look() {
    let mut home = home();
    let names: Vec<String> = (0..12).map(|number| format!("sensor.s{number}")).collect();
    home.add_entities(names.iter().map(|name| info_of(name)).collect());
    let on = |number: usize| Place { device: Some(format!("thermometer {number}")), ..Place::default() };
    home.set_places(names.iter().cloned().enumerate().map(|(number, name)| (name, on(number))).collect());
    let dies = 4 * 86_400;
    let report =
        |at: i64| (0..12).map(move |entity| Reading { at, entity, value: Value::Number(20.0 + (at / 600 % 7) as f64) });
    let past: Vec<Reading> = (0..dies / 600).flat_map(|step| report(600 * step + 1)).collect();
    home.learn(&past, dies);
    home.set_listening(true, dies);
    for step in 0..144 {
        let at = dies + 600 * step;
        home.ingest(&report(at + 1).filter(|reading| reading.entity >= 10).collect::<Vec<_>>());
        home.tick(at + 600 + CLOSING_GRACE_SECONDS);
    }
    let said = kinds(&mut home);
    let raised = said.iter().filter(|(kind, _)| *kind == NoticeKind::Raised).count();
    assert_eq!(raised, 1, "{said:?}");
    assert_eq!(home.view.borrow().unusual.len(), 1);
    let shown = home.view.borrow().shown.clone().unwrap();
    assert_eq!((shown.alarm.kind, shown.merged_count), (AnomalyKind::Silent, 9));
    assert_eq!(shown.cause, Some(hearthwatch_detector::alarm::Cause::Connection));
}

/// A home that has told everything to a list, with two entities and a routine of 15 days.
fn settled(budget: f64) -> (Home, Arc<std::sync::Mutex<Vec<ToFleet>>>, i64) {
    let told: Arc<std::sync::Mutex<Vec<ToFleet>>> = Arc::default();
    let mut home = home();
    let list = Arc::clone(&told);
    let sink: FeedbackSink = Box::new(move |record| {
        list.lock().unwrap().push(record);
        Ok(true)
    });
    home.delivery.feedback = Some((HomeId::new("home-7").unwrap(), sink));
    home.change(Change::Budget(budget), 0).unwrap();
    home.add_entities(vec![info_of("sensor.a"), info_of("sensor.b")]);
    let now = 15 * 86_400;
    let past: Vec<Reading> = (0..now / 600).flat_map(|step| ordinary(600 * step + 1)).collect();
    home.learn(&past, now);
    home.set_listening(true, now);
    (home, told, now)
}

/// A day like any other: a daily wave and a little noise (SplitMix64, Steele et al. 2014).
fn ordinary(at: i64) -> [Reading; 2] {
    let step = at / 600;
    let wave = 3.0 * (std::f64::consts::TAU * (step % 144) as f64 / 144.0).sin();
    [0u32, 1].map(|entity| {
        let mut bits = (step.unsigned_abs() * 2 + u64::from(entity)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let noise = ((bits ^ (bits >> 31)) % 1_000) as f64 / 1_000.0;
        Reading { at, entity, value: Value::Number(20.0 + wave + noise) }
    })
}

fn live(home: &mut Home, from: i64, steps: i64) {
    for at in (0..steps).map(|step| from + 600 * step) {
        home.ingest(&ordinary(at + 1));
        home.tick(at + 600 + CLOSING_GRACE_SECONDS);
    }
}

#[test]
fn questions_drawn_by_chance_are_put_within_the_weeks_questions_and_answered_with_their_propensity() {
    // At two alarms a day a question is drawn on about two days in nine; of entities with an alarm none is asked about, and
    // at two a day there nearly always is one.
    let (mut home, told, now) = settled(14.0);
    home.change(Change::Questions(2), now).unwrap();
    live(&mut home, now, 56 * 144);
    let questions = put_questions(&home);
    assert!((1..=16).contains(&questions.len()), "{}", questions.len());
    assert!(questions.iter().all(|question| question.score < question.threshold && question.answer.is_none()));
    assert!(questions.windows(3).all(|three| three[0].at - three[2].at >= WEEK_SECONDS));
    assert!(questions.iter().all(|question| !home.alarms.was_published(&question.id)), "nobody is disturbed for them");

    let (question, later) = (questions[0].clone(), now + 60 * 86_400);
    home.answer(Some(&question.id), Verdict::Confirmed, "Ann", None, later);
    assert_eq!(put_questions(&home)[0].answer, Some((Verdict::Confirmed, later)));
    let words = told.lock().unwrap().clone();
    let announced = |word: &ToFleet| match word {
        ToFleet::Announcement(said) => Some((said.alarm.to_string(), said.window_sha256)),
        ToFleet::Answer(_) => None,
    };
    let announced: Vec<_> = words.iter().filter_map(announced).collect();
    let records: Vec<_> = words
        .into_iter()
        .filter_map(|word| match word {
            ToFleet::Answer(record) => Some(record),
            ToFleet::Announcement(_) => None,
        })
        .collect();
    let promised = (question.id.clone(), records[0].window.digest());
    assert_eq!(announced.iter().filter(|said| **said == promised).count(), 1, "announced when it was put");
    let origins: Vec<_> = records.iter().map(|record| (record.origin, record.alarm.as_str(), record.score)).collect();
    let origin = hearthwatch_protocol::messages::Origin::AuditSample { propensity: question.propensity };
    assert_eq!(origins, [(origin, question.id.as_str(), question.score)]);
    assert!(home.judging.detector.answers().all().is_empty(), "nothing was said that could be quietened");
}

#[test]
fn who_wants_no_questions_or_is_not_learnt_from_is_asked_none_by_chance() {
    let (mut home, _, now) = settled(14.0);
    home.change(Change::Questions(0), now).unwrap();
    live(&mut home, now, 28 * 144);
    home.change(Change::Questions(21), now).unwrap();
    home.change(Change::Mode(HomeMode::Guests), now).unwrap();
    live(&mut home, now + 28 * 86_400, 28 * 144);
    assert_eq!(put_questions(&home), []);
}

#[test]
fn an_alarm_beyond_the_weeks_budget_is_remembered_and_not_said() {
    let mut home = three();
    home.ingest(&[impossible(620, 0), impossible(630, 2)]);
    assert_eq!(kinds(&mut home), [(NoticeKind::Raised, "sensor.a".to_owned())]);
    assert_eq!((home.view.borrow().unusual.len(), home.view.borrow().month.suppressed), (1, 1));
    assert_eq!(remembered(&home)[1].suppressed, Some(Suppression::Budget));
}

#[test]
fn what_was_confirmed_takes_nothing_from_the_budget() {
    let mut home = three();
    home.ingest(&[impossible(620, 0)]);
    home.answer(None, Verdict::Confirmed, "", None, 625);
    home.ingest(&[impossible(630, 2)]);
    assert_eq!(home.view.borrow().unusual.len(), 2);
}

#[test]
fn quiet_hours_hold_an_alarm_back_until_they_are_over() {
    let mut home = three();
    let quiet = QuietHours {
        from: DailyTime::parse("00:00").unwrap(),
        until: DailyTime::parse("01:00").unwrap(),
        let_through: Severity::Critical,
    };
    home.change(Change::QuietHours(Some(quiet)), 615).unwrap();
    home.ingest(&[impossible(620, 0)]);
    home.tick(640);
    assert_eq!((kinds(&mut home), home.view.borrow().unusual.len()), (vec![], 0));
    home.tick(3_600);
    assert_eq!(kinds(&mut home), [(NoticeKind::Raised, "sensor.a".to_owned())]);
}

#[test]
fn wishes_hold_over_a_restart_and_a_snooze_ends_by_itself() {
    let mut home = home();
    home.change(Change::Budget(3.0), 600).unwrap();
    home.change(Change::Mode(HomeMode::Guests), 600).unwrap();
    home.change(Change::Mute { scope: Scope::Home, until: Some(900) }, 600).unwrap();
    let mut home = service_in(home.dir);
    assert_eq!((home.view.borrow().budget, home.view.borrow().preferences.mode), (3.0, HomeMode::Guests));
    assert_eq!(home.view.borrow().preferences.mutes.len(), 1);
    home.tick(900);
    assert!(home.view.borrow().preferences.mutes.is_empty());
}

#[test]
fn a_reason_is_kept_beside_the_answer_and_told_when_the_like_comes_again_but_never_to_the_fleet() {
    let (mut home, told, now) = settled(2.0);
    let at = |after: i64| impossible(now + after, 0);
    home.ingest(&[at(20)]);
    let first = home.view.borrow().shown.clone().unwrap();
    assert_eq!(first.precedent, None);
    let reason = Reason::new("the boiler was serviced");
    home.answer(None, Verdict::Expected, "Ann", reason.as_ref(), now + 30);
    // The same word again, without a reason, takes nothing back; another word has none.
    home.answer(Some(&first.alarm.id), Verdict::Expected, "Ann", None, now + 40);
    home.answer(Some(&first.alarm.id), Verdict::Confirmed, "Ben", None, now + 50);
    let kept = remembered(&home).remove(0);
    assert_eq!(kept.answers.iter().map(|answer| answer.reason.clone()).collect::<Vec<_>>(), [reason.clone(), None]);

    // Hours later the same sensor does it again, and another one.
    let later = now + 12 * 3_600;
    live(&mut home, now, 72);
    home.ingest(&[impossible(later + 20, 0), impossible(later + 20, 1)]);
    let alarms = home.look().alarms;
    let (again, other) = (&alarms[alarms.len() - 2], &alarms[alarms.len() - 1]);
    let precedent = again.precedent.clone().unwrap();
    assert_eq!((precedent.by.as_str(), precedent.verdict), ("Ann", Verdict::Expected));
    assert_eq!((precedent.raised_at, Some(precedent.reason)), (first.alarm.raised_at, reason));
    assert_eq!(other.precedent, None, "another sensor is another matter");

    let told = told.lock().unwrap();
    assert!(told.iter().any(|one| matches!(one, ToFleet::Answer(_))));
    for one in told.iter() {
        let message = match one {
            ToFleet::Announcement(announcement) => hearthwatch_protocol::Message::Announcement(announcement.clone()),
            ToFleet::Answer(record) => hearthwatch_protocol::Message::Feedback(record.clone()),
        };
        let bytes = hearthwatch_protocol::encode(&message).unwrap();
        for secret in ["boiler", "serviced", "Ann"] {
            assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret} has left the home");
        }
    }
}

#[test]
fn two_who_disagree_are_both_remembered_and_the_last_one_counts() {
    let mut home = three();
    home.ingest(&[impossible(620, 0)]);
    home.answer(None, Verdict::Confirmed, "Ann", None, 630);
    home.answer(None, Verdict::Dismissed, "Ben", None, 640);
    let shown = home.view.borrow().shown.clone().unwrap();
    assert!(shown.is_disputed());
    assert_eq!(shown.answer, Some((Verdict::Dismissed, 640)));
    home.answer(Some(&shown.alarm.id), Verdict::Dismissed, "Ann", None, 650);
    assert!(!home.view.borrow().shown.as_ref().unwrap().is_disputed());
}

#[test]
fn the_daily_brief_is_one_message_at_its_time() {
    let mut home = three();
    home.change(Change::Brief(Some(DailyTime::parse("08:00").unwrap())), 610).unwrap();
    home.ingest(&[impossible(620, 0), impossible(630, 2)]);
    home.tick(700);
    assert_eq!(home.view.borrow().brief, None);
    home.tick(8 * 3_600);
    let brief = home.view.borrow().brief.clone().unwrap();
    assert_eq!((brief.at, brief.text.as_str()), (28_800, "One alarm in the last day: A. Kept back: 1 (C)."));
    home.set_language(Language::Dutch);
    home.tick(32 * 3_600);
    assert_eq!(
        home.view.borrow().brief.as_ref().unwrap().text,
        "Niets ongewoons de voorbije dag; 3 sensoren in het oog gehouden."
    );
}

#[test]
fn a_sensor_just_met_is_not_said_to_be_broken_before_it_spoke_sense() {
    let mut home = heard();
    home.ingest(&[impossible(650, 0)]);
    home.tick(1_300);
    assert_eq!(kinds(&mut home), []);
    assert_eq!(home.view.borrow().readiness.entities, []);
}
