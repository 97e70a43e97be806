//! Which entities are watched, decided row by row from what has been seen so far, and what is left out and why.

use std::collections::HashMap;

use hearthwatch_model::class::DeviceClass;
use hearthwatch_model::reading::{EntityInfo, Value};

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
        /// True for the first row of the entity.
        new: bool,
        /// What it says.
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
    other_unit_rows: u64,
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
                let unit = if class.is_binary() { String::new() } else { row.unit.to_owned() };
                self.infos.push(EntityInfo { entity_id: row.entity_id.to_owned(), class, unit });
                self.entities.insert(row.entity_id.to_owned(), Entity::Watched(entity));
                (entity, true)
            }
        };
        let info = &self.infos[entity as usize];
        if !info.class.is_binary() && !row.unit.is_empty() && row.unit != info.unit {
            // 70 °F after 21 °C is not a jump. Until the unit comes back there is nothing to compare with.
            self.other_unit_rows += 1;
            return Seen::Value { entity, new, value: Value::Gap };
        }
        match state::value_of(info.class, row.state) {
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
        if self.other_unit_rows > 0 {
            phrases.push(format!(
                "{} in another unit than the entity began with, taken as gaps",
                counted(self.other_unit_rows, "row", "rows")
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
    let unit = Some(row.unit).filter(|unit| !unit.is_empty());
    DeviceClass::guess(row.entity_id, named, unit).or_else(|| {
        let named = named?;
        DeviceClass::parse(named).or_else(|| {
            let number = matches!(state::value_of(DeviceClass::GenericNumber, row.state), Ok(Value::Number(_)));
            // Any unit will do to ask whether it is the missing unit alone that stands in the way.
            DeviceClass::guess(row.entity_id, Some(named), Some("1")).filter(|_| number)
        })
    })
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
    fn a_value_in_another_unit_is_a_gap_and_is_counted() {
        let mut watch = Watchlist::default();
        watch.see(&row("sensor.a", "temperature", "°C", "21"));
        let seen = watch.see(&row("sensor.a", "temperature", "°F", "70"));
        assert_eq!(seen, Seen::Value { entity: 0, new: false, value: Value::Gap });
        assert_eq!(watch.left_out(), ["1 row in another unit than the entity began with, taken as gaps"]);
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
