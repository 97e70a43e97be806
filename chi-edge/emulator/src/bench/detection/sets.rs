//! The sets of the detection bench: which recordings, and how their homes come to their roles.

use std::collections::BTreeMap;
use std::path::Path;

use clap::ValueEnum;
use hearthwatch_evaluation::dataset::RecordedHome;
use hearthwatch_evaluation::evaluate::{Roles, SetRules};
use hearthwatch_training::Corpus;

use crate::data::Source;

/// Recordings to measure on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Set {
    /// Homes in London that no shipped weights were trained on, in rotation.
    London,
    /// The house in Belgium, cut in time.
    Belgium,
    /// Water meters in Alicante.
    Water,
    /// Electricity: homes in California, a house near Paris, a heat pump.
    Power,
    /// Rooms in Berkeley, a week each, in rotation.
    Rooms,
    /// Recordings whose authors labelled real events.
    Labelled,
    /// The homes of the bundled sets: runs in a checkout without recordings beside it.
    Bundled,
}

impl Set {
    /// Its name in files and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::London => "london",
            Self::Belgium => "belgium",
            Self::Water => "water",
            Self::Power => "power",
            Self::Rooms => "rooms",
            Self::Labelled => "labelled",
            Self::Bundled => "bundled",
        }
    }

    /// Folders of recordings.
    pub fn folders(self) -> &'static [&'static str] {
        match self {
            Self::London => &["southwark_homes"],
            Self::Belgium => &["uci_appliances_energy"],
            Self::Water => &["daiad_water"],
            Self::Power => &["citylearn_2022_homes", "ethz_heatpump", "uci_household_power"],
            Self::Rooms => &["keti_sdh_rooms"],
            Self::Labelled => &["suthaharan_wsn", "nab_sensorlike"],
            Self::Bundled => &["citylearn_2022_homes", "river_water_flow"],
        }
    }

    /// Its rules. Chosen before anything was measured with them.
    pub fn rules(self) -> SetRules {
        let rules = SetRules {
            set: self.name().to_owned(),
            roles: Roles::Parts { cut: 0.6 },
            warm_up_days: 14,
            calibrate_days: 84,
            test_days: 84,
            homes_max: 10,
            // A fault of each entity every other week: enough to count, too few to become the routine.
            events_per_entity_week: 0.5,
        };
        match self {
            // 47 days: four weeks are learnt from, the rest is tested.
            Self::London => SetRules { roles: Roles::Rotation { parts: PARTS, cut: 0.6 }, homes_max: 20, ..rules },
            // Weeks 0-9 train, 10-12 calibrate, the others test.
            Self::Belgium => SetRules { roles: Roles::OwnPast { train: 0.51, calibrate: 0.66 }, ..rules },
            // A week: half of it to learn from. Statistics of weekdays have nothing to go by here.
            Self::Rooms => SetRules {
                roles: Roles::Rotation { parts: PARTS, cut: 0.5 },
                warm_up_days: 0,
                homes_max: 35,
                events_per_entity_week: 1.5,
                ..rules
            },
            Self::Labelled => SetRules {
                roles: Roles::OwnPast { train: 0.2, calibrate: 0.4 },
                warm_up_days: 3,
                test_days: 365,
                events_per_entity_week: 0.0,
                ..rules
            },
            // Half a year: thresholds of one season are held against the next.
            Self::Water | Self::Power => SetRules { test_days: 168, homes_max: 8, ..rules },
            Self::Bundled => rules,
        }
    }
}

/// Parts of a rotation.
const PARTS: usize = 5;

/// Homes by their part (see [`Roles`]): a function of names alone.
pub struct Parts(BTreeMap<String, usize>);

impl Parts {
    /// In rotations the `val` homes of `splits_by_home.csv`, where that file lies beside the recordings, are part 0 and
    /// the others are dealt out by a hash; of sets that shipped weights were trained on, the corpus's own roles hold.
    pub fn of(set: Set, homes: &[RecordedHome], source: &Source) -> anyhow::Result<Self> {
        let rotated = matches!(set.rules().roles, Roles::Rotation { .. });
        if !rotated {
            // Roles hang on names alone: no readings are copied.
            let corpus = Corpus::split(homes.iter().map(|home| home.between(i64::MAX, i64::MAX)).collect());
            let roles = [(0, &corpus.test), (1, &corpus.calibrate), (2, &corpus.train)];
            let named = |(part, homes): (usize, &Vec<RecordedHome>)| {
                homes.iter().map(|home| (home.full_name(), part)).collect::<Vec<_>>()
            };
            return Ok(Self(roles.into_iter().flat_map(named).collect()));
        }
        let kept_apart = match source {
            Source::Folder(folder) => validation_homes(&folder.join("splits_by_home.csv"))?,
            Source::Bundled => Vec::new(),
        };
        // Dealt out in the order of their hashes, so that parts are of one size.
        let mut names: Vec<String> = homes.iter().map(RecordedHome::full_name).collect();
        names.sort_by_key(|name| (hash(name), name.clone()));
        let mut next = 0;
        let mut part = |name: &str| {
            if kept_apart.iter().any(|kept| name.ends_with(&format!("/{kept}")) || name.ends_with(&format!("-{kept}")))
            {
                return 0;
            }
            next += 1;
            // Without the file every part takes its turn; with it part 0 is taken.
            if kept_apart.is_empty() { (next - 1) % PARTS } else { 1 + (next - 1) % (PARTS - 1) }
        };
        Ok(Self(names.iter().map(|name| (name.clone(), part(name))).collect()))
    }

    /// A home's part; one that is not known trains.
    pub fn part(&self, home: &RecordedHome) -> usize {
        self.0.get(&home.full_name()).copied().unwrap_or(PARTS - 1)
    }
}

/// Homes that the file keeps apart; none when there is no such file.
fn validation_homes(file: &Path) -> anyhow::Result<Vec<String>> {
    if !file.is_file() {
        return Ok(Vec::new());
    }
    let mut reader = csv::Reader::from_path(file)?;
    let mut homes = Vec::new();
    for row in reader.records() {
        let row = row?;
        if row.get(2) == Some("val") {
            homes.extend(row.get(1).map(str::to_owned));
        }
    }
    Ok(homes)
}

fn hash(name: &str) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(format!("bench-parts|{name}").as_bytes()).into()
}
