//! Three office rooms (Windesheim, Brains4Buildings 2022): two carbon dioxide meters each, climate, occupancy, valve.
//!
//! The publisher's zip archives hold one CSV file each; the caller unpacks them.

use std::collections::BTreeMap;

use hearthwatch_detector::class::DeviceClass;

use super::DatasetError;
use super::builder::HomeBuilder;
use super::home::RecordedHome;
use super::source::SourceFile;
use super::table::Table;

pub(super) const SET: &str = "windesheim_b4b2022";

/// Column, name, class, unit, factor.
const NUMBERS: &[(&str, &str, DeviceClass, &str, f64)] = &[
    ("co2__ppm", "carbon_dioxide", DeviceClass::CarbonDioxide, "ppm", 1.0),
    ("temp_in__degC", "temperature", DeviceClass::Temperature, "°C", 1.0),
    ("rel_humidity__0", "humidity", DeviceClass::Humidity, "%", 100.0),
    ("valve_frac__0", "valve", DeviceClass::GenericNumber, "%", 100.0),
];

pub(super) fn parse(files: &[SourceFile]) -> Result<Vec<RecordedHome>, DatasetError> {
    files.iter().map(read_room).collect()
}

fn read_room(file: &SourceFile) -> Result<RecordedHome, DatasetError> {
    let room = file.name.trim_start_matches("raw_properties/").split(['_', '.']).next().unwrap_or_default();
    let mut home = HomeBuilder::new(SET, &format!("room-{room}"), "Europe/Amsterdam");
    let table = Table::with_header(&file.name, &file.bytes, ',')?;
    let (source, time) = (table.column("source")?, table.column("timestamp")?);
    // Not every room has every sensor: a column that is not there is a sensor that is not there.
    let occupied = table.column("occupancy__bool").ok();
    let columns: Vec<Option<usize>> = NUMBERS.iter().map(|(column, ..)| table.column(column).ok()).collect();
    let mut entities: BTreeMap<(String, &str), u32> = BTreeMap::new();
    for row in table {
        let source = row.text(source);
        // A person with a notebook is no sensor.
        if source == "human_observer" {
            continue;
        }
        let source = source.to_lowercase().replace('-', "_");
        let at = row.offset_time(time, "%Y-%m-%dT%H:%M:%S%z")?;
        for ((_, name, class, unit, factor), column) in NUMBERS.iter().zip(&columns) {
            let Some(column) = column else { continue };
            if let Some(value) = row.number(*column)? {
                let entity = *entities
                    .entry((source.clone(), name))
                    .or_insert_with(|| home.entity(&format!("sensor.{source}_{name}"), *class, unit));
                home.number(entity, at, Some(value * factor));
            }
        }
        let Some(occupied) = occupied else { continue };
        let state = match row.text(occupied) {
            "" => continue,
            "1" | "1.0" | "True" | "true" => true,
            "0" | "0.0" | "False" | "false" => false,
            _ => return Err(row.fault(occupied, "true or false")),
        };
        let entity = *entities
            .entry((source.clone(), "occupancy"))
            .or_insert_with(|| home.entity(&format!("binary_sensor.{source}_occupancy"), DeviceClass::Occupancy, ""));
        home.binary(entity, at, state);
    }
    Ok(home.finish())
}
