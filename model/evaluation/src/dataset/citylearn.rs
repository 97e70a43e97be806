//! 17 homes in Fontana, California (CityLearn Challenge 2022): hourly electricity, sun and weather.

use hearthwatch_detector::class::DeviceClass;

use super::builder::HomeBuilder;
use super::home::RecordedHome;
use super::source::SourceFile;
use super::table::Table;
use super::{DatasetError, table};

pub(super) const SET: &str = "citylearn_2022_homes";

/// The files hold hours 1 to 24 of every day with no daylight saving: a fixed offset, Pacific standard time.
const ZONE: &str = "Etc/GMT+8";

const HOUR: i64 = 3600;

/// The first row is hour 24 of 2016-07-31; it ends at 2016-08-01T00:00:00-08:00 (the paper's period; files have no dates).
const FIRST_ROW_ENDS: &str = "2016-08-01 00:00:00";

pub(super) fn parse(files: &[SourceFile]) -> Result<Vec<RecordedHome>, DatasetError> {
    let weather = files
        .iter()
        .find(|file| file.name == "weather.csv")
        .ok_or_else(|| DatasetError::FileMissing { set: SET, file: "weather.csv".to_owned() })?;
    let weather = read_weather(weather)?;
    files.iter().filter(|file| file.name != "weather.csv").map(|file| read_building(file, &weather)).collect()
}

/// Outdoor temperature [°C] and relative humidity [%] of an hour.
type Weather = (Option<f64>, Option<f64>);

fn read_weather(file: &SourceFile) -> Result<Vec<Weather>, DatasetError> {
    let table = Table::with_header(&file.name, &file.bytes, ',')?;
    let temperature = table.column("Outdoor Drybulb Temperature [C]")?;
    let humidity = table.column("Relative Humidity [%]")?;
    table.map(|row| Ok((row.number(temperature)?, row.number(humidity)?))).collect()
}

fn read_building(file: &SourceFile, weather: &[Weather]) -> Result<RecordedHome, DatasetError> {
    let number = file.name.trim_start_matches("Building_").trim_end_matches(".csv");
    // Two digits, so that names sort as numbers do.
    let mut home = HomeBuilder::new(SET, &format!("building-{number:0>2}"), ZONE);
    let power = home.entity("sensor.electricity_power", DeviceClass::Power, "W");
    let sun = home.entity("sensor.solar_power_per_kw", DeviceClass::Power, "W");
    let temperature = home.entity("sensor.outdoor_temperature", DeviceClass::Temperature, "°C");
    let humidity = home.entity("sensor.outdoor_humidity", DeviceClass::Humidity, "%");
    let table = Table::with_header(&file.name, &file.bytes, ',')?;
    let power_column = table.column("Equipment Electric Power [kWh]")?;
    let sun_column = table.column("Solar Generation [W/kW]")?;
    let first = first_row_ends();
    for (index, row) in table.enumerate() {
        let at = first + index as i64 * HOUR;
        // Energy of an hour in kWh is its mean power in kW. Homes with little left after their metered loads hold tiny
        // positive numbers (1e-7) for nothing; a meter would show zero.
        let watts = row.number(power_column)?.map(|kwh| (kwh * 10_000.0).round() / 10.0);
        home.number(power, at, watts);
        home.number(sun, at, row.number(sun_column)?);
        if let Some((degrees, percent)) = weather.get(index) {
            home.number(temperature, at, *degrees);
            home.number(humidity, at, *percent);
        }
    }
    Ok(home.finish())
}

fn first_row_ends() -> i64 {
    let civil: jiff::civil::DateTime = FIRST_ROW_ENDS.parse().expect("a constant date");
    table::zone(ZONE).to_zoned(civil).expect("a fixed offset has every hour").timestamp().as_second()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hearthwatch_detector::reading::Value;

    const BUILDING: &str = "Month,Hour,Equipment Electric Power [kWh],Solar Generation [W/kW]\n\
                            7.0,24.0,2.2758,0.0\n8.0,1.0,1.0e-7,12.5\n";
    const WEATHER: &str = "Outdoor Drybulb Temperature [C],Relative Humidity [%]\n20.0,84.0\n20.1,79.0\n";

    fn file(name: &str, text: &str) -> SourceFile {
        SourceFile { name: name.into(), bytes: text.into() }
    }

    #[test]
    fn hours_become_readings_at_their_end_in_watts() {
        let homes = parse(&[file("Building_3.csv", BUILDING), file("weather.csv", WEATHER)]).unwrap();
        assert_eq!(homes.len(), 1);
        assert_eq!(homes[0].name, "building-03");
        let power: Vec<_> = homes[0].readings.iter().filter(|reading| reading.entity == 0).collect();
        // 2016-08-01T08:00:00Z
        assert_eq!(power[0].at, 1_470_038_400);
        assert_eq!(power[0].value, Value::Number(2275.8));
        assert_eq!((power[1].at, power[1].value), (1_470_042_000, Value::Number(0.0)));
    }

    #[test]
    fn the_weather_file_is_needed() {
        assert_eq!(
            parse(&[file("Building_3.csv", BUILDING)]),
            Err(DatasetError::FileMissing { set: SET, file: "weather.csv".into() })
        );
    }
}
