//! A recorded home as Home Assistant shows it: sensors, what the recorder holds, and what changes next.

use std::collections::BTreeMap;

use hearthwatch_detector::reading::Value;
use hearthwatch_evaluation::dataset::RecordedHome;

use super::server::{Recorder, Sensor};

/// A recording on the calendar that it is played on, and how far it has been played.
#[derive(Debug, Clone)]
pub struct RecordedSensors {
    home: RecordedHome,
    /// The first reading that was not played yet.
    next: usize,
}

impl RecordedSensors {
    /// A home whose readings up to `now`, Unix seconds, have happened.
    #[must_use]
    pub fn new(home: RecordedHome, now: i64) -> Self {
        let next = home.readings.partition_point(|reading| reading.at <= now);
        Self { home, next }
    }

    /// Every sensor with its state; one that has said nothing yet is `unknown`.
    #[must_use]
    pub fn sensors(&self) -> Vec<Sensor> {
        let mut states = vec![None; self.home.entities.len()];
        for reading in &self.home.readings[..self.next] {
            if let Some(state) = states.get_mut(reading.entity as usize) {
                *state = Some(reading.value);
            }
        }
        let sensor = |(info, state): (&hearthwatch_detector::reading::EntityInfo, Option<Value>)| Sensor {
            entity_id: info.entity_id.clone(),
            device_class: info.class.as_str(),
            unit: info.unit.clone(),
            state: state.map_or_else(|| "unknown".to_owned(), |value| state_of(&value)),
        };
        self.home.entities.iter().zip(states).map(sensor).collect()
    }

    /// What Home Assistant's recorder holds: the whole recording; whoever asks names an end that has happened.
    #[must_use]
    pub fn recorder(&self) -> Box<Recorder> {
        let mut rows: BTreeMap<String, Vec<(i64, String)>> = BTreeMap::new();
        for reading in &self.home.readings {
            let Some(info) = self.home.entities.get(reading.entity as usize) else { continue };
            rows.entry(info.entity_id.clone()).or_default().push((reading.at, state_of(&reading.value)));
        }
        Box::new(move |entity, from, until| {
            let all = rows.get(entity).map_or(&[][..], Vec::as_slice);
            let first = all.partition_point(|(at, _)| *at <= from);
            let last = all.partition_point(|(at, _)| *at <= until);
            all.get(first..last).unwrap_or_default().to_vec()
        })
    }

    /// What has happened up to `now` since the last call: entity, state and Unix seconds, oldest first.
    pub fn happened(&mut self, now: i64) -> Vec<(&str, String, f64)> {
        let from = self.next;
        self.next = from + self.home.readings[from..].partition_point(|reading| reading.at <= now);
        let said = self.home.readings[from..self.next].iter().filter_map(|reading| {
            let info = self.home.entities.get(reading.entity as usize)?;
            Some((info.entity_id.as_str(), state_of(&reading.value), reading.at as f64))
        });
        said.collect()
    }

    /// When the next reading comes, Unix seconds; `None` after the last.
    #[must_use]
    pub fn next_at(&self) -> Option<i64> {
        self.home.readings.get(self.next).map(|reading| reading.at)
    }

    /// The recording.
    #[must_use]
    pub fn home(&self) -> &RecordedHome {
        &self.home
    }

    /// Takes another course of the readings that are still to come; those that have happened stay.
    pub fn change_course(&mut self, change: impl FnOnce(&mut RecordedHome, usize)) {
        change(&mut self.home, self.next);
    }
}

/// A value as Home Assistant writes it.
#[must_use]
pub fn state_of(value: &Value) -> String {
    match value {
        Value::Number(number) => format!("{number}"),
        Value::Binary(on) => if *on { "on" } else { "off" }.to_owned(),
        Value::Gap => "unavailable".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use hearthwatch_evaluation::fixtures::home::made_home;

    use super::*;

    #[test]
    fn what_has_happened_comes_once_and_in_order() {
        let home = made_home(1, 4);
        let (first, last) = home.span().unwrap();
        let middle = i64::midpoint(first, last);
        let mut sensors = RecordedSensors::new(home.clone(), first - 1);
        let early = sensors.happened(middle).len();
        let late: Vec<f64> = sensors.happened(last).iter().map(|said| said.2).collect();
        assert_eq!(early + late.len(), home.readings.len());
        assert!(late.is_sorted() && late[0] > middle as f64);
        assert_eq!(sensors.next_at(), None);
    }

    #[test]
    fn the_recorder_gives_the_rows_of_one_sensor_in_a_span_open_at_its_begin() {
        let home = made_home(1, 4);
        let sensors = RecordedSensors::new(home.clone(), 0);
        let entity = &home.entities[0].entity_id;
        let of_it: Vec<_> = home.readings.iter().filter(|reading| reading.entity == 0).collect();
        let rows = sensors.recorder()(entity, of_it[0].at, of_it[3].at);
        assert_eq!(rows.iter().map(|row| row.0).collect::<Vec<_>>(), [of_it[1].at, of_it[2].at, of_it[3].at]);
        assert_eq!(sensors.recorder()("sensor.other", 0, i64::MAX), []);
    }
}
