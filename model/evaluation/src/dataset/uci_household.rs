//! A house near Paris (UCI 235): power, voltage, current; 5-minute means of 2009.
//!
//! The packager filled missing minutes with the values of the day before. A row that equals the row 24 hours earlier in
//! all seven columns is such a filling and becomes a gap.

use hearthwatch_detector::class::DeviceClass;

use super::DatasetError;
use super::builder::HomeBuilder;
use super::home::RecordedHome;
use super::source::SourceFile;
use super::table::{Table, zone};

pub(super) const SET: &str = "uci_household_power";
const ZONE: &str = "Europe/Paris";

/// Rows of 5 minutes in a day.
const ROWS_A_DAY: usize = 288;
const FILL_COLUMNS: usize = 7;

/// Column, entity, class, unit, factor.
const CHANNELS: &[(&str, &str, DeviceClass, &str, f64)] = &[
    ("Global_active_power", "sensor.house_power", DeviceClass::Power, "W", 1000.0),
    ("Voltage", "sensor.house_voltage", DeviceClass::Voltage, "V", 1.0),
    ("Global_intensity", "sensor.house_current", DeviceClass::Current, "A", 1.0),
    // Watt-hours of 5 minutes to watts.
    ("Sub_metering_1", "sensor.kitchen_power", DeviceClass::Power, "W", 12.0),
    ("Sub_metering_2", "sensor.laundry_power", DeviceClass::Power, "W", 12.0),
    ("Sub_metering_3", "sensor.water_heater_power", DeviceClass::Power, "W", 12.0),
];

pub(super) fn parse(files: &[SourceFile]) -> Result<Vec<RecordedHome>, DatasetError> {
    let file = &files[0];
    let table = Table::with_header(&file.name, &file.bytes, ',')?;
    let zone = zone(ZONE);
    let time = table.column("date_time")?;
    let mut home = HomeBuilder::new(SET, "sceaux", ZONE);
    let mut channels = Vec::new();
    for (column, entity_id, class, unit, factor) in CHANNELS {
        channels.push((table.column(column)?, home.entity(entity_id, *class, unit), *factor));
    }
    let mut day: Vec<Vec<&str>> = Vec::new();
    for (index, row) in table.enumerate() {
        let at = row.local(time, "%Y-%m-%d %H:%M:%S", &zone)?;
        let cells: Vec<&str> = (1..=FILL_COLUMNS.min(row.len() - 1)).map(|column| row.text(column)).collect();
        let filled = day.get(index % ROWS_A_DAY).is_some_and(|before| *before == cells);
        for (column, entity, factor) in &channels {
            let value = if filled { None } else { row.number(*column)?.map(|value| value * factor) };
            home.number(*entity, at, value);
        }
        if day.len() < ROWS_A_DAY {
            day.push(cells);
        } else {
            day[index % ROWS_A_DAY] = cells;
        }
    }
    Ok(vec![home.finish()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use hearthwatch_detector::reading::Value;

    #[test]
    fn a_row_copied_from_the_day_before_is_a_gap() {
        use std::fmt::Write as _;
        let mut text = "date_time,Global_active_power,Global_reactive_power,Voltage,Global_intensity,\
                        Sub_metering_1,Sub_metering_2,Sub_metering_3\n"
            .to_owned();
        for row in 0..=ROWS_A_DAY + 1 {
            let (day, minute) = (1 + row / ROWS_A_DAY, row % ROWS_A_DAY * 5);
            // The first row of the second day repeats; the second row of it does not.
            let power = if row == ROWS_A_DAY + 1 { 9.0 } else { (row % ROWS_A_DAY) as f64 };
            writeln!(text, "2009-01-{day:02} {:02}:{:02}:00,{power},0,240,1,0,0,0", minute / 60, minute % 60).unwrap();
        }
        let homes = parse(&[SourceFile { name: "household_2009_5min.csv".into(), bytes: text.into() }]).unwrap();
        let power: Vec<_> = homes[0].readings.iter().filter(|reading| reading.entity == 0).collect();
        assert_eq!(power[ROWS_A_DAY].value, Value::Gap);
        assert_eq!(power[ROWS_A_DAY + 1].value, Value::Number(9000.0));
    }
}
