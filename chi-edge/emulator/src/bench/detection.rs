//! `bench detection`: one table for the network, the routine detector and a z-score rival.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use hearthwatch_model::dataset::{DATA_SETS, RecordedHome};
use hearthwatch_model::detector::Model;
use hearthwatch_model::evaluate::{BenchConfig, bench};
use hearthwatch_model::train::Corpus;

use crate::data;

/// Which homes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Set {
    /// The held-out homes of the bundled sets.
    Bundled,
    /// Homes in London that no weights were trained on.
    London,
    /// The house in Belgium.
    Belgium,
    /// Water meters in Alicante.
    Water,
}

impl Set {
    fn folders(self) -> &'static [&'static str] {
        match self {
            Self::Bundled => &["citylearn_2022_homes", "suthaharan_wsn", "river_water_flow"],
            Self::London => &["southwark_homes"],
            Self::Belgium => &["uci_appliances_energy"],
            Self::Water => &["daiad_water"],
        }
    }
}

/// What is measured.
#[derive(Debug, Args)]
pub struct DetectionArguments {
    /// Which homes.
    #[arg(long, value_enum, default_value_t = Set::Bundled)]
    set: Set,
    /// Injection seeds; one table each.
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// Folder of recordings; else $HEARTHWATCH_DATA, else ../shared/data, else the bundled sets.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Most test homes.
    #[arg(long, default_value_t = 6)]
    homes: usize,
    /// Days of each test recording, from its start.
    #[arg(long, default_value_t = 56)]
    days: i64,
}

/// Measures and prints.
///
/// # Errors
/// When the recordings or the shipped model cannot be read.
pub fn run(arguments: &DetectionArguments) -> anyhow::Result<()> {
    let all: Vec<&str> = DATA_SETS.iter().map(|set| set.name).collect();
    let source = data::find(arguments.data.as_deref(), &all)?;
    let homes = data::homes(&source, arguments.set.folders())?;
    anyhow::ensure!(!homes.is_empty(), "the set {:?} is not in {source:?}; name a folder with --data", arguments.set);
    let mut split = Corpus::split(homes);
    if split.test.is_empty() {
        // A set with few homes has none held out; all are measured, and weights may have seen their past.
        split.test = std::mem::take(&mut split.train);
        println!("no home of this set is held out: weights that ship may have been trained on its past");
    }
    let cut = |homes: Vec<RecordedHome>| -> Vec<RecordedHome> {
        let days = |home: RecordedHome| match home.span() {
            Some((start, _)) => home.between(start - 1, start + arguments.days * 86_400),
            None => home,
        };
        homes.into_iter().take(arguments.homes).map(days).collect()
    };
    let (calibration, test) = (cut(split.calibrate), cut(split.test));
    // A set with a single home has nothing to calibrate the rival on but that home's own past.
    let calibration = if calibration.is_empty() { test.clone() } else { calibration };
    let models = [
        ("network".to_owned(), Arc::new(Model::shipped()?)),
        ("routine detector".to_owned(), Arc::new(Model::routine())),
    ];
    for seed in 1..=arguments.seeds {
        let table = bench(&models, &calibration, &test, &BenchConfig { seed, ..BenchConfig::default() });
        println!("\nset {:?}, injection seed {seed}\n{table}", arguments.set);
    }
    Ok(())
}
