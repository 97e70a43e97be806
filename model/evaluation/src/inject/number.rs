//! Faults of entities that report plain numbers: one function each.

use std::collections::BTreeMap;

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::grid::STEP_SECONDS;
use hearthwatch_detector::reading::Value;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::Series;
use super::family::Family;
use super::rhythm::Rhythm;
use super::scale::Scale;
use super::schedule::Slot;

/// Mean change over the fault, in residual scales, below which nothing was really wrong and no label is due.
const VISIBLE_SCALES: f64 = 0.5;

/// Reports that must be missing before silence is a fault.
const SILENT_REPORTS_MIN: usize = 3;

/// Writes the slot's fault; says whether it changed anything that can be seen. What cannot be seen is undone.
pub(super) fn apply(
    series: &mut Series,
    slot: &Slot,
    (class, scale): (DeviceClass, &Scale),
    outdoor: &BTreeMap<i64, f64>,
    rng: &mut ChaCha8Rng,
) -> bool {
    if slot.family == Family::Missing {
        return missing(series, slot);
    }
    let before = series.clone();
    match slot.family {
        Family::Spike => spike(series, slot, scale, rng),
        Family::LevelShift => level_shift(series, slot, scale, rng),
        Family::Drift => drift(series, slot, scale, rng),
        Family::Stuck => stuck(series, slot),
        Family::NoiseBurst => noise_burst(series, slot, scale, rng),
        Family::TimeShift => time_shift(series, slot, rng),
        Family::LeftOn => left_on(series, slot, scale, rng),
        Family::SlowLeak => slow_leak(series, slot, scale, rng),
        Family::WindowOpen => {
            let constant = rng.random_range(3600.0..7200.0);
            mix_with_outdoors(series, slot, outdoor, constant);
        }
        Family::DutyCycle => duty_cycle(series, slot, rng),
        Family::PeriodicLoad => periodic_load(series, slot, scale, rng),
        Family::UnitChange => unit_change(series, slot, class),
        Family::DeadPhase => {
            let left = if rng.random::<bool>() { 0.5 } else { 2.0 / 3.0 };
            change(series, slot, scale, |_, value| value * left);
        }
        Family::NeverStops => return never_stops(series, slot, scale),
        // Written elsewhere: the one needs no visible change, the others more than one entity or none of these.
        Family::Missing | Family::SensorSwap | Family::DoorOpen | Family::SteadyLeak | Family::PipeBurst => {}
    }
    if visible(&before, series, slot, scale) {
        return true;
    }
    *series = before;
    false
}

/// ±4 to 10 scales for a moment.
fn spike(series: &mut Series, slot: &Slot, scale: &Scale, rng: &mut ChaCha8Rng) {
    let size = either_sign(rng, 4.0, 10.0);
    // A spike has no room for soft edges.
    change(series, slot, scale, |_, value| moved(value, size, scale));
}

/// ±2 to 4 scales for hours.
fn level_shift(series: &mut Series, slot: &Slot, scale: &Scale, rng: &mut ChaCha8Rng) {
    let size = either_sign(rng, 2.0, 4.0);
    change(series, slot, scale, |at, value| moved(value, size * slot.strength(at), scale));
}

/// Up to ±3 to 5 scales, growing evenly; soft edges let it also come back.
fn drift(series: &mut Series, slot: &Slot, scale: &Scale, rng: &mut ChaCha8Rng) {
    let size = either_sign(rng, 3.0, 5.0);
    let length = (slot.end - slot.start).max(1) as f64;
    change(series, slot, scale, |at, value| {
        let grown = (at - slot.start) as f64 / length;
        let back = if slot.edge == 0 { 1.0 } else { ((slot.end - at) as f64 / slot.edge as f64).min(1.0) };
        moved(value, size * grown * back, scale)
    });
}

/// The last value before the fault, repeated.
fn stuck(series: &mut Series, slot: &Slot) {
    let held = series.iter().rev().find_map(|(at, value)| match value {
        Value::Number(number) if *at < slot.start => Some(*number),
        _ => None,
    });
    let Some(held) = held else { return };
    for (at, value) in series.iter_mut() {
        if slot.contains(*at) && matches!(value, Value::Number(_)) {
            *value = Value::Number(held);
        }
    }
}

/// No reports at all.
fn missing(series: &mut Series, slot: &Slot) -> bool {
    let reports = series.iter().filter(|(at, _)| slot.contains(*at)).count();
    if reports < SILENT_REPORTS_MIN {
        return false;
    }
    series.retain(|(at, _)| !slot.contains(*at));
    true
}

/// Normal noise of 1.5 to 3 scales, drawn anew for each report or step, whichever is longer: noise that is averaged away
/// within a step would be none.
fn noise_burst(series: &mut Series, slot: &Slot, scale: &Scale, rng: &mut ChaCha8Rng) {
    let sigma = 1.5 + 1.5 * rng.random::<f64>();
    let length = STEP_SECONDS.max(scale.interval);
    let count = ((slot.end - slot.start) / length + 2) as usize;
    let deviates: Vec<f64> = (0..count).map(|_| normal(rng)).collect();
    change(series, slot, scale, |at, value| {
        let deviate = deviates[((at - slot.start) / length) as usize];
        moved(value, sigma * deviate * slot.strength(at), scale)
    });
}

/// Reports what was true 6 to 12 hours before.
fn time_shift(series: &mut Series, slot: &Slot, rng: &mut ChaCha8Rng) {
    let shift = (rng.random_range(6.0..12.0) * 3600.0) as i64;
    let original: Vec<(i64, f64)> = super::scale::numbers_of(series);
    for (at, value) in series.iter_mut() {
        if !slot.contains(*at) || !matches!(value, Value::Number(_)) {
            continue;
        }
        let then = original.partition_point(|(time, _)| *time <= *at - shift);
        if then > 0 {
            *value = Value::Number(original[then - 1].1);
        }
    }
}

/// Watts that a load draws at its most, below which it may stay on.
const COSTLY_WATTS: f64 = 500.0;
/// Above this share of its most it is on, …
const ON_SHARE: f64 = 0.3;
/// … below this one it is off.
const OFF_SHARE: f64 = 0.02;

/// What it drew when it was last on, all the time. Only of an appliance that is off for most of the time: the meter of a house never is.
fn never_stops(series: &mut Series, slot: &Slot, scale: &Scale) -> bool {
    let most = scale.range.1;
    let numbers = super::scale::numbers_of(series);
    let on = |value: f64| value >= ON_SHARE * most;
    // What it does of itself, or half as long again, is no fault.
    let longest = numbers
        .chunk_by(|(_, one), (_, next)| on(*one) == on(*next))
        .filter(|run| on(run[0].1))
        .map(|run| run[run.len() - 1].0 - run[0].0)
        .max();
    if (slot.end - slot.start) * 2 < longest.unwrap_or(0) * 3 {
        return false;
    }
    let off = numbers.iter().filter(|(_, value)| *value < OFF_SHARE * most).count();
    let last_on = numbers.iter().rev().find(|(at, value)| *at < slot.start && on(*value));
    let (Some((_, drawn)), true) = (last_on, most >= COSTLY_WATTS && 2 * off > numbers.len()) else { return false };
    let mut touched = false;
    for (at, value) in series.iter_mut() {
        if let Value::Number(number) = value
            && slot.contains(*at)
        {
            *number = *drawn;
            touched = true;
        }
    }
    touched
}

/// A constant load on top: 2 to 4 linear scales.
fn left_on(series: &mut Series, slot: &Slot, scale: &Scale, rng: &mut ChaCha8Rng) {
    let load = rng.random_range(2.0..4.0) * scale.linear;
    change(series, slot, scale, |at, value| value + load * slot.strength(at));
}

/// A small constant flow on top: 1 to 2 linear scales.
fn slow_leak(series: &mut Series, slot: &Slot, scale: &Scale, rng: &mut ChaCha8Rng) {
    let flow = rng.random_range(1.0..2.0) * scale.linear;
    change(series, slot, scale, |at, value| value + flow * slot.strength(at));
}

/// The room goes towards the weather with this time constant in seconds; soft edges let it recover.
pub(super) fn mix_with_outdoors(series: &mut Series, slot: &Slot, outdoor: &BTreeMap<i64, f64>, constant: f64) {
    for (at, value) in series.iter_mut() {
        let Value::Number(inside) = *value else { continue };
        if !slot.contains(*at) {
            continue;
        }
        let Some((_, outside)) = outdoor.range(..=at.div_euclid(3600)).next_back() else { continue };
        let mixed = 1.0 - (-((*at - slot.start) as f64) / constant).exp();
        let closing = if slot.edge == 0 { 1.0 } else { ((slot.end - *at) as f64 / slot.edge as f64).min(1.0) };
        *value = Value::Number(inside + (outside - inside) * mixed * closing);
    }
}

/// What was, played 1.8 to 2.5 times as fast or as slow: the same levels in another rhythm.
fn duty_cycle(series: &mut Series, slot: &Slot, rng: &mut ChaCha8Rng) {
    let factor = rng.random_range(1.8..2.5);
    let factor = if rng.random::<bool>() { factor } else { 1.0 / factor };
    let original = super::scale::numbers_of(series);
    // The tape begins that much earlier as it needs to end with the present: nothing of the future is played.
    let length = ((slot.end - slot.start) as f64 * factor) as i64;
    let begin = slot.end - length.max(slot.end - slot.start);
    for (at, value) in series.iter_mut() {
        if !slot.contains(*at) || !matches!(value, Value::Number(_)) {
            continue;
        }
        let then = begin + ((*at - slot.start) as f64 * factor) as i64;
        let place = original.partition_point(|(time, _)| *time <= then);
        if place > 0 {
            *value = Value::Number(original[place - 1].1);
        }
    }
}

/// A load of 2 to 4 linear scales that comes and goes by the clock.
fn periodic_load(series: &mut Series, slot: &Slot, scale: &Scale, rng: &mut ChaCha8Rng) {
    let load = rng.random_range(2.0..4.0) * scale.linear;
    let rhythm = Rhythm::draw(rng, scale.interval);
    change(series, slot, scale, |at, value| {
        let on = f64::from(u8::from(rhythm.is_on(at - slot.start)));
        value + load * on * slot.strength(at)
    });
}

/// °C read as °F, % as a share, W as kW, hPa as psi: somebody changed a setting.
fn unit_change(series: &mut Series, slot: &Slot, class: DeviceClass) {
    let (factor, offset) = match class {
        DeviceClass::Temperature => (1.8, 32.0),
        DeviceClass::Humidity => (0.01, 0.0),
        DeviceClass::Pressure => (0.145, 0.0),
        _ => (0.001, 0.0),
    };
    for (at, value) in series.iter_mut() {
        if let Value::Number(number) = value
            && slot.contains(*at)
        {
            *number = *number * factor + offset;
        }
    }
}

/// Rewrites the numbers within the slot, held within reach of what was ever seen.
fn change(series: &mut Series, slot: &Slot, scale: &Scale, new: impl Fn(i64, f64) -> f64) {
    // A broken sensor may leave the range it was seen in, but a lamp gives no negative light: what never was negative
    // stays so, and nothing goes further than one range beyond.
    let (low, high) = scale.range;
    let width = (high - low).max(10.0 * scale.linear);
    let floor = if low >= 0.0 { 0.0 } else { low - width };
    for (at, value) in series.iter_mut() {
        if let Value::Number(number) = value
            && slot.contains(*at)
        {
            *number = new(*at, *number).clamp(floor, high + width);
        }
    }
}

/// A value moved by so many residual scales, through the logarithm where the entity is treated so.
fn moved(value: f64, scales: f64, scale: &Scale) -> f64 {
    if scale.log {
        (value.max(0.0).ln_1p() + scales * scale.residual).max(0.0).exp_m1()
    } else {
        value + scales * scale.residual
    }
}

pub(super) fn visible(before: &Series, after: &Series, slot: &Slot, scale: &Scale) -> bool {
    let through = |value: f64| if scale.log { value.max(0.0).ln_1p() } else { value };
    let mut total = 0.0;
    let mut count = 0_usize;
    for ((at, old), (_, new)) in before.iter().zip(after) {
        if let (Value::Number(old), Value::Number(new)) = (old, new)
            && slot.contains(*at)
        {
            total += (through(*new) - through(*old)).abs();
            count += 1;
        }
    }
    count > 0 && total / count as f64 >= VISIBLE_SCALES * scale.residual
}

fn either_sign(rng: &mut ChaCha8Rng, low: f64, high: f64) -> f64 {
    let size = rng.random_range(low..high);
    if rng.random::<bool>() { size } else { -size }
}

/// A standard normal deviate (Box and Muller 1958).
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}
