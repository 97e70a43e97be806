//! Which entities are watched, decided row by row from what has been seen so far, and what is left out and why.

use std::collections::{BTreeSet, HashMap};

use hearthwatch_model::class::{Described, DeviceClass, Shape};
use hearthwatch_model::reading::{EntityInfo, Value};
use hearthwatch_model::unit::Conversion;

use super::source::EventRow;
use crate::state;

/// Entities that one replay watches. Each holds two weeks of history, about 100 kB: 5,000 of them stay below 0.5 GB,
/// and a busy house has 300.
pub const ENTITIES_MAX: usize = 5_000;

/// How the names of Hearthwatch's own entities begin.
const OWN_NAME_PREFIX: &str = "hearthwatch_";

/// What is made of a row.
#[derive(Debug, PartialEq)]
pub enum Seen {
    /// A value or a gap of a watched entity, which is number `entity` in [`Watchlist::infos`].
    Value {
        /// Position in [`Watchlist::infos`].
        entity: u32,
        /// True for the first row of the entity, and for one from which on it means something else: it is learnt anew.
        new: bool,
        /// What it says, in the unit of [`Watchlist::infos`].
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
/// nothing of what was said before them.
#[derive(Debug, Default)]
pub struct Watchlist {
    infos: Vec<EntityInfo>,
    entities: HashMap<String, Entity>,
    left_out_rows: u64,
    text_rows: u64,
    /// What each watched entity's values have shown of their kind.
    shapes: Vec<Shape>,
    converted_rows: u64,
    /// Entities that mean something else since some row, by the order of [`Watchlist::infos`].
    anew: BTreeSet<u32>,
}

#[derive(Debug, Clone, Copy)]
enum Entity {
    Watched(u32),
    LeftOut { order: usize },
}

impl Watchlist {
    /// Judges one row.
    pub fn see(&mut self, row: &EventRow<'_>) -> Seen {
        let (entity, new) = match self.entities.get(row.entity_id) {
            Some(Entity::Watched(entity)) => (*entity, false),
            known => {
                let order = if let Some(Entity::LeftOut { order }) = known { *order } else { self.entities.len() };
                let Some(class) = class_of(row) else {
                    self.entities.insert(row.entity_id.to_owned(), Entity::LeftOut { order });
                    self.left_out_rows += 1;
                    return Seen::LeftOut;
                };
                if self.infos.len() == ENTITIES_MAX {
                    return Seen::TooMany;
                }
                let entity = self.infos.len() as u32;
                self.infos.push(info_of(row, class));
                self.shapes.push(described(row).shape(class));
                self.entities.insert(row.entity_id.to_owned(), Entity::Watched(entity));
                (entity, true)
            }
        };
        let place = entity as usize;
        let mut new = new;
        let mut way = None;
        let info = &self.infos[place];
        if !info.class.is_binary() && !row.unit.is_empty() && row.unit != info.unit {
            way = Conversion::between(info.class, row.unit, &info.unit);
            if way.is_none() {
                // Its numbers mean something else from now on, as for the agent in a home.
                let Some(class) = class_of(row) else { return Seen::Value { entity, new, value: Value::Gap } };
                self.infos[place] = info_of(row, class);
                self.shapes[place] = described(row).shape(class);
                new = true;
                self.anew.insert(entity);
            } else {
                self.converted_rows += 1;
            }
        }
        let info = &mut self.infos[place];
        match state::value_of(info.class, row.state) {
            Ok(Value::Number(number)) => {
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
                self.text_rows += 1;
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

    /// What was left out and why, a phrase each.
    #[must_use]
    pub fn left_out(&self) -> Vec<String> {
        /// Names that are told before the rest is only counted.
        const NAMES_SHOWN: usize = 3;
        let mut phrases = Vec::new();
        let mut names: Vec<(usize, &str)> = self
            .entities
            .iter()
            .filter_map(|(name, entity)| match entity {
                Entity::LeftOut { order } => Some((*order, name.as_str())),
                Entity::Watched(_) => None,
            })
            .collect();
        names.sort_unstable();
        if !names.is_empty() {
            let shown: Vec<&str> = names.iter().take(NAMES_SHOWN).map(|(_, name)| *name).collect();
            let more = if names.len() > NAMES_SHOWN { ", …" } else { "" };
            phrases.push(format!(
                "{} of a kind that is not watched ({}{more}; {})",
                counted(names.len() as u64, "entity", "entities"),
                shown.join(", "),
                counted(self.left_out_rows, "row", "rows"),
            ));
        }
        if self.converted_rows > 0 {
            phrases.push(format!(
                "the unit of {}, converted to the one that the entity began with",
                counted(self.converted_rows, "row", "rows")
            ));
        }
        if !self.anew.is_empty() {
            let names: Vec<&str> =
                self.anew.iter().map(|entity| self.infos[*entity as usize].entity_id.as_str()).collect();
            let more = if names.len() > NAMES_SHOWN { ", …" } else { "" };
            phrases.push(format!(
                "what was learnt of {} whose numbers came to mean something else ({}{more})",
                counted(names.len() as u64, "entity", "entities"),
                names[..names.len().min(NAMES_SHOWN)].join(", "),
            ));
        }
        if self.text_rows > 0 {
            phrases.push(format!("{} whose state is text, taken as gaps", counted(self.text_rows, "row", "rows")));
        }
        phrases
    }
}

/// The class of a row's entity: as Home Assistant would have it; for ids outside its domains, as the device class column
/// says; and a number of a named class that has no unit (an air quality index, a pH) is a number.
///
/// What Hearthwatch itself said is not listened to: a recorder keeps its score and its alarms too, and a detector that
/// watched them would answer its own echo. A recording has no registry to ask, so the name it gives its entities tells.
fn class_of(row: &EventRow<'_>) -> Option<DeviceClass> {
    if row.entity_id.split_once('.').is_some_and(|(_, name)| name.starts_with(OWN_NAME_PREFIX)) {
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
        state_class: None,
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
mod tests {
    use super::*;
    use crate::replay::moment::Moment;

    fn row<'a>(entity_id: &'a str, device_class: &'a str, unit: &'a str, state: &'a str) -> EventRow<'a> {
        EventRow { at: Moment::parse("600").unwrap(), entity_id, device_class, unit, state, line: 2 }
    }

    #[test]
    fn an_entity_is_watched_from_its_first_row_with_a_kind_that_can_be() {
        let mut watch = Watchlist::default();
        assert_eq!(watch.see(&row("sensor.a", "", "", "unknown")), Seen::LeftOut);
        assert!(watch.infos().is_empty());
        let seen = watch.see(&row("sensor.a", "temperature", "°C", "21"));
        assert_eq!(seen, Seen::Value { entity: 0, new: true, value: Value::Number(21.0) });
        let seen = watch.see(&row("sensor.a", "", "", ""));
        assert_eq!(seen, Seen::Value { entity: 0, new: false, value: Value::Gap });
        assert_eq!(watch.find("sensor.a"), Some(0));
    }

    #[test]
    fn a_named_device_class_is_believed_outside_home_assistants_domains() {
        let mut watch = Watchlist::default();
        watch.see(&row("meter.main", "energy", "kWh", "1"));
        assert_eq!(watch.infos()[0].class, DeviceClass::Energy);
        watch.see(&row("sensor.air_quality", "aqi", "", "41"));
        assert_eq!(watch.infos()[1].class, DeviceClass::GenericNumber);
        assert_eq!(watch.see(&row("sensor.phase", "enum", "", "3")), Seen::LeftOut);
        assert_eq!(watch.see(&row("weather.home", "", "", "sunny")), Seen::LeftOut);
    }

    #[test]
    fn what_is_not_watched_is_counted_and_named_and_our_own_score_is_among_it() {
        let mut watch = Watchlist::default();
        assert_eq!(watch.see(&row("sensor.hearthwatch_score", "", "%", "3")), Seen::LeftOut);
        assert_eq!(watch.see(&row("weather.home", "", "", "sunny")), Seen::LeftOut);
        assert_eq!(
            watch.left_out(),
            ["2 entities of a kind that is not watched (sensor.hearthwatch_score, weather.home; 2 rows)"]
        );
    }

    #[test]
    fn a_value_in_another_unit_of_the_quantity_is_converted_and_counted() {
        let mut watch = Watchlist::default();
        watch.see(&row("sensor.a", "temperature", "°F", "70"));
        let seen = watch.see(&row("sensor.a", "temperature", "°C", "20"));
        assert_eq!(seen, Seen::Value { entity: 0, new: false, value: Value::Number(68.0) });
        let seen = watch.see(&row("sensor.a", "temperature", "", "unavailable"));
        assert_eq!(seen, Seen::Value { entity: 0, new: false, value: Value::Gap });
        assert_eq!(watch.left_out(), ["the unit of 1 row, converted to the one that the entity began with"]);
    }

    #[test]
    fn an_entity_in_the_unit_of_another_quantity_is_learnt_anew() {
        let mut watch = Watchlist::default();
        watch.see(&row("sensor.a", "", "°C", "21"));
        let seen = watch.see(&row("sensor.a", "", "%", "48"));
        assert_eq!(seen, Seen::Value { entity: 0, new: true, value: Value::Number(48.0) });
        assert_eq!((watch.infos()[0].class, watch.infos()[0].unit.as_str()), (DeviceClass::GenericNumber, "%"));
        assert_eq!(
            watch.left_out(),
            ["what was learnt of 1 entity whose numbers came to mean something else (sensor.a)"]
        );
    }

    #[test]
    fn a_counter_that_falls_time_and_again_is_watched_as_a_number_from_then_on() {
        let mut watch = Watchlist::default();
        let litres: Vec<String> = (0..10).map(|step| (900 - 5 * step).to_string()).collect();
        let anew = litres.iter().map(|litres| watch.see(&row("sensor.tank", "", "L", litres)));
        let anew: Vec<bool> = anew.map(|seen| matches!(seen, Seen::Value { new: true, .. })).collect();
        assert_eq!(anew.iter().filter(|anew| **anew).count(), 2, "met, and found out: {anew:?}");
        assert_eq!(watch.infos()[0].class, DeviceClass::GenericNumber);
    }

    #[test]
    fn a_state_that_is_no_value_is_quoted_with_what_to_write() {
        let mut watch = Watchlist::default();
        let Seen::Fault { what, .. } = watch.see(&row("sensor.a", "temperature", "°C", "warm")) else { panic!() };
        assert_eq!(
            what,
            "the state `warm` of sensor.a (temperature) is not a number; write a number, or nothing for a gap"
        );
        let Seen::Fault { what, .. } = watch.see(&row("binary_sensor.b", "door", "", "ajar")) else { panic!() };
        assert_eq!(
            what,
            "the state `ajar` of binary_sensor.b (door) is neither on nor off; write on or off, or nothing for a gap"
        );
    }
}
