//! Water flow in a pipeline branch in Italy (from the River project): hourly, two months, no labels.

use hearthwatch_detector::class::DeviceClass;

use super::DatasetError;
use super::builder::HomeBuilder;
use super::home::RecordedHome;
use super::source::SourceFile;
use super::table::Table;

pub(super) const SET: &str = "river_water_flow";

pub(super) fn parse(files: &[SourceFile]) -> Result<Vec<RecordedHome>, DatasetError> {
    let file = &files[0];
    let table = Table::with_header(&file.name, &file.bytes, ',')?;
    let time = table.column("Time")?;
    let flow = table.column("Water flow [l/s]")?;
    let mut home = HomeBuilder::new(SET, "pipeline-branch", "Europe/Rome");
    let entity = home.entity("sensor.water_flow", DeviceClass::VolumeFlowRate, "L/s");
    for row in table {
        home.number(entity, row.offset_time(time, "%Y-%m-%dT%H:%M:%S%:z")?, row.number(flow)?);
    }
    Ok(vec![home.finish()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use hearthwatch_detector::reading::{Reading, Value};

    #[test]
    fn offsets_are_honoured() {
        let text = "Time,Water flow [l/s]\n2022-03-20T11:00:00+01:00,100.59\n";
        let homes = parse(&[SourceFile { name: "water-flow.csv".into(), bytes: text.into() }]).unwrap();
        assert_eq!(homes[0].readings, [Reading { at: 1_647_770_400, entity: 0, value: Value::Number(100.59) }]);
    }
}
