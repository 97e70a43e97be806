//! Episodes, answers and restarts.

use super::*;
use crate::alarm::Severity;
use crate::class::DeviceClass;
use crate::finding::{AnomalyKind, Band};

fn decider() -> Decider {
    let mut one = Decider::new(DeciderConfig { budget_per_week: 1.0, salt: b"salt".to_vec(), adapts: Adapts::Never });
    for name in ["sensor.a", "sensor.b"] {
        one.add_entity(EntityInfo { entity_id: name.into(), class: DeviceClass::Temperature, unit: "°C".into() });
    }
    one
}

fn evidence(score: f32) -> Evidence {
    Evidence {
        entity: 0,
        score: Some(score),
        threshold: 2.0,
        kind: AnomalyKind::Level,
        amount: 30.0,
        usual: 0.0,
        observed: Some(30.0),
        band: Some(Band { low: 18.0, expected: 20.0, high: 22.0 }),
    }
}

/// Feeds scores from step `from` on; the hour of the day follows the steps.
fn feed(one: &mut Decider, from: i64, scores: &[f32]) -> Vec<AlarmEvent> {
    let mut events = Vec::new();
    for (index, score) in scores.iter().enumerate() {
        let at = (from + index as i64) * STEP_SECONDS;
        let hour = (at.rem_euclid(86_400)) as f32 / 3600.0;
        events.extend(one.decide(at, hour, &[evidence(*score)], true).events);
    }
    events
}

#[test]
fn one_sample_raises_nothing_and_a_second_does() {
    let mut one = decider();
    assert_eq!(feed(&mut one, 1, &[9.0, 0.0, 0.0, 9.0, 0.0, 0.0]), []);
    let events = feed(&mut one, 10, &[5.0, 5.0]);
    let [AlarmEvent::Raised(alarm)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((alarm.start, alarm.raised_at, alarm.end), (9 * 600, 11 * 600, None));
    assert_eq!(alarm.severity, Severity::Warning);
    assert!(alarm.reason.contains("30.0 °C"));
}

#[test]
fn an_alarm_ends_an_hour_after_its_last_evidence_and_says_when_that_was() {
    let mut one = decider();
    feed(&mut one, 1, &[5.0, 5.0]);
    let events = feed(&mut one, 3, &[0.0; 6]);
    let [AlarmEvent::Ended(alarm)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(alarm.end, Some(2 * 600));
}

#[test]
fn what_comes_back_within_six_hours_is_the_same_episode() {
    let mut one = decider();
    feed(&mut one, 1, &[5.0, 5.0]);
    feed(&mut one, 3, &[0.0; 30]);
    let events = feed(&mut one, 33, &[5.0, 5.0]);
    assert!(matches!(&events[..], [AlarmEvent::Changed(alarm)] if alarm.end.is_none()), "{events:?}");
    assert_eq!(one.alarms().len(), 1);
    feed(&mut one, 35, &[0.0; 60]);
    assert!(matches!(feed(&mut one, 95, &[5.0, 5.0])[..], [AlarmEvent::Raised(_)]));
}

#[test]
fn an_impossible_value_needs_no_second_sample() {
    let mut one = decider();
    let broken = Evidence { kind: AnomalyKind::Physics, amount: -127.0, ..evidence(20.0) };
    assert!(matches!(one.decide_at_once(1234, 0.3, &broken), Some(AlarmEvent::Raised(alarm)) if alarm.start == 1234));
    assert_eq!(one.decide_at_once(1240, 0.3, &broken), None);
    assert_eq!(one.decide_at_once(1240, 0.3, &evidence(20.0)), None);
}

#[test]
fn warm_up_raises_nothing() {
    let mut one = decider();
    for step in 1..100 {
        assert_eq!(one.decide(step * 600, 0.0, &[evidence(50.0)], false).events, []);
    }
}

#[test]
fn a_dismissed_nuisance_is_quiet_the_next_day_and_something_bigger_still_speaks() {
    let mut one = decider();
    let raised = feed(&mut one, 10, &[5.0, 5.0]);
    one.answer(&raised[0].alarm().id, Verdict::Dismissed, 9000).unwrap();
    feed(&mut one, 12, &[0.0; 140]);
    assert_eq!(feed(&mut one, 154, &[5.5, 5.5, 5.5]), []);
    assert!(matches!(feed(&mut one, 157, &[14.0, 14.0])[..], [AlarmEvent::Raised(_)]));
}

#[test]
fn taking_a_dismissal_back_lets_it_speak_again() {
    let mut one = decider();
    let raised = feed(&mut one, 10, &[5.0, 5.0]);
    let id = &raised[0].alarm().id;
    one.answer(id, Verdict::Dismissed, 9000).unwrap();
    one.answer(id, Verdict::Confirmed, 9100).unwrap();
    feed(&mut one, 12, &[0.0; 140]);
    assert!(matches!(feed(&mut one, 154, &[5.5, 5.5])[..], [AlarmEvent::Raised(_)]));
}

#[test]
fn an_answer_to_an_alarm_that_never_was_is_refused() {
    assert_eq!(decider().answer("nobody", Verdict::Confirmed, 0), Err(UnknownAlarm("nobody".into())));
}

#[test]
fn the_list_of_alarms_is_bounded() {
    let mut one = decider();
    for day in 0..(ALARMS_MAX as i64 + 20) {
        feed(&mut one, day * 60, &[5.0, 5.0]);
    }
    assert_eq!(one.alarms().len(), ALARMS_MAX);
}

#[test]
fn memory_survives_a_restart_in_which_the_entities_change_places() {
    let mut one = decider();
    let raised = feed(&mut one, 10, &[5.0, 5.0]);
    one.answer(&raised[0].alarm().id, Verdict::Dismissed, 9000).unwrap();
    let memory = one.memory();

    let mut other = Decider::new(DeciderConfig { budget_per_week: 1.0, salt: b"salt".to_vec(), adapts: Adapts::Never });
    for name in ["sensor.new", "sensor.b", "sensor.a"] {
        other.add_entity(EntityInfo { entity_id: name.into(), class: DeviceClass::Temperature, unit: "°C".into() });
    }
    other.restore(memory);
    assert_eq!(other.alarms()[0].entity, 2);
    assert_eq!(other.answers().all()[0].context.entity, 2);
    let ended = other.decide(12 * 3600, 12.0, &[Evidence { entity: 2, ..evidence(0.0) }], true);
    assert!(matches!(&ended.events[..], [AlarmEvent::Ended(alarm)] if alarm.id == raised[0].alarm().id));
}

#[test]
fn an_alarm_that_lasts_for_long_goes_on_over_a_restart() {
    let mut one = decider();
    let raised = feed(&mut one, 10, &[5.0, 5.0]);
    feed(&mut one, 12, &[5.0; 144]);
    let mut other = decider();
    other.restore(one.memory());
    assert_eq!(feed(&mut other, 156, &[5.0; 12]), []);
    assert_eq!((&other.alarms()[0].id, other.alarms()[0].end), (&raised[0].alarm().id, None));
}

#[test]
fn with_adaptation_a_home_that_alarms_too_often_grows_calmer() {
    let mut one = decider();
    one.config.adapts = Adapts::Fully;
    for episode in 0..10 {
        feed(&mut one, episode * 72, &[8.0, 8.0, 8.0]);
    }
    assert!(one.offset() > 0.5);
}

#[test]
fn four_weeks_never_hold_more_than_three_times_the_budget_except_for_what_exists_to_warn() {
    let mut one = Decider::new(DeciderConfig { budget_per_week: 1.0, salt: b"salt".to_vec(), adapts: Adapts::Fully });
    one.add_entity(EntityInfo { entity_id: "sensor.a".into(), class: DeviceClass::Temperature, unit: "°C".into() });
    let mut raised = Vec::new();
    for step in 0..28 * 144 {
        // Two high steps every eight hours: three alarms a day, were there no end to patience.
        let score = if step % 48 < 2 { 5.0 } else { -5.0 };
        let events = one.decide(step * STEP_SECONDS, 0.0, &[evidence(score)], true).events;
        raised.extend(events.into_iter().filter(|event| matches!(event, AlarmEvent::Raised(_))));
    }
    // Of 84; the last few were plainly stronger than some of the twelve, since the home's correction had fallen.
    assert!((12..=15).contains(&raised.len()), "{}", raised.len());
    let smoke = Evidence { kind: AnomalyKind::Alert, ..evidence(50.0) };
    let events = one.decide_danger(28 * 144 * STEP_SECONDS - 1, 0.0, &smoke, true);
    assert!(matches!(events.last(), Some(AlarmEvent::Raised(_))), "{events:?}");
}

fn smoke() -> Evidence {
    Evidence { kind: AnomalyKind::Alert, ..evidence(15.0) }
}

#[test]
fn each_warning_of_danger_is_an_alarm_whatever_was_answered_before() {
    for verdict in [Verdict::Expected, Verdict::Dismissed, Verdict::Confirmed] {
        let mut one = adapting(1.0);
        let first = one.decide_danger(1_000, 0.0, &smoke(), true);
        let [AlarmEvent::Raised(alarm)] = &first[..] else { panic!("{first:?}") };
        let closed = one.answer(&alarm.id, verdict, 1_005).unwrap();
        let ended = closed.clone().or(one.end_danger(0, 1_010));
        let at = if verdict == Verdict::Expected { 1_005 } else { 1_010 };
        assert!(matches!(&ended, Some(AlarmEvent::Ended(ended)) if ended.end == Some(at)), "{ended:?}");
        let again = one.decide_danger(1_020, 0.0, &smoke(), true);
        let [AlarmEvent::Raised(second)] = &again[..] else { panic!("{verdict:?}: {again:?}") };
        assert!(second.id != alarm.id && second.severity == Severity::Critical);
        assert_eq!(one.learnt().len(), 0, "{verdict:?} teaches nothing");
    }
}

#[test]
fn a_test_ends_its_alarm_while_the_sensor_is_still_on_and_no_later_one() {
    let mut one = adapting(1.0);
    let first = one.decide_danger(600, 0.0, &smoke(), true);
    let id = first[0].alarm().id.clone();
    assert!(matches!(one.answer(&id, Verdict::Expected, 650), Ok(Some(AlarmEvent::Ended(_)))));
    assert_eq!(one.decide(1_200, 0.0, &[smoke()], true).events, [], "the button is still pressed");
    assert_eq!(one.end_danger(0, 1_250), None, "it is over already");
    assert_eq!(one.decide_danger(1_300, 0.0, &smoke(), true).len(), 1, "smoke is smoke");
    let mut other = adapting(1.0);
    let first = other.decide_danger(600, 0.0, &smoke(), true);
    other.answer(&first[0].alarm().id, Verdict::Expected, 650).unwrap();
    assert_eq!(other.decide_danger(900, 0.0, &smoke(), true).len(), 1, "turned on again, its off was never heard");
}

#[test]
fn a_warning_that_lasts_is_one_alarm_and_takes_nothing_of_the_budget() {
    let mut one = adapting(1.0);
    one.decide_danger(600, 0.0, &smoke(), true);
    for step in 2..200 {
        assert_eq!(one.decide(step * STEP_SECONDS, 0.0, &[smoke()], true).events, []);
    }
    assert!(one.offset() <= 0.0, "{}", one.offset());
}

#[test]
fn a_warning_of_danger_ends_what_lasts_and_is_told_by_itself() {
    let mut one = adapting(1.0);
    feed(&mut one, 1, &[9.0; 6]);
    assert!(one.alarms()[0].end.is_none());
    let events = one.decide_danger(7 * STEP_SECONDS, 0.0, &smoke(), true);
    assert!(matches!(&events[..], [AlarmEvent::Ended(_), AlarmEvent::Raised(_)]), "{events:?}");
}

#[test]
fn who_tried_a_detector_out_all_hour_and_answered_hears_of_the_next_warning() {
    let mut one = adapting(1.0);
    for turn in 0..3 * FLAPS_MAX as i64 {
        let events = one.decide_danger(1_000 + turn * 60, 0.0, &smoke(), true);
        let Some(AlarmEvent::Raised(alarm)) = events.last() else { panic!("turn {turn}: {events:?}") };
        one.answer(&alarm.id, Verdict::Expected, 1_005 + turn * 60).unwrap();
        one.end_danger(0, 1_010 + turn * 60);
    }
}

#[test]
fn warnings_before_a_clock_was_set_back_make_no_later_one_the_same() {
    let mut one = adapting(1.0);
    for turn in 0..FLAPS_MAX as i64 {
        one.decide_danger(20_000 + turn * 10, 0.0, &smoke(), true);
        one.end_danger(0, 20_005 + turn * 10);
    }
    let events = one.decide_danger(9_000, 0.0, &smoke(), true);
    assert!(matches!(&events[..], [AlarmEvent::Raised(_)]), "{events:?}");
}

#[test]
fn a_sensor_that_flaps_goes_on_with_its_last_alarm() {
    let mut one = adapting(1.0);
    let raised = (0..100).filter(|turn| {
        let events = one.decide_danger(1_000 + turn * 10, 0.0, &smoke(), true);
        one.end_danger(0, 1_005 + turn * 10);
        events.iter().any(|event| matches!(event, AlarmEvent::Raised(_)))
    });
    assert_eq!(raised.count(), FLAPS_MAX);
}

fn adapting(budget_per_week: f64) -> Decider {
    let mut one = Decider::new(DeciderConfig { budget_per_week, salt: b"salt".to_vec(), adapts: Adapts::Fully });
    one.add_entity(EntityInfo { entity_id: "sensor.a".into(), class: DeviceClass::Temperature, unit: "°C".into() });
    one
}

#[test]
fn a_fault_of_a_week_leaves_the_home_no_more_eager_than_it_found_it() {
    let mut one = adapting(1.0);
    feed(&mut one, 1, &[9.0; 144]);
    let first = one.offset();
    feed(&mut one, 145, &[9.0; 6 * 144]);
    assert!(one.alarms().len() == 1 && one.alarms()[0].end.is_none());
    assert!(one.offset() >= first.max(0.0), "{} after {first}", one.offset());
}

#[test]
fn a_sensor_that_died_for_good_is_told_for_four_weeks_and_no_longer() {
    let mut one = adapting(7.0);
    feed(&mut one, 1, &[50.0; 27 * 144]);
    assert!(one.offset() >= 0.0, "{}", one.offset());
    feed(&mut one, 1 + 27 * 144, &[50.0; 14 * 144]);
    assert!(one.alarms()[0].end.is_some(), "what has lasted for four weeks is told no longer");
    assert_eq!(one.alarms().len(), 1, "and not told again");
    assert_eq!(one.offset(), 0.0);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]

    /// Ten weeks of high and low stretches: whatever comes, four weeks hold at most three times the budget, the offset keeps
    /// its bounds, and no day lowers it while an alarm lasts.
    #[test]
    fn no_life_of_a_home_exceeds_the_allowance_or_lowers_the_offset_under_an_alarm(
        stretches in proptest::collection::vec((-6.0f32..40.0, 1usize..60), 150..300),
        budget in 0.25f64..5.0,
    ) {
        let mut one = adapting(budget);
        let mut raised = Vec::new();
        let scores = stretches.iter().flat_map(|(score, steps)| std::iter::repeat_n(*score, *steps)).take(10 * 1008);
        for (step, score) in (1i64..).zip(scores) {
            let before = one.offset();
            let lasts = one.alarms().iter().any(|alarm| alarm.end.is_none());
            for event in feed(&mut one, step, &[score]) {
                if let AlarmEvent::Raised(alarm) = event {
                    raised.push((alarm.raised_at, alarm.score - alarm.threshold));
                }
            }
            proptest::prop_assert!(!lasts || one.offset() >= before);
            proptest::prop_assert!((OFFSET_MIN..=OFFSET_MAX).contains(&one.offset()));
        }
        // What is told was far above its threshold, or one of the strongest of its four weeks.
        for (place, (at, excess)) in raised.iter().enumerate() {
            let as_strong = raised[..place].iter().filter(|(earlier, other)| at - earlier < crate::alarm::SPAN_SECONDS && *other >= excess - HOLD_MARGIN);
            proptest::prop_assert!(*excess >= FAR_ABOVE || as_strong.count() < crate::alarm::allowance(budget));
        }
    }
}

#[test]
fn what_a_rule_finds_takes_the_name_of_a_louder_alarm_that_lasts_and_is_told() {
    let mut one = adapting(1.0);
    feed(&mut one, 1, &[30.0; 6]);
    let running = Evidence { kind: AnomalyKind::Running, amount: 5.0, usual: 2.0, threshold: 0.0, ..evidence(12.0) };
    let events = one.decide(7 * STEP_SECONDS, 1.0, &[running], true).events;
    let [AlarmEvent::Changed(alarm)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((alarm.kind, alarm.score), (AnomalyKind::Running, 30.0));
    assert_eq!(one.decide(8 * STEP_SECONDS, 1.0, &[running], true).events, [], "once");
}
