//! Whatever a home sends: no panic, bounded memory, nothing said of a new sensor's first hour, and a line on what was left out.

use std::sync::Arc;

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::detector::{AlarmMode, DetectorConfig, HomeDetector, Model};
use hearthwatch_detector::grid::STEP_SECONDS;
use hearthwatch_detector::reading::{EntityInfo, Reading, Value};
use jiff::tz::TimeZone;
use proptest::prelude::*;

const DAY: i64 = 86_400;

fn detector(timezone: TimeZone) -> HomeDetector {
    let config = DetectorConfig { timezone, budget_per_week: 1.0, salt: b"salt".to_vec() };
    HomeDetector::new(config, Arc::new(Model::baseline()))
}

fn info(name: &str, class: DeviceClass, unit: &str) -> EntityInfo {
    EntityInfo { entity_id: name.into(), class, unit: unit.into() }
}

fn number(at: i64, entity: u32, value: f64) -> Reading {
    Reading { at, entity, value: Value::Number(value) }
}

/// A day's rhythm with a little unrest.
fn usual(at: i64) -> f64 {
    20.0 + 2.0 * (at as f64 / DAY as f64 * std::f64::consts::TAU).sin() + (at / 600 % 7) as f64 * 0.05
}

/// Runs `days` of an ordinary thermometer (entity 0) from `from` on and gives what was said.
fn live(home: &mut HomeDetector, from: i64, days: i64) -> Vec<String> {
    let mut said = Vec::new();
    for step in 1..=days * 144 {
        let end = from + step * STEP_SECONDS;
        let events = home.observe(&number(end, 0, usual(end)));
        let report = home.close_step(end, AlarmMode::Raise);
        said.extend(events.iter().chain(&report.events).map(|event| event.alarm().reason.clone()));
    }
    said
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<f64>().prop_map(Value::Number),
        prop::sample::select(vec![f64::NAN, f64::INFINITY, 1e308, -1e308, 0.0, -127.0, 85.0]).prop_map(Value::Number),
        any::<bool>().prop_map(Value::Binary),
        Just(Value::Gap),
    ]
}

fn any_reading() -> impl Strategy<Value = Reading> {
    let at = prop_oneof![
        4 => -2 * DAY..20 * DAY,
        1 => prop::sample::select(vec![i64::MIN, i64::MAX, 0, -1, 253_402_000_000]),
    ];
    (at, 0u32..6, any_value()).prop_map(|(at, entity, value)| Reading { at, entity, value })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Irregular, repeated, disordered and future-stamped readings of any value, to entities of every manner and of none.
    #[test]
    fn any_readings_leave_finite_scores_and_a_line_on_what_was_left_out(
        readings in prop::collection::vec(any_reading(), 0..400),
        steps in prop::collection::vec(-DAY..25 * DAY, 1..60),
        zone in prop::sample::select(vec!["UTC", "Europe/London", "America/New_York", "Asia/Kathmandu"]),
    ) {
        let mut home = detector(TimeZone::get(zone).unwrap());
        home.add_entity(info("sensor.t", DeviceClass::Temperature, "°C"));
        home.add_entity(info("sensor.meter", DeviceClass::Energy, "kWh"));
        home.add_entity(info("binary_sensor.door", DeviceClass::Door, ""));
        home.add_entity(info("binary_sensor.leak", DeviceClass::Moisture, ""));
        home.add_entity(info("sensor.nameless", DeviceClass::GenericNumber, ""));
        let turn = readings.len() / steps.len() + 1;
        for (chunk, step) in readings.chunks(turn).zip(steps.iter().cycle()) {
            for reading in chunk {
                home.observe(reading);
            }
            for score in home.close_step(*step, AlarmMode::Raise).scores {
                prop_assert!(score.score.is_none_or(f32::is_finite) && score.threshold.is_finite());
                prop_assert!(score.observed.is_none_or(f32::is_finite));
            }
        }
        let unknown = readings.iter().filter(|reading| reading.entity == 5).count() as u64;
        prop_assert_eq!(home.left_out().unknown, unknown);
        prop_assert!(home.left_out().total() >= unknown);
        prop_assert!(!home.left_out().to_string().is_empty());
    }

    /// Days as the clocks go forward and back: the routine moves by an hour, and nothing else happens.
    #[test]
    fn the_days_on_which_clocks_change_are_days(start in 0i64..3) {
        let zone = TimeZone::get("Europe/London").unwrap();
        // 2026-03-29 and 2026-10-25, 01:00 UTC.
        for change in [1_774_746_000i64, 1_792_890_000] {
            let mut home = detector(zone.clone());
            home.add_entity(info("sensor.t", DeviceClass::Temperature, "°C"));
            let from = change.div_euclid(600) * 600 - (6 + start) * DAY;
            prop_assert_eq!(live(&mut home, from, 9), Vec::<String>::new());
        }
    }
}

#[test]
fn a_sensor_that_joins_a_running_home_is_not_complained_about_in_its_first_hour() {
    let mut home = detector(TimeZone::UTC);
    home.add_entity(info("sensor.t", DeviceClass::Temperature, "°C"));
    live(&mut home, 0, 4);
    let thermometer = home.add_entity(info("sensor.new", DeviceClass::Temperature, "°C"));
    let motion = home.add_entity(info("binary_sensor.motion", DeviceClass::Motion, ""));
    let mut said = Vec::new();
    for step in 1..=6 {
        let end = 4 * DAY + step * STEP_SECONDS;
        said.extend(home.observe(&number(end - 300, thermometer, if step % 2 == 0 { -127.0 } else { 85.0 })));
        said.extend(home.observe(&Reading { at: end - 200, entity: motion, value: Value::Binary(step % 2 == 1) }));
        home.observe(&number(end, 0, usual(end)));
        said.extend(home.close_step(end, AlarmMode::Raise).events);
    }
    assert_eq!(said, []);
    // An hour later the same is a fault.
    let late = 4 * DAY + 6 * STEP_SECONDS + 30;
    assert_eq!(home.observe(&number(late, thermometer, -127.0)).len(), 1);
}

#[test]
fn a_leak_sensor_that_joins_a_running_home_is_told_from_its_first_reading() {
    let mut home = detector(TimeZone::UTC);
    home.add_entity(info("sensor.t", DeviceClass::Temperature, "°C"));
    live(&mut home, 0, 4);
    let leak = home.add_entity(info("binary_sensor.leak", DeviceClass::Moisture, ""));
    assert_eq!(home.observe(&Reading { at: 4 * DAY + 1, entity: leak, value: Value::Binary(true) }).len(), 1);
}

#[test]
fn an_entity_whose_unit_changes_is_learnt_anew_and_says_nothing_of_the_jump() {
    let mut home = detector(TimeZone::UTC);
    let entity = home.add_entity(info("sensor.t", DeviceClass::Temperature, "°C"));
    live(&mut home, 0, 6);
    assert_eq!(home.add_entity(info("sensor.t", DeviceClass::Temperature, "°F")), entity);
    for step in 1..=2 * 144 {
        let end = 6 * DAY + step * STEP_SECONDS;
        assert_eq!(home.observe(&number(end, entity, usual(end) * 1.8 + 32.0)), []);
        assert_eq!(home.close_step(end, AlarmMode::Raise).events, []);
    }
    assert_eq!(home.entities()[0].unit, "°F");
}

#[test]
fn a_meter_that_is_reset_is_counted_and_not_an_alarm() {
    let mut home = detector(TimeZone::UTC);
    let meter = home.add_entity(info("sensor.energy", DeviceClass::Energy, "kWh"));
    let mut total = 0.0;
    for step in 1..=8 * 144i64 {
        let end = step * STEP_SECONDS;
        total = if step == 7 * 144 { 0.0 } else { total + 0.1 + (step % 6) as f64 * 0.02 };
        assert_eq!(home.observe(&number(end, meter, total)), []);
        assert_eq!(home.close_step(end, AlarmMode::Raise).events, [], "step {step}");
    }
    assert_eq!(home.left_out().to_string(), "1 readings were left out: 1 lower than the meter stood");
}

#[test]
fn what_was_left_out_is_said_with_its_reasons() {
    let mut home = detector(TimeZone::UTC);
    home.add_entity(info("sensor.t", DeviceClass::Temperature, "°C"));
    live(&mut home, 0, 1);
    for reading in [
        number(DAY + 10, 0, 20.0),
        number(DAY + 10, 0, 20.0),
        number(DAY - 700, 0, 20.0),
        number(DAY + 20, 0, f64::NAN),
        number(DAY + 30, 0, 1e308),
        number(400 * DAY, 0, 20.0),
        number(DAY + 40, 7, 20.0),
    ] {
        home.observe(&reading);
    }
    assert_eq!(
        home.left_out().to_string(),
        "6 readings were left out: 1 stamped more than a day ahead, 1 too late or out of order, 1 said twice, \
         1 no finite number, 1 impossible for their quantity, 1 of unknown entities"
    );
}

#[test]
fn a_thousand_entities_and_a_year_of_gap_are_bounded_work() {
    let mut home = detector(TimeZone::UTC);
    for entity in 0..1000 {
        let class = if entity % 2 == 0 { DeviceClass::Temperature } else { DeviceClass::Motion };
        home.add_entity(info(&format!("sensor.e{entity}"), class, ""));
    }
    let mut said = 0;
    for (from, steps) in [(0, 12), (365 * DAY, 12)] {
        for step in 1..=steps {
            let end = from + step * STEP_SECONDS;
            for entity in 0..1000 {
                let value = if entity % 2 == 0 { Value::Number(20.0) } else { Value::Binary(step % 3 == 0) };
                said += home.observe(&Reading { at: end, entity, value }).len();
            }
            let report = home.close_step(end, AlarmMode::Raise);
            assert_eq!(report.scores.len(), 1000);
            said += report.events.len();
        }
    }
    assert_eq!(said, 0);
}

#[test]
fn a_class_or_unit_that_is_missing_is_watched_as_a_plain_number_or_not_at_all() {
    assert_eq!(DeviceClass::guess("sensor.a", None, None), None);
    assert_eq!(DeviceClass::guess("sensor.a", Some(""), Some("")), None);
    assert_eq!(DeviceClass::guess("sensor.a", None, Some("furlong")), Some(DeviceClass::GenericNumber));
    assert_eq!(DeviceClass::guess("sensor.a", Some("wind_chill"), Some("°C")), Some(DeviceClass::Temperature));
    assert_eq!(DeviceClass::guess("binary_sensor.a", Some("nonsense"), None), Some(DeviceClass::GenericBinary));
    assert_eq!(DeviceClass::guess("camera.a", None, None), None);
}
