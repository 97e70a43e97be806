//! tracebase: plugs of single appliances, Darmstadt 2011–2012 and Sydney 2013; one minute each, weeks.
//!
//! Plugs that were recorded in the same period are one home: the source does not say more.

use std::collections::BTreeMap;

use hearthwatch_detector::class::DeviceClass;
use jiff::tz::TimeZone;

use super::DatasetError;
use super::builder::HomeBuilder;
use super::home::RecordedHome;
use super::source::SourceFile;
use super::table::Table;

pub(super) const SET: &str = "tracebase_appliances";

/// Minutes without a row after which the plug is taken to be unplugged: an hour.
const GAP_SECONDS: i64 = 3600;
/// Files of Sydney begin with this.
const SYDNEY: &str = "au_";

pub(super) fn parse(files: &[SourceFile]) -> Result<Vec<RecordedHome>, DatasetError> {
    let mut periods: BTreeMap<String, Vec<&SourceFile>> = BTreeMap::new();
    for file in files {
        let text = std::str::from_utf8(&file.bytes).unwrap_or_default();
        // A period is the month of the first row; Sydney is one.
        let month = text.lines().nth(1).and_then(|line| line.get(..7)).unwrap_or("unknown");
        let period = if file.name.starts_with(SYDNEY) { "sydney".to_owned() } else { format!("darmstadt-{month}") };
        periods.entry(period).or_default().push(file);
    }
    periods.into_iter().map(|(period, files)| read_period(&period, &files)).collect()
}

fn read_period(period: &str, files: &[&SourceFile]) -> Result<RecordedHome, DatasetError> {
    let zone_name = if period == "sydney" { "Australia/Sydney" } else { "Europe/Berlin" };
    let zone = TimeZone::get(zone_name).unwrap_or(TimeZone::UTC);
    let mut home = HomeBuilder::new(SET, period, zone_name);
    for file in files {
        let name = file.name.trim_end_matches(".csv").to_lowercase().replace('-', "_");
        let entity = home.entity(&format!("sensor.{name}"), DeviceClass::Power, "W");
        let table = Table::with_header(&file.name, &file.bytes, ',')?;
        let (time, power) = (table.column("local_time")?, table.column("power_w")?);
        let mut before = None;
        for row in table {
            let (at, watts) = (row.local(time, "%Y-%m-%d %H:%M", &zone)?, row.number(power)?);
            if let Some(before) = before.filter(|before| at - before > GAP_SECONDS) {
                home.number(entity, before + 60, None);
            }
            home.number(entity, at, watts);
            before = Some(at);
        }
    }
    Ok(home.finish())
}
