//! `bench secure-aggregation`: the cost of a server that sees sums of groups alone, in robustness, bytes and time.
//!
//! London homes are split by their sensors into many small ones, which train in rounds; some attack. The server takes the median, parameter
//! by parameter, over the means of groups. The loss on homes that took no part evaluates the result. Weights made here never ship.

mod cost;
mod grouped;

use std::path::PathBuf;

use clap::Args;
use hearthwatch_detector::network::{Artifact, Weights};
use hearthwatch_evaluation::dataset::DATA_SETS;
use hearthwatch_evaluation::evaluate::{HomePair, HomeTrace, fan_out};
use hearthwatch_federation::{Mean, Strategy};
use hearthwatch_training::{FederatedRounds, RetrainConfig, TrainError, held_out_loss};

use super::SHIPPED;
use super::attacks::{Cell, Faults, history, share};
use crate::data;
use grouped::{GroupAttack, Grouped, Tally};

/// What is measured.
#[derive(Debug, Args)]
pub struct SecureAggregationArguments {
    /// Folder of recordings; else $HEARTHWATCH_DATA, else ../shared/data.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Seeds of faults, training, groups and attackers; each is a whole run.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Recorded homes that train; the others evaluate.
    #[arg(long, default_value_t = 12)]
    homes: usize,
    /// Small homes that each of them is split into, by its sensors.
    #[arg(long, default_value_t = 4)]
    shards: usize,
    /// Rounds of each run.
    #[arg(long, default_value_t = 6)]
    rounds: usize,
    /// Homes of a group, 4 to 16; 1 for deltas that the server sees.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 4, 8, 12])]
    groups: Vec<usize>,
    /// Shares of homes that attack, from 0 to 1.
    #[arg(long, value_delimiter = ',', default_values_t = [0.1, 0.2, 0.3, 0.4], value_parser = share)]
    shares: Vec<f64>,
    /// Prints bytes and time alone.
    #[arg(long)]
    only_cost: bool,
}

/// Measures and prints.
///
/// # Errors
/// When recordings cannot be read or a group of the protocol fails.
pub fn run(arguments: &SecureAggregationArguments) -> anyhow::Result<()> {
    cost::print()?;
    if arguments.only_cost {
        return Ok(());
    }
    let source = data::find(arguments.data.as_deref(), &DATA_SETS.iter().map(|set| set.name).collect::<Vec<_>>())?;
    let london = data::homes(&source, &["southwark_homes"])?;
    anyhow::ensure!(london.len() > arguments.homes, "too few London homes in {source:?}; name a folder with --data");
    let start = Artifact::parse(SHIPPED)?.weights().clone();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let worlds: Vec<World> = (1..=arguments.seeds)
        .map(|seed| {
            let pairs = fan_out(&london, threads, |home| history(home, seed, &Faults::USUAL), |_| {});
            let (train, evaluate) = pairs.split_at(arguments.homes);
            World {
                start: start.clone(),
                homes: train.iter().flat_map(|home| sharded(home, arguments.shards)).collect(),
                evaluators: evaluate.to_vec(),
                config: RetrainConfig { seed, threads, ..RetrainConfig::default() },
                rounds: arguments.rounds,
            }
        })
        .collect();
    let count = worlds.first().map_or(0, |world| world.homes.len());
    println!(
        "\n{count} small homes train {} rounds, {} London homes that took no part evaluate; seeds 1 to {}",
        arguments.rounds,
        london.len() - arguments.homes,
        arguments.seeds
    );
    println!("loss on the evaluators: mean over the seeds (largest), and the share of groups without an attacker");
    let over_seeds = |of: fn(&World) -> anyhow::Result<f32>| -> anyhow::Result<Cell> {
        Ok(Cell(worlds.iter().map(of).collect::<anyhow::Result<_>>()?))
    };
    println!(
        "before any round {}; plain mean of honest deltas {}",
        over_seeds(|world| world.loss(&world.start))?,
        over_seeds(World::mean)?
    );
    let heads: String = arguments.groups.iter().map(|size| format!("{:>26}", head(*size))).collect();
    println!("{:<34}{heads}", "median over groups");
    print_row("no attackers", &worlds, &arguments.groups, None)?;
    for attack in GroupAttack::ALL {
        for share in &arguments.shares {
            let attackers = (count as f64 * share).round() as usize;
            let name = format!("{attackers} of {count}: {}", attack.name());
            print_row(&name, &worlds, &arguments.groups, Some((*attack, attackers)))?;
        }
    }
    Ok(())
}

fn head(size: usize) -> String {
    if size <= 1 { "deltas seen".to_owned() } else { format!("groups of {size}") }
}

fn print_row(
    name: &str,
    worlds: &[World],
    groups: &[usize],
    attack: Option<(GroupAttack, usize)>,
) -> anyhow::Result<()> {
    let mut cells = String::new();
    for size in groups {
        let mut losses = Vec::with_capacity(worlds.len());
        let mut tally = Tally::default();
        for world in worlds {
            let (loss, one) = world.run(*size, attack)?;
            losses.push(loss);
            tally.add(one);
        }
        cells += &format!("{:>26}", format!("{} {:>3.0} %", Cell(losses), 100.0 * tally.share_clean()));
    }
    println!("{name:<34}{cells}");
    Ok(())
}

/// One seed's homes.
struct World {
    start: Weights,
    homes: Vec<HomePair>,
    evaluators: Vec<HomePair>,
    config: RetrainConfig,
    rounds: usize,
}

impl World {
    /// On the evaluators.
    fn loss(&self, weights: &Weights) -> anyhow::Result<f32> {
        Ok(held_out_loss(weights, &self.evaluators, &self.config)?)
    }

    /// The loss after rounds of honest homes under the plain mean.
    fn mean(&self) -> anyhow::Result<f32> {
        self.loss(&self.rounds(&|| -> Box<dyn Strategy> { Box::<Mean>::default() })?)
    }

    fn rounds(&self, strategy: &(dyn Fn() -> Box<dyn Strategy> + Sync)) -> Result<Weights, TrainError> {
        let (homes, rounds) = (&self.homes, self.rounds);
        let rounds = FederatedRounds { rounds, homes, verdicts: &[], strategy: Some(strategy), replay: None };
        rounds.run(&self.start, &self.config, self.config.seed)
    }

    /// The loss after rounds with groups of this size, and how many groups had no attacker.
    fn run(&self, size: usize, attack: Option<(GroupAttack, usize)>) -> anyhow::Result<(f32, Tally)> {
        let seed = self.config.seed;
        let tally = Tally::shared();
        let strategy =
            || -> Box<dyn Strategy> { Box::new(Grouped::new(size, attack, self.homes.len(), seed, tally.clone())) };
        let loss = match self.rounds(&strategy) {
            Ok(weights) => self.loss(&weights)?,
            // An attack may drive weights so far that they are no longer finite: that is its result.
            Err(TrainError::Artifact(_)) => f32::INFINITY,
            Err(error) => return Err(error.into()),
        };
        Ok((loss, Tally::of(&tally)))
    }
}

/// Small homes with some of the sensors each.
fn sharded(home: &HomePair, shards: usize) -> Vec<HomePair> {
    let part = |trace: &HomeTrace, shard: usize| {
        let own = |entity: u32| entity as usize % shards == shard;
        HomeTrace {
            home: format!("{}-{shard}", trace.home),
            infos: trace.infos.clone(),
            entities: trace.entities.iter().filter(|entity| own(entity.entity)).cloned().collect(),
            labels: trace.labels.iter().filter(|label| own(label.entity)).cloned().collect(),
            from: trace.from,
            until: trace.until,
        }
    };
    (0..shards)
        .map(|shard| HomePair {
            clean: part(&home.clean, shard),
            faulty: home.faulty.iter().map(|copy| part(copy, shard)).collect(),
        })
        .collect()
}
