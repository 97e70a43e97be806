//! A real Home Assistant export (2017): motion and occupancy as state changes.

use hearthwatch_detector::class::DeviceClass;

use super::DatasetError;
use super::builder::HomeBuilder;
use super::home::RecordedHome;
use super::source::SourceFile;
use super::table::{Table, zone};

pub(super) const SET: &str = "hass_robmarkcole";

pub(super) fn parse(files: &[SourceFile]) -> Result<Vec<RecordedHome>, DatasetError> {
    let file = &files[0];
    let table = Table::with_header(&file.name, &file.bytes, ',')?;
    let mut home = HomeBuilder::new(SET, "home", "Europe/London");
    let time = table.column("last_changed")?;
    let mut columns = Vec::new();
    for (column, entity_id) in table.columns().iter().enumerate() {
        if let Some(class) = class_of(entity_id) {
            columns.push((column, home.entity(entity_id, class, "")));
        }
    }
    // The recorder writes UTC.
    let utc = zone("UTC");
    for row in table {
        let at = row.local(time, "%Y-%m-%d %H:%M:%S%.f", &utc)?;
        for (column, entity) in &columns {
            match row.text(*column) {
                "True" => home.binary(*entity, at, true),
                "False" => home.binary(*entity, at, false),
                "" => {}
                _ => return Err(row.fault(*column, "True or False")),
            }
        }
    }
    Ok(vec![home.finish()])
}

/// Switches of services and the calendar's workday are no sensors of the house.
fn class_of(entity_id: &str) -> Option<DeviceClass> {
    match entity_id {
        "binary_sensor.in_bed_bayesian" => Some(DeviceClass::Occupancy),
        "binary_sensor.motion_at_home" => Some(DeviceClass::Presence),
        id if id.ends_with("_motion_sensor") => Some(DeviceClass::Motion),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hearthwatch_detector::reading::{Reading, Value};

    #[test]
    fn state_changes_of_sensors_are_kept_and_service_switches_are_not() {
        let text = "last_changed,binary_sensor.hall_motion_sensor,binary_sensor.workday_sensor\n\
                    2017-07-11 10:28:17.460144,,True\n2017-07-11 10:28:18.898022,False,\n";
        let homes = parse(&[SourceFile { name: "sensors_binary.csv".into(), bytes: text.into() }]).unwrap();
        assert_eq!(homes[0].readings, [Reading { at: 1_499_768_898, entity: 0, value: Value::Binary(false) }]);
    }
}
