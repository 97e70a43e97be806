//! Readings in disorder.

use super::*;
use crate::class::DeviceClass;

fn intake(class: DeviceClass) -> Intake {
    Intake::new(&EntityInfo { entity_id: "sensor.x".into(), class, unit: String::new() })
}

fn number(x: f64) -> Value {
    Value::Number(x)
}

#[test]
fn numbers_are_averaged_within_the_step_and_carried_after_it() {
    let mut one = intake(DeviceClass::Temperature);
    one.offer(100, number(20.0));
    one.offer(500, number(22.0));
    let first = one.close(600);
    assert_eq!((first.value, first.fresh, first.age), (Some(21.0), true, Some(100)));
    let second = one.close(1200);
    assert_eq!((second.value, second.fresh, second.age), (Some(22.0), false, Some(700)));
}

#[test]
fn a_report_delivered_twice_counts_once() {
    let mut one = intake(DeviceClass::Temperature);
    one.close(0);
    one.offer(100, number(20.0));
    one.offer(100, number(20.0));
    one.offer(200, number(26.0));
    assert_eq!(one.close(600).value, Some(23.0));
}

#[test]
fn a_late_reading_of_a_closed_step_changes_nothing_but_the_state_that_is_carried() {
    let mut one = intake(DeviceClass::Temperature);
    one.offer(100, number(20.0));
    one.close(600);
    one.offer(50, number(99.0));
    assert_eq!(one.close(1200).value, Some(20.0));
    one.offer(1150, number(21.0));
    let carried = one.close(1800);
    assert_eq!((carried.value, carried.fresh), (Some(21.0), false));
}

#[test]
fn a_reading_from_the_future_waits_for_its_step_and_nonsense_is_dropped() {
    let mut one = intake(DeviceClass::Temperature);
    one.close(600);
    one.offer(1300, number(30.0));
    one.offer(10_000_000, number(40.0));
    one.offer(700, number(20.0));
    assert_eq!(one.close(1200).value, Some(20.0));
    assert_eq!(one.close(1800).value, Some(30.0));
    assert_eq!(one.close(9_999_600).value, Some(30.0));
    assert_eq!(one.close(10_000_200).value, Some(30.0));
}

#[test]
fn waiting_readings_are_bounded() {
    let mut one = intake(DeviceClass::Temperature);
    for second in 0..10_000 {
        one.offer(second, number(20.0));
    }
    assert_eq!(one.pending.len(), PENDING_MAX);
    one.close(12_000);
    for second in 0..10_000 {
        one.offer(13_000 + second, number(20.0));
    }
    assert_eq!(one.pending.len(), PENDING_MAX);
}

#[test]
fn what_is_no_number_is_a_gap_and_what_cannot_be_is_broken() {
    let mut one = intake(DeviceClass::Temperature);
    one.close(0);
    one.offer(10, number(20.0));
    one.offer(20, number(1e308));
    one.offer(30, number(-127.0));
    let step = one.close(600);
    assert_eq!((step.value, step.broken), (Some(20.0), Some(-127.0)));
    one.offer(700, number(f64::NAN));
    let step = one.close(1200);
    assert_eq!((step.value, step.broken, step.fresh), (None, None, false));
}

#[test]
fn an_infinite_number_is_broken_even_where_physics_sets_no_limit() {
    let mut one = intake(DeviceClass::GenericNumber);
    one.close(0);
    one.offer(10, number(f64::INFINITY));
    assert_eq!(one.close(600).broken, Some(f64::INFINITY));
}

#[test]
fn a_binary_state_is_the_share_of_the_step_that_it_was_on() {
    let mut one = intake(DeviceClass::Door);
    one.close(0);
    one.offer(0, Value::Binary(false));
    one.offer(150, Value::Binary(true));
    one.offer(450, Value::Binary(false));
    let step = one.close(600);
    assert_eq!((step.value, step.switches, step.state), (Some(0.5), 2, Some(false)));
    one.offer(1100, Value::Binary(true));
    one.close(1200);
    let step = one.close(1800);
    assert_eq!((step.value, step.fresh, step.state), (Some(1.0), false, Some(true)));
}

#[test]
fn an_hourly_meter_shows_its_consumption_per_hour_until_the_next_report() {
    let mut one = intake(DeviceClass::Water);
    let mut rates = Vec::new();
    for step in 1..=24i64 {
        if step % 6 == 0 {
            one.offer(step * 600, number(1000.0 + 50.0 * (step / 6) as f64));
        }
        rates.push(one.close(step * 600).value);
    }
    assert_eq!(rates[11..], vec![Some(50.0); 13]);
}

#[test]
fn a_pulse_meter_falls_to_nothing_when_it_stops_counting() {
    let mut one = intake(DeviceClass::Water);
    for second in (10..600).step_by(10) {
        one.offer(second, number(second as f64));
    }
    assert!(one.close(600).value.unwrap() > 0.0);
    one.close(1200);
    assert_eq!(one.close(1800).value, Some(0.0));
}

#[test]
fn a_meter_that_restarts_shows_no_spike() {
    let mut one = intake(DeviceClass::Energy);
    for (step, count) in [9000.0, 9001.0, 3.0, 4.0].into_iter().enumerate() {
        one.offer(step as i64 * 600 + 300, number(count));
        let rate = one.close(step as i64 * 600 + 600).value.unwrap();
        assert!((0.0..=6.1).contains(&rate), "{rate}");
    }
}

#[test]
fn consumption_during_a_gap_is_not_lost_nor_made_a_spike() {
    let mut one = intake(DeviceClass::Energy);
    one.offer(300, number(10.0));
    one.close(600);
    one.offer(900, number(10.1));
    one.close(1200);
    one.offer(1300, Value::Gap);
    assert_eq!(one.close(1800).value, None);
    one.offer(2100, number(10.3));
    assert!((one.close(2400).value.unwrap() - 0.6).abs() < 0.01);
}
