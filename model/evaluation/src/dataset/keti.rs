//! Rooms of Sutardja Dai Hall, Berkeley (KETI): climate, light, motion; minute means, 8 days.

use hearthwatch_detector::class::DeviceClass;

use super::DatasetError;
use super::builder::HomeBuilder;
use super::home::RecordedHome;
use super::source::SourceFile;
use super::table::{Table, zone};

pub(super) const SET: &str = "keti_sdh_rooms";
const ZONE: &str = "America/Los_Angeles";

/// Column, entity, class, unit. Light is raw, lux-like.
const CHANNELS: &[(&str, &str, DeviceClass, &str)] = &[
    ("co2", "sensor.room_carbon_dioxide", DeviceClass::CarbonDioxide, "ppm"),
    ("humidity", "sensor.room_humidity", DeviceClass::Humidity, "%"),
    ("light", "sensor.room_illuminance", DeviceClass::Illuminance, "lx"),
    ("temperature", "sensor.room_temperature", DeviceClass::Temperature, "°C"),
];

pub(super) fn parse(files: &[SourceFile]) -> Result<Vec<RecordedHome>, DatasetError> {
    files.iter().map(read_room).collect()
}

fn read_room(file: &SourceFile) -> Result<RecordedHome, DatasetError> {
    let name = file.name.trim_start_matches("rooms/").trim_end_matches(".csv");
    let mut home = HomeBuilder::new(SET, &format!("room-{name}"), ZONE);
    let table = Table::with_header(&file.name, &file.bytes, ',')?;
    let (time, activity) = (table.column("timestamp")?, table.column("pir")?);
    let zone = zone(ZONE);
    let mut channels = Vec::new();
    for (column, entity_id, class, unit) in CHANNELS {
        channels.push((table.column(column)?, home.entity(entity_id, *class, unit)));
    }
    let motion = home.entity("binary_sensor.room_motion", DeviceClass::Motion, "");
    let mut moving = None;
    for row in table {
        let at = row.local(time, "%Y-%m-%d %H:%M:%S", &zone)?;
        for (column, entity) in &channels {
            home.number(*entity, at, row.number(*column)?);
        }
        // The count of a minute as a motion sensor would tell it: on while anything was seen, reported on change.
        let seen = row.number(activity)?.is_some_and(|count| count > 0.0);
        if moving != Some(seen) {
            home.binary(motion, at, seen);
            moving = Some(seen);
        }
    }
    Ok(home.finish())
}
