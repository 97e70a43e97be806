//! `--entities`: attributes of entities from the resident, which replace those that are recorded or guessed.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;

use super::attributes::Attributes;
use super::error::ReplayError;
use super::lenient_json;
use super::lines::Lines;

/// Largest file that is read: 5,000 entities with all their attributes in Home Assistant's JSON take 5 MB.
const BYTES_MAX: u64 = 64 << 20;
/// What the file may be, for the error texts.
const FORMS: &str = "give a CSV file with the columns entity_id,device_class,unit, or the JSON that Home Assistant answers \
                     at /api/states";

/// Attributes by entity id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entities {
    list: HashMap<String, Attributes>,
    manual: bool,
}

#[derive(Deserialize)]
struct State {
    entity_id: String,
    #[serde(default)]
    attributes: Attributes,
}

impl Entities {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`ReplayError::Read`], or [`ReplayError::Entities`] when it is neither of the two forms.
    pub fn read(path: &Path) -> Result<Self, ReplayError> {
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(ReplayError::read(path))?;
        file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(ReplayError::read(path))?;
        if bytes.len() as u64 > BYTES_MAX {
            return Err(ReplayError::Entities { path: path.to_owned(), what: "is larger than 64 MiB".into() });
        }
        Self::parse(&bytes).map_err(|what| ReplayError::Entities { path: path.to_owned(), what })
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = String::from_utf8_lossy(bytes);
        let text = text.trim_start_matches('\u{feff}').trim_start();
        if text.starts_with(['[', '{']) { Self::json(text) } else { Self::csv(text.as_bytes()) }
    }

    fn json(text: &str) -> Result<Self, String> {
        let states: Vec<State> = if text.starts_with('[') {
            lenient_json::parse(text)
        } else {
            lenient_json::parse(text).map(|state| vec![state])
        }
        .map_err(|error| format!("is no list of states ({error}); {FORMS}"))?;
        let list = states
            .into_iter()
            .map(|state| (state.entity_id, state.attributes))
            .filter(|(_, attributes)| *attributes != Attributes::default())
            .collect();
        Ok(Self { list, manual: false })
    }

    fn csv(bytes: &[u8]) -> Result<Self, String> {
        let mut lines = Lines::new(bytes);
        // Bytes in memory do not fail to be read.
        if !lines.advance().unwrap_or(false) {
            return Err(format!("is empty; {FORMS}"));
        }
        let separator = lines.separator();
        let header: Vec<String> = lines.fields(separator)?.list.iter().map(|name| name.to_ascii_lowercase()).collect();
        let place = |wanted: &[&str]| header.iter().position(|name| wanted.contains(&name.as_str()));
        let (Some(entity_id), Some(device_class), unit) =
            (place(&["entity_id"]), place(&["device_class", "class"]), place(&["unit", "unit_of_measurement"]))
        else {
            return Err(format!("the header `{}` lacks entity_id or device_class; {FORMS}", lines.quoted()));
        };
        let mut list = HashMap::new();
        while lines.advance().unwrap_or(false) {
            let fields = lines.fields(separator).map_err(|what| format!("line {}: {what}", lines.number))?;
            let field = |place: usize| fields.list.get(place).map(ToString::to_string).unwrap_or_default();
            let attributes = Attributes {
                device_class: field(device_class),
                unit: unit.map(field).unwrap_or_default(),
                state_class: place(&["state_class"]).map(field).unwrap_or_default(),
            };
            list.insert(field(entity_id), attributes);
        }
        Ok(Self { list, manual: true })
    }

    /// Whether somebody wrote the list, rather than Home Assistant.
    #[must_use]
    pub fn manual(&self) -> bool {
        self.manual
    }

    /// Every entity with its attributes.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Attributes)> {
        self.list.iter()
    }

    /// None where the file does not name `entity_id`.
    #[must_use]
    pub fn get(&self, entity_id: &str) -> Option<&Attributes> {
        self.list.get(entity_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stated(text: &str, id: &str) -> Option<(String, String)> {
        Entities::parse(text.as_bytes()).unwrap().get(id).map(|one| (one.device_class.clone(), one.unit.clone()))
    }

    #[test]
    fn a_csv_file_and_home_assistants_states_say_the_same() {
        let expected = Some(("temperature".to_owned(), "°C".to_owned()));
        assert_eq!(stated("entity_id,device_class,unit\nsensor.a,temperature,°C\n", "sensor.a"), expected);
        assert_eq!(stated("\u{feff}entity_id;unit;device_class\r\nsensor.a;°C;temperature\r\n", "sensor.a"), expected);
        assert_eq!(
            stated(
                r#"[{"entity_id": "sensor.a", "state": "1", "attributes":
                    {"device_class": "temperature", "unit_of_measurement": "°C", "slope": NaN}}]"#,
                "sensor.a"
            ),
            expected
        );
    }

    #[test]
    fn a_state_class_alone_says_something_and_nothing_at_all_says_nothing() {
        let states = r#"[{"entity_id": "sensor.a", "attributes": {"state_class": "measurement"}},
            {"entity_id": "sensor.b", "attributes": {}}]"#;
        assert_eq!(stated(states, "sensor.a"), Some((String::new(), String::new())));
        assert_eq!(stated(states, "sensor.b"), None);
    }

    #[test]
    fn what_is_neither_says_what_to_give() {
        assert_eq!(
            Entities::parse(b"name,kind\n").unwrap_err(),
            format!("the header `name,kind` lacks entity_id or device_class; {FORMS}")
        );
        assert!(Entities::parse(b"[1]").unwrap_err().ends_with(FORMS));
    }
}
