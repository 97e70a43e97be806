//! A CASAS smart home (2011): motion by room and the outside door; events, one month.

use std::collections::BTreeMap;

use hearthwatch_detector::class::DeviceClass;

use super::DatasetError;
use super::builder::HomeBuilder;
use super::home::RecordedHome;
use super::source::SourceFile;
use super::table::{Table, zone};

pub(super) const SET: &str = "casas_al_sample";

/// The home's zone is not stated; the wall clock is what a routine goes by.
const ZONE: &str = "UTC";

pub(super) fn parse(files: &[SourceFile]) -> Result<Vec<RecordedHome>, DatasetError> {
    let file = &files[0];
    let mut home = HomeBuilder::new(SET, "home", ZONE);
    let mut entities: BTreeMap<(String, DeviceClass), u32> = BTreeMap::new();
    let zone = zone(ZONE);
    for row in Table::without_header(&file.name, &file.bytes, ' ')? {
        let day = row.local(0, "%Y-%m-%d", &zone)?;
        let at = day + seconds(row.text(1)).ok_or_else(|| row.fault(1, "a time of day"))?;
        let (class, state) = match row.text(4) {
            "ON" => (DeviceClass::Motion, true),
            "OFF" => (DeviceClass::Motion, false),
            "OPEN" => (DeviceClass::Door, true),
            "CLOSE" => (DeviceClass::Door, false),
            _ => return Err(row.fault(4, "ON, OFF, OPEN or CLOSE")),
        };
        let room = row.text(2).to_lowercase();
        let entity = *entities
            .entry((room.clone(), class))
            .or_insert_with(|| home.entity(&format!("binary_sensor.{room}_{class}"), class, ""));
        home.binary(entity, at, state);
    }
    Ok(vec![home.finish()])
}

/// Whole seconds of `01:03:39.14962`.
fn seconds(text: &str) -> Option<i64> {
    let mut parts = text.split('.').next()?.split(':').map(|part| part.parse::<i64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    let valid = (0..24).contains(&hours) && (0..60).contains(&minutes) && (0..=60).contains(&seconds);
    valid.then_some(hours * 3600 + minutes * 60 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hearthwatch_detector::reading::Value;

    #[test]
    fn a_rooms_motion_and_its_door_are_two_entities() {
        let text = "2011-06-15 01:03:39.14962 OutsideDoor OutsideDoor ON Sleep\n\
                    2011-06-15 01:03:41.2 OutsideDoor OutsideDoor OPEN Leave_Home\n";
        let homes = parse(&[SourceFile { name: "data.txt".into(), bytes: text.into() }]).unwrap();
        let ids: Vec<_> = homes[0].entities.iter().map(|info| info.entity_id.as_str()).collect();
        assert_eq!(ids, ["binary_sensor.outsidedoor_motion", "binary_sensor.outsidedoor_door"]);
        assert_eq!(homes[0].readings[1].value, Value::Binary(true));
        assert_eq!(homes[0].readings[1].at - homes[0].readings[0].at, 2);
    }

    #[test]
    fn a_state_that_is_none_is_named_with_its_line() {
        let text = "2011-06-15 01:03:39 Hall Hall PRESENT Sleep\n";
        let error = parse(&[SourceFile { name: "data.txt".into(), bytes: text.into() }]).unwrap_err();
        assert_eq!(error.to_string(), "data.txt, line 1: `PRESENT` is not ON, OFF, OPEN or CLOSE");
    }
}
