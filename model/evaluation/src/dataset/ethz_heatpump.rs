//! One heat pump in Switzerland (ETH): 15-minute energy, read as mean power; 2.6 years.

use hearthwatch_detector::class::DeviceClass;

use super::DatasetError;
use super::builder::HomeBuilder;
use super::home::RecordedHome;
use super::source::SourceFile;
use super::table::{Table, zone};

pub(super) const SET: &str = "ethz_heatpump";

/// The clock is local: an hour is missing in March and doubled in October. Of the doubled one the later row is kept.
const ZONE: &str = "Europe/Zurich";

/// Kilowatt-hours of 15 minutes to watts.
const KWH_PER_QUARTER_TO_W: f64 = 4000.0;

pub(super) fn parse(files: &[SourceFile]) -> Result<Vec<RecordedHome>, DatasetError> {
    let file = &files[0];
    let table = Table::with_header(&file.name, &file.bytes, ',')?;
    let (time, energy) = (table.column("Timestamp")?, table.column("Energy_kWh")?);
    let zone = zone(ZONE);
    let mut home = HomeBuilder::new(SET, "heat-pump", ZONE);
    let power = home.entity("sensor.heat_pump_power", DeviceClass::Power, "W");
    for row in table {
        let at = row.local(time, "%Y-%m-%d %H:%M:%S", &zone)?;
        home.number(power, at, row.number(energy)?.map(|kwh| kwh * KWH_PER_QUARTER_TO_W));
    }
    Ok(vec![home.finish()])
}
