//! Homes in Southwark, London (Smart Citizen Kits, 2023): climate, light, noise, air; a minute each, 47 days.

use hearthwatch_detector::class::DeviceClass;

use super::DatasetError;
use super::builder::HomeBuilder;
use super::home::RecordedHome;
use super::source::SourceFile;
use super::table::{Table, zone};

pub(super) const SET: &str = "southwark_homes";

/// First light in the mornings fits local time better than UTC; the publisher does not say.
const ZONE: &str = "Europe/London";

/// Column, entity, class, unit.
const CHANNELS: &[(&str, &str, DeviceClass, &str)] = &[
    ("TEMP", "sensor.kit_temperature", DeviceClass::Temperature, "°C"),
    ("HUM", "sensor.kit_humidity", DeviceClass::Humidity, "%"),
    ("LIGHT", "sensor.kit_illuminance", DeviceClass::Illuminance, "lx"),
    ("NOISE_A", "sensor.kit_sound_pressure", DeviceClass::SoundPressure, "dBA"),
    ("PRESS", "sensor.kit_pressure", DeviceClass::Pressure, "kPa"),
    ("CCS811_VOCS", "sensor.kit_volatile_organic_compounds", DeviceClass::Voc, "ppb"),
    ("CCS811_ECO2", "sensor.kit_estimated_carbon_dioxide", DeviceClass::CarbonDioxide, "ppm"),
    ("PM_25", "sensor.kit_pm25", DeviceClass::Pm25, "µg/m³"),
];

pub(super) fn parse(files: &[SourceFile]) -> Result<Vec<RecordedHome>, DatasetError> {
    files.iter().map(read_home).collect()
}

fn read_home(file: &SourceFile) -> Result<RecordedHome, DatasetError> {
    let name = file.name.trim_start_matches("homes/").trim_end_matches(".csv");
    let mut home = HomeBuilder::new(SET, name, ZONE);
    let table = Table::with_header(&file.name, &file.bytes, ',')?;
    let time = table.column("TIME")?;
    let zone = zone(ZONE);
    let mut channels = Vec::new();
    for (column, entity_id, class, unit) in CHANNELS {
        channels.push((table.column(column)?, home.entity(entity_id, *class, unit)));
    }
    for row in table {
        let at = row.local(time, "%Y-%m-%d %H:%M:%S", &zone)?;
        for (column, entity) in &channels {
            // Particles come every fifth minute; an empty cell is "not now", not a gap.
            if let Some(value) = row.number(*column)? {
                home.number(*entity, at, Some(value));
            }
        }
    }
    Ok(home.finish())
}
