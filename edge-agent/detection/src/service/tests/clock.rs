//! A clock that jumps hides nothing and invents nothing.

use super::memory::{raised, relearn_now};
use super::*;

const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;

/// What the thermometer says in a step at `level`: noise, so that nothing can foretell it to the last digit.
fn said(step: i64, level: f64) -> Reading {
    let noise = step.wrapping_mul(2_654_435_761).rotate_right(13).rem_euclid(7);
    reading(step * STEP_SECONDS - 300, level + f64::from(u8::try_from(noise).unwrap()) * 0.1)
}

/// Lives through (`from`, `until`] at `level`.
fn live(home: &mut Home, from: i64, until: i64, level: f64) {
    for step in from / STEP_SECONDS + 1..=until / STEP_SECONDS {
        home.ingest(&[said(step, level)]);
        home.tick(step * STEP_SECONDS + CLOSING_GRACE_SECONDS);
        relearn_now(home);
    }
}

/// A thermometer that was watched for a fortnight.
fn watched() -> Home {
    let mut home = home();
    home.add_entities(vec![thermometer()]);
    let past: Vec<Reading> = (1..=14 * DAY / STEP_SECONDS).map(|step| said(step, 20.0)).collect();
    home.learn(&past, 14 * DAY);
    home.set_listening(true, 14 * DAY);
    home
}

#[test]
fn a_clock_that_runs_ahead_by_hours_and_is_set_back_leaves_the_home_watched() {
    let mut home = watched();
    live(&mut home, 14 * DAY, 15 * DAY, 20.0);
    // Three hours ahead: eighteen steps end at once, and some are heard.
    home.tick(15 * DAY + 3 * HOUR);
    live(&mut home, 15 * DAY + 3 * HOUR, 15 * DAY + 4 * HOUR, 20.0);
    assert_eq!(raised(&home), 0, "{:?}", home.memory.history.alarms(0));
    assert_eq!(home.steps.closed, Some(15 * DAY + 4 * HOUR));

    let now = 15 * DAY + HOUR + 60;
    home.tick(now);
    relearn_now(&mut home);
    assert_eq!(home.steps.closed, Some(15 * DAY + HOUR));
    assert_eq!(home.view.borrow().set_back, Some(SetBack { at: now, seconds: 3 * HOUR - 60 }));
    assert_eq!(home.memory.history.last_step().unwrap(), Some(15 * DAY), "nobody heard the hour after it");

    // Watched from the next step on, and not three hours later.
    live(&mut home, 15 * DAY + HOUR, 15 * DAY + 2 * HOUR, 20.0);
    assert_eq!((home.steps.closed, raised(&home)), (Some(15 * DAY + 2 * HOUR), 0));
    live(&mut home, 15 * DAY + 2 * HOUR, 15 * DAY + 3 * HOUR, 45.0);
    assert_eq!(raised(&home), 1);
}

#[test]
fn a_correction_by_minutes_is_waited_for() {
    let mut home = watched();
    live(&mut home, 14 * DAY, 15 * DAY, 20.0);
    home.tick(15 * DAY - 200);
    assert_eq!((home.steps.closed, home.view.borrow().set_back), (Some(15 * DAY), None));
}

#[test]
fn what_was_heard_in_the_wrong_time_is_still_how_things_are() {
    let mut home = watched();
    live(&mut home, 14 * DAY, 15 * DAY, 20.0);
    home.tick(15 * DAY + 3 * HOUR);
    home.ingest(&[reading(15 * DAY + 3 * HOUR + 60, 23.0)]);
    home.tick(15 * DAY + 3 * HOUR + STEP_SECONDS + CLOSING_GRACE_SECONDS);
    home.tick(15 * DAY + 60);
    relearn_now(&mut home);
    home.tick(15 * DAY + STEP_SECONDS + CLOSING_GRACE_SECONDS);
    assert_eq!(home.steps.last_scores[0].observed, Some(23.0));
}

#[test]
fn smoke_is_told_while_the_clock_is_wrong_and_outlasts_its_correction() {
    let mut home = watched();
    let number = home.add_entities(vec![fixtures::info("binary_sensor.s", DeviceClass::Smoke, "")])[0];
    let says = |at: i64, on: bool| Reading { at, entity: number, value: Value::Binary(on) };
    home.ingest(&[says(14 * DAY + 100, false)]);
    live(&mut home, 14 * DAY, 15 * DAY, 20.0);
    home.tick(15 * DAY + 3 * HOUR);
    home.ingest(&[says(15 * DAY + 3 * HOUR + 60, true)]);
    assert_eq!((raised(&home), home.view.borrow().unusual.len()), (1, 1));

    home.tick(15 * DAY + 120);
    assert_eq!((raised(&home), home.view.borrow().unusual.len()), (1, 1), "it still burns");
    home.ingest(&[says(15 * DAY + 180, false)]);
    assert_eq!(home.view.borrow().unusual.len(), 0);
    home.ingest(&[says(15 * DAY + 240, true)]);
    assert_eq!(raised(&home), 2, "before anything was learnt again");
}

#[test]
fn a_clock_that_began_in_1970_is_followed_at_once() {
    let mut home = heard();
    home.ingest(&[reading(700, 20.0)]);
    let now = 20_000 * DAY;
    home.tick(now + CLOSING_GRACE_SECONDS);
    assert_eq!(home.steps.closed, Some(now));
    assert_eq!(home.memory.history.steps(0, now).unwrap(), [now]);
}
