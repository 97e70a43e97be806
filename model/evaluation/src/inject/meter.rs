//! Faults of meters that only count up: what is added stays on the counter.

use hearthwatch_detector::reading::Value;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::Series;
use super::family::Family;
use super::rhythm::Rhythm;
use super::scale::Scale;
use super::schedule::Slot;

/// Writes the slot's fault; says whether it changed anything.
/// `litre` is one litre in the meter's unit; none where its unit is not known.
pub(super) fn apply(series: &mut Series, slot: &Slot, scale: &Scale, litre: Option<f64>, rng: &mut ChaCha8Rng) -> bool {
    match slot.family {
        Family::Missing => missing(series, slot),
        Family::Stuck => stuck(series, slot, scale),
        // A burst pipe: 4 to 10 scales for a moment.
        Family::Spike => flow(series, slot, rng.random_range(4.0..10.0) * scale.linear),
        // A cistern that never closes: half a scale to one and a half, for days.
        Family::SlowLeak => flow(series, slot, rng.random_range(0.5..1.5) * scale.linear),
        Family::SteadyLeak | Family::PipeBurst => {
            let (least, most): (f64, f64) =
                if slot.family == Family::PipeBurst { (300.0, 1500.0) } else { (5.0, 100.0) };
            let litres = (rng.random_range(least.ln()..most.ln())).exp();
            litre.is_some_and(|litre| flow(series, slot, litres * litre))
        }
        // A softener that regenerates without end: 2 to 4 scales while it runs.
        Family::PeriodicLoad => {
            let rhythm = Rhythm::draw(rng, scale.interval);
            pulses(series, slot, &rhythm, rng.random_range(2.0..4.0) * scale.linear)
        }
        _ => false,
    }
}

/// Adds a constant flow (unit per hour) over the slot; the counter keeps it afterwards.
fn flow(series: &mut Series, slot: &Slot, per_hour: f64) -> bool {
    let mut touched = false;
    for (at, value) in series.iter_mut() {
        if let Value::Number(count) = value
            && *at >= slot.start
        {
            let hours = ((*at).min(slot.end) - slot.start) as f64 / 3600.0;
            *count += per_hour * hours;
            touched = true;
        }
    }
    touched
}

/// Adds a flow (unit per hour) while the rhythm runs; the counter keeps it afterwards.
fn pulses(series: &mut Series, slot: &Slot, rhythm: &Rhythm, per_hour: f64) -> bool {
    let mut touched = false;
    for (at, value) in series.iter_mut() {
        if let Value::Number(count) = value
            && *at >= slot.start
        {
            *count += per_hour * rhythm.seconds_on(slot.start, (*at).min(slot.end)) as f64 / 3600.0;
            touched = true;
        }
    }
    touched
}

/// The counter stands while water runs, then shows everything at once.
fn stuck(series: &mut Series, slot: &Slot, scale: &Scale) -> bool {
    let held = series.iter().rev().find_map(|(at, value)| match value {
        Value::Number(count) if *at < slot.start => Some(*count),
        _ => None,
    });
    let Some(held) = held else { return false };
    let hidden = series
        .iter()
        .filter_map(|(at, value)| match value {
            Value::Number(count) if slot.contains(*at) => Some(count - held),
            _ => None,
        })
        .fold(0.0, f64::max);
    // A meter that would have stood anyhow is not broken.
    if hidden < 2.0 * scale.linear {
        return false;
    }
    for (at, value) in series.iter_mut() {
        if slot.contains(*at) && matches!(value, Value::Number(_)) {
            *value = Value::Number(held);
        }
    }
    true
}

fn missing(series: &mut Series, slot: &Slot) -> bool {
    let before = series.len();
    if series.iter().filter(|(at, _)| slot.contains(*at)).count() < 3 {
        return false;
    }
    series.retain(|(at, _)| !slot.contains(*at));
    series.len() < before
}
