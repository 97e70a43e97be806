//! What comes again and is nothing: found in recordings, or put into a copy of one.

use hearthwatch_detector::alarm::Alarm;
use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::reading::Value;
use hearthwatch_evaluation::dataset::RecordedHome;
use hearthwatch_evaluation::inject::{Scale, scale_of};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;

const DAY_SECONDS: i64 = 86_400;
/// Alarms of one entity within this many hours of the same time of day may be the same nuisance.
const SAME_HOURS: f64 = 2.5;
/// Alarms that make a recurring nuisance: two could be chance, and after two dismissals one must be left to be counted.
const ALARMS_MIN: usize = 3;
/// An alarm may be said this long after its cause has passed.
const TAIL_SECONDS: i64 = 3600;

/// Something harmless that recurs on one entity.
#[derive(Debug, Clone)]
pub(super) struct Nuisance {
    /// Index in the home's entities.
    pub(super) entity: u32,
    when: When,
}

#[derive(Debug, Clone)]
enum When {
    /// Put there: first and last second of each occurrence.
    Planted(Vec<(i64, i64)>),
    /// Found: around this hour of the local day, above (1) or below (−1) what was expected.
    Found { hour: f64, direction: i8 },
}

impl Nuisance {
    /// Whether the alarm is about this nuisance.
    pub(super) fn causes(&self, alarm: &Alarm, zone: &TimeZone) -> bool {
        alarm.entity == self.entity
            && match &self.when {
                When::Planted(times) => {
                    times.iter().any(|(start, end)| (*start..=end + TAIL_SECONDS).contains(&alarm.raised_at))
                }
                When::Found { hour, direction: way } => {
                    direction(alarm) == *way && apart(hour_of(alarm.raised_at, zone), *hour) <= SAME_HOURS
                }
            }
    }
}

/// The recurring nuisances among the alarms of a recording in which nothing is known to be wrong: at least three alarms
/// of one entity in one direction at about the same time of day.
pub(super) fn find(alarms: &[Alarm], zone: &TimeZone) -> Vec<Nuisance> {
    let mut left: Vec<&Alarm> = alarms.iter().collect();
    let mut found = Vec::new();
    while let Some(first) = left.first().copied() {
        let alike = |alarm: &&Alarm| {
            let near = apart(hour_of(alarm.raised_at, zone), hour_of(first.raised_at, zone)) <= SAME_HOURS;
            alarm.entity == first.entity && direction(alarm) == direction(first) && near
        };
        let (group, others): (Vec<&Alarm>, Vec<&Alarm>) = left.into_iter().partition(alike);
        if group.len() >= ALARMS_MIN {
            let hour = hour_of(first.raised_at, zone);
            let when = When::Found { hour, direction: direction(first) };
            found.push(Nuisance { entity: first.entity, when });
        }
        left = others;
    }
    found
}

/// A kind of nuisance that can be put into a recording.
struct Recipe {
    classes: &'static [DeviceClass],
    /// Hour of the local day at which it begins, give or take `slack` hours.
    hour: f64,
    slack: f64,
    /// How long it lasts, hours.
    hours: (f64, f64),
    /// How large it is, in the entity's own scales.
    size: (f64, f64),
    /// Days between chances, and the probability of each.
    every_days: i64,
    probability: f64,
}

/// The sun on a sensor (two days in three), the weekly cleaning, the shower (most mornings).
const RECIPES: [Recipe; 3] = [
    SUN,
    Recipe {
        classes: &[DeviceClass::SoundPressure, DeviceClass::Pm25, DeviceClass::Power],
        hour: 10.0,
        slack: 1.0,
        every_days: 7,
        probability: 1.0,
        ..SUN
    },
    Recipe { classes: &[DeviceClass::Humidity], hour: 7.0, hours: (0.75, 1.5), ..SUN },
];

const SUN: Recipe = Recipe {
    classes: &[DeviceClass::Temperature, DeviceClass::Illuminance],
    hour: 13.0,
    slack: 0.75,
    hours: (1.5, 3.0),
    size: (6.0, 10.0),
    every_days: 1,
    probability: 0.65,
};

/// A copy of the home in which each kind of nuisance befalls one entity that it fits, from `from` (Unix seconds) on.
pub(super) fn plant(home: &RecordedHome, seed: u64, from: i64) -> (RecordedHome, Vec<Nuisance>) {
    let mut copy = home.clone();
    let zone = TimeZone::get(&home.timezone).unwrap_or(TimeZone::UTC);
    let until = home.span().map_or(from, |(_, last)| last);
    let mut planted = Vec::new();
    for (number, recipe) in RECIPES.iter().enumerate() {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(number as u64 + 1);
        let fitting: Vec<usize> = (0..home.entities.len())
            .filter(|entity| recipe.classes.contains(&home.entities[*entity].class) && !outdoors(home, *entity))
            .collect();
        if fitting.is_empty() {
            continue;
        }
        let entity = fitting[rng.random_range(0..fitting.len())];
        let series: Vec<(i64, Value)> = readings_of(home, entity);
        let Some(scale) = scale_of(&series, home.entities[entity].class) else { continue };
        let times = schedule(recipe, (from, until), &zone, &mut rng);
        for (start, end) in &times {
            let size = rng.random_range(recipe.size.0..recipe.size.1);
            raise(&mut copy, entity as u32, (*start, *end), size, &scale);
        }
        planted.push(Nuisance { entity: entity as u32, when: When::Planted(times) });
    }
    (copy, planted)
}

fn outdoors(home: &RecordedHome, entity: usize) -> bool {
    let name = &home.entities[entity].entity_id;
    ["outdoor", "outside", "station"].iter().any(|word| name.contains(word))
}

fn readings_of(home: &RecordedHome, entity: usize) -> Vec<(i64, Value)> {
    let own = home.readings.iter().filter(|reading| reading.entity as usize == entity);
    own.map(|reading| (reading.at, reading.value)).collect()
}

fn schedule(recipe: &Recipe, (from, until): (i64, i64), zone: &TimeZone, rng: &mut ChaCha8Rng) -> Vec<(i64, i64)> {
    let mut times = Vec::new();
    let mut noon = from;
    while noon < until {
        let midnight = noon - (hour_of(noon, zone) * 3600.0) as i64;
        let hour = recipe.hour + rng.random_range(-recipe.slack..recipe.slack);
        let start = midnight + (hour * 3600.0) as i64;
        let end = start + (rng.random_range(recipe.hours.0..recipe.hours.1) * 3600.0) as i64;
        if rng.random_bool(recipe.probability) && start > from && end < until {
            times.push((start, end));
        }
        noon += recipe.every_days * DAY_SECONDS;
    }
    times
}

/// Raises the entity's values within the stretch by so many of its scales, swelling and ebbing.
fn raise(home: &mut RecordedHome, entity: u32, (start, end): (i64, i64), size: f64, scale: &Scale) {
    for reading in home.readings.iter_mut().filter(|reading| reading.entity == entity) {
        let Value::Number(value) = reading.value else { continue };
        if reading.at < start || reading.at > end {
            continue;
        }
        let share = (reading.at - start) as f64 / (end - start).max(1) as f64;
        let swell = (4.0 * share.min(1.0 - share)).min(1.0) * size * scale.residual;
        let raised = if scale.log { (value.max(0.0).ln_1p() + swell).exp_m1() } else { value + swell };
        reading.value = Value::Number(raised);
    }
}

/// Above (1) or below (−1) what was expected; 0 where there is no telling.
fn direction(alarm: &Alarm) -> i8 {
    match (alarm.observed, alarm.band) {
        (Some(value), Some(band)) if value > band.expected => 1,
        (Some(value), Some(band)) if value < band.expected => -1,
        _ => 0,
    }
}

/// Hours since local midnight.
pub(super) fn hour_of(at: i64, zone: &TimeZone) -> f64 {
    let offset = Timestamp::from_second(at).map_or(0, |stamp| i64::from(zone.to_offset(stamp).seconds()));
    (at + offset).rem_euclid(DAY_SECONDS) as f64 / 3600.0
}

fn apart(a: f64, b: f64) -> f64 {
    let hours = (a - b).abs().rem_euclid(24.0);
    hours.min(24.0 - hours)
}
