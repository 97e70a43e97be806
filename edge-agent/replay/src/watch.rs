//! Which entities are watched, decided row by row from what has been seen so far, and what is left out and why.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use hearthwatch_detector::class::{Described, DeviceClass, Shape};
use hearthwatch_detector::reading::{EntityInfo, Value};
use hearthwatch_detector::unit::{Conversion, Unit};
use hearthwatch_edge_core::state;

use super::entities::Entities;
use super::guess;
use super::number;
use super::source::EventRow;

/// Entities that one replay watches. Each holds two weeks of history, about 100 kB: 5,000 of them stay below 0.5 GB,
/// and a busy house has 300.
pub const ENTITIES_MAX: usize = 5_000;

/// Changes to unknown units that are kept: more than are noted.
const ODD_UNITS_MAX: usize = 100;

#[path = "watch_notes.rs"]
mod notes;

/// How the names of Hearthwatch's own entities begin.
const OWN_NAME_PREFIX: &str = "hearthwatch_";

/// The result of one row.
#[derive(Debug, PartialEq)]
pub enum Seen {
    /// A value or a gap of a watched entity, which is number `entity` in [`Watchlist::infos`].
    Value {
        /// Position in [`Watchlist::infos`].
        entity: u32,
        /// True for the first row of the entity, and for one from which on it means something else: it is learnt anew.
        new: bool,
        /// In the unit of [`Watchlist::infos`].
        value: Value,
    },
    /// A row of a watched entity whose state is no value of its class.
    Fault {
        /// Position in [`Watchlist::infos`].
        entity: u32,
        /// True for the first row of the entity.
        new: bool,
        /// What is wrong, with the state and what to write.
        what: String,
    },
    /// A row of an entity that is not watched.
    LeftOut,
    /// A row of one entity too many.
    TooMany,
}

/// The entities met so far. An entity is watched from its first row with a kind that can be; rows that come later change
/// nothing of what was decided before them.
#[derive(Debug, Default)]
pub struct Watchlist {
    infos: Vec<EntityInfo>,
    entities: HashMap<String, Entity>,
    overrides: Arc<Entities>,
    guesses: bool,
    guessed: Vec<u32>,
    left_out_rows: u64,
    comma_rows: u64,
    grouped_rows: u64,
    /// Changes to units that are not known.
    odd_units: Vec<OddUnit>,
    /// Whether guessed temperatures of rooms are in °F.
    fahrenheit: Option<bool>,
    /// What each watched entity's values have shown of their kind.
    shapes: Vec<Shape>,
    converted_rows: u64,
    /// Entities that mean something else since some row, by the order of [`Watchlist::infos`].
    anew: BTreeSet<u32>,
}

/// A change to a unit that is not known.
#[derive(Debug)]
struct OddUnit {
    entity: u32,
    unit: String,
    before: String,
    line: u64,
}

impl OddUnit {
    fn is_same(&self, other: &Self) -> bool {
        (self.entity, &self.unit) == (other.entity, &other.unit)
    }
}

#[derive(Debug, Clone, Copy)]
enum Entity {
    Watched(u32),
    LeftOut { order: usize },
}

/// How a row's unit compares with its entity's.
enum UnitSeen {
    /// The same unit, or none given.
    Same,
    /// Another unit of the same quantity.
    Converted(Conversion),
    /// One that can't be converted: the entity is learnt anew.
    Changed,
    /// One with which the entity is nothing that can be watched.
    Unwatchable,
}

impl Watchlist {
    /// Attributes in `overrides` count instead of those in the rows. With `guesses`, an entity without attributes
    /// gets those that its id and its first value suggest: a recorder has class and unit, downloads do not.
    #[must_use]
    pub fn new(overrides: Arc<Entities>, guesses: bool) -> Self {
        Self { overrides, guesses, ..Self::default() }
    }

    /// Says in which unit the home's thermometers are where it has to be guessed.
    #[must_use]
    pub fn with_fahrenheit(self, fahrenheit: Option<bool>) -> Self {
        Self { fahrenheit, ..self }
    }

    /// Decides on one row.
    pub fn see(&mut self, row: &EventRow<'_>) -> Seen {
        let (overrides, point) = (Arc::clone(&self.overrides), number::rewrite(row.state, None));
        let mut row = *row;
        if let Some(one) = overrides.get(row.entity_id) {
            (row.device_class, row.unit, row.state_class) = (&one.device_class, &one.unit, &one.state_class);
        }
        if let Some(point) = &point {
            row.state = &point.text;
        }
        // Most rows spell their unit as the entity does, which is the usual way.
        let same = self.find(row.entity_id).is_some_and(|entity| self.infos[entity as usize].unit == row.unit);
        if !same && !row.unit.is_empty() {
            let class = DeviceClass::parse(row.device_class).unwrap_or(DeviceClass::GenericNumber);
            row.unit = Unit::canonical(class, row.unit).unwrap_or(row.unit);
        }
        let (entity, mut new) = match self.entity_of(&row) {
            Ok(known) => known,
            Err(seen) => return seen,
        };
        let way = match self.unit_of(&row, entity) {
            UnitSeen::Same => None,
            UnitSeen::Converted(way) => Some(way),
            UnitSeen::Changed => {
                new = true;
                None
            }
            UnitSeen::Unwatchable => return Seen::Value { entity, new, value: Value::Gap },
        };
        self.value_of(&row, point.as_ref(), entity, way, new)
    }

    /// The row's entity, and whether this is its first row.
    fn entity_of(&mut self, row: &EventRow<'_>) -> Result<(u32, bool), Seen> {
        match self.entities.get(row.entity_id) {
            Some(Entity::Watched(entity)) => Ok((*entity, false)),
            known => {
                let order = if let Some(Entity::LeftOut { order }) = known { *order } else { self.entities.len() };
                self.meet(row, order).map(|entity| (entity, true))
            }
        }
    }

    /// Compares the row's unit with the entity's. Where it can't be converted, the entity's numbers mean something else from now on, as for
    /// the agent in a home.
    fn unit_of(&mut self, row: &EventRow<'_>, entity: u32) -> UnitSeen {
        let place = entity as usize;
        let info = &self.infos[place];
        if info.class.is_binary() || row.unit.is_empty() || row.unit == info.unit {
            return UnitSeen::Same;
        }
        if let Some(way) = Conversion::between(info.class, row.unit, &info.unit) {
            self.converted_rows += 1;
            return UnitSeen::Converted(way);
        }
        if Unit::of(info.class, row.unit).is_none() {
            let odd = OddUnit { entity, unit: row.unit.to_owned(), before: info.unit.clone(), line: row.line };
            if self.odd_units.len() < ODD_UNITS_MAX && self.odd_units.iter().all(|other| !other.is_same(&odd)) {
                self.odd_units.push(odd);
            }
        }
        let Some(class) = class_of(row) else { return UnitSeen::Unwatchable };
        self.infos[place] = info_of(row, class);
        self.shapes[place] = described(row).shape(class);
        self.anew.insert(entity);
        UnitSeen::Changed
    }

    /// The value of the row's state, in the entity's unit.
    fn value_of(
        &mut self,
        row: &EventRow<'_>,
        point: Option<&number::Rewritten>,
        entity: u32,
        way: Option<Conversion>,
        mut new: bool,
    ) -> Seen {
        let place = entity as usize;
        let info = &mut self.infos[place];
        match state::value_of(info.class, row.state) {
            Ok(Value::Number(number)) => {
                self.comma_rows += u64::from(point.is_some_and(|point| point.comma));
                self.grouped_rows += u64::from(point.is_some_and(|point| point.grouped));
                let number = way.map_or(number, |way| way.apply(number));
                if let Some(class) = self.shapes[place].see(info.class, row.at.second(), number) {
                    info.class = class;
                    new = true;
                    self.anew.insert(entity);
                }
                Seen::Value { entity, new, value: Value::Number(number) }
            }
            Ok(value) => Seen::Value { entity, new, value },
            Err(error) => {
                let what = format!(
                    "the state `{}` of {} ({}) {error}; write {}, or nothing for a gap",
                    shorten(row.state),
                    info.entity_id,
                    info.class,
                    if info.class.is_binary() { "on or off" } else { "a number" },
                );
                Seen::Fault { entity, new, what }
            }
        }
    }

    /// Decides on an entity that is not watched yet; `order` is its place among all that were met.
    fn meet(&mut self, row: &EventRow<'_>, order: usize) -> Result<u32, Seen> {
        let unsaid = self.guesses && row.device_class.is_empty() && row.unit.is_empty() && row.state_class.is_empty();
        let guess = if unsaid && !is_own(row.entity_id) { guess::of(row.entity_id, row.state) } else { None };
        let class = if unsaid { guess.map(|guess| guess.class) } else { class_of(row) };
        let Some(class) = class else {
            self.entities.insert(row.entity_id.to_owned(), Entity::LeftOut { order });
            self.left_out_rows += 1;
            return Err(Seen::LeftOut);
        };
        if self.infos.len() == ENTITIES_MAX {
            return Err(Seen::TooMany);
        }
        let entity = self.infos.len() as u32;
        let mut completed = *row;
        if let Some(guess) = guess {
            // What was guessed counts as if it stood in the row.
            completed.unit = match self.fahrenheit {
                Some(fahrenheit) if guess.class == DeviceClass::Temperature => {
                    if fahrenheit {
                        "°F"
                    } else {
                        "°C"
                    }
                }
                _ => guess.unit,
            };
            if guess.class != DeviceClass::GenericNumber {
                completed.device_class = guess.class.as_str();
            }
            self.guessed.push(entity);
        }
        self.infos.push(info_of(&completed, class));
        self.shapes.push(described(&completed).shape(class));
        self.entities.insert(row.entity_id.to_owned(), Entity::Watched(entity));
        Ok(entity)
    }

    /// The watched entities, in the order of their first rows.
    #[must_use]
    pub fn infos(&self) -> &[EntityInfo] {
        &self.infos
    }

    /// Whether `entity_id` is watched, and as which entity.
    #[must_use]
    pub fn find(&self, entity_id: &str) -> Option<u32> {
        match self.entities.get(entity_id) {
            Some(Entity::Watched(entity)) => Some(*entity),
            _ => None,
        }
    }
}

/// Whether it is one of Hearthwatch's own entities.
fn is_own(entity_id: &str) -> bool {
    entity_id.split_once('.').is_some_and(|(_, name)| name.starts_with(OWN_NAME_PREFIX))
}

/// The class of a row's entity: as Home Assistant would have it; for ids outside its domains, as the device class column
/// says; and a number of a named class that has no unit (an air quality index, a pH) is a number.
///
/// Hearthwatch's own entities are not watched: a recorder keeps its score and its alarms too, and a detector that
/// watched them would judge its own output. A recording has no registry, so they are known by their names.
fn class_of(row: &EventRow<'_>) -> Option<DeviceClass> {
    if is_own(row.entity_id) {
        return None;
    }
    let named = Some(row.device_class).filter(|name| !name.is_empty());
    DeviceClass::of(&described(row)).or_else(|| {
        let named = named?;
        DeviceClass::parse(named).or_else(|| {
            let number = matches!(state::value_of(DeviceClass::GenericNumber, row.state), Ok(Value::Number(_)));
            // Any unit will do to ask whether it is the missing unit alone that stands in the way.
            DeviceClass::guess(row.entity_id, Some(named), Some("1")).filter(|_| number)
        })
    })
}

fn described<'a>(row: &EventRow<'a>) -> Described<'a> {
    Described {
        entity_id: row.entity_id,
        device_class: Some(row.device_class),
        state_class: Some(row.state_class),
        unit: Some(row.unit),
    }
}

fn info_of(row: &EventRow<'_>, class: DeviceClass) -> EntityInfo {
    let unit = if class.is_binary() { String::new() } else { row.unit.to_owned() };
    EntityInfo { entity_id: row.entity_id.to_owned(), class, unit }
}

/// `1 row`, `2 rows`.
pub(super) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// A state as an error may quote it: Home Assistant's states run to 255 characters.
fn shorten(text: &str) -> String {
    const QUOTED_MAX: usize = 40;
    if text.chars().count() <= QUOTED_MAX {
        return text.to_owned();
    }
    text.chars().take(QUOTED_MAX - 1).chain(['…']).collect()
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
