//! `data export`: a recorded home as a file that `hearthwatch-edge replay` reads.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use hearthwatch_detector::reading::Value;
use hearthwatch_evaluation::dataset::RecordedHome;
use jiff::Timestamp;

use super::{find, homes};

/// Which home, and where to.
#[derive(Debug, Args)]
pub struct ExportArguments {
    /// The set, as `data list` names it.
    #[arg(long)]
    set: String,
    /// The home within the set; without it, the homes' names are printed.
    #[arg(long)]
    home: Option<String>,
    /// Only the last so many days.
    #[arg(long)]
    days: Option<u32>,
    /// The file to write: CSV with the columns timestamp, entity_id, device_class, unit, state.
    #[arg(long, value_name = "FILE", default_value = "home.csv")]
    out: PathBuf,
    /// Folder of recordings; else $HEARTHWATCH_DATA, else ../shared/data, else the bundled sets.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Writes the home, or prints which there are.
///
/// # Errors
/// A set or home that is not here, or a file that cannot be written.
pub fn run(arguments: &ExportArguments) -> anyhow::Result<()> {
    let source = find(arguments.data.as_deref(), &[&arguments.set])?;
    let recorded = homes(&source, &[&arguments.set])?;
    let names = || recorded.iter().map(|home| home.name.as_str()).collect::<Vec<_>>().join(", ");
    let Some(name) = &arguments.home else {
        println!("{}", names());
        return Ok(());
    };
    let home = recorded.iter().find(|home| home.name == *name);
    let home = home.with_context(|| format!("{} has no home {name}; there are {}", arguments.set, names()))?;
    let path = || arguments.out.display().to_string();
    let mut file = BufWriter::new(File::create(&arguments.out).with_context(path)?);
    write(home, arguments.days, &mut file).and_then(|()| Ok(file.flush()?)).with_context(path)?;
    println!("{} entities of {} in {}, timezone {}", home.entities.len(), home.full_name(), path(), home.timezone);
    Ok(())
}

/// The readings of the last `days`, all of them without, in the order of time.
fn write(home: &RecordedHome, days: Option<u32>, file: &mut impl Write) -> anyhow::Result<()> {
    let last = home.readings.last().map_or(0, |reading| reading.at);
    let from = days.map_or(i64::MIN, |days| last - i64::from(days) * 86_400);
    writeln!(file, "timestamp,entity_id,device_class,unit,state")?;
    for reading in home.readings.iter().filter(|reading| reading.at > from) {
        let Some(info) = home.entities.get(reading.entity as usize) else { continue };
        let state = match &reading.value {
            Value::Number(number) => number.to_string(),
            Value::Binary(on) => if *on { "on" } else { "off" }.to_owned(),
            Value::Gap => "unavailable".to_owned(),
        };
        let at = Timestamp::from_second(reading.at)?;
        writeln!(file, "{at},{},{},{},{state}", info.entity_id, info.class.as_str(), info.unit)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use hearthwatch_evaluation::fixtures::home::made_home;

    use super::*;

    #[test]
    fn a_home_becomes_one_line_a_reading_with_what_each_entity_is() {
        let home = made_home(1, 4);
        let mut all = Vec::new();
        write(&home, None, &mut all).unwrap();
        let all = String::from_utf8(all).unwrap();
        assert_eq!(all.lines().count(), home.readings.len() + 1);
        let (info, first) = (&home.entities[home.readings[0].entity as usize], all.lines().nth(1).unwrap());
        assert!(first.contains(&format!(",{},{},{},", info.entity_id, info.class.as_str(), info.unit)), "{first}");
        let mut short = Vec::new();
        write(&home, Some(1), &mut short).unwrap();
        assert!(short.len() < all.len() / 3);
    }
}
