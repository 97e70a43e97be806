//! `bench asynchronous`: a thousand small homes in time zones, some of which never answer or answer late: rounds against a buffer.
//!
//! The training is real, the clock is virtual. Small homes are two days of single entities of recorded homes, so each has one class.

mod clock;
mod fleet;
mod shards;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use hearthwatch_federation::{Delta, Quantised};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::SHIPPED;
use super::attacks::{Faults, Known, StrategyKind, World, worlds};
use clock::Outages;
use fleet::{Fleet, Mode, Point};
use shards::shards;

/// What is measured.
#[derive(Debug, Args)]
pub struct AsynchronousArguments {
    /// Folder of recordings; else $HEARTHWATCH_DATA, else ../shared/data.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Seeds of faults, training and homes' habits; each is a whole run.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Recorded homes that are cut into small ones; the others evaluate.
    #[arg(long, default_value_t = 12)]
    recorded: usize,
    /// Most small homes.
    #[arg(long, default_value_t = 1000)]
    homes: usize,
    /// Answers after which a simulation ends.
    #[arg(long, default_value_t = 1000)]
    answers: usize,
    /// Of a hundred trainings so many never answer.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(..=50))]
    dropped_percent: u32,
    /// Of a hundred so many answer a night later.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(..=50))]
    late_percent: u32,
}

/// So many that nearly every small home has one.
const FAULTS: Faults = Faults { copies: 3, per_entity_week: 3.0 };

/// Arms: a name, the mode and the strategy.
const ARMS: [(&str, Mode, StrategyKind); 8] = [
    ("replay alone, each 48 answers", Mode::Alone { answers: 48 }, StrategyKind::Mean),
    ("replay alone, each 24 answers", Mode::Alone { answers: 24 }, StrategyKind::Mean),
    ("rounds of 60, mean", Mode::Rounds { cohort: 60, enough_percent: 80, deadline_hours: 24 }, StrategyKind::Mean),
    (
        "rounds of 60, vetted mean",
        Mode::Rounds { cohort: 60, enough_percent: 80, deadline_hours: 24 },
        StrategyKind::VettedMean,
    ),
    ("rounds of 24, mean", Mode::Rounds { cohort: 24, enough_percent: 80, deadline_hours: 24 }, StrategyKind::Mean),
    ("buffer of 24 of 60, mean", Mode::Buffer { at_work: 60, answers: 24 }, StrategyKind::Mean),
    ("buffer of 24 of 60, vetted mean", Mode::Buffer { at_work: 60, answers: 24 }, StrategyKind::VettedMean),
    ("buffer of 48 of 60, mean", Mode::Buffer { at_work: 60, answers: 48 }, StrategyKind::Mean),
];
/// Small homes that the arms need: 60 at work, and 48 whose answers wait in a buffer.
const HOMES_MIN: usize = 60 + 48;

/// Shares of the way from the start's loss to the lowest of all arms, for which the first version is looked up.
const WAYS: [f32; 3] = [0.5, 0.75, 0.9];

/// Homes whose deltas the strategies are timed with.
const TIMED_HOMES: u64 = 1_000;
/// Standard deviation of the noise that stands for a delta: its norm is about that of an honest one in the first round.
const TIMED_NOISE: f64 = 0.006;

/// Measures and prints.
///
/// # Errors
/// When recordings cannot be read, give too few small homes, or a training fails.
pub fn run(arguments: &AsynchronousArguments) -> anyhow::Result<()> {
    let worlds = worlds(arguments.data.as_deref(), arguments.recorded, arguments.seeds, 1, false, &FAULTS)?;
    for world in &worlds {
        let mut rng = ChaCha8Rng::seed_from_u64(world.config.seed);
        let shards = shards(&world.pairs[..world.trained], arguments.homes, &mut rng);
        anyhow::ensure!(
            shards.len() >= HOMES_MIN,
            "{} small homes, at least {HOMES_MIN} are needed: raise --homes and --recorded",
            shards.len()
        );
        let start = world.loss(&world.start)?;
        println!(
            "\nseed {}: {} small homes of {} recorded ones; loss at the start {start:.3}",
            world.config.seed,
            shards.len(),
            world.trained
        );
        let outages = Outages { dropped_percent: arguments.dropped_percent, late_percent: arguments.late_percent };
        let fleet = Fleet { world, shards: &shards, answers_max: arguments.answers, outages };
        let runs = ARMS.iter().map(|(_, mode, strategy)| fleet.run(*mode, *strategy));
        print(&runs.collect::<anyhow::Result<Vec<_>>>()?, start)?;
    }
    time_strategies(&worlds[0]);
    Ok(())
}

fn print(runs: &[Vec<Point>], start: f32) -> anyhow::Result<()> {
    // A home is sent an artifact; every delta has as many bytes.
    let (down, up) = (SHIPPED.len(), Quantised::of(&Delta::zero()).to_bytes()?.len());
    let lowest = runs.iter().flatten().map(|point| point.loss).fold(start, f32::min);
    println!(
        "{:<36}{:>9}{:>9}{:>9}{:>8}{:>9}{:>10}{:>10}  first below (versions, hours, MB)",
        "", "versions", "hours", "asked", "answers", "stale", "lowest", "last"
    );
    for ((name, _, _), points) in ARMS.iter().zip(runs) {
        let Some(last) = points.last() else { continue };
        let own = points.iter().map(|point| point.loss).fold(start, f32::min);
        let stale = points.iter().map(|point| point.stale).sum::<f64>() / points.len() as f64;
        let reached = WAYS.map(|strategy| {
            let target = start - strategy * (start - lowest);
            let first = points.iter().find(|point| point.loss <= target);
            let found = first.map_or("never".to_owned(), |point| {
                let bytes = point.asked * down + point.answers * up;
                format!("{}, {:.0} h, {:.0} MB", point.version, point.hours, bytes as f64 / 1e6)
            });
            format!("{target:.3}: {found}")
        });
        println!(
            "{name:<36}{:>9}{:>9.0}{:>9}{:>8}{stale:>9.2}{own:>10.3}{:>10.3}  {}",
            last.version,
            last.hours,
            last.asked,
            last.answers,
            last.loss,
            reached.join("; ")
        );
    }
    Ok(())
}

/// Prints the server's seconds for the answers of many homes, on one core, by strategy.
fn time_strategies(world: &World) {
    println!("\nseconds of one core for {TIMED_HOMES} homes");
    let noise = |seed| Delta::zero().noised(TIMED_NOISE, &mut ChaCha8Rng::seed_from_u64(seed));
    let deltas: Vec<Delta> = (0..TIMED_HOMES).map(noise).collect();
    for kind in StrategyKind::ALL {
        let mut strategy = kind.strategy(Known {
            reference: &deltas[0],
            rise: world.server.rise(&world.start),
            before: None,
            weights: BTreeMap::new(),
            seed: 1,
        });
        let begun = Instant::now();
        for (home, delta) in deltas.iter().enumerate() {
            strategy.add(&home.to_string(), delta.clone());
        }
        let kept = strategy.kept();
        let finished = strategy.finish().map_or(0, |aggregate| aggregate.homes);
        println!(
            "{:<20}{:>7.2} s, {kept} deltas kept, {finished} homes counted",
            kind.name(),
            begun.elapsed().as_secs_f64()
        );
    }
}
