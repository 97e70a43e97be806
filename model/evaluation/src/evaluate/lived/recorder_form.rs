//! A recording in the form that Home Assistant's recorder keeps: changes only, beyond what a device reports, as it rounds them.

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::reading::{EntityInfo, Reading, Value};

use crate::dataset::RecordedHome;

/// A source that says nothing for this long was away: six hours, or four of its usual intervals.
const AWAY_SECONDS: i64 = 6 * 3600;
const AWAY_INTERVALS: i64 = 4;

/// How a device of a class reports: the smallest change, and the digits after the point.
fn reporting(info: &EntityInfo) -> (f64, i32) {
    let watts = f64::from(info.watts().unwrap_or(1.0));
    match info.class {
        DeviceClass::Temperature => (0.1, 1),
        DeviceClass::Humidity | DeviceClass::Battery => (1.0, 0),
        DeviceClass::CarbonDioxide => (10.0, 0),
        DeviceClass::Illuminance => (2.0, 0),
        DeviceClass::SoundPressure => (0.5, 1),
        DeviceClass::Pressure if info.unit == "hPa" => (0.1, 1),
        DeviceClass::Power if watts >= 1000.0 => (0.001, 3),
        DeviceClass::Power => (1.0, 1),
        DeviceClass::Energy if watts >= 1000.0 => (0.01, 2),
        DeviceClass::Pm25 | DeviceClass::Pm10 | DeviceClass::Pm1 => (1.0, 0),
        _ => (0.0, 4),
    }
}

/// `home` as a recorder keeps it: a number when it differs from the last one kept by as much as a device of its class reports, an
/// on/off state when it changes, a gap where the source was away. Times stay.
#[must_use]
pub fn recorder_form(home: &RecordedHome) -> RecordedHome {
    let mut kept: Vec<Option<Value>> = vec![None; home.entities.len()];
    let mut last_kept: Vec<Option<i64>> = vec![None; home.entities.len()];
    let away: Vec<i64> = away_after(home);
    let reports: Vec<(f64, i32)> = home.entities.iter().map(reporting).collect();
    let mut readings = Vec::with_capacity(home.readings.len() / 2);
    for reading in &home.readings {
        let entity = reading.entity as usize;
        let Some(last) = kept.get(entity).copied() else { continue };
        let before = last_kept[entity].replace(reading.at);
        let was_away = before.is_some_and(|before| reading.at - before > away[entity]);
        if let (true, Some(before)) = (was_away, before) {
            readings.push(Reading { at: before + 60, entity: reading.entity, value: Value::Gap });
        }
        let (least, digits) = reports[entity];
        let value = match reading.value {
            Value::Number(number) => {
                let scale = 10f64.powi(digits);
                Value::Number((number * scale).round() / scale)
            }
            other => other,
        };
        let changed = match (last, value) {
            (Some(Value::Number(last)), Value::Number(now)) => (now - last).abs() >= least.max(f64::MIN_POSITIVE),
            (Some(last), now) => last != now,
            (None, _) => true,
        };
        if changed || was_away {
            kept[entity] = Some(value);
            readings.push(Reading { value, ..*reading });
        }
    }
    readings.sort_by_key(|reading| (reading.at, reading.entity));
    RecordedHome { readings, ..home.clone() }
}

/// Seconds of silence after which each source counts as away. On/off sensors are silent by nature.
fn away_after(home: &RecordedHome) -> Vec<i64> {
    let mut intervals: Vec<Vec<i64>> = vec![Vec::new(); home.entities.len()];
    let mut last: Vec<Option<i64>> = vec![None; home.entities.len()];
    for reading in &home.readings {
        let entity = reading.entity as usize;
        if let Some(last) = last.get_mut(entity)
            && let Some(before) = last.replace(reading.at)
        {
            intervals[entity].push(reading.at - before);
        }
    }
    intervals
        .iter_mut()
        .zip(&home.entities)
        .map(|(intervals, info)| {
            if info.class.is_binary() || intervals.is_empty() {
                return i64::MAX;
            }
            let middle = intervals.len() / 2;
            AWAY_SECONDS.max(AWAY_INTERVALS * *intervals.select_nth_unstable(middle).1)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(values: &[(i64, f64)]) -> RecordedHome {
        let info = EntityInfo { entity_id: "sensor.plug".into(), class: DeviceClass::Power, unit: "W".into() };
        let reading = |(at, value): &(i64, f64)| Reading { at: *at, entity: 0, value: Value::Number(*value) };
        RecordedHome {
            name: "made".into(),
            set: "tests".into(),
            timezone: "UTC".into(),
            entities: vec![info],
            readings: values.iter().map(reading).collect(),
            labels: Vec::new(),
        }
    }

    #[test]
    fn what_does_not_change_by_a_watt_is_not_kept() {
        let kept = recorder_form(&home(&[(0, 2.0), (60, 2.4), (120, 2.96), (180, 3.04), (240, 120.26)]));
        let values: Vec<(i64, Value)> = kept.readings.iter().map(|reading| (reading.at, reading.value)).collect();
        assert_eq!(values, [(0, Value::Number(2.0)), (120, Value::Number(3.0)), (240, Value::Number(120.3))]);
    }

    #[test]
    fn a_source_that_was_away_leaves_a_gap_and_says_its_value_again() {
        let mut values: Vec<(i64, f64)> = (0..50).map(|minute| (minute * 60, 2.0)).collect();
        values.push((100_000, 2.0));
        let kept = recorder_form(&home(&values));
        let values: Vec<(i64, Value)> = kept.readings.iter().map(|reading| (reading.at, reading.value)).collect();
        assert_eq!(values, [(0, Value::Number(2.0)), (3000, Value::Gap), (100_000, Value::Number(2.0))]);
    }
}
