//! Events in copies of recordings of on/off entities: left open, gone silent, active at night.

use std::collections::BTreeMap;

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::reading::{Reading, Value};
use hearthwatch_evaluation::dataset::{Label, LabelOrigin, RecordedHome};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// A day in this many brings an entity an event: about one in three weeks of each kind that fits.
const EVERY_DAYS: f64 = 7.0;
/// Activations a day that an entity must have before its silence is an event.
const BUSY_PER_DAY: f64 = 4.0;
/// Share of the night's ten minutes that may be active for a night's activity to be an event.
const STILL_NIGHT: f64 = 0.03;

/// What an entity does by itself.
struct Portrait {
    /// Stays in the *on* state, seconds, sorted.
    stays: Vec<i64>,
    per_day: f64,
    /// Share of the ten-minute steps from 1 to 5 at night with an activation.
    night: f64,
}

/// A copy of the home with labelled events after `from` (Unix seconds), at least a day apart on each entity. The same seed
/// gives the same copy.
pub(super) fn disturb(home: &RecordedHome, seed: u64, from: i64) -> RecordedHome {
    let Some((first, last)) = home.span() else { return home.clone() };
    let zone = TimeZone::get(&home.timezone).unwrap_or(TimeZone::UTC);
    let mut series: BTreeMap<u32, Vec<(i64, bool)>> = BTreeMap::new();
    for reading in &home.readings {
        if let Value::Binary(on) = reading.value {
            series.entry(reading.entity).or_default().push((reading.at, on));
        }
    }
    let mut labels = home.labels.clone();
    for (entity, states) in &mut series {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(u64::from(*entity) + 1);
        let portrait = Portrait::of(states, (first, last), &zone);
        let mut day = from;
        while day + 2 * DAY < last {
            if rng.random_bool(1.0 / EVERY_DAYS)
                && let Some((family, start, end)) = event(&portrait, home, *entity, day, &zone, &mut rng)
            {
                write(states, family, (start, end), &mut rng);
                let origin = LabelOrigin::Injected;
                labels.push(Label { entity: *entity, start, end, family: family.to_owned(), origin });
                day += 2 * DAY;
            }
            day += DAY;
        }
    }
    let mut readings: Vec<Reading> = series
        .into_iter()
        .flat_map(|(entity, states)| {
            states.into_iter().map(move |(at, on)| Reading { at, entity, value: Value::Binary(on) })
        })
        .collect();
    readings.sort_by_key(|reading| (reading.at, reading.entity));
    labels.sort_by_key(|label| (label.start, label.entity));
    RecordedHome { readings, labels, ..home.clone() }
}

/// Draws a kind of event that fits the entity, and when.
fn event(
    portrait: &Portrait,
    home: &RecordedHome,
    entity: u32,
    day: i64,
    zone: &TimeZone,
    rng: &mut ChaCha8Rng,
) -> Option<(&'static str, i64, i64)> {
    let class = home.entities[entity as usize].class;
    let midnight = day - seconds_of_day(day, zone);
    let mut fitting = Vec::new();
    if !matches!(class, DeviceClass::Motion | DeviceClass::Presence | DeviceClass::Vibration | DeviceClass::Sound)
        && let Some(long) = portrait.stays.get(portrait.stays.len() * 95 / 100)
        && 4 * long < DAY
    {
        fitting.push(("left_open", (4 * long).max(HOUR)));
    }
    if portrait.per_day >= BUSY_PER_DAY {
        fitting.push(("silent", rng.random_range(24 * HOUR..36 * HOUR)));
    }
    if portrait.night < STILL_NIGHT {
        fitting.push(("night_activity", rng.random_range(40 * 60..80 * 60)));
    }
    if fitting.is_empty() {
        return None;
    }
    let (family, length) = fitting[rng.random_range(0..fitting.len())];
    let hours = if family == "night_activity" { 1.0..3.5 } else { 7.0..22.0 };
    let start = midnight + DAY + (rng.random_range(hours) * HOUR as f64) as i64;
    Some((family, start, start + length))
}

fn write(states: &mut Vec<(i64, bool)>, family: &str, (start, end): (i64, i64), rng: &mut ChaCha8Rng) {
    let before = states.iter().rev().find(|(at, _)| *at < start).is_some_and(|(_, on)| *on);
    let after = states.iter().rev().find(|(at, _)| *at <= end).is_some_and(|(_, on)| *on);
    if family != "night_activity" {
        states.retain(|(at, _)| *at < start || *at > end);
    }
    match family {
        "left_open" => states.extend([(start, true), (end, after)]),
        "silent" => states.extend(before.then_some((start, false)).into_iter().chain(after.then_some((end, true)))),
        _ => {
            // Up and about: on for a minute or less, every few minutes.
            let mut at = start;
            while at < end {
                let length = rng.random_range(3..60);
                states.extend([(at, true), (at + length, false)]);
                at += length + rng.random_range(60..600);
            }
        }
    }
    states.sort_by_key(|(at, _)| *at);
}

impl Portrait {
    fn of(states: &[(i64, bool)], (first, last): (i64, i64), zone: &TimeZone) -> Self {
        let mut stays = Vec::new();
        let mut on_since = None;
        let mut activations = 0.0;
        let mut night = std::collections::BTreeSet::new();
        for (at, on) in states {
            match (on, on_since) {
                (true, None) => {
                    on_since = Some(*at);
                    activations += 1.0;
                    let hour = seconds_of_day(*at, zone) / HOUR;
                    if (1..5).contains(&hour) {
                        night.insert(at / 600);
                    }
                }
                (false, Some(since)) => {
                    stays.push(at - since);
                    on_since = None;
                }
                _ => {}
            }
        }
        stays.sort_unstable();
        let days = ((last - first) as f64 / DAY as f64).max(1.0);
        // Four hours of six steps.
        Self { stays, per_day: activations / days, night: night.len() as f64 / (days * 24.0) }
    }
}

fn seconds_of_day(at: i64, zone: &TimeZone) -> i64 {
    let offset = Timestamp::from_second(at).map_or(0, |stamp| i64::from(zone.to_offset(stamp).seconds()));
    (at + offset).rem_euclid(DAY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hearthwatch_detector::reading::EntityInfo;

    /// A door that is opened for two minutes every two hours of the day.
    fn home() -> RecordedHome {
        let info = EntityInfo { entity_id: "binary_sensor.door".into(), class: DeviceClass::Door, unit: String::new() };
        let openings = (0..40 * 8).map(|number| number / 8 * DAY + 7 * HOUR + number % 8 * 2 * HOUR);
        let readings = openings.flat_map(|at| [(at, true), (at + 120, false)]).map(|(at, on)| Reading {
            at,
            entity: 0,
            value: Value::Binary(on),
        });
        let (name, set, timezone) = ("made".into(), "tests".into(), "UTC".into());
        let (entities, readings) = (vec![info], readings.collect());
        RecordedHome { name, set, timezone, entities, readings, labels: Vec::new() }
    }

    #[test]
    fn all_three_kinds_befall_a_door_and_the_same_seed_gives_the_same() {
        let copy = disturb(&home(), 3, 10 * DAY);
        let labels = (1..=10).flat_map(|seed| disturb(&home(), seed, 10 * DAY).labels);
        let kinds: std::collections::BTreeSet<_> = labels.map(|label| label.family).collect();
        assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["left_open", "night_activity", "silent"]);
        assert_eq!(copy, disturb(&home(), 3, 10 * DAY));
    }

    #[test]
    fn a_silent_stretch_holds_no_activation_and_an_open_one_no_closing() {
        let copy = disturb(&home(), 3, 10 * DAY);
        for label in &copy.labels {
            let within: Vec<_> =
                copy.readings.iter().filter(|reading| reading.at > label.start && reading.at < label.end).collect();
            match label.family.as_str() {
                "night_activity" => assert!(within.len() >= 6),
                _ => assert!(within.is_empty(), "{label:?}"),
            }
        }
    }
}
