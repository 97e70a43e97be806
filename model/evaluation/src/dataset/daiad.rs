//! DAIAD trial A: water meters of homes in Alicante, about hourly, with real resets and leak-like stretches.

use hearthwatch_detector::class::DeviceClass;

use super::DatasetError;
use super::builder::HomeBuilder;
use super::home::RecordedHome;
use super::source::SourceFile;
use super::table::{Table, zone};

pub(super) const SET: &str = "daiad_water";
const ZONE: &str = "Europe/Madrid";

pub(super) fn parse(files: &[SourceFile]) -> Result<Vec<RecordedHome>, DatasetError> {
    files.iter().map(read_home).collect()
}

fn read_home(file: &SourceFile) -> Result<RecordedHome, DatasetError> {
    let name = file.name.trim_start_matches("homes/").trim_end_matches(".csv");
    let mut home = HomeBuilder::new(SET, name, ZONE);
    let water = home.entity("sensor.water_meter", DeviceClass::Water, "L");
    let table = Table::with_header(&file.name, &file.bytes, ';')?;
    let (time, meter) = (table.column("datetime")?, table.column("meter reading")?);
    let zone = zone(ZONE);
    for row in table {
        home.number(water, row.local(time, "%d/%m/%Y %H:%M:%S", &zone)?, row.number(meter)?);
    }
    Ok(home.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hearthwatch_detector::reading::{Reading, Value};

    #[test]
    fn the_meter_is_kept_as_it_counts() {
        let text = "datetime;meter reading;diff\n01/03/2016 00:13:43;342036;142\n";
        let homes = parse(&[SourceFile { name: "homes/abc.csv".into(), bytes: text.into() }]).unwrap();
        assert_eq!(homes[0].name, "abc");
        assert_eq!(homes[0].readings, [Reading { at: 1_456_787_623, entity: 0, value: Value::Number(342_036.0) }]);
    }
}
