//! One office room (UCI 357): climate, light, carbon dioxide, occupancy from photographs; a minute each, 18 days.

use hearthwatch_detector::class::DeviceClass;

use super::DatasetError;
use super::builder::HomeBuilder;
use super::home::RecordedHome;
use super::source::SourceFile;
use super::table::{Table, zone};

pub(super) const SET: &str = "uci_occupancy_detection";
const ZONE: &str = "Europe/Brussels";

/// The header names one column fewer than the rows have (a row number leads), so columns are counted.
const TIME: usize = 1;
const TEMPERATURE: usize = 2;
const HUMIDITY: usize = 3;
const LIGHT: usize = 4;
const CARBON_DIOXIDE: usize = 5;
const OCCUPANCY: usize = 7;

pub(super) fn parse(files: &[SourceFile]) -> Result<Vec<RecordedHome>, DatasetError> {
    let zone = zone(ZONE);
    let mut home = HomeBuilder::new(SET, "office", ZONE);
    let numbers = [
        (TEMPERATURE, home.entity("sensor.office_temperature", DeviceClass::Temperature, "°C")),
        (HUMIDITY, home.entity("sensor.office_humidity", DeviceClass::Humidity, "%")),
        (LIGHT, home.entity("sensor.office_illuminance", DeviceClass::Illuminance, "lx")),
        (CARBON_DIOXIDE, home.entity("sensor.office_carbon_dioxide", DeviceClass::CarbonDioxide, "ppm")),
    ];
    let occupancy = home.entity("binary_sensor.office_occupancy", DeviceClass::Occupancy, "");
    for file in files {
        for row in Table::with_header(&file.name, &file.bytes, ',')? {
            let at = row.local(TIME, "%Y-%m-%d %H:%M:%S", &zone)?;
            for (column, entity) in numbers {
                home.number(entity, at, row.number(column)?);
            }
            home.binary(occupancy, at, row.text(OCCUPANCY) == "1");
        }
    }
    Ok(vec![home.finish()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use hearthwatch_detector::reading::{Reading, Value};

    #[test]
    fn the_leading_row_number_is_passed_over() {
        let text = "\"date\",\"Temperature\",\"Humidity\",\"Light\",\"CO2\",\"HumidityRatio\",\"Occupancy\"\n\
                    \"140\",\"2015-02-02 14:19:00\",23.7,26.272,585.2,749.2,0.0047,1\n";
        let homes = parse(&[SourceFile { name: "datatest.txt".into(), bytes: text.into() }]).unwrap();
        assert_eq!(homes[0].readings[0], Reading { at: 1_422_883_140, entity: 0, value: Value::Number(23.7) });
        assert_eq!(homes[0].readings[4].value, Value::Binary(true));
    }
}
