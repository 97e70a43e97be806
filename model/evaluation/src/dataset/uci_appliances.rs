//! A house in Stambruges, Belgium (UCI 374): nine zones, appliances and lights, weather; exact 10 minutes.

use hearthwatch_detector::class::DeviceClass;
use jiff::tz::TimeZone;

use super::DatasetError;
use super::builder::HomeBuilder;
use super::home::RecordedHome;
use super::source::SourceFile;
use super::table::{Table, zone};

pub(super) const SET: &str = "uci_appliances_energy";

/// The clock runs on through the change to summer time, so the zone is a fixed offset.
const ZONE: &str = "Etc/GMT-1";

/// Watt-hours of 10 minutes to watts.
const WH_PER_STEP_TO_W: f64 = 6.0;

/// Column, entity, class, unit, factor. The two random columns and wind, visibility and dew point are left out.
const CHANNELS: &[(&str, &str, DeviceClass, &str, f64)] = &[
    ("Appliances", "sensor.appliances_power", DeviceClass::Power, "W", WH_PER_STEP_TO_W),
    ("lights", "sensor.lights_power", DeviceClass::Power, "W", WH_PER_STEP_TO_W),
    ("T1", "sensor.kitchen_temperature", DeviceClass::Temperature, "°C", 1.0),
    ("RH_1", "sensor.kitchen_humidity", DeviceClass::Humidity, "%", 1.0),
    ("T2", "sensor.living_room_temperature", DeviceClass::Temperature, "°C", 1.0),
    ("RH_2", "sensor.living_room_humidity", DeviceClass::Humidity, "%", 1.0),
    ("T3", "sensor.laundry_temperature", DeviceClass::Temperature, "°C", 1.0),
    ("RH_3", "sensor.laundry_humidity", DeviceClass::Humidity, "%", 1.0),
    ("T4", "sensor.office_temperature", DeviceClass::Temperature, "°C", 1.0),
    ("RH_4", "sensor.office_humidity", DeviceClass::Humidity, "%", 1.0),
    ("T5", "sensor.bathroom_temperature", DeviceClass::Temperature, "°C", 1.0),
    ("RH_5", "sensor.bathroom_humidity", DeviceClass::Humidity, "%", 1.0),
    ("T6", "sensor.north_outside_temperature", DeviceClass::Temperature, "°C", 1.0),
    ("RH_6", "sensor.north_outside_humidity", DeviceClass::Humidity, "%", 1.0),
    ("T7", "sensor.ironing_room_temperature", DeviceClass::Temperature, "°C", 1.0),
    ("RH_7", "sensor.ironing_room_humidity", DeviceClass::Humidity, "%", 1.0),
    ("T8", "sensor.teenager_room_temperature", DeviceClass::Temperature, "°C", 1.0),
    ("RH_8", "sensor.teenager_room_humidity", DeviceClass::Humidity, "%", 1.0),
    ("T9", "sensor.parents_room_temperature", DeviceClass::Temperature, "°C", 1.0),
    ("RH_9", "sensor.parents_room_humidity", DeviceClass::Humidity, "%", 1.0),
    ("T_out", "sensor.station_temperature", DeviceClass::Temperature, "°C", 1.0),
    ("RH_out", "sensor.station_humidity", DeviceClass::Humidity, "%", 1.0),
    ("Press_mm_hg", "sensor.station_pressure", DeviceClass::Pressure, "mmHg", 1.0),
];

pub(super) fn parse(files: &[SourceFile]) -> Result<Vec<RecordedHome>, DatasetError> {
    let file = &files[0];
    let table = Table::with_header(&file.name, &file.bytes, ',')?;
    let zone: TimeZone = zone(ZONE);
    let time = table.column("date")?;
    let mut home = HomeBuilder::new(SET, "stambruges", ZONE);
    let mut channels = Vec::with_capacity(CHANNELS.len());
    for (column, entity_id, class, unit, factor) in CHANNELS {
        channels.push((table.column(column)?, home.entity(entity_id, *class, unit), *factor));
    }
    for row in table {
        let at = row.local(time, "%Y-%m-%d %H:%M:%S", &zone)?;
        for (column, entity, factor) in &channels {
            home.number(*entity, at, row.number(*column)?.map(|value| value * factor));
        }
    }
    Ok(vec![home.finish()])
}
