//! What breaks in every home now and then: the radio each night, Home Assistant at its updates, the power of the house.

use hearthwatch_detector::reading::{Reading, Value};

use crate::dataset::{Label, LabelOrigin, RecordedHome};

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// When nothing is known of the home, as (from, until] seconds: seven minutes each night, as a radio stick that starts anew, three
/// minutes every sixth evening, as an update of Home Assistant, and five hours once in four weeks.
fn outages(first: i64, last: i64) -> Vec<(i64, i64)> {
    let midnight = first.div_euclid(DAY) * DAY;
    let day = |number: i64| midnight + number * DAY;
    let days = (last - midnight) / DAY + 1;
    let mut windows: Vec<(i64, i64)> =
        (0..days).map(|number| (day(number) + 3 * HOUR, day(number) + 3 * HOUR + 7 * MINUTE)).collect();
    windows.extend((0..days).step_by(6).map(|number| (day(number) + 20 * HOUR, day(number) + 20 * HOUR + 3 * MINUTE)));
    windows.extend((24..days).step_by(28).map(|number| (day(number) + 10 * HOUR, day(number) + 15 * HOUR)));
    windows.retain(|(from, until)| *from > first && *until <= last);
    windows.sort_unstable();
    windows
}

/// `home`, in the recorder's form, with outages of everything: all entities become unavailable, what they say meanwhile is lost, and
/// afterwards each says the value that it has by then.
#[must_use]
pub fn with_outages(home: &RecordedHome) -> RecordedHome {
    let Some((first, last)) = home.span() else { return home.clone() };
    let mut held: Vec<Option<Value>> = vec![None; home.entities.len()];
    let mut readings = Vec::with_capacity(home.readings.len());
    let mut labels = home.labels.clone();
    let mut place = 0;
    for (from, until) in outages(first, last) {
        place = copy_until(home, place, from, &mut held, Some(&mut readings));
        let known = |held: &[Option<Value>]| -> Vec<(u32, Value)> {
            (0u32..).zip(held).filter_map(|(entity, value)| Some((entity, (*value)?))).collect()
        };
        readings.extend(known(&held).into_iter().map(|(entity, _)| Reading { at: from, entity, value: Value::Gap }));
        place = copy_until(home, place, until, &mut held, None);
        readings.extend(known(&held).into_iter().map(|(entity, value)| Reading { at: until, entity, value }));
        // That everything is gone for hours is worth a message, and no false one.
        if until - from >= HOUR {
            labels.extend(known(&held).into_iter().map(|(entity, _)| Label {
                entity,
                start: from,
                end: until,
                family: "outage".to_owned(),
                origin: LabelOrigin::Real,
            }));
        }
    }
    copy_until(home, place, i64::MAX, &mut held, Some(&mut readings));
    RecordedHome { readings, labels, ..home.clone() }
}

/// Follows the readings from `place` up to `until`, and keeps them where there is somewhere to; the place after them.
fn copy_until(
    home: &RecordedHome,
    place: usize,
    until: i64,
    held: &mut [Option<Value>],
    mut kept: Option<&mut Vec<Reading>>,
) -> usize {
    let mut next = place;
    while let Some(reading) = home.readings.get(next).filter(|reading| reading.at <= until) {
        if let Some(held) = held.get_mut(reading.entity as usize) {
            *held = Some(reading.value);
        }
        if let Some(kept) = &mut kept {
            kept.push(*reading);
        }
        next += 1;
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use hearthwatch_detector::class::DeviceClass;
    use hearthwatch_detector::reading::EntityInfo;

    #[test]
    fn five_hours_without_anything_are_labelled_and_the_minutes_of_each_night_are_not() {
        let info = EntityInfo { entity_id: "sensor.a".into(), class: DeviceClass::Temperature, unit: "°C".into() };
        let readings =
            (0..30).map(|day| Reading { at: day * DAY + 60, entity: 0, value: Value::Number(20.0) }).collect();
        let home = RecordedHome {
            name: "made".into(),
            set: "tests".into(),
            timezone: "UTC".into(),
            entities: vec![info],
            readings,
            labels: Vec::new(),
        };
        let labels: Vec<(i64, i64)> = with_outages(&home).labels.iter().map(|label| (label.start, label.end)).collect();
        assert_eq!(labels, [(24 * DAY + 10 * HOUR, 24 * DAY + 15 * HOUR)]);
    }

    #[test]
    fn what_is_said_in_an_outage_is_lost_and_the_value_of_then_is_said_again() {
        let info = EntityInfo { entity_id: "sensor.a".into(), class: DeviceClass::Temperature, unit: "°C".into() };
        let reading = |(at, value): (i64, f64)| Reading { at, entity: 0, value: Value::Number(value) };
        let night = 3 * HOUR;
        let home = RecordedHome {
            name: "made".into(),
            set: "tests".into(),
            timezone: "UTC".into(),
            entities: vec![info],
            readings: [(0, 20.0), (night + 60, 20.1), (night + 120, 20.2), (night + 600, 20.3)].map(reading).to_vec(),
            labels: Vec::new(),
        };
        let kept: Vec<(i64, Value)> = with_outages(&home).readings.iter().map(|one| (one.at, one.value)).collect();
        assert_eq!(
            kept,
            [
                (0, Value::Number(20.0)),
                (night, Value::Gap),
                (night + 420, Value::Number(20.2)),
                (night + 600, Value::Number(20.3))
            ]
        );
    }
}
