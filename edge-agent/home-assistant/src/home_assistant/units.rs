//! In which unit Home Assistant recorded an entity: a history row says so itself, but only when it is asked for with its
//! attributes, which are three times as long as the row. So the unit is asked for once a day of the past, and the rows of a day
//! in which it changed are asked for in full.

use std::collections::{HashMap, HashSet};

use hearthwatch_detector::reading::Value;
use hearthwatch_detector::unit::Conversion;

use super::history::{self, Wanted};
use super::socket::{Socket, SocketError};

/// Slices of the past between two questions for the unit: a day.
const SLICES_PER_QUESTION: usize = 4;

/// The unit of each entity at some moments of the past.
#[derive(Debug, Default)]
pub struct RecordedUnits {
    /// Unix seconds, ascending.
    moments: Vec<i64>,
    /// The unit at each of them, by entity; none where it was not known.
    units: HashMap<u32, Vec<Option<String>>>,
}

/// How the rows of an entity in a slice are to be read.
#[derive(Debug, PartialEq)]
pub enum Way {
    /// In the unit of now.
    Plain,
    /// All in this unit.
    From(String),
    /// Each row in the unit of its own attributes.
    ByRow,
}

impl RecordedUnits {
    /// Asks for the units of `wanted` over `slices`.
    ///
    /// # Errors
    /// [`SocketError`] when the connection fails.
    pub async fn ask(socket: &mut Socket, wanted: &[Wanted], slices: &[(i64, i64)]) -> Result<Self, SocketError> {
        let mut found = Self { moments: moments(slices), units: HashMap::new() };
        let numbers: Vec<Wanted> = wanted.iter().filter(|one| !one.unit.is_empty()).cloned().collect();
        for (place, moment) in found.moments.clone().into_iter().enumerate() {
            for (entity, unit) in history::units_at(socket, &numbers, moment).await? {
                let units = found.units.entry(entity).or_default();
                units.resize(place + 1, None);
                units[place] = Some(unit);
            }
        }
        Ok(found)
    }

    /// Units at these moments, for tests.
    #[cfg(test)]
    pub(super) fn told(moments: &[i64], units: &[(u32, &[&str])]) -> Self {
        let known = |units: &[&str]| units.iter().map(|unit| Some((*unit).to_owned())).collect();
        Self { moments: moments.to_vec(), units: units.iter().map(|(entity, units)| (*entity, known(units))).collect() }
    }

    /// How the rows of `one` in the slice (`begin`, `end`] are read.
    #[must_use]
    pub fn way(&self, one: &Wanted, (begin, end): (i64, i64)) -> Way {
        let Some(units) = self.units.get(&one.entity) else { return Way::Plain };
        let before = self.moments.iter().zip(units).rev().filter(|(at, _)| **at <= begin);
        let after = self.moments.iter().zip(units).filter(|(at, _)| **at >= end);
        // What it is now stands behind everything.
        let after = after.filter_map(|(_, unit)| unit.as_deref()).next().unwrap_or(&one.unit);
        let before = before.filter_map(|(_, unit)| unit.as_deref()).next().unwrap_or(after);
        match (before, after) {
            (before, after) if before != after => Way::ByRow,
            (unit, _) if unit == one.unit => Way::Plain,
            (unit, _) => Way::From(unit.to_owned()),
        }
    }

    /// The entities of which every row of some slice must be asked for with its attributes.
    #[must_use]
    pub fn by_row(&self, wanted: &[Wanted], slice: (i64, i64)) -> HashSet<u32> {
        wanted.iter().filter(|one| self.way(one, slice) == Way::ByRow).map(|one| one.entity).collect()
    }

    /// Whether the unit of any of `wanted` was another.
    #[must_use]
    pub fn changed<'a>(&self, wanted: &'a [Wanted]) -> Vec<&'a str> {
        let other = |one: &&Wanted| {
            self.units.get(&one.entity).is_some_and(|units| units.iter().flatten().any(|unit| *unit != one.unit))
        };
        wanted.iter().filter(other).map(|one| one.entity_id.as_str()).collect()
    }
}

/// The begin of every day's first slice. What an entity says now is known without asking.
fn moments(slices: &[(i64, i64)]) -> Vec<i64> {
    slices.iter().step_by(SLICES_PER_QUESTION).map(|(begin, _)| *begin).collect()
}

/// A value that was recorded in `unit`, in the unit of now. What does not convert is not known.
#[must_use]
pub fn converted(one: &Wanted, unit: &str, value: Value) -> Value {
    match value {
        Value::Number(number) if unit != one.unit => {
            Conversion::between(one.class, unit, &one.unit).map_or(Value::Gap, |way| Value::Number(way.apply(number)))
        }
        value => value,
    }
}

#[cfg(test)]
mod tests {
    use hearthwatch_detector::class::DeviceClass;

    use super::*;

    const DAY: i64 = 86_400;

    fn wanted() -> Wanted {
        let (class, unit) = (DeviceClass::Temperature, "°C".to_owned());
        Wanted { entity: 3, entity_id: "sensor.room".to_owned(), class, unit }
    }

    fn recorded(units: &[Option<&str>]) -> RecordedUnits {
        let moments = (0..).map(|day| day * DAY).take(units.len()).collect();
        let units = units.iter().map(|unit| unit.map(str::to_owned)).collect();
        RecordedUnits { moments, units: HashMap::from([(3, units)]) }
    }

    #[test]
    fn the_days_before_a_change_are_read_in_the_unit_of_before_and_the_day_of_it_row_by_row() {
        let recorded = recorded(&[Some("°F"), Some("°F"), Some("°C")]);
        let of = |begin, end| recorded.way(&wanted(), (begin, end));
        assert_eq!(of(0, DAY / 4), Way::From("°F".to_owned()));
        assert_eq!(of(DAY, DAY + DAY / 4), Way::ByRow);
        assert_eq!(of(DAY + DAY / 4, DAY + DAY / 2), Way::ByRow);
        assert_eq!(of(2 * DAY, 2 * DAY + DAY / 4), Way::Plain);
        assert_eq!(recorded.changed(&[wanted()]), ["sensor.room"]);
        assert_eq!(recorded.by_row(&[wanted()], (DAY, DAY + 600)), HashSet::from([3]));
    }

    #[test]
    fn a_unit_that_changed_today_is_found_by_what_is_so_now() {
        let recorded = recorded(&[Some("°C"), Some("°F")]);
        assert_eq!(recorded.way(&wanted(), (0, 600)), Way::ByRow);
        assert_eq!(recorded.way(&wanted(), (DAY, DAY + 600)), Way::ByRow);
    }

    #[test]
    fn a_time_without_a_known_unit_is_read_by_its_neighbours() {
        let before = recorded(&[None, Some("°F"), None, Some("°F"), Some("°C")]);
        assert_eq!(before.way(&wanted(), (0, 600)), Way::From("°F".to_owned()));
        assert_eq!(before.way(&wanted(), (2 * DAY, 2 * DAY + 600)), Way::From("°F".to_owned()));
        assert_eq!(RecordedUnits::default().way(&wanted(), (0, 600)), Way::Plain);
        assert_eq!(recorded(&[None, None]).way(&wanted(), (0, 600)), Way::Plain);
    }

    #[test]
    fn fahrenheit_becomes_celsius_and_what_does_not_convert_is_not_known() {
        assert_eq!(converted(&wanted(), "°F", Value::Number(68.0)), Value::Number(20.0));
        assert_eq!(converted(&wanted(), "°C", Value::Number(68.0)), Value::Number(68.0));
        assert_eq!(converted(&wanted(), "%", Value::Number(68.0)), Value::Gap);
    }

    #[test]
    fn the_unit_is_asked_for_once_a_day() {
        assert_eq!(moments(&history::slices(0, 2 * DAY)), [0, DAY]);
    }
}
