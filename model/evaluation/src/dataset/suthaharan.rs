//! Labelled wireless sensor motes (Suthaharan and others 2010, single hop): temperature and humidity, real steam events.
//!
//! The file has no times, only one reading about every 5 seconds over some 6 hours. The parser **stretches** it: each
//! reading becomes one 10-minute step, so that a mote's 6 hours look like a month. What is real is the order and the
//! values, and the labels; there is no time of day in it, and no claim about one.

use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::grid::STEP_SECONDS;

use super::DatasetError;
use super::builder::HomeBuilder;
use super::home::RecordedHome;
use super::source::SourceFile;
use super::table::Table;

pub(super) const SET: &str = "suthaharan_wsn";

/// 2010-05-09T00:00:00Z, the day of the recording.
const START: i64 = 1_273_363_200;

struct Mote {
    number: i64,
    temperature: u32,
    humidity: u32,
    /// Start of the labelled run that is open.
    event: Option<i64>,
    last: i64,
}

pub(super) fn parse(files: &[SourceFile]) -> Result<Vec<RecordedHome>, DatasetError> {
    let file = &files[0];
    let table = Table::with_header(&file.name, &file.bytes, ',')?;
    let columns = ["reading", "mote_id", "indoor", "humidity", "temperature", "label"];
    let [reading, mote_id, indoor, humidity, temperature, label] = {
        let mut found = [0; 6];
        for (slot, name) in found.iter_mut().zip(columns) {
            *slot = table.column(name)?;
        }
        found
    };
    let mut sites = [HomeBuilder::new(SET, "indoor-motes", "UTC"), HomeBuilder::new(SET, "outdoor-motes", "UTC")];
    let mut motes: [Vec<Mote>; 2] = [Vec::new(), Vec::new()];
    for row in table {
        let site = usize::from(row.unix(indoor)? != 1);
        let number = row.unix(mote_id)?;
        let at = START + row.unix(reading)? * STEP_SECONDS;
        let home = &mut sites[site];
        let known = motes[site].iter().position(|mote| mote.number == number);
        let index = known.unwrap_or_else(|| {
            let temperature = home.entity(&format!("sensor.mote_{number}_temperature"), DeviceClass::Temperature, "°C");
            let humidity = home.entity(&format!("sensor.mote_{number}_humidity"), DeviceClass::Humidity, "%");
            motes[site].push(Mote { number, temperature, humidity, event: None, last: at });
            motes[site].len() - 1
        });
        let mote = &mut motes[site][index];
        home.number(mote.temperature, at, row.number(temperature)?);
        home.number(mote.humidity, at, row.number(humidity)?);
        match (row.text(label) == "1", mote.event) {
            (true, None) => mote.event = Some(at),
            (false, Some(_)) => close_event(home, mote),
            _ => {}
        }
        mote.last = at;
    }
    for (home, motes) in sites.iter_mut().zip(&mut motes) {
        for mote in motes {
            close_event(home, mote);
        }
    }
    Ok(sites.into_iter().map(HomeBuilder::finish).filter(|home| !home.readings.is_empty()).collect())
}

fn close_event(home: &mut HomeBuilder, mote: &mut Mote) {
    if let Some(start) = mote.event.take() {
        for entity in [mote.temperature, mote.humidity] {
            home.label(entity, start - STEP_SECONDS + 1, mote.last, "steam");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::LabelOrigin;

    #[test]
    fn a_labelled_run_becomes_one_real_label_for_each_of_the_motes_entities() {
        let text = "reading,mote_id,indoor,humidity,temperature,label\n\
                    1,1,1,45,28,0\n2,1,1,60,29,1\n3,1,1,70,30,1\n4,1,1,46,28,0\n1,3,0,50,25,0\n";
        let homes = parse(&[SourceFile { name: "single_hop.csv".into(), bytes: text.into() }]).unwrap();
        assert_eq!(homes.iter().map(|home| home.name.as_str()).collect::<Vec<_>>(), ["indoor-motes", "outdoor-motes"]);
        let labels = &homes[0].labels;
        assert_eq!(labels.len(), 2);
        assert_eq!((labels[0].start, labels[0].end), (START + 601, START + 1800));
        assert_eq!((labels[0].family.as_str(), labels[0].origin), ("steam", LabelOrigin::Real));
        assert!(homes[1].labels.is_empty());
    }
}
