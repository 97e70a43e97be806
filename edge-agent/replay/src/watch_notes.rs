//! Closing lines on the entities that are watched, and on those that are left out.

use hearthwatch_detector::class::{DeviceClass, home_assistant};

use super::{Entity, Watchlist, counted, is_own};

impl Watchlist {
    /// What was left out and why, a phrase each.
    #[must_use]
    pub fn left_out(&self) -> Vec<String> {
        /// Names that are listed before the rest is only counted.
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
        phrases
    }

    /// What was guessed, and of what nothing could be made, a line each with the way to mend it.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        /// Entities that are listed before the rest is only counted.
        const SHOWN: usize = 20;
        let mut notes = Vec::new();
        let list = |names: Vec<String>, count: usize| {
            format!("{}{}", names.join(", "), if count > SHOWN { ", …" } else { "" })
        };
        if !self.guessed.is_empty() {
            let names = self.guessed.iter().take(SHOWN).map(|entity| {
                let info = &self.infos[*entity as usize];
                let unit = if info.unit.is_empty() { String::new() } else { format!(" in {}", info.unit) };
                format!("{} as {}{unit}", info.entity_id, info.class)
            });
            notes.push(format!(
                "guessed from id and first value, as the file says neither class nor unit: {}; mend what is wrong with \
                 --entities FILE (entity_id,device_class,unit)",
                list(names.collect(), self.guessed.len())
            ));
        }
        let mut left_out: Vec<(usize, &str)> = self
            .entities
            .iter()
            .filter_map(|(name, entity)| match entity {
                Entity::LeftOut { order } if !is_own(name) => Some((*order, name.as_str())),
                _ => None,
            })
            .collect();
        left_out.sort_unstable();
        if !left_out.is_empty() {
            let names = left_out.iter().take(SHOWN).map(|(_, name)| (*name).to_owned());
            notes.push(format!(
                "not watched, being text, a time or nothing that a class, a unit or an id tells: {}; name those to \
                 watch in --entities FILE (entity_id,device_class,unit)",
                list(names.collect(), left_out.len())
            ));
        }
        let odd: Vec<String> = self
            .odd_units
            .iter()
            .take(SHOWN)
            .map(|odd| {
                let entity_id = &self.infos[odd.entity as usize].entity_id;
                let before = if odd.before.is_empty() { "none".to_owned() } else { format!("`{}`", odd.before) };
                format!("{entity_id} from {before} to `{}` at line {}", super::shorten(&odd.unit), odd.line)
            })
            .collect();
        if !odd.is_empty() {
            notes.push(format!(
                "units that changed to one that is not known, so that the numbers mean something else from there on: {}; write \
                 Home Assistant's names of units",
                list(odd, self.odd_units.len())
            ));
        }
        notes.extend(self.mistakes());
        if self.grouped_rows > 0 {
            notes.push(format!(
                "{} with marks between thousands, read without them",
                counted(self.grouped_rows, "row", "rows")
            ));
        }
        if self.comma_rows > 0 {
            notes.push(format!("{} with a decimal comma, read as a point", counted(self.comma_rows, "row", "rows")));
        }
        notes
    }

    /// What is wrong with `--entities`: ids that the recording lacks, and classes that nobody knows.
    fn mistakes(&self) -> Vec<String> {
        /// Ids that are listed before the rest is only counted.
        const SHOWN: usize = 5;
        let listed = |mut names: Vec<String>| {
            names.sort_unstable();
            let more = if names.len() > SHOWN { format!(" and {} more", names.len() - SHOWN) } else { String::new() };
            names.truncate(SHOWN);
            format!("{}{more}", names.join(", "))
        };
        let mut notes = Vec::new();
        let named =
            self.overrides.iter().filter(|(_, one)| !one.device_class.is_empty() && !is_class(&one.device_class));
        let unknown: Vec<String> = named.map(|(id, one)| format!("`{}` of {id}", one.device_class)).collect();
        if !unknown.is_empty() {
            notes.push(format!(
                "--entities names classes that Home Assistant does not have: {}; mend their spelling (temperature, humidity, power, \
                 door, …)",
                listed(unknown)
            ));
        }
        // Home Assistant's own list of all states names more than were recorded.
        let absent: Vec<String> = self
            .overrides
            .iter()
            .filter(|(id, _)| !self.entities.contains_key(*id))
            .map(|(id, _)| id.clone())
            .collect();
        if self.overrides.manual() && !absent.is_empty() {
            notes.push(format!(
                "--entities names what the recording does not have: {}; look for a slip in the ids",
                listed(absent)
            ));
        }
        notes
    }
}

fn is_class(name: &str) -> bool {
    home_assistant::sensor(name).is_some()
        || home_assistant::binary_sensor(name).is_some()
        || DeviceClass::parse(name).is_some()
}
