//! The whole detector on small made-up homes.

use proptest::prelude::*;

use super::*;
use crate::alarm::Severity;
use crate::class::DeviceClass;
use crate::grid::STEP_SECONDS;

const DAY: i64 = 86_400;

fn detector() -> HomeDetector {
    let config =
        DetectorConfig { timezone: jiff::tz::TimeZone::UTC, budget_per_week: 1.0, salt: b"a home's secret".to_vec() };
    HomeDetector::new(config, Arc::new(Model::baseline()))
}

fn room(name: &str) -> EntityInfo {
    EntityInfo { entity_id: name.into(), class: DeviceClass::Temperature, unit: "°C".into() }
}

/// A room's temperature: a daily wave and a little weather, the same every time.
fn temperature(at: i64, room: i64) -> f64 {
    let day = at as f64 / DAY as f64;
    let jitter = ((at / 60 * 7919 + room * 104_729).rem_euclid(1009)) as f64 / 504.5 - 1.0;
    20.0 + 2.0 * (day * std::f64::consts::TAU).sin() + 0.7 * (day * 0.9).sin() + 0.08 * jitter
}

/// Runs two rooms for `days`, room 0 as `alter` says, and returns everything that was raised.
fn run(one: &mut HomeDetector, from_day: i64, days: i64, alter: impl Fn(i64, f64) -> Option<f64>) -> Vec<AlarmEvent> {
    let mut events = Vec::new();
    for step in from_day * 144 + 1..=(from_day + days) * 144 {
        let end = step * STEP_SECONDS;
        for at in [end - 400, end - 100] {
            for entity in 0..2u32 {
                let value = temperature(at, i64::from(entity));
                let value = if entity == 0 { alter(at, value) } else { Some(value) };
                if let Some(value) = value {
                    events.extend(one.observe(&Reading { at, entity, value: Value::Number(value) }));
                }
            }
        }
        events.extend(one.close_step(end, AlarmMode::Raise).events);
    }
    events
}

fn home() -> HomeDetector {
    let mut one = detector();
    one.add_entity(room("sensor.cellar"));
    one.add_entity(room("sensor.attic"));
    one
}

fn raised(events: &[AlarmEvent]) -> Vec<&Alarm> {
    events.iter().filter_map(|event| if let AlarmEvent::Raised(alarm) = event { Some(alarm) } else { None }).collect()
}

#[test]
fn adding_the_same_entity_again_gives_the_same_index() {
    let mut one = home();
    assert_eq!(one.add_entity(room("sensor.attic")), 1);
    assert_eq!(one.entities().len(), 2);
}

#[test]
fn a_routine_that_is_taken_over_goes_on_as_if_it_had_been_lived() {
    let mut running = home();
    run(&mut running, 0, 10, |_, value| Some(value));
    let mut relearnt = home();
    run(&mut relearnt, 0, 10, |_, value| Some(value));
    let mut one = home();
    one.rename_entity(0, "sensor.attic");
    assert_eq!(
        one.entities().iter().map(|info| info.entity_id.as_str()).collect::<Vec<_>>(),
        ["sensor.attic", "sensor.cellar"]
    );
    one.rename_entity(0, "sensor.cellar");
    one.adopt_history(&mut relearnt, []);
    // The offset is not the routine's.
    one.restore(running.memory());
    for step in 10 * 144 + 1..=12 * 144i64 {
        let end = step * STEP_SECONDS;
        for entity in 0..2 {
            let reading = Reading { at: end - 60, entity, value: Value::Number(temperature(end, i64::from(entity))) };
            assert_eq!(one.observe(&reading), running.observe(&reading));
        }
        assert_eq!(one.close_step(end, AlarmMode::Raise), running.close_step(end, AlarmMode::Raise));
    }
}

#[test]
fn nothing_is_said_in_an_ordinary_month() {
    let events = run(&mut home(), 0, 30, |_, value| Some(value));
    assert_eq!(raised(&events), Vec::<&Alarm>::new());
}

#[test]
fn a_room_that_stays_five_degrees_too_cold_is_noticed_within_the_hour_with_a_band_in_degrees() {
    let mut one = home();
    run(&mut one, 0, 20, |_, value| Some(value));
    let start = 20 * DAY + 8 * 3600;
    let events = run(&mut one, 20, 1, |at, value| Some(if at > start { value - 5.0 } else { value }));
    let alarms = raised(&events);
    let first = alarms.first().expect("an alarm");
    assert!(first.entity == 0 && first.raised_at <= start + 3600 && first.start >= start - 600, "{first:?}");
    let band = first.band.expect("a band");
    assert!((15.0..25.0).contains(&band.expected) && band.low < band.expected && band.expected < band.high);
    assert!(first.reason.contains("°C"), "{}", first.reason);
    assert_eq!(one.window_of(&first.id).map(<[f32]>::len), Some(96 * 20));
}

#[test]
fn the_network_need_not_surpass_what_it_said_of_a_fault_that_was_confirmed() {
    let surpasses = |verdict| {
        let mut one = home();
        run(&mut one, 0, 20, |_, value| Some(value));
        let start = 20 * DAY + 8 * 3600;
        let events = run(&mut one, 20, 1, |at, value| Some(if at > start { value - 5.0 } else { value }));
        let alarm = raised(&events).first().expect("an alarm").id.clone();
        // As though a network had scored high on the day of the fault, which is over.
        for loud in [0.3, 6.0] {
            (0..144).for_each(|_| one.records[0].note(loud));
            one.records[0].next_day();
        }
        one.answer(&alarm, verdict, 21 * DAY).unwrap();
        one.records[0].lift_so_far()
    };
    assert_eq!([Verdict::Confirmed, Verdict::Dismissed].map(surpasses), [0.3, 6.0]);
}

#[test]
fn a_sensor_that_dies_alone_is_called_silent_and_its_neighbour_is_not_accused() {
    let mut one = home();
    run(&mut one, 0, 5, |_, value| Some(value));
    let events = run(&mut one, 5, 1, |_, _| None);
    let kinds: Vec<_> = raised(&events).iter().map(|alarm| (alarm.entity, alarm.kind)).collect();
    assert_eq!(kinds, [(0, AnomalyKind::Silent)]);
}

#[test]
fn a_sensor_that_sticks_is_noticed_within_four_hours_and_its_neighbour_is_not_accused() {
    let mut one = home();
    run(&mut one, 0, 5, |_, value| Some(value));
    let stuck = temperature(5 * DAY, 0);
    let events = run(&mut one, 5, 1, |_, _| Some(stuck));
    let alarms = raised(&events);
    assert!(matches!(alarms[..], [alarm] if alarm.entity == 0 && alarm.raised_at <= 5 * DAY + 4 * 3600), "{alarms:?}");
}

#[test]
fn an_impossible_value_is_said_at_once_from_the_first_day() {
    let mut one = home();
    run(&mut one, 0, 1, |_, value| Some(value));
    let events = one.observe(&Reading { at: DAY + 30, entity: 0, value: Value::Number(-127.0) });
    let [AlarmEvent::Raised(alarm)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((alarm.kind, alarm.raised_at), (AnomalyKind::Physics, DAY + 30));
}

#[test]
fn water_on_the_floor_is_said_at_once() {
    let mut one = home();
    let leak = one.add_entity(EntityInfo {
        entity_id: "binary_sensor.leak".into(),
        class: DeviceClass::Moisture,
        unit: String::new(),
    });
    one.observe(&Reading { at: 1, entity: leak, value: Value::Binary(false) });
    run(&mut one, 0, 2, |_, value| Some(value));
    let events = one.observe(&Reading { at: 2 * DAY + 5, entity: leak, value: Value::Binary(true) });
    assert!(matches!(&events[..], [AlarmEvent::Raised(alarm)] if alarm.severity == crate::alarm::Severity::Critical));
    // The step that contains it goes on with the same alarm.
    assert_eq!(one.close_step(2 * DAY + 600, AlarmMode::Raise).events, []);
}

/// A home of two days with a sensor that warns, which reported last when it was off.
fn home_with_leak_sensor() -> (HomeDetector, u32) {
    let mut one = home();
    let leak = one.add_entity(EntityInfo {
        entity_id: "binary_sensor.leak".into(),
        class: DeviceClass::Moisture,
        unit: String::new(),
    });
    one.observe(&Reading { at: 1, entity: leak, value: Value::Binary(false) });
    run(&mut one, 0, 2, |_, value| Some(value));
    (one, leak)
}

fn is_raised(events: &[AlarmEvent]) -> bool {
    events.iter().any(|event| matches!(event, AlarmEvent::Raised(alarm) if alarm.kind == AnomalyKind::Alert))
}

#[test]
fn who_tests_a_warning_sensor_does_not_silence_it() {
    let (mut one, leak) = home_with_leak_sensor();
    for turn in 0..4i64 {
        let at = 2 * DAY + 60 * turn;
        let events = one.observe(&Reading { at, entity: leak, value: Value::Binary(true) });
        let [AlarmEvent::Raised(alarm)] = &events[..] else { panic!("turn {turn}: {events:?}") };
        let ended = one.answer(&alarm.id, Verdict::Expected, at + 5).unwrap();
        assert!(matches!(ended, Some(AlarmEvent::Ended(_))), "{ended:?}");
        let events = one.observe(&Reading { at: at + 20, entity: leak, value: Value::Binary(false) });
        assert_eq!(events, [], "it was over with the answer");
    }
    assert_eq!(one.close_step(2 * DAY + 600, AlarmMode::Raise).events, []);
}

#[test]
fn a_warning_in_a_home_that_knows_the_sensor_for_weeks_is_one_alarm_with_its_own_words() {
    let mut one = home();
    let gas = one.add_entity(EntityInfo {
        entity_id: "binary_sensor.gas".into(),
        class: DeviceClass::GasAlarm,
        unit: String::new(),
    });
    one.observe(&Reading { at: 1, entity: gas, value: Value::Binary(false) });
    run(&mut one, 0, 20, |_, value| Some(value));
    let (on, off) = (20 * DAY + 8 * 3_600, 20 * DAY + 9 * 3_600 + 1_800);
    let mut events = Vec::new();
    for step in 1..=144i64 {
        let end = 20 * DAY + step * STEP_SECONDS;
        for (at, value) in [(on, true), (off, false)] {
            if at > end - STEP_SECONDS && at <= end {
                events.extend(one.observe(&Reading { at, entity: gas, value: Value::Binary(value) }));
            }
        }
        for entity in 0..2 {
            let value = temperature(end, i64::from(entity));
            one.observe(&Reading { at: end, entity, value: Value::Number(value) });
        }
        events.extend(
            one.close_step(end, AlarmMode::Raise).events.into_iter().filter(|event| event.alarm().entity == gas),
        );
    }
    let [AlarmEvent::Raised(raised), AlarmEvent::Ended(ended)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((raised.raised_at, ended.end, ended.kind), (on, Some(off), AnomalyKind::Alert));
    assert_eq!(ended.reason, "binary_sensor.gas: gas detected.");
}

#[test]
fn a_warning_is_told_by_a_sensor_that_joined_this_minute_and_by_a_clock_that_is_wrong() {
    let (mut one, _) = home_with_leak_sensor();
    let info = |name: &str, class| EntityInfo { entity_id: name.into(), class, unit: String::new() };
    let new = one.add_entity(info("binary_sensor.gas", DeviceClass::GasAlarm));
    assert!(is_raised(&one.observe(&Reading { at: 2 * DAY + 1, entity: new, value: Value::Binary(true) })));
    for (place, at) in [0, DAY, 2 * DAY - 3_600, 2 * DAY + 3 * 3_600, 99 * DAY].into_iter().enumerate() {
        let smoke = one.add_entity(info(&format!("binary_sensor.smoke_{place}"), DeviceClass::Smoke));
        assert!(is_raised(&one.observe(&Reading { at, entity: smoke, value: Value::Binary(true) })), "at {at}");
    }
}

#[test]
fn a_sensor_that_was_unavailable_while_it_warned_has_not_warned_twice() {
    let (mut one, leak) = home_with_leak_sensor();
    let mut tell = |seconds, value| one.observe(&Reading { at: 2 * DAY + seconds, entity: leak, value });
    assert!(is_raised(&tell(10, Value::Binary(true))));
    assert_eq!(tell(20, Value::Gap), []);
    assert_eq!(tell(30, Value::Binary(true)), []);
}

#[test]
fn what_began_to_warn_while_nobody_listened_is_told_as_soon_as_somebody_does() {
    let (mut one, leak) = home_with_leak_sensor();
    one.close_step(2 * DAY + STEP_SECONDS, AlarmMode::LearnOnly);
    assert_eq!(one.observe(&Reading { at: 2 * DAY + 700, entity: leak, value: Value::Binary(true) }), []);
    assert_eq!(one.raise_unheard_dangers(2 * DAY + 710), []);
    one.close_step(2 * DAY + STEP_SECONDS, AlarmMode::Raise);
    assert!(is_raised(&one.raise_unheard_dangers(2 * DAY + 720)));
    assert_eq!(one.raise_unheard_dangers(2 * DAY + 730), []);
}

#[test]
fn an_impossible_value_that_only_its_step_brings_to_light_is_shown_as_it_was() {
    let mut one = home();
    run(&mut one, 0, 1, |_, value| Some(value));
    one.close_step(DAY, AlarmMode::LearnOnly);
    // Nothing speaks at once while it is quiet; the step that closes live says it.
    assert_eq!(one.close_step(DAY + STEP_SECONDS, AlarmMode::LearnOnly).events, []);
    let end = DAY + 2 * STEP_SECONDS;
    one.observe(&Reading { at: end - 60, entity: 0, value: Value::Number(5000.0) });
    let report = one.close_step(end, AlarmMode::Raise);
    let [alarm] = raised(&report.events)[..] else { panic!("{:?}", report.events) };
    assert_eq!((alarm.kind, alarm.observed), (AnomalyKind::Physics, Some(5000.0)));
}

#[test]
fn a_new_sensor_raises_nothing_in_its_first_hours() {
    let mut one = home();
    run(&mut one, 0, 10, |_, value| Some(value));
    let new = one.add_entity(room("sensor.new"));
    for step in 1..=2 * 144i64 {
        let end = 10 * DAY + step * STEP_SECONDS;
        // It settles from the cold in which it was delivered, then somebody moves it twice.
        let value = if step < 20 {
            5.0 + step as f64
        } else if step < 100 {
            25.0
        } else {
            15.0 + (step % 7) as f64 * 0.1
        };
        for entity in 0..2 {
            let value = temperature(end, i64::from(entity));
            one.observe(&Reading { at: end, entity, value: Value::Number(value) });
        }
        one.observe(&Reading { at: end, entity: new, value: Value::Number(value) });
        let report = one.close_step(end, AlarmMode::Raise);
        assert!(report.events.iter().all(|event| event.alarm().entity != new), "{:?}", report.events);
        assert_eq!(report.scores[new as usize].score, None);
    }
}

#[test]
fn warm_up_tells_in_hindsight_how_rare_each_step_was_as_if_it_had_been_lived() {
    let (mut quiet, mut live) = (home(), home());
    let (mut judged, mut highest) = (0, f32::MIN);
    for step in 1..=20 * 144i64 {
        let end = step * STEP_SECONDS;
        let odd = if (17 * 144..17 * 144 + 6).contains(&step) { -6.0 } else { 0.0 };
        for entity in 0..2u32 {
            let value = temperature(end, i64::from(entity)) + if entity == 0 { odd } else { 0.0 };
            let reading = Reading { at: end - 60, entity, value: Value::Number(value) };
            quiet.observe(&reading);
            live.observe(&reading);
        }
        // The home's offset follows its quiet days; here the same score is to be compared.
        live.restore(DeciderMemory::default());
        let (raising, silent) = (live.close_step(end, AlarmMode::Raise), quiet.close_step(end, AlarmMode::LearnOnly));
        assert!(silent.events.is_empty() && silent.scores.iter().all(|score| score.score.is_none()));
        if end % DAY != 0 {
            for (raising, silent) in raising.scores.iter().zip(&silent.scores) {
                assert_eq!((raising.rarity, raising.immediate), (silent.rarity, silent.immediate), "step {step}");
                judged += usize::from(silent.rarity.is_some());
                highest = silent.rarity.unwrap_or(f32::MIN).max(highest);
            }
        }
    }
    assert!(judged > 10 * 144 && highest > 3.0, "{judged} judged, the rarest {highest}");
}

#[test]
fn warm_up_scores_nothing_and_raises_nothing() {
    let mut one = home();
    for step in 1..=5 * 144i64 {
        let end = step * STEP_SECONDS;
        let value = if step % 100 == 0 { 140.0 } else { temperature(end, 0) };
        assert_eq!(one.observe(&Reading { at: end, entity: 0, value: Value::Number(value) }), []);
        let report = one.close_step(end, AlarmMode::LearnOnly);
        assert!(report.events.is_empty() && report.scores.iter().all(|score| score.score.is_none()));
    }
}

#[test]
fn a_gap_of_years_is_bounded_work_and_starts_anew() {
    let mut one = home();
    run(&mut one, 0, 6, |_, value| Some(value));
    let later = 6 + 3650;
    let events = run(&mut one, later, 2, |_, value| Some(value + 7.0));
    assert_eq!(raised(&events), Vec::<&Alarm>::new());
}

#[test]
fn a_step_that_is_closed_already_is_not_closed_again() {
    let mut one = home();
    run(&mut one, 0, 1, |_, value| Some(value));
    assert_eq!(one.close_step(DAY, AlarmMode::Raise), StepReport::default());
    assert_eq!(one.close_step(600, AlarmMode::Raise), StepReport::default());
}

#[test]
fn absurd_input_leaves_only_finite_numbers() {
    let mut one = home();
    let absurd = [f64::NAN, f64::INFINITY, -1e308, 1e308, 1e17, 0.0, -0.0, f64::MIN_POSITIVE];
    let number = one.add_entity(EntityInfo {
        entity_id: "sensor.odd".into(),
        class: DeviceClass::GenericNumber,
        unit: String::new(),
    });
    for step in 1..=6 * 144i64 {
        let end = step * STEP_SECONDS;
        for (index, value) in absurd.iter().enumerate() {
            let at = end - (index as i64 * 37 * step) % 2000;
            let value = if index % 3 == 0 { *value } else { absurd[(step as usize + index) % absurd.len()] };
            one.observe(&Reading { at, entity: number, value: Value::Number(value) });
            one.observe(&Reading { at: at + 5000, entity: number, value: Value::Gap });
        }
        one.observe(&Reading { at: i64::MAX, entity: number, value: Value::Number(1.0) });
        one.observe(&Reading { at: i64::MIN, entity: number, value: Value::Number(1.0) });
        one.observe(&Reading { at: end, entity: 99, value: Value::Number(1.0) });
        let report = one.close_step(end, AlarmMode::Raise);
        for score in &report.scores {
            assert!(score.score.is_none_or(f32::is_finite) && score.threshold.is_finite());
            assert!(score.observed.is_none_or(f32::is_finite) && score.band.is_none_or(|band| band.is_finite()));
        }
        if let Some(window) = one.extractor.window(number) {
            assert!(window.iter().all(|value| value.is_finite() && value.abs() <= 12.0));
        }
    }
}

#[test]
fn a_constant_sensor_is_left_in_peace() {
    let mut one = home();
    let constant = one.add_entity(room("sensor.constant"));
    let mut events = Vec::new();
    for step in 1..=20 * 144i64 {
        let end = step * STEP_SECONDS;
        one.observe(&Reading { at: end, entity: constant, value: Value::Number(21.0) });
        one.observe(&Reading { at: end, entity: 0, value: Value::Number(temperature(end, 0)) });
        events.extend(one.close_step(end, AlarmMode::Raise).events);
    }
    assert!(raised(&events).iter().all(|alarm| alarm.entity != constant), "{events:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Nothing after a step can influence it: cut the input anywhere and the reports before the cut are the same.
    #[test]
    fn a_truncated_input_gives_an_identical_prefix(
        seed in any::<u64>(),
        cut in 450i64..800,
    ) {
        let readings = |end: i64| {
            (0..3i64).flat_map(move |which| {
                // Some in time, some late, some early, some odd; the same for the same step.
                let mix = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add((end + which) as u64);
                let shift = [0, 30, 590, 700, -800, -90][(mix >> 33) as usize % 6];
                let value = match (mix >> 40) % 50 {
                    0 => Value::Gap,
                    1 => Value::Number(f64::NAN),
                    2 => Value::Number(200.0),
                    3 => Value::Number(temperature(end, which) + 4.0),
                    _ => Value::Number(temperature(end, which)),
                };
                let reading = Reading { at: end - shift, entity: which as u32, value };
                ((mix >> 50) % 5 != 0).then_some(reading)
            })
        };
        let play = |until: i64| {
            let mut one = home();
            one.add_entity(room("sensor.hall"));
            let mut reports = Vec::new();
            for step in 1..=until {
                let end = step * STEP_SECONDS;
                let at_once: Vec<AlarmEvent> = readings(end).flat_map(|reading| one.observe(&reading)).collect();
                reports.push((at_once, one.close_step(end, AlarmMode::Raise)));
            }
            reports
        };
        let (whole, part) = (play(800), play(cut));
        prop_assert_eq!(&whole[..cut as usize], &part[..]);
    }
}

/// Four rooms after three weeks, judged by the network that ships.
#[test]
fn carbon_monoxide_in_numbers_is_a_danger_by_level_and_time_and_its_end_ends_the_alarm() {
    let mut one = home();
    let gas = one.add_entity(EntityInfo {
        entity_id: "sensor.garage_co".into(),
        class: DeviceClass::CarbonMonoxide,
        unit: "ppm".into(),
    });
    let say = |one: &mut HomeDetector, at: i64, ppm: f64| {
        one.observe(&Reading { at, entity: gas, value: Value::Number(ppm) })
    };
    say(&mut one, 1, 0.0);
    run(&mut one, 0, 2, |_, value| Some(value));
    let begin = 2 * DAY;
    assert!(!is_raised(&say(&mut one, begin + 5, 60.0)), "not yet an hour");
    let mut alarms = Vec::new();
    for step in 1..=7 {
        let report = one.close_step(begin + step * STEP_SECONDS, AlarmMode::Raise);
        alarms.extend(raised(&report.events).into_iter().cloned());
    }
    let [alarm] = &alarms[..] else { panic!("one alarm: {alarms:?}") };
    assert_eq!((alarm.kind, alarm.severity, alarm.observed), (AnomalyKind::Alert, Severity::Critical, Some(60.0)));
    assert_eq!(alarm.reason, "sensor.garage_co: carbon monoxide detected, 60.0 ppm.");
    let over = say(&mut one, begin + 4_500, 4.0);
    assert!(matches!(&over[..], [AlarmEvent::Ended(_)]), "{over:?}");
    assert!(is_raised(&say(&mut one, begin + 4_600, 400.0)), "a new alarm, at once");
}

fn watched_by_network() -> HomeDetector {
    let config = DetectorConfig { timezone: jiff::tz::TimeZone::UTC, budget_per_week: 1.0, salt: vec![1] };
    let mut one = HomeDetector::new(config, Arc::new(Model::shipped().expect("a network ships")));
    for name in ["sensor.a", "sensor.b", "sensor.c", "sensor.d"] {
        one.add_entity(room(name));
    }
    for step in 1..=21 * 144 {
        let at = step * STEP_SECONDS;
        for entity in 0..4u32 {
            one.observe(&Reading { at: at - 5, entity, value: Value::Number(temperature(at, i64::from(entity))) });
        }
        one.close_step(at, AlarmMode::LearnOnly);
    }
    one
}

#[test]
fn a_freezer_that_thaws_is_critical_within_hours_however_loud_the_network_is_about_the_same_values() {
    for hour in [3, 6, 12, 18] {
        let config = DetectorConfig { timezone: jiff::tz::TimeZone::UTC, budget_per_week: 1.0, salt: vec![1] };
        let mut one = HomeDetector::new(config, Arc::new(Model::shipped().expect("a network ships")));
        one.add_entity(room("sensor.freezer_temperature"));
        let thaws = 24 * DAY + hour * 3600;
        let mut events = Vec::new();
        for step in 1..=26 * 144 {
            let at = step * STEP_SECONDS;
            let value = temperature(at, 0) * 0.1 - 20.0 + 2.0 * (at - thaws).max(0) as f64 / 3600.0;
            events.extend(one.observe(&Reading { at: at - 5, entity: 0, value: Value::Number(value.min(6.0)) }));
            events.extend(one.close_step(at, AlarmMode::Raise).events);
        }
        let alarms = raised(&events);
        let warm = alarms.iter().find(|alarm| alarm.kind == AnomalyKind::Warm).expect("it thaws");
        assert_eq!(warm.severity, Severity::Critical);
        assert!(warm.raised_at - thaws <= 5 * 3600, "{} s after {hour} o'clock", warm.raised_at - thaws);
    }
}

fn values(margins: &[Margin]) -> Vec<f32> {
    margins.iter().map(|margin| margin.value).collect()
}

#[test]
fn a_margin_is_what_the_home_would_hear_of_whoever_says_more() {
    let mut one = watched_by_network();
    let at = (21 * 144 + 1) * STEP_SECONDS;
    for entity in 0..4u32 {
        one.observe(&Reading { at: at - 5, entity, value: Value::Number(temperature(at, i64::from(entity))) });
    }
    let scores = one.close_step(at, AlarmMode::Raise).scores;
    let said: Vec<f32> = scores.iter().map(|score| score.score.unwrap() - score.threshold).collect();
    let margins = one.model().margins(&one.recent_windows(), one.share());
    assert!(margins.iter().all(|margin| margin.by_network), "it judges temperature");
    // In a home the baseline detector goes on beside it.
    let baseline = Model::Baseline { calibration: one.model().baseline_calibration().clone() };
    let beside = baseline.margins(&one.recent_windows(), one.share());
    for ((margin, beside), said) in margins.iter().zip(beside).zip(said) {
        assert!((margin.value.max(beside.value) - said).abs() < 1e-4, "{margin:?} {beside:?} {said}");
    }
}

#[test]
fn a_network_that_judges_nothing_of_a_home_is_to_it_what_the_routine_detector_is() {
    let one = watched_by_network();
    let mut mute = Model::shipped().unwrap();
    if let Model::Network { blend, .. } = &mut mute {
        blend.in_charge = Some([DeviceClass::Power].into());
    }
    let baseline = Model::Baseline { calibration: mute.baseline_calibration().clone() };
    for windows in [one.recent_windows(), one.synthetic_faults(0)] {
        let margins = mute.margins(&windows, one.share());
        assert!(!margins.is_empty() && margins.iter().all(|margin| !margin.by_network));
        assert_eq!(margins, baseline.margins(&windows, one.share()));
    }
}

#[test]
fn synthetic_faults_are_noticed_by_the_network_and_by_the_baseline_detector_and_not_by_a_network_of_low_recall() {
    let one = watched_by_network();
    let (faults, share) = (one.synthetic_faults(0), one.share());
    for sound in [Model::shipped().unwrap(), Model::baseline()] {
        let margins = values(&sound.margins(&faults, share));
        assert!(margins.len() == 12 && margins.iter().all(|margin| *margin > 0.0), "{margins:?}");
    }
    let mut low_recall = Model::shipped().unwrap();
    if let Model::Network { calibration, .. } = &mut low_recall {
        calibration.classes.clear();
        calibration.fallback.points = vec![(0.01, 1_000.0), (1.0, 999.0)];
    }
    let margins = values(&low_recall.margins(&faults, share));
    assert!(margins.iter().all(|margin| *margin < 0.0), "{margins:?}");
}

#[test]
fn a_window_of_another_length_has_no_margin() {
    let window = TrialWindow { class: DeviceClass::Power, values: vec![0.0; 3], baseline: BaselineScore::calm() };
    assert_eq!(Model::baseline().margins(&[window], 1.0), []);
}
