//! What is learnt follows an entity through renames, goes with it, and never holds what must not count.

use std::collections::BTreeMap;
use std::collections::HashMap;

use super::*;
use crate::service::handle::relearn_on_thread;

const DAY: i64 = 86_400;

fn ids(list: &[(&str, &str)]) -> BTreeMap<String, String> {
    list.iter().map(|(key, id)| ((*key).to_owned(), (*id).to_owned())).collect()
}

/// A reading each ten minutes around `level` in (`from`, `until`].
fn steady(from: i64, until: i64, level: f64) -> Vec<Reading> {
    let steps = (until - from) / STEP_SECONDS;
    let wobble = |step: i64| f64::from(u8::try_from((step * 7) % 5).unwrap()) * 0.1;
    (1..=steps).map(|step| reading(from + step * STEP_SECONDS - 300, level + wobble(step))).collect()
}

/// Does what somebody beside the detector service does: learns anew where that is due.
pub(super) fn relearn_now(detection: &mut DetectorService) {
    while let Some(mut relearning) = detection.due_relearning() {
        relearning.run(|| true);
        drop(detection.take_over(relearning));
    }
}

/// The thermometer's home after a restart, listened to from `at` on.
fn again(home: Home, at: i64) -> Home {
    let mut home = service_in(home.dir);
    home.add_entities(vec![thermometer()]);
    home.recall(at);
    home.set_listening(true, at);
    home
}

/// Learns anew what is due, with no other command meanwhile.
fn relearn_once(home: &mut Home, due: &str) {
    let mut relearning = home.due_relearning().expect(due);
    relearning.run(|| true);
    home.take_over(relearning);
}

/// What is expected of the thermometer in the step that ends at `at`.
fn expected(home: &mut Home, at: i64, value: f64) -> f32 {
    relearn_now(home);
    home.ingest(&[reading(at - 300, value)]);
    home.tick(at + CLOSING_GRACE_SECONDS);
    home.steps.last_scores[0].band.unwrap().expected
}

#[test]
fn a_renamed_entity_keeps_what_was_learnt_of_it() {
    let mut home = home();
    home.register(HashMap::new(), &ids(&[("key", "sensor.t")]), 0);
    home.add_entities(vec![thermometer()]);
    home.learn(&steady(0, 4 * DAY, 20.0), 4 * DAY);
    home.set_listening(true, 4 * DAY);
    let moves = home.register(HashMap::new(), &ids(&[("key", "sensor.u")]), 4 * DAY);
    assert_eq!(moves.renamed, [("sensor.t".to_owned(), "sensor.u".to_owned())]);
    assert_eq!(home.look().entities[0].0.entity_id, "sensor.u");
    let band = expected(&mut home, 4 * DAY + STEP_SECONDS, 20.0);
    assert!((19.0..21.0).contains(&band), "{band}");

    // While the agent is stopped as well.
    let mut home = service_in(home.dir);
    home.register(HashMap::new(), &ids(&[("key", "sensor.v")]), 4 * DAY);
    home.add_entities(vec![info_of("sensor.v")]);
    assert_eq!(home.recall(4 * DAY + 700), Some(4 * DAY + STEP_SECONDS));
    home.set_listening(true, 4 * DAY + 700);
    assert_eq!(home.readiness().entities[0].days, 4);
}

#[test]
fn an_entity_that_is_no_more_is_forgotten_and_its_alarm_ends() {
    let mut home = home();
    home.register(HashMap::new(), &ids(&[("1", "sensor.a"), ("2", "sensor.b"), ("3", "sensor.c")]), 600);
    add_three(&mut home);
    home.ingest(&[impossible(620, 1)]);
    home.tick(1300);
    assert_eq!(home.view.borrow().unusual.len(), 1);
    let moves = home.register(HashMap::new(), &ids(&[("1", "sensor.a"), ("3", "sensor.c")]), 1400);
    assert_eq!(moves.gone, ["sensor.b"]);
    assert_eq!(home.view.borrow().unusual.len(), 0);
    relearn_now(&mut home);
    let known: Vec<String> = home.readiness().entities.iter().map(|entity| entity.entity_id.clone()).collect();
    assert_eq!(known, ["sensor.a", "sensor.c"]);
    // An empty registry is one that was not read.
    assert_eq!(home.register(HashMap::new(), &BTreeMap::new(), 1500), Moves::default());
}

#[test]
fn an_entity_whose_state_was_deleted_leaves_page_and_count_at_once_and_comes_back_as_it_was() {
    let mut home = three();
    home.set_listening(true, 600);
    let shown = |home: &Home| {
        let detail = home.look();
        let present: Vec<String> = detail.present().map(|(info, _)| info.entity_id.clone()).collect();
        (present, home.view.borrow().entities)
    };
    let ids = |list: &[&str]| list.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    assert_eq!(shown(&home), (ids(&["sensor.a", "sensor.b", "sensor.c"]), 3));
    home.depart(ids(&["sensor.b"]));
    assert_eq!(shown(&home), (ids(&["sensor.a", "sensor.c"]), 2));
    assert_eq!(home.add_entities(vec![info_of("sensor.b")]), [1]);
    home.show(None);
    assert_eq!(shown(&home), (ids(&["sensor.a", "sensor.b", "sensor.c"]), 3));
}

#[test]
fn a_thermometer_in_the_wrong_unit_is_told_and_learnt_anew_once_it_is_put_right() {
    let mut home = three();
    let rooms = |from: i64, until: i64| {
        let steps = (from / STEP_SECONDS..until / STEP_SECONDS).map(|step| step * STEP_SECONDS + 1);
        let of = |at| [(0, 20.0), (1, 70.0), (2, 21.0)].map(|(entity, value)| (at, entity, value));
        let jitter = |at: i64| f64::from(i32::try_from(at / STEP_SECONDS % 7).unwrap()) / 10.0;
        steps.flat_map(of).map(move |(at, entity, value)| Reading {
            at,
            entity,
            value: Value::Number(value + jitter(at)),
        })
    };
    home.learn(&rooms(0, 5 * DAY).collect::<Vec<_>>(), 5 * DAY);
    home.set_listening(true, 5 * DAY);
    let doubts = home.look().unit_doubts;
    let doubted: Vec<(&str, &str)> = doubts.iter().map(|one| (one.entity_id.as_str(), one.looks_like)).collect();
    assert_eq!(doubted, [("sensor.b", "°F")]);
    assert_eq!(home.view.borrow().unusual.len(), 0, "it is no anomaly");
    home.add_entities(vec![EntityInfo { unit: "°F".to_owned(), ..info_of("sensor.b") }]);
    let info = home.look().entities[1].0.clone();
    assert_eq!(info.unit, "°F", "its values are not converted: they were never °C");
}

#[test]
fn days_with_guests_are_not_what_is_usual() {
    let mut home = learnt(5);
    home.change(Change::Mode(HomeMode::Guests), 5 * DAY).unwrap();
    home.learn(&steady(5 * DAY, 12 * DAY, 30.0), 12 * DAY);
    home.set_listening(true, 12 * DAY);
    let among_guests = expected(&mut home, 12 * DAY + STEP_SECONDS, 30.0);
    home.change(Change::Mode(HomeMode::Home), 12 * DAY + 700).unwrap();
    let alone = expected(&mut home, 12 * DAY + 2 * STEP_SECONDS, 20.0);
    assert!(among_guests > 29.0 && alone < 21.0, "{among_guests} with guests, {alone} without");
}

#[test]
fn a_fault_that_was_confirmed_is_not_what_is_usual() {
    let mut home = learnt(5);
    home.learn(&steady(5 * DAY, 12 * DAY, 30.0), 12 * DAY);
    let mut fault = stored_alarm("f", Some(12 * DAY));
    fault.alarm.start = 5 * DAY;
    fault.take_answer("", Verdict::Confirmed, None, 6 * DAY);
    home.memory.history.save_alarm(&fault, None).unwrap();
    let mut home = again(home, 12 * DAY);
    let band = expected(&mut home, 12 * DAY + STEP_SECONDS, 20.0);
    assert!((19.0..21.0).contains(&band), "{band}");
}

#[test]
fn an_entity_that_came_late_learns_from_its_past() {
    let mut home = home();
    home.set_listening(true, 5 * DAY);
    home.tick(5 * DAY + STEP_SECONDS + CLOSING_GRACE_SECONDS);
    home.add_entities(vec![thermometer()]);
    home.backfill(&steady(0, 5 * DAY, 20.0));
    home.relearn();
    let band = expected(&mut home, 5 * DAY + 2 * STEP_SECONDS, 20.0);
    assert!((19.0..21.0).contains(&band), "{band}");
    assert_eq!(home.readiness().entities[0].days, 5);
}

/// Lives through (`from`, `until`] at `level`, or stuck at exactly 20 where there is none.
fn live_at(home: &mut Home, from: i64, until: i64, level: Option<f64>) {
    for mut received in steady(from, until, level.unwrap_or(20.0)) {
        if level.is_none() {
            received.value = Value::Number(20.0);
        }
        home.ingest(&[received]);
        home.tick(received.at + 300 + CLOSING_GRACE_SECONDS);
        relearn_now(home);
    }
}

/// A thermometer that has been learnt from for so many days.
fn learnt(days: i64) -> Home {
    let mut home = home();
    home.add_entities(vec![thermometer()]);
    home.learn(&steady(0, days * DAY, 20.0), days * DAY);
    home
}

/// A thermometer that was watched for a fortnight.
fn watched() -> Home {
    let mut home = learnt(14);
    home.set_listening(true, 14 * DAY);
    home
}

pub(super) fn raised(home: &Home) -> usize {
    remembered(home).len()
}

#[test]
fn a_level_that_shifted_and_that_nobody_answered_never_becomes_what_is_usual() {
    let mut home = watched();
    live_at(&mut home, 14 * DAY, 30 * DAY, Some(28.0));
    assert_eq!((raised(&home), home.view.borrow().unusual.len()), (1, 1), "one alarm that lasts");
    let usual = home.steps.last_scores[0].band.unwrap().expected;
    assert!((19.0..21.0).contains(&usual), "after sixteen days of 28 °C {usual} °C is expected");

    // Over a restart it is the same alarm.
    let id = home.view.borrow().shown.as_ref().unwrap().alarm.id.clone();
    let mut home = again(home, 30 * DAY + 60);
    live_at(&mut home, 30 * DAY, 31 * DAY, Some(28.0));
    assert_eq!((raised(&home), home.view.borrow().unusual.len()), (1, 1));
    assert_eq!(home.view.borrow().shown.as_ref().unwrap().alarm.id, id);

    // It ends by itself when what is usual is back, and that is no alarm.
    live_at(&mut home, 31 * DAY, 34 * DAY, Some(20.0));
    assert_eq!((raised(&home), home.view.borrow().unusual.len()), (1, 0));
}

#[test]
fn what_a_resident_waves_away_is_let_in_again() {
    let mut home = watched();
    live_at(&mut home, 14 * DAY, 24 * DAY, Some(28.0));
    home.answer(None, Verdict::Expected, "", None, 24 * DAY);
    live_at(&mut home, 24 * DAY, 25 * DAY, Some(28.0));
    let usual = home.steps.last_scores[0].band.unwrap().expected;
    assert!((27.0..29.0).contains(&usual), "{usual}");
}

#[test]
fn a_sensor_that_is_stuck_and_that_nobody_answered_is_still_an_alarm_weeks_later() {
    let mut home = watched();
    live_at(&mut home, 14 * DAY, 30 * DAY, None);
    assert_eq!((raised(&home), home.view.borrow().unusual.len()), (1, 1));
    live_at(&mut home, 30 * DAY, 33 * DAY, Some(20.0));
    assert_eq!(home.view.borrow().unusual.len(), 0);
    // Had it learnt that this sensor stands still for weeks, the next time would be missed.
    live_at(&mut home, 33 * DAY, 35 * DAY, None);
    assert_eq!((raised(&home), home.view.borrow().unusual.len()), (2, 1));
}

#[test]
fn a_sensor_that_goes_on_in_another_unit_raises_no_alarm_and_goes_on_in_its_first() {
    let mut home = watched();
    let fahrenheit = EntityInfo { unit: "°F".to_owned(), ..thermometer() };
    assert_eq!(home.add_entities(vec![fahrenheit.clone()]), [0], "it is the same entity");
    for received in steady(0, 16 * DAY, 20.0).into_iter().filter(|received| received.at > 14 * DAY) {
        let Value::Number(celsius) = received.value else { unreachable!() };
        home.ingest(&[Reading { value: Value::Number(celsius * 1.8 + 32.0), ..received }]);
        home.tick(received.at + 300 + CLOSING_GRACE_SECONDS);
    }
    assert_eq!(raised(&home), 0);
    let warmth = home.steps.last_scores[0].observed.unwrap();
    assert!((19.5..20.5).contains(&warmth), "{warmth} °C");
    assert_eq!(home.judging.detector.entities(), [thermometer()]);

    // While the agent was stopped, and back again.
    let mut home = again(home, 16 * DAY + 60);
    for received in steady(0, 20 * DAY, 20.0).into_iter().filter(|received| received.at > 16 * DAY) {
        home.ingest(&[received]);
        home.tick(received.at + 300 + CLOSING_GRACE_SECONDS);
    }
    assert_eq!(raised(&home), 0);
    let usual = home.steps.last_scores[0].band.unwrap().expected;
    assert!((19.0..21.0).contains(&usual), "{usual}");
}

#[test]
fn a_sensor_that_goes_on_in_the_unit_of_another_quantity_is_learnt_anew() {
    let mut home = watched();
    let share = EntityInfo { class: DeviceClass::GenericNumber, unit: "%".to_owned(), ..thermometer() };
    assert_eq!(home.add_entities(vec![share.clone()]), [0], "it is the same entity");
    live_at(&mut home, 14 * DAY, 16 * DAY, Some(68.0));
    assert_eq!(raised(&home), 0);
    assert_eq!(home.judging.detector.entities(), [share]);
}

#[test]
fn a_home_whose_time_zone_changes_raises_no_alarm_for_it_and_has_the_days_of_the_new_one() {
    let mut home = home();
    home.judging.timezone_configured = false;
    home.change(Change::Brief(Some(DailyTime::parse("08:00").unwrap())), 0).unwrap();
    home.add_entities(vec![info_of("sensor.a"), info_of("sensor.b")]);
    let past: Vec<Reading> = (0..15 * 144).flat_map(|step| ordinary(600 * step + 1)).collect();
    home.learn(&past, 15 * DAY);
    home.set_listening(true, 15 * DAY);
    live(&mut home, 15 * DAY, 144);

    let tokyo = TimeZone::get("Asia/Tokyo").unwrap();
    home.set_timezone(tokyo.clone());
    assert_eq!(home.view.borrow().timezone, tokyo);
    // A step before the routine is learnt anew, and days after.
    live(&mut home, 16 * DAY, 1);
    relearn_now(&mut home);
    live(&mut home, 16 * DAY + 600, 3 * 144);
    assert_eq!(raised(&home), 0);
    // Eight in the morning of Tokyo is eleven in the evening of before.
    assert_eq!(home.view.borrow().brief.as_ref().unwrap().at, 18 * DAY + 23 * 3_600 + CLOSING_GRACE_SECONDS);
    // The wave of the day is expected where it is, by days that begin elsewhere.
    let peak = 19 * DAY + 6 * 3_600;
    live(&mut home, 19 * DAY + 600, 36);
    let score = &home.steps.last_scores[0];
    let (at, band) = (score.at, score.band.unwrap());
    assert!((peak - 600..=peak + 1_200).contains(&at) && (22.5..24.5).contains(&band.expected), "{at}: {band:?}");
}

#[test]
fn the_days_of_the_warm_start_are_judged_in_hindsight_and_none_of_them_is_an_alarm() {
    let mut home = home();
    home.add_entities(vec![thermometer()]);
    let mut past = steady(0, 13 * DAY, 20.0);
    past.extend(steady(13 * DAY, 13 * DAY + 3 * 3_600, 35.0));
    past.extend(steady(13 * DAY + 3 * 3_600, 14 * DAY, 20.0));
    home.learn(&past, 14 * DAY);
    home.set_listening(true, 14 * DAY);
    assert_eq!((kinds(&mut home), raised(&home)), (vec![], 0));
    let reader =
        hearthwatch_edge_store::history::History::open_to_read(&home.dir.path().join("history.sqlite")).unwrap();
    let judged = reader.judged(0).unwrap().expect("a fortnight is enough to judge");
    assert_eq!((judged.last, judged.lived), (14 * DAY, None));
    assert!((7 * DAY..9 * DAY).contains(&judged.first), "{judged:?}");
    let loud = reader.loud_steps(0, 5.0).unwrap();
    assert!(loud.iter().any(|step| step.at > 13 * DAY), "the three hot hours: {loud:?}");
    live_at(&mut home, 14 * DAY, 14 * DAY + 3_600, Some(20.0));
    assert_eq!(reader.judged(0).unwrap().unwrap().lived, Some(14 * DAY + STEP_SECONDS));
}

#[test]
fn an_alarm_while_the_routine_is_learnt_anew_waits_for_nothing_and_nothing_that_came_is_lost() {
    let mut home = learnt(5);
    home.change(Change::Mode(HomeMode::Guests), 5 * DAY).unwrap();
    home.learn(&steady(5 * DAY, 12 * DAY, 30.0), 12 * DAY);
    home.set_listening(true, 12 * DAY);
    home.change(Change::Mode(HomeMode::Home), 12 * DAY).unwrap();
    let mut relearning = home.due_relearning().expect("the days with guests are to be forgotten");
    assert!(home.due_relearning().is_none(), "it is learnt once");

    // Nobody has studied yet: a step ends, another sensor comes, one breaks, an entity gets another name.
    home.ingest(&[reading(12 * DAY + 300, 20.0)]);
    home.tick(12 * DAY + STEP_SECONDS + CLOSING_GRACE_SECONDS);
    home.add_entities(vec![info_of("sensor.late")]);
    home.ingest(&[Reading { at: 12 * DAY + 640, entity: 1, value: Value::Number(7.0) }]);
    home.ingest(&[impossible(12 * DAY + 700, 0)]);
    let said = kinds(&mut home);
    assert_eq!(said.last(), Some(&(NoticeKind::Raised, "sensor.t".to_owned())));
    let id = home.view.borrow().shown.as_ref().unwrap().alarm.id.clone();
    home.register(HashMap::new(), &ids(&[("key", "sensor.t")]), 12 * DAY);
    home.register(HashMap::new(), &ids(&[("key", "sensor.u")]), 12 * DAY);

    relearning.run(|| true);
    home.take_over(relearning);
    assert_eq!(home.judging.detector.entities(), [info_of("sensor.u"), info_of("sensor.late")]);
    let report = home.judging.detector.alarms();
    assert_eq!((report[0].id.as_str(), report[0].end), (id.as_str(), None), "the alarm goes on");
    home.tick(12 * DAY + 2 * STEP_SECONDS + CLOSING_GRACE_SECONDS);
    let scores = &home.steps.last_scores;
    assert_eq!(scores[1].observed, Some(7.0), "what was heard in the open step counts");
    let band = scores[0].band.unwrap().expected;
    assert!((19.0..21.0).contains(&band), "{band}");
    home.answer(Some(&id), Verdict::Dismissed, "", None, 12 * DAY + 2_000);
    assert_eq!(home.judging.detector.answers().all().len(), 1);
}

#[test]
fn what_changes_while_the_routine_is_learnt_anew_has_it_learnt_once_more() {
    let mut home = watched();
    home.relearn();
    let mut relearning = home.due_relearning().unwrap();
    home.relearn();
    home.relearn();
    relearning.run(|| true);
    home.take_over(relearning);
    relearn_once(&mut home, "once more");
    assert!(home.due_relearning().is_none());
}

#[test]
fn who_learns_anew_aside_ends_with_the_detector_service_or_when_it_has_given_back_what_is_spent() {
    let mut home = watched();
    home.relearn();
    let relearning = home.due_relearning().unwrap();
    let (commands, mut received) = mpsc::channel(1);
    let aside = relearn_on_thread(relearning, commands.downgrade()).unwrap();
    let Some(DetectorCommand::TakeOver(relearning, reply)) = received.blocking_recv() else {
        panic!("another command")
    };
    reply.send(home.take_over(relearning).unwrap()).unwrap();
    aside.join().unwrap();

    home.relearn();
    let relearning = home.due_relearning().unwrap();
    let gone = commands.downgrade();
    drop(commands);
    relearn_on_thread(relearning, gone).unwrap().join().unwrap();
}

#[test]
fn an_attempt_to_learn_anew_that_panics_ends_alone_and_the_next_is_due_again() {
    let mut home = watched();
    home.relearn();
    let mut relearning = home.due_relearning().unwrap();
    relearning.run(|| panic!("a row that nobody thought of"));
    let now = home.steps.now;
    assert!(home.take_over(relearning).is_some(), "what is spent is given back");
    assert!(!home.is_relearning(), "nothing is underway for ever");
    home.tick(now + 3_599);
    assert!(home.due_relearning().is_none(), "it is not tried in every second");
    home.tick(now + 3_600);
    relearn_once(&mut home, "the next attempt is due");
    home.tick(now + 2 * 3_600);
    assert!(home.due_relearning().is_none(), "one that worked is not done again");
}

#[test]
fn who_learns_anew_and_has_fallen_far_behind_catches_up_before_it_is_taken() {
    let mut home = learnt(5);
    home.relearn();
    let mut relearning = home.due_relearning().unwrap();
    relearning.run(|| true);
    home.learn(&steady(5 * DAY, 7 * DAY, 20.0), 7 * DAY);
    home.take_over(relearning);
    relearn_once(&mut home, "two days are not made up for at once");
    assert_eq!(home.readiness().entities[0].days, 7, "the days since the first step, which is minutes late");
    assert!(home.due_relearning().is_none());
}

#[test]
fn a_home_that_was_away_for_a_week_raises_no_alarm_and_keeps_its_own() {
    // With a recorder that tells of the week, and with none.
    for told in [true, false] {
        let mut home = watched();
        live_at(&mut home, 14 * DAY, 15 * DAY, Some(28.0));
        assert_eq!(raised(&home), 1);
        home.answer(None, Verdict::Confirmed, "", None, 15 * DAY);
        home.set_listening(false, 15 * DAY);
        for hour in 0..7 * 24 {
            home.tick(15 * DAY + hour * 3_600);
        }
        let week = if told { steady(15 * DAY, 22 * DAY, 20.0) } else { Vec::new() };
        home.recall(22 * DAY);
        home.learn(&week, 22 * DAY);
        home.set_listening(true, 22 * DAY);
        live_at(&mut home, 22 * DAY, 25 * DAY, Some(20.0));
        let reasons: Vec<String> = remembered(&home).into_iter().map(|one| one.alarm.reason).collect();
        assert_eq!((raised(&home), home.view.borrow().unusual.len()), (1, 0), "told: {told}, {reasons:?}");
        let alarm = &remembered(&home)[0];
        assert_eq!(alarm.answer, Some((Verdict::Confirmed, 15 * DAY)), "no answer is lost");
    }
}
