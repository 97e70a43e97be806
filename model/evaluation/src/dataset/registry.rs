//! The one table of data sets: name, licence, use, files, parser.

use super::home::RecordedHome;
use super::source::SourceFile;
use super::{
    DatasetError, ampds2, casas, citylearn, daiad, ethz_heatpump, hass, kasteren, keti, nab, open_smart_home, river,
    southwark, suthaharan, tracebase, uci_appliances, uci_household, uci_occupancy, windesheim,
};

/// What a set may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Use {
    /// A copy may be carried by the project, and weights trained on it may ship.
    Bundled,
    /// Weights trained on it may ship; the files stay with their publisher.
    Release,
    /// No licence was found: replay and evaluate, never into shipped weights.
    EvaluateOnly,
}

impl Use {
    /// Whether weights trained on the set may ship.
    #[must_use]
    pub fn may_ship(self) -> bool {
        matches!(self, Self::Bundled | Self::Release)
    }
}

/// A published set: what may be done with it, and how its files are read.
#[derive(Debug)]
pub struct DataSet {
    /// Folder name, and [`RecordedHome::set`] of its homes.
    pub name: &'static str,
    /// One line for people.
    pub title: &'static str,
    /// The licence that was found.
    pub licence: &'static str,
    /// What it may be used for.
    pub usage: Use,
    /// The files it wants, relative to its folder and without `.gz`; a `*` stands for any text.
    pub files: &'static [&'static str],
    parse: fn(&[SourceFile]) -> Result<Vec<RecordedHome>, DatasetError>,
}

impl DataSet {
    /// Whether the set's parser wants this file (path within the set's folder, without `.gz`).
    #[must_use]
    pub fn wants(&self, file: &str) -> bool {
        self.files.iter().any(|pattern| match pattern.split_once('*') {
            None => *pattern == file,
            Some((head, tail)) => {
                file.len() >= head.len() + tail.len() && file.starts_with(head) && file.ends_with(tail)
            }
        })
    }

    /// Reads the set's homes, sorted by name. Files that the set does not want are passed over.
    ///
    /// # Errors
    /// [`DatasetError`] for a missing file or a cell that does not read.
    pub fn parse(&self, files: &[SourceFile]) -> Result<Vec<RecordedHome>, DatasetError> {
        let mut wanted: Vec<SourceFile> = files.iter().filter(|file| self.wants(&file.name)).cloned().collect();
        if wanted.is_empty() {
            return Err(DatasetError::FileMissing { set: self.name, file: self.files[0].to_owned() });
        }
        wanted.sort_by(|left, right| left.name.cmp(&right.name));
        let mut homes = (self.parse)(&wanted)?;
        homes.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(homes)
    }
}

/// Finds a set by its folder name.
///
/// # Errors
/// [`DatasetError::UnknownSet`].
pub fn find(name: &str) -> Result<&'static DataSet, DatasetError> {
    DATA_SETS.iter().find(|set| set.name == name).ok_or_else(|| DatasetError::UnknownSet(name.to_owned()))
}

/// Every set there is a parser for.
pub const DATA_SETS: &[DataSet] = &[
    DataSet {
        name: citylearn::SET,
        title: "17 homes in Fontana, California: electricity, sun, weather; hourly, one year",
        licence: "MIT",
        usage: Use::Bundled,
        files: &["Building_*.csv", "weather.csv"],
        parse: citylearn::parse,
    },
    DataSet {
        name: suthaharan::SET,
        title: "4 motes with labelled steam events: temperature, humidity",
        licence: "ODC-BY 1.0 / CC BY 4.0",
        usage: Use::Bundled,
        files: &["single_hop.csv"],
        parse: suthaharan::parse,
    },
    DataSet {
        name: river::SET,
        title: "A water pipeline branch in Italy: flow; hourly, two months",
        licence: "BSD-3-Clause",
        usage: Use::Bundled,
        files: &["water-flow.csv"],
        parse: river::parse,
    },
    DataSet {
        name: daiad::SET,
        title: "Homes in Alicante: water meters; hourly, one year",
        licence: "CC BY-SA 4.0",
        usage: Use::Release,
        files: &["homes/*.csv"],
        parse: daiad::parse,
    },
    DataSet {
        name: uci_appliances::SET,
        title: "A house in Belgium: nine zones, electricity, weather; 10 minutes, 4.5 months",
        licence: "CC BY 4.0",
        usage: Use::Release,
        files: &["energydata_complete.csv"],
        parse: uci_appliances::parse,
    },
    DataSet {
        name: open_smart_home::SET,
        title: "A flat with six rooms: climate and light; about 10 minutes, 90 days",
        licence: "CC BY-SA 4.0",
        usage: Use::Release,
        files: &["Measurements/*.csv"],
        parse: open_smart_home::parse,
    },
    DataSet {
        name: windesheim::SET,
        title: "Three rooms: carbon dioxide, climate, occupancy; 1 to 10 minutes, one month",
        licence: "CC BY 4.0",
        usage: Use::Release,
        files: &["raw_properties/*.csv"],
        parse: windesheim::parse,
    },
    DataSet {
        name: hass::SET,
        title: "A Home Assistant export: motion, occupancy; events, 3.5 months",
        licence: "MIT",
        usage: Use::Release,
        files: &["sensors_binary.csv"],
        parse: hass::parse,
    },
    DataSet {
        name: ampds2::SET,
        title: "A home in Vancouver: gas and water meters; 1 minute, two years",
        licence: "CC BY 4.0",
        usage: Use::Release,
        files: &["NaturalGas_FRG-*.csv", "Water_WHW-*.csv"],
        parse: ampds2::parse,
    },
    DataSet {
        name: ethz_heatpump::SET,
        title: "A heat pump in Switzerland: power; 15 minutes, 2.6 years",
        licence: "MIT",
        usage: Use::Release,
        files: &["smd_hp.csv"],
        parse: ethz_heatpump::parse,
    },
    DataSet {
        name: uci_household::SET,
        title: "A house near Paris: power, voltage, current; 5 minutes, one year",
        licence: "CC BY 4.0",
        usage: Use::Release,
        files: &["household_2009_5min.csv"],
        parse: uci_household::parse,
    },
    DataSet {
        name: uci_occupancy::SET,
        title: "An office room: climate, light, carbon dioxide, occupancy; 1 minute, 18 days",
        licence: "CC BY 4.0",
        usage: Use::Release,
        files: &["datatest.txt", "datatraining.txt", "datatest2.txt"],
        parse: uci_occupancy::parse,
    },
    DataSet {
        name: tracebase::SET,
        title: "34 appliances in Darmstadt and Sydney, five periods: power of single plugs; 1 minute, weeks",
        licence: "ODbL 1.0 / DbCL 1.0",
        usage: Use::Release,
        files: &["*.csv"],
        parse: tracebase::parse,
    },
    DataSet {
        name: southwark::SET,
        title: "20 homes in London: climate, light, noise, air; 1 minute, 47 days",
        licence: "none found",
        usage: Use::EvaluateOnly,
        files: &["homes/*.csv"],
        parse: southwark::parse,
    },
    DataSet {
        name: keti::SET,
        title: "35 rooms in Berkeley: climate, light, motion; 1 minute, 8 days",
        licence: "none found",
        usage: Use::EvaluateOnly,
        files: &["rooms/*.csv"],
        parse: keti::parse,
    },
    DataSet {
        name: nab::SET,
        title: "A machine's temperature and taxi rides with labelled anomalies of known cause; 5 and 30 minutes",
        licence: "MIT",
        // Of a machine and a city, not of homes: measured on, not trained on.
        usage: Use::EvaluateOnly,
        files: &["realKnownCause/*.csv", "combined_windows.json"],
        parse: nab::parse,
    },
    DataSet {
        name: kasteren::SET,
        title: "Five homes in Amsterdam and Boston: doors, drawers, flushes, motion; events, two to four weeks",
        licence: "none found",
        usage: Use::EvaluateOnly,
        files: &["house*.sensors", "house*.sensor_names"],
        parse: kasteren::parse,
    },
    DataSet {
        name: casas::SET,
        title: "A CASAS home: motion by room, the outside door; events, one month",
        licence: "none found",
        usage: Use::EvaluateOnly,
        files: &["data.txt"],
        parse: casas::parse,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = DATA_SETS.iter().map(|set| set.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), DATA_SETS.len());
    }

    #[test]
    fn a_pattern_matches_head_and_tail() {
        let set = find("daiad_water").unwrap();
        assert!(set.wants("homes/abc.csv"));
        assert!(!set.wants("homes/abc.txt"));
        assert!(!set.wants("abc.csv"));
    }

    #[test]
    fn a_set_without_its_files_says_which_one_is_missing() {
        let set = find("river_water_flow").unwrap();
        assert_eq!(
            set.parse(&[]),
            Err(DatasetError::FileMissing { set: "river_water_flow", file: "water-flow.csv".into() })
        );
    }

    #[test]
    fn sets_without_a_licence_never_ship() {
        assert!(DATA_SETS.iter().all(|set| set.licence != "none found" || !set.usage.may_ship()));
    }
}
