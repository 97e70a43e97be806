//! Faults of on/off entities.

use hearthwatch_detector::reading::Value;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::Series;
use super::family::Family;
use super::schedule::Slot;

/// Changes within the slot that the healthy entity must have had before "no change" is a fault.
const HIDDEN_CHANGES_MIN: usize = 4;

/// Seconds between the switchings of a chattering contact.
const CHATTER_SECONDS: std::ops::Range<i64> = 20..180;

/// Writes the slot's fault; says whether it changed anything that can be seen.
pub(super) fn apply(series: &mut Series, slot: &Slot, rng: &mut ChaCha8Rng) -> bool {
    match slot.family {
        Family::LeftOn | Family::DoorOpen => held(series, slot, true),
        Family::Stuck => held(series, slot, false),
        Family::NoiseBurst => chatter(series, slot, rng),
        _ => false,
    }
}

/// One state from the slot's start to its end, and the true one afterwards.
fn held(series: &mut Series, slot: &Slot, state: bool) -> bool {
    let changes = series.iter().filter(|(at, value)| slot.contains(*at) && *value == Value::Binary(!state)).count();
    // An "on" that nobody turned off is a fault in a quiet house too; a missing "on" only where there would have been some.
    if !state && changes < HIDDEN_CHANGES_MIN {
        return false;
    }
    let after = state_at(series, slot.end).unwrap_or(false);
    series.retain(|(at, _)| !slot.contains(*at));
    insert(series, slot.start, Value::Binary(state));
    insert(series, slot.end, Value::Binary(after));
    true
}

/// On and off every minute or so.
fn chatter(series: &mut Series, slot: &Slot, rng: &mut ChaCha8Rng) -> bool {
    let after = state_at(series, slot.end).unwrap_or(false);
    series.retain(|(at, _)| !slot.contains(*at));
    let (mut at, mut state) = (slot.start, true);
    while at < slot.end {
        insert(series, at, Value::Binary(state));
        state = !state;
        at += rng.random_range(CHATTER_SECONDS);
    }
    insert(series, slot.end, Value::Binary(after));
    true
}

fn state_at(series: &Series, at: i64) -> Option<bool> {
    series.iter().rev().find_map(|(time, value)| match value {
        Value::Binary(state) if *time <= at => Some(*state),
        _ => None,
    })
}

fn insert(series: &mut Series, at: i64, value: Value) {
    let place = series.partition_point(|(time, _)| *time <= at);
    series.insert(place, (at, value));
}
