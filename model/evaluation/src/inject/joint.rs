//! Faults that more than one entity shows: an open window moves temperature and humidity, swapped sensors are two.

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::reading::Value;

use super::family::is_outdoor;
use super::scale::numbers_of;
use super::schedule::{PEACE_SECONDS, Slot};
use super::{Family, Scale, Series, label, number, outdoors, scale_of};
use crate::dataset::{Label, RecordedHome};

/// Time constant of a room's humidity towards the weather's, seconds: air changes faster than walls cool.
const HUMIDITY_SECONDS: f64 = 2700.0;

impl Family {
    /// Whether another entity shows it too.
    pub(super) fn is_joint(self) -> bool {
        matches!(self, Self::WindowOpen | Self::SensorSwap)
    }
}

/// Gives an entity the values of its partner while the slot lasts; says whether anybody could see it.
pub(super) fn take_values(
    home: &RecordedHome,
    original: &[Series],
    series: &mut Series,
    entity: usize,
    slot: &Slot,
    scale: &Scale,
) -> bool {
    let Some(partner) = partner(home, entity) else { return false };
    let before = series.clone();
    play(series, slot, &original[partner]);
    if number::visible(&before, series, slot, scale) {
        return true;
    }
    *series = before;
    false
}

/// Lets the other entity follow, where there is no other fault around it, and labels it.
pub(super) fn follow(
    home: &RecordedHome,
    original: &[Series],
    series: &mut [Series],
    labels: &mut Vec<Label>,
    entity: usize,
    slot: &Slot,
) {
    let other = if slot.family == Family::SensorSwap { partner(home, entity) } else { humidity_beside(home, entity) };
    let Some(other) = other else { return };
    let crowded = labels.iter().any(|label| {
        label.entity as usize == other
            && slot.start <= label.end + PEACE_SECONDS
            && label.start <= slot.end + PEACE_SECONDS
    });
    let Some(scale) = scale_of(&original[other], home.entities[other].class) else { return };
    if crowded {
        return;
    }
    let before = series[other].clone();
    if slot.family == Family::SensorSwap {
        play(&mut series[other], slot, &original[entity]);
    } else {
        let weather = outdoors(home, original, DeviceClass::Humidity);
        number::mix_with_outdoors(&mut series[other], slot, &weather, HUMIDITY_SECONDS);
    }
    if number::visible(&before, &series[other], slot, &scale) {
        labels.push(label(other, slot));
    } else {
        series[other] = before;
    }
}

/// The next entity of the same class, round the home's list; none when there is no other.
fn partner(home: &RecordedHome, entity: usize) -> Option<usize> {
    let count = home.entities.len();
    (1..count)
        .map(|ahead| (entity + ahead) % count)
        .find(|other| home.entities[*other].class == home.entities[entity].class)
}

/// The humidity of the room whose temperature this is: by name, else the only indoor one.
fn humidity_beside(home: &RecordedHome, entity: usize) -> Option<usize> {
    let wanted = home.entities[entity].entity_id.replace("temperature", "humidity");
    let indoors = |info: &hearthwatch_detector::reading::EntityInfo| {
        info.class == DeviceClass::Humidity && !is_outdoor(&info.entity_id)
    };
    let named = home.entities.iter().position(|info| info.entity_id == wanted && indoors(info));
    let only = || match home.entities.iter().filter(|info| indoors(info)).count() {
        1 => home.entities.iter().position(indoors),
        _ => None,
    };
    named.or_else(only)
}

/// Replaces the numbers within the slot by what `source` last said.
fn play(series: &mut Series, slot: &Slot, source: &Series) {
    let source = numbers_of(source);
    for (at, value) in series.iter_mut() {
        if !slot.contains(*at) || !matches!(value, Value::Number(_)) {
            continue;
        }
        let place = source.partition_point(|(time, _)| *time <= *at);
        if place > 0 {
            *value = Value::Number(source[place - 1].1);
        }
    }
}
