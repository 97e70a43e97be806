//! `bench attacks`: homes that attack federated rounds, against each strategy that makes one delta of many.
//!
//! London homes train in rounds; some of them attack. The result is evaluated by the loss on London homes that took no part: a strategy
//! holds where the loss stays near that of an honest fleet. Weights made here are never shipped.

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
use hearthwatch_evaluation::evaluate::{HomePair, fan_out};
use hearthwatch_evaluation::inject::{Family, InjectionPlan};
use hearthwatch_training::{Corpus, RetrainConfig, ServerLoss};

use super::SHIPPED;
use crate::data;
use attack::Attack;
pub(super) use strategies::{Known, StrategyKind};
pub(super) use table::Cell;
use table::Table;
pub(super) use world::World;

const DAY: i64 = 86_400;
/// Days that a home's detector learns at first.
const WARM_UP_DAYS: i64 = 14;
/// Days after them of each recording of the server's.
const SERVER_DAYS: i64 = 56;
/// Recordings of the server's.
const SERVER_HOMES: usize = 12;
/// Seeds of a home's copies lie this many bits apart.
const COPY_SHIFT: u32 = 32;

/// What is measured.
#[derive(Debug, Args)]
pub struct AttacksArguments {
    /// Folder of recordings; else $HEARTHWATCH_DATA, else ../shared/data.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Seeds of faults and training; each is a whole run.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Homes that train; the others evaluate.
    #[arg(long, default_value_t = 10)]
    homes: usize,
    /// Rounds of each run.
    #[arg(long, default_value_t = 6)]
    rounds: usize,
    /// Shares of homes that attack, from 0 to 1.
    #[arg(long, value_delimiter = ',', default_values_t = [0.1, 0.2, 0.3, 0.4], value_parser = share)]
    shares: Vec<f64>,
    /// The server trains on its recordings after each round, as in a fleet.
    #[arg(long)]
    replay: bool,
    /// How far the server goes along what the deltas become, as a multiple of it.
    #[arg(long, default_value_t = 1.0)]
    server_step: f64,
    /// Strategies that are run; else all.
    #[arg(long, value_enum, value_delimiter = ',')]
    strategies: Vec<StrategyKind>,
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
    let mut worlds = worlds(
        arguments.data.as_deref(),
        arguments.homes,
        arguments.seeds,
        arguments.rounds,
        arguments.replay,
        &Faults::USUAL,
    )?;
    worlds.iter_mut().for_each(|world| world.server_step = arguments.server_step);
    let strategies =
        if arguments.strategies.is_empty() { StrategyKind::ALL.to_vec() } else { arguments.strategies.clone() };
    let attacks = if arguments.attacks.is_empty() { Attack::ALL.to_vec() } else { arguments.attacks.clone() };
    println!(
        "{} London homes train {} rounds from the weights that ship (release {SHIPPED_VERSION}), {} others evaluate; seeds 1 to {}; {}, server step {}",
        arguments.homes,
        arguments.rounds,
        worlds[0].pairs.len() - arguments.homes,
        arguments.seeds,
        if arguments.replay { "with replay after each round" } else { "without replay" },
        arguments.server_step
    );
    println!("loss on the evaluators: mean over the seeds (largest)\n");
    let before: Vec<f32> = worlds.iter().map(|world| world.loss(&world.start)).collect::<anyhow::Result<_>>()?;
    println!("before any round: {}", Cell(before));
    let mut table = Table::new(&strategies);
    table.print_head("nobody attacks");
    let honest = table.row(&worlds, None)?;
    Table::print_row("honest", &honest);
    for share in &arguments.shares {
        let attackers = (arguments.homes as f64 * share).round() as usize;
        table.print_head(&format!("{attackers} of {} attack", arguments.homes));
        for attack in &attacks {
            let cells = table.row(&worlds, Some((*attack, attackers)))?;
            Table::print_row(attack.name(), &cells);
        }
        table.print_worst(attackers);
    }
    table.print_left_out(arguments.homes);
    if let Some(folder) = arguments.out.parent() {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let drawing = plot::drawing(&table, arguments.homes, arguments.seeds);
    std::fs::write(&arguments.out, drawing).with_context(|| arguments.out.display().to_string())?;
    println!("\ndrawn in {}", arguments.out.display());
    Ok(())
}

/// A share of homes, from the command line.
pub(super) fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().map_err(|error| format!("{error}"))?;
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err("a share lies between 0 and 1".to_owned()) }
}

/// One for each seed from 1 on. The first `trained` London homes train, with these faults in their copies, the others evaluate; the server
/// has recordings that may ship.
pub(super) fn worlds(
    folder: Option<&Path>,
    trained: usize,
    seeds: u64,
    rounds: usize,
    replay: bool,
    faults: &Faults,
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
        let recordings = pairs(&own, &Faults::USUAL);
        let (train, evaluate) = london.split_at(trained);
        Ok(World {
            start: start.clone(),
            pairs: [pairs(train, faults), pairs(evaluate, &Faults::USUAL)].concat(),
            server: ServerLoss::new(&recordings, &config, seed)?,
            recordings,
            config,
            trained,
            rounds,
            replay,
            server_step: 1.0,
            learnt: Mutex::default(),
        })
    };
    (1..=seeds).map(world).collect()
}

/// The faults that are put into copies of a home.
pub(super) struct Faults {
    pub copies: u64,
    pub per_entity_week: f64,
}

impl Faults {
    /// Those of the evaluators.
    pub(super) const USUAL: Self = Self { copies: 1, per_entity_week: 1.0 };
}

/// A home after its warm-up, with copies. The faults are the seed's.
pub(super) fn history(home: &RecordedHome, seed: u64, faults: &Faults) -> HomePair {
    let from = home.span().unwrap_or_default().0 + WARM_UP_DAYS * DAY;
    let plan = |copy: u64| InjectionPlan {
        seed: seed.wrapping_add(copy << COPY_SHIFT),
        events_per_entity_week: faults.per_entity_week,
        families: Family::ALL.to_vec(),
    };
    HomePair::extract(home, from, (0..faults.copies).map(plan))
}
