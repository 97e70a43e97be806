//! A flat with six rooms (Fraunhofer IBP, Open Smart Home Data Set): climate and light, reported on change.

use hearthwatch_detector::class::DeviceClass;

use super::DatasetError;
use super::builder::HomeBuilder;
use super::home::RecordedHome;
use super::source::SourceFile;
use super::table::Table;

pub(super) const SET: &str = "open_smart_home";

pub(super) fn parse(files: &[SourceFile]) -> Result<Vec<RecordedHome>, DatasetError> {
    let mut home = HomeBuilder::new(SET, "flat", "Europe/Berlin");
    for file in files {
        let name = file.name.trim_start_matches("Measurements/").trim_end_matches(".csv");
        let Some((entity_id, class, unit)) = channel(name) else { continue };
        let entity = home.entity(&entity_id, class, unit);
        for row in Table::without_header(&file.name, &file.bytes, '\t')? {
            home.number(entity, row.unix(0)?, row.number(1)?);
        }
    }
    Ok(vec![home.finish()])
}

/// What a file holds. Set points are decisions of people and schedules, not measurements; the six outdoor files are
/// copies of one weather service, of which one is kept.
fn channel(name: &str) -> Option<(String, DeviceClass, &'static str)> {
    let (room, quantity) = name.rsplit_once('_')?;
    let room = room.to_lowercase();
    match quantity {
        "OutdoorTemperature" if room == "kitchen_virtual" => {
            Some(("sensor.outdoor_temperature".to_owned(), DeviceClass::Temperature, "°C"))
        }
        "Temperature" => Some((format!("sensor.{room}_temperature"), DeviceClass::Temperature, "°C")),
        "ThermostatTemperature" => {
            Some((format!("sensor.{room}_thermostat_temperature"), DeviceClass::Temperature, "°C"))
        }
        "Humidity" => Some((format!("sensor.{room}_humidity"), DeviceClass::Humidity, "%")),
        "Brightness" => Some((format!("sensor.{room}_illuminance"), DeviceClass::Illuminance, "lx")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outdoor_copies_and_set_points_are_left_out() {
        let file =
            |name: &str| SourceFile { name: format!("Measurements/{name}.csv"), bytes: b"1489017527\t47".into() };
        let homes = parse(&[
            file("Bathroom_Humidity"),
            file("Bathroom_SetpointHistory"),
            file("Bathroom_Virtual_OutdoorTemperature"),
            file("Kitchen_Virtual_OutdoorTemperature"),
        ])
        .unwrap();
        let ids: Vec<_> = homes[0].entities.iter().map(|entity| entity.entity_id.as_str()).collect();
        assert_eq!(ids, ["sensor.bathroom_humidity", "sensor.outdoor_temperature"]);
    }
}
