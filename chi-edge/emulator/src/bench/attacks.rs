//! `bench attacks`: homes that lie about what they learnt, against each way of making one delta of many.
//!
//! London homes train in rounds; some of them attack. What comes of it is judged by the loss on London homes that took no part: a
//! strategy holds where the loss stays near that of an honest fleet. Weights made here are never shipped.

mod attack;

use std::path::PathBuf;

use clap::Args;
use hearthwatch_detector::detector::SHIPPED_VERSION;
use hearthwatch_detector::network::{Artifact, Weights};
use hearthwatch_evaluation::dataset::{DATA_SETS, RecordedHome};
use hearthwatch_evaluation::evaluate::{HomePair, HomeTrace, fan_out};
use hearthwatch_evaluation::inject::{Family, InjectionPlan, inject};
use hearthwatch_federation::{ClippedMean, CoordinateMedian, Mean, MultiKrum, Strategy, TrimmedMean};
use hearthwatch_training::{FederatedRounds, RetrainConfig, held_out_loss};

use super::SHIPPED;
use crate::data;
use attack::{Attack, Attacked};

const DAY: i64 = 86_400;
/// Days that a home's detector learns at first.
const WARM_UP_DAYS: i64 = 14;
/// Share of liars that strategies are set up for.
const TOLERATED: f64 = 0.4;

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
    #[arg(long, default_value_t = 12)]
    homes: usize,
    /// Rounds of each run.
    #[arg(long, default_value_t = 6)]
    rounds: usize,
    /// Shares of homes that attack.
    #[arg(long, value_delimiter = ',', default_values_t = [0.1, 0.2, 0.3, 0.4])]
    shares: Vec<f64>,
}

/// A way of making one delta, with its name.
type Maker = fn() -> Box<dyn Strategy>;

/// Every strategy, as it is set up for [`TOLERATED`].
const STRATEGIES: [Maker; 5] = [
    || Box::<Mean>::default(),
    || Box::new(ClippedMean::new(CLIP)),
    || Box::<CoordinateMedian>::default(),
    || Box::new(TrimmedMean::new(TOLERATED)),
    || Box::new(MultiKrum::new(TOLERATED)),
];

/// Norm to which the clipped mean brings deltas.
const CLIP: f64 = 0.5;

/// Measures and prints a table for each share.
///
/// # Errors
/// When recordings cannot be read or the replay fails.
pub fn run(arguments: &AttacksArguments) -> anyhow::Result<()> {
    let source = data::find(arguments.data.as_deref(), &DATA_SETS.iter().map(|set| set.name).collect::<Vec<_>>())?;
    let london = data::homes(&source, &["southwark_homes"])?;
    anyhow::ensure!(london.len() > arguments.homes, "too few London homes in {source:?}; name a folder with --data");
    let start = Artifact::parse(SHIPPED)?.weights().clone();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    println!(
        "{} London homes train {} rounds from the weights that ship (release {SHIPPED_VERSION}), {} others judge; seeds 1 to {}",
        arguments.homes,
        arguments.rounds,
        london.len() - arguments.homes,
        arguments.seeds
    );
    println!("loss on the homes that judge: mean over the seeds (largest)\n");
    let worlds: Vec<World> = (1..=arguments.seeds)
        .map(|seed| {
            let config = RetrainConfig { seed, threads, ..RetrainConfig::default() };
            let pairs = fan_out(&london, threads, |home| history(home, seed), |_| {});
            World { start: start.clone(), pairs, config, trained: arguments.homes, rounds: arguments.rounds }
        })
        .collect();
    let before = Losses::of(worlds.iter().map(|world| world.loss(&world.start)).collect::<Result<_, _>>()?);
    println!("before any round: {before}");
    print_row("honest", &worlds, None)?;
    for share in &arguments.shares {
        let liars = (arguments.homes as f64 * share).round() as usize;
        println!("\n{liars} of {} homes attack", arguments.homes);
        println!("{:<28}{}", "", STRATEGIES.map(|make| format!("{:>22}", make().name())).concat());
        for attack in Attack::ALL {
            print_row(attack.name(), &worlds, Some((*attack, liars)))?;
        }
    }
    Ok(())
}

fn print_row(name: &str, worlds: &[World], attack: Option<(Attack, usize)>) -> anyhow::Result<()> {
    let mut cells = String::new();
    for make in STRATEGIES {
        let losses = worlds.iter().map(|world| world.run(make, attack)).collect::<anyhow::Result<_>>()?;
        cells += &format!("{:>22}", Losses::of(losses).to_string());
    }
    println!("{name:<28}{cells}");
    Ok(())
}

/// One seed's homes.
struct World {
    start: Weights,
    /// Those that train come first.
    pairs: Vec<HomePair>,
    config: RetrainConfig,
    trained: usize,
    rounds: usize,
}

impl World {
    fn run(&self, make: Maker, attack: Option<(Attack, usize)>) -> anyhow::Result<f32> {
        let seed = self.config.seed;
        let strategy = || -> Box<dyn Strategy> {
            match attack {
                None => make(),
                Some((attack, liars)) => Box::new(Attacked::new(make(), attack, liars, seed)),
            }
        };
        let rounds = FederatedRounds {
            rounds: self.rounds,
            homes: &self.pairs[..self.trained],
            verdicts: &[],
            strategy: Some(&strategy),
            replay: None,
        };
        // An attack may drive weights so far that nothing is finite any more: that is its result.
        rounds.run(&self.start, &self.config, seed).map_or(Ok(f32::INFINITY), |weights| self.loss(&weights))
    }

    fn loss(&self, weights: &Weights) -> anyhow::Result<f32> {
        Ok(held_out_loss(weights, &self.pairs[self.trained..], &self.config)?)
    }
}

/// The losses of one cell, a seed each.
struct Losses {
    mean: f32,
    largest: f32,
}

impl Losses {
    fn of(losses: Vec<f32>) -> Self {
        let mean = losses.iter().sum::<f32>() / losses.len().max(1) as f32;
        Self { mean, largest: losses.into_iter().fold(f32::NEG_INFINITY, f32::max) }
    }
}

impl std::fmt::Display for Losses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3} ({:.3})", self.mean, self.largest)
    }
}

fn history(home: &RecordedHome, seed: u64) -> HomePair {
    let from = home.span().unwrap_or_default().0 + WARM_UP_DAYS * DAY;
    let plan = InjectionPlan { seed, events_per_entity_week: 1.0, families: Family::ALL.to_vec() };
    HomePair {
        clean: HomeTrace::extract(home, from),
        faulty: vec![HomeTrace::extract_copy(&inject(home, &plan, from), from)],
    }
}
