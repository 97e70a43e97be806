//! Two series of the Numenta Anomaly Benchmark whose anomalies have known causes: a machine's temperature, taxi rides.
//!
//! The published windows are wide, a tenth of a series shared out among its anomalies: fit for events, not for single steps.

use std::collections::BTreeMap;

use hearthwatch_detector::class::DeviceClass;

use super::DatasetError;
use super::builder::HomeBuilder;
use super::home::RecordedHome;
use super::source::SourceFile;
use super::table::{Table, zone};

pub(super) const SET: &str = "nab_sensorlike";

/// Of the published windows, by `folder/file`.
const WINDOWS: &str = "combined_windows.json";

pub(super) fn parse(files: &[SourceFile]) -> Result<Vec<RecordedHome>, DatasetError> {
    let windows = files
        .iter()
        .find(|file| file.name == WINDOWS)
        .ok_or_else(|| DatasetError::FileMissing { set: SET, file: WINDOWS.to_owned() })?;
    let windows: BTreeMap<String, Vec<[String; 2]>> =
        serde_json::from_slice(&windows.bytes).map_err(|error| DatasetError::Cell {
            file: WINDOWS.to_owned(),
            line: error.line(),
            text: error.to_string(),
            expected: "windows by file",
        })?;
    files.iter().filter(|file| file.name != WINDOWS).map(|file| read_series(file, &windows)).collect()
}

fn read_series(file: &SourceFile, windows: &BTreeMap<String, Vec<[String; 2]>>) -> Result<RecordedHome, DatasetError> {
    let name = file.name.trim_start_matches("realKnownCause/").trim_end_matches(".csv");
    let mut home = HomeBuilder::new(SET, name, "UTC");
    let (entity_id, class, unit) = if name.contains("temperature") {
        ("sensor.machine_temperature", DeviceClass::Temperature, "")
    } else {
        ("sensor.rides", DeviceClass::GenericNumber, "")
    };
    let entity = home.entity(entity_id, class, unit);
    let table = Table::with_header(&file.name, &file.bytes, ',')?;
    let (time, value) = (table.column("timestamp")?, table.column("value")?);
    let utc = zone("UTC");
    for row in table {
        home.number(entity, row.local(time, "%Y-%m-%d %H:%M:%S", &utc)?, row.number(value)?);
    }
    for [start, end] in windows.get(&file.name).into_iter().flatten() {
        home.label(entity, moment(start)?, moment(end)?, "known_cause");
    }
    Ok(home.finish())
}

fn moment(text: &str) -> Result<i64, DatasetError> {
    jiff::civil::DateTime::strptime("%Y-%m-%d %H:%M:%S%.f", text)
        .ok()
        .and_then(|civil| zone("UTC").to_zoned(civil).ok())
        .map(|zoned| zoned.timestamp().as_second())
        .ok_or_else(|| DatasetError::Cell {
            file: WINDOWS.to_owned(),
            line: 0,
            text: text.to_owned(),
            expected: "a date and time",
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::LabelOrigin;

    fn file(name: &str, text: &str) -> SourceFile {
        SourceFile { name: name.into(), bytes: text.into() }
    }

    #[test]
    fn windows_become_real_labels() {
        let windows =
            r#"{"realKnownCause/nyc_taxi.csv": [["2014-10-30 15:30:00.000000", "2014-11-03 22:30:00.000000"]]}"#;
        let series = "timestamp,value\n2014-07-01 00:00:00,10844\n2014-07-01 00:30:00,8127\n";
        let homes = parse(&[file(WINDOWS, windows), file("realKnownCause/nyc_taxi.csv", series)]).unwrap();
        assert_eq!((homes[0].name.as_str(), homes[0].readings.len()), ("nyc_taxi", 2));
        let label = &homes[0].labels[0];
        assert_eq!((label.start, label.end, label.origin), (1_414_683_000, 1_415_053_800, LabelOrigin::Real));
    }

    #[test]
    fn the_windows_are_needed() {
        assert_eq!(
            parse(&[file("realKnownCause/nyc_taxi.csv", "timestamp,value\n")]),
            Err(DatasetError::FileMissing { set: SET, file: WINDOWS.into() })
        );
    }
}
