//! `bench secure-aggregation`: what it costs that the server sees sums of groups alone, in robustness, bytes and time.
//!
//! London homes are split by their sensors into many small ones, which train in rounds; some lie. The server takes the median, parameter
//! by parameter, over the means of groups. Homes that took no part judge what comes of it. Weights made here never ship.

mod cost;
mod grouped;

use std::path::PathBuf;

use clap::Args;
use hearthwatch_detector::network::{Artifact, Weights};
use hearthwatch_evaluation::dataset::{DATA_SETS, RecordedHome};
use hearthwatch_evaluation::evaluate::{HomePair, HomeTrace, fan_out};
use hearthwatch_evaluation::inject::{Family, InjectionPlan, inject};
use hearthwatch_federation::{Mean, Strategy};
use hearthwatch_training::{FederatedRounds, RetrainConfig, held_out_loss};

use super::SHIPPED;
use crate::data;
use grouped::{Grouped, GroupedLie, Tally};

const DAY: i64 = 86_400;
/// Days that a home's detector learns at first.
const WARM_UP_DAYS: i64 = 14;

/// What is measured.
#[derive(Debug, Args)]
pub struct SecureAggregationArguments {
    /// Folder of recordings; else $HEARTHWATCH_DATA, else ../shared/data.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Seeds of faults, training, groups and liars; each is a whole run.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Recorded homes that train; the others judge.
    #[arg(long, default_value_t = 12)]
    homes: usize,
    /// Small homes that each of them is split into, by its sensors.
    #[arg(long, default_value_t = 4)]
    shards: usize,
    /// Rounds of each run.
    #[arg(long, default_value_t = 6)]
    rounds: usize,
    /// Homes of a group; 1 for deltas that the server sees.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 4, 8, 12])]
    groups: Vec<usize>,
    /// Shares of homes that lie.
    #[arg(long, value_delimiter = ',', default_values_t = [0.1, 0.2, 0.3, 0.4])]
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
            let pairs = fan_out(&london, threads, |home| history(home, seed), |_| {});
            let (train, judge) = pairs.split_at(arguments.homes);
            World {
                start: start.clone(),
                homes: train.iter().flat_map(|home| sharded(home, arguments.shards)).collect(),
                judges: judge.to_vec(),
                config: RetrainConfig { seed, threads, ..RetrainConfig::default() },
                rounds: arguments.rounds,
            }
        })
        .collect();
    let count = worlds.first().map_or(0, |world| world.homes.len());
    println!(
        "\n{count} small homes train {} rounds, {} London homes that took no part judge; seeds 1 to {}",
        arguments.rounds,
        london.len() - arguments.homes,
        arguments.seeds
    );
    println!("loss on the homes that judge: mean over the seeds (largest), and the share of groups without a liar");
    let first = |of: &dyn Fn(&World) -> anyhow::Result<f32>| -> anyhow::Result<f32> {
        Ok(worlds.iter().map(of).sum::<anyhow::Result<f32>>()? / worlds.len().max(1) as f32)
    };
    println!("before any round {:.3}; plain mean of honest deltas {:.3}", first(&World::before)?, first(&World::mean)?);
    let heads: String = arguments.groups.iter().map(|size| format!("{:>26}", head(*size))).collect();
    println!("{:<34}{heads}", "median over groups");
    print_row("no liars", &worlds, &arguments.groups, None)?;
    for lie in GroupedLie::ALL {
        for share in &arguments.shares {
            let liars = (count as f64 * share).round() as usize;
            print_row(&format!("{liars} of {count}: {}", lie.name()), &worlds, &arguments.groups, Some((*lie, liars)))?;
        }
    }
    Ok(())
}

fn head(size: usize) -> String {
    if size <= 1 { "deltas seen".to_owned() } else { format!("groups of {size}") }
}

fn print_row(name: &str, worlds: &[World], groups: &[usize], lie: Option<(GroupedLie, usize)>) -> anyhow::Result<()> {
    let mut cells = String::new();
    for size in groups {
        let mut losses = Vec::with_capacity(worlds.len());
        let mut tally = Tally::default();
        for world in worlds {
            let (loss, one) = world.run(*size, lie)?;
            losses.push(loss);
            tally.add(one);
        }
        let mean = losses.iter().sum::<f32>() / losses.len().max(1) as f32;
        let largest = losses.into_iter().fold(f32::NEG_INFINITY, f32::max);
        cells += &format!("{:>26}", format!("{mean:.3} ({largest:.3}) {:>3.0} %", 100.0 * tally.share_clean()));
    }
    println!("{name:<34}{cells}");
    Ok(())
}

/// One seed's homes.
struct World {
    start: Weights,
    homes: Vec<HomePair>,
    judges: Vec<HomePair>,
    config: RetrainConfig,
    rounds: usize,
}

impl World {
    fn before(&self) -> anyhow::Result<f32> {
        Ok(held_out_loss(&self.start, &self.judges, &self.config)?)
    }

    fn mean(&self) -> anyhow::Result<f32> {
        let weights = self.rounds(&|| -> Box<dyn Strategy> { Box::<Mean>::default() })?;
        Ok(held_out_loss(&weights, &self.judges, &self.config)?)
    }

    fn rounds(&self, strategy: &(dyn Fn() -> Box<dyn Strategy> + Sync)) -> anyhow::Result<Weights> {
        let (homes, rounds) = (&self.homes, self.rounds);
        let rounds = FederatedRounds { rounds, homes, verdicts: &[], strategy: Some(strategy), replay: None };
        Ok(rounds.run(&self.start, &self.config, self.config.seed)?)
    }

    fn run(&self, size: usize, lie: Option<(GroupedLie, usize)>) -> anyhow::Result<(f32, Tally)> {
        let seed = self.config.seed;
        let tally = Tally::shared();
        let strategy =
            || -> Box<dyn Strategy> { Box::new(Grouped::new(size, lie, self.homes.len(), seed, tally.clone())) };
        let loss = match self.rounds(&strategy) {
            Ok(weights) => held_out_loss(&weights, &self.judges, &self.config)?,
            // Weights that are no longer finite are a result of the lie.
            Err(_) => f32::INFINITY,
        };
        Ok((loss, Tally::of(&tally)))
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
