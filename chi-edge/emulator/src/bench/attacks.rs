//! `bench attacks`: homes that lie about what they learnt, against each way of making one delta of many.
//!
//! London homes train in rounds; some of them attack. What comes of it is judged by the loss on London homes that took no part: a
//! strategy holds where the loss stays near that of an honest fleet. Weights made here are never shipped.

mod attack;
mod plot;
mod strategies;
mod table;
mod world;

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::Context as _;
use clap::Args;
use hearthwatch_detector::detector::SHIPPED_VERSION;
use hearthwatch_detector::network::Artifact;
use hearthwatch_evaluation::dataset::{DATA_SETS, RecordedHome};
use hearthwatch_evaluation::evaluate::{HomePair, HomeTrace, fan_out};
use hearthwatch_evaluation::inject::{Family, InjectionPlan, inject};
use hearthwatch_training::{Corpus, RetrainConfig, ServerLoss};

use super::SHIPPED;
use crate::data;
use attack::Attack;
pub(super) use strategies::{Known, Way};
use table::{Cell, Table};
pub(super) use world::World;

const DAY: i64 = 86_400;
/// Days that a home's detector learns at first.
const WARM_UP_DAYS: i64 = 14;
/// Days after them of each recording of the server's.
const SERVER_DAYS: i64 = 56;
/// Recordings of the server's.
const SERVER_HOMES: usize = 12;

/// What is measured.
#[derive(Debug, Args)]
pub struct AttacksArguments {
    /// Folder of recordings; else $HEARTHWATCH_DATA, else ../shared/data.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Seeds of faults and training; each is a whole run.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Homes that train; the others judge.
    #[arg(long, default_value_t = 10)]
    homes: usize,
    /// Rounds of each run.
    #[arg(long, default_value_t = 6)]
    rounds: usize,
    /// Shares of homes that attack.
    #[arg(long, value_delimiter = ',', default_values_t = [0.1, 0.2, 0.3, 0.4])]
    shares: Vec<f64>,
    /// The server trains on its recordings after each round, as in a fleet.
    #[arg(long)]
    replay: bool,
    /// Strategies that are run; else all.
    #[arg(long, value_enum, value_delimiter = ',')]
    strategies: Vec<Way>,
    /// Attacks that are run; else all.
    #[arg(long, value_enum, value_delimiter = ',')]
    attacks: Vec<Attack>,
    /// Where the drawing is written.
    #[arg(long, value_name = "FILE", default_value = "target/bench/attacks.svg")]
    out: PathBuf,
}

/// Measures, prints a table for each share, and draws.
///
/// # Errors
/// When recordings cannot be read, training fails, or the drawing cannot be written.
pub fn run(arguments: &AttacksArguments) -> anyhow::Result<()> {
    let worlds = worlds(
        arguments.data.as_deref(),
        arguments.homes,
        arguments.seeds,
        arguments.rounds,
        (arguments.replay, &USUAL),
    )?;
    let ways = if arguments.strategies.is_empty() { Way::ALL.to_vec() } else { arguments.strategies.clone() };
    let attacks = if arguments.attacks.is_empty() { Attack::ALL.to_vec() } else { arguments.attacks.clone() };
    println!(
        "{} London homes train {} rounds from the weights that ship (release {SHIPPED_VERSION}), {} others judge; seeds 1 to {}; {}",
        arguments.homes,
        arguments.rounds,
        worlds[0].pairs.len() - arguments.homes,
        arguments.seeds,
        if arguments.replay { "with replay after each round" } else { "without replay" }
    );
    println!("loss on the homes that judge: mean over the seeds (largest)\n");
    let before: Vec<f32> = worlds.iter().map(|world| world.loss(&world.start)).collect::<anyhow::Result<_>>()?;
    println!("before any round: {}", Cell::of(before));
    let mut table = Table::new(&ways);
    table.print_head("nobody attacks");
    let honest = table.row(&worlds, None)?;
    table.print_row("honest", &honest);
    for share in &arguments.shares {
        let liars = (arguments.homes as f64 * share).round() as usize;
        table.print_head(&format!("{liars} of {} attack", arguments.homes));
        for attack in &attacks {
            let cells = table.row(&worlds, Some((*attack, liars)))?;
            table.print_row(attack.name(), &cells);
        }
        table.print_worst(liars);
    }
    table.print_left_out(&worlds, &attacks)?;
    if let Some(folder) = arguments.out.parent() {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let drawing = plot::drawing(&table, arguments.homes, arguments.seeds);
    std::fs::write(&arguments.out, drawing).with_context(|| arguments.out.display().to_string())?;
    println!("\ndrawn in {}", arguments.out.display());
    Ok(())
}

/// One for each seed from 1 on. The first `trained` London homes train, the others judge; the server has recordings that may ship.
pub(super) fn worlds(
    folder: Option<&Path>,
    trained: usize,
    seeds: u64,
    rounds: usize,
    (replay, faults): (bool, &Faults),
) -> anyhow::Result<Vec<World>> {
    let source = data::find(folder, &DATA_SETS.iter().map(|set| set.name).collect::<Vec<_>>())?;
    let london = data::homes(&source, &["southwark_homes"])?;
    anyhow::ensure!(london.len() > trained, "too few London homes in {source:?}; name a folder with --data");
    let shippable: Vec<&str> = DATA_SETS.iter().filter(|set| set.usage.may_ship()).map(|set| set.name).collect();
    let mut own = Corpus::split(data::homes(&source, &shippable)?).train;
    own.truncate(SERVER_HOMES);
    for home in &mut own {
        let first = home.span().unwrap_or_default().0;
        *home = home.between(first - 1, first + (WARM_UP_DAYS + SERVER_DAYS) * DAY);
    }
    let start = Artifact::parse(SHIPPED)?.weights().clone();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let world = |seed| {
        let config = RetrainConfig { seed, threads, ..RetrainConfig::default() };
        let pairs = |homes: &[RecordedHome], faults: &Faults| {
            fan_out(homes, threads, |home| history(home, seed, faults), |_| {})
        };
        let recordings = pairs(&own, &USUAL);
        let (train, judge) = london.split_at(trained);
        Ok(World {
            start: start.clone(),
            pairs: [pairs(train, faults), pairs(judge, &USUAL)].concat(),
            server: ServerLoss::new(&recordings, &config, seed)?,
            recordings,
            config,
            trained,
            rounds,
            replay,
            learnt: Mutex::default(),
        })
    };
    (1..=seeds).map(world).collect()
}

/// What is put into copies of a home.
pub(super) struct Faults {
    pub copies: u64,
    pub per_entity_week: f64,
}

/// As the judging homes have.
const USUAL: Faults = Faults { copies: 1, per_entity_week: 1.0 };

fn history(home: &RecordedHome, seed: u64, faults: &Faults) -> HomePair {
    let from = home.span().unwrap_or_default().0 + WARM_UP_DAYS * DAY;
    let copy = |number: u64| {
        let seed = seed.wrapping_add(number << 32);
        let plan =
            InjectionPlan { seed, events_per_entity_week: faults.per_entity_week, families: Family::ALL.to_vec() };
        HomeTrace::extract_copy(&inject(home, &plan, from), from)
    };
    HomePair { clean: HomeTrace::extract(home, from), faulty: (0..faults.copies).map(copy).collect() }
}
