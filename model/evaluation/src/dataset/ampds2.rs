//! AMPds2: gas and water meters of a home in Vancouver; a minute each, two years.

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::grid::STEP_SECONDS;

use super::DatasetError;
use super::builder::HomeBuilder;
use super::home::RecordedHome;
use super::source::SourceFile;
use super::table::Table;

pub(super) const SET: &str = "ampds2_gas_water";

/// Litres (the gas files count dm³, which are litres) to Home Assistant's cubic metres.
const LITRES_TO_CUBIC_METRES: f64 = 1e-3;

pub(super) fn parse(files: &[SourceFile]) -> Result<Vec<RecordedHome>, DatasetError> {
    let mut home = HomeBuilder::new(SET, "vancouver", "America/Vancouver");
    for (prefix, entity_id, class, unit, factor) in [
        ("NaturalGas", "sensor.gas_meter", DeviceClass::Gas, "m³", LITRES_TO_CUBIC_METRES),
        ("Water", "sensor.water_meter", DeviceClass::Water, "L", 1.0),
    ] {
        let parts: Vec<_> = files.iter().filter(|file| file.name.starts_with(prefix)).collect();
        if parts.is_empty() {
            continue;
        }
        let entity = home.entity(entity_id, class, unit);
        for file in parts {
            read_meter(&mut home, entity, file, factor)?;
        }
    }
    Ok(vec![home.finish()])
}

/// Keeps a minute when the meter moved or a 10-minute step ended: a million rows that repeat themselves say no more.
fn read_meter(home: &mut HomeBuilder, entity: u32, file: &SourceFile, factor: f64) -> Result<(), DatasetError> {
    let table = Table::with_header(&file.name, &file.bytes, ',')?;
    let (time, counter) = (table.column("unix_ts")?, table.column("counter")?);
    let mut before = None;
    for row in table {
        let (at, count) = (row.unix(time)?, row.number(counter)?);
        if count != before || at % STEP_SECONDS == 0 {
            home.number(entity, at, count.map(|count| count * factor));
        }
        before = count;
    }
    Ok(())
}
