//! Homes A–C of van Kasteren (2008) and D–E of the MIT PlaceLab (2003): doors, flushes, drawers, motion; about a month each.

use std::collections::BTreeMap;

use hearthwatch_detector::class::DeviceClass;

use super::DatasetError;
use super::builder::HomeBuilder;
use super::home::RecordedHome;
use super::source::SourceFile;
use super::table::Table;

pub(super) const SET: &str = "kasteren_mit_tl";

/// The copy's authors call the stamps Greenwich time; the homes' own zones are not stated.
const ZONE: &str = "UTC";

/// Words of a sensor's name, and the class that they speak for; the first that fits counts.
const WORDS: &[(&str, DeviceClass)] = &[
    ("pir", DeviceClass::Motion),
    ("press bed", DeviceClass::Occupancy),
    ("mat", DeviceClass::Occupancy),
    ("window", DeviceClass::Window),
    ("cupboard", DeviceClass::Opening),
    ("cabinet", DeviceClass::Opening),
    ("drawer", DeviceClass::Opening),
    ("fridge", DeviceClass::Door),
    ("refrigerator", DeviceClass::Door),
    ("freezer", DeviceClass::Door),
    ("door", DeviceClass::Door),
];

pub(super) fn parse(files: &[SourceFile]) -> Result<Vec<RecordedHome>, DatasetError> {
    let events = files.iter().filter(|file| file.name.ends_with(".sensors"));
    events
        .map(|file| {
            let names = file.name.replace(".sensors", ".sensor_names");
            let names = files
                .iter()
                .find(|other| other.name == names)
                .ok_or(DatasetError::FileMissing { set: SET, file: names })?;
            read_home(file, names)
        })
        .collect()
}

fn read_home(file: &SourceFile, names: &SourceFile) -> Result<RecordedHome, DatasetError> {
    let mut home = HomeBuilder::new(SET, file.name.trim_end_matches(".sensors"), ZONE);
    let mut entities = BTreeMap::new();
    for row in Table::without_header(&names.name, &names.bytes, '\t')? {
        let name = row.text(1).to_lowercase();
        let class = WORDS.iter().find(|(word, _)| name.contains(word)).map_or(DeviceClass::GenericBinary, |(_, c)| *c);
        // Two sensors of a house may share a name; their numbers tell them apart.
        let id = format!("binary_sensor.{}_{}", slug(&name), row.text(0));
        entities.insert(row.text(0).to_owned(), home.entity(&id, class, ""));
    }
    let mut stays: BTreeMap<u32, Vec<(i64, i64)>> = BTreeMap::new();
    for row in Table::without_header(&file.name, &file.bytes, '\t')? {
        let start = row.unix(0)?;
        // An event of no length was seen for less than a second.
        let length = row.unix(1)?.max(1);
        if row.text(2).parse::<u32>().is_err() {
            return Err(row.fault(2, "a sensor's number"));
        }
        // The list of names leaves a few sensors out.
        let entity = *entities.entry(row.text(2).to_owned()).or_insert_with(|| {
            home.entity(&format!("binary_sensor.unnamed_{}", row.text(2)), DeviceClass::GenericBinary, "")
        });
        stays.entry(entity).or_default().push((start, start + length));
    }
    for (entity, mut stays) in stays {
        stays.sort_unstable();
        let mut open: Option<(i64, i64)> = None;
        for (start, end) in stays {
            match &mut open {
                // Stays that overlap are one.
                Some((_, until)) if start <= *until => *until = (*until).max(end),
                _ => {
                    write(&mut home, entity, open);
                    open = Some((start, end));
                }
            }
        }
        write(&mut home, entity, open);
    }
    Ok(home.finish())
}

fn write(home: &mut HomeBuilder, entity: u32, stay: Option<(i64, i64)>) {
    if let Some((start, end)) = stay {
        home.binary(entity, start, true);
        home.binary(entity, end, false);
    }
}

fn slug(name: &str) -> String {
    let text: String = name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect();
    text.split('_').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use hearthwatch_detector::reading::{Reading, Value};

    fn file(name: &str, text: &str) -> SourceFile {
        SourceFile { name: name.into(), bytes: text.into() }
    }

    #[test]
    fn an_event_becomes_on_and_off_and_overlaps_are_one_stay() {
        let names = file("houseA.sensor_names", "5\tHall-Toilet door\r\n8\tFridge\r\n");
        let events = file("houseA.sensors", "100\t10\t5\r\n105\t20\t5\r\n200\t0\t8\r\n");
        let homes = parse(&[names, events]).unwrap();
        assert_eq!(homes[0].entities[0].entity_id, "binary_sensor.hall_toilet_door_5");
        assert_eq!(homes[0].entities[0].class, DeviceClass::Door);
        let states: Vec<_> =
            homes[0].readings.iter().map(|Reading { at, entity, value }| (*at, *entity, *value)).collect();
        let (on, off) = (Value::Binary(true), Value::Binary(false));
        assert_eq!(states, [(100, 0, on), (125, 0, off), (200, 1, on), (201, 1, off)]);
    }

    #[test]
    fn a_sensor_without_a_name_is_kept_and_a_word_for_a_number_is_not() {
        let names = file("houseA.sensor_names", "5\tdoor\n");
        let homes = parse(&[names.clone(), file("houseA.sensors", "100\t10\t9\n")]).unwrap();
        assert_eq!(homes[0].entities[1].entity_id, "binary_sensor.unnamed_9");
        let error = parse(&[names, file("houseA.sensors", "100\t10\tdoor\n")]).unwrap_err();
        assert_eq!(error.to_string(), "houseA.sensors, line 1: `door` is not a sensor's number");
    }
}
