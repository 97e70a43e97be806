//! `bench asynchronous`: a thousand small homes in time zones, some of which never answer or answer late: rounds against a buffer.
//!
//! The training is real, the clock is not. Small homes are two days of single entities of recorded homes, so each knows one class.

mod clock;
mod fleet;
mod shards;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use hearthwatch_federation::Delta;
use hearthwatch_training::RoundRecipe;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::attacks::{Faults, Known, Way, World, worlds};
use fleet::{DOWN_BYTES, Fleet, Mode, Point, UP_BYTES};
use shards::{Shard, shards};

/// What is measured.
#[derive(Debug, Args)]
pub struct AsynchronousArguments {
    /// Folder of recordings; else $HEARTHWATCH_DATA, else ../shared/data.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Seeds of faults, training and homes' habits; each is a whole run.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Recorded homes that are cut into small ones; the others judge.
    #[arg(long, default_value_t = 10)]
    recorded: usize,
    /// Small homes.
    #[arg(long, default_value_t = 1000)]
    homes: usize,
    /// Answers after which a simulation ends.
    #[arg(long, default_value_t = 1000)]
    answers: usize,
}

/// So many that nearly every small home has one.
const FAULTS: Faults = Faults { copies: 3, per_entity_week: 3.0 };

/// Modes and ways that are compared.
const ARMS: [(&str, Mode, Way); 8] = [
    ("replay alone, 20 versions", Mode::Alone { answers: 48 }, Way::Mean),
    ("replay alone, 42 versions", Mode::Alone { answers: 24 }, Way::Mean),
    ("rounds of 60, mean", Mode::Rounds { cohort: 60, enough_percent: 80, deadline_hours: 24 }, Way::Mean),
    ("rounds of 60, vetted mean", Mode::Rounds { cohort: 60, enough_percent: 80, deadline_hours: 24 }, Way::VettedMean),
    ("rounds of 24, mean", Mode::Rounds { cohort: 24, enough_percent: 80, deadline_hours: 24 }, Way::Mean),
    ("buffer of 24 of 60, mean", Mode::Buffer { at_work: 60, answers: 24 }, Way::Mean),
    ("buffer of 24 of 60, vetted mean", Mode::Buffer { at_work: 60, answers: 24 }, Way::VettedMean),
    ("buffer of 48 of 60, mean", Mode::Buffer { at_work: 60, answers: 48 }, Way::Mean),
];

/// A small home's training: a quarter of a home's windows.
fn recipe(anomaly_weight: f32) -> RoundRecipe {
    RoundRecipe { steps: 10, batch: 64, learning_rate: 5e-4, hard_share: 0.0, ..RoundRecipe::home(anomaly_weight) }
}

/// Shares of the way from the start's loss to the lowest of all arms, for which the first version is looked up.
const WAYS: [f32; 3] = [0.5, 0.75, 0.9];

/// Measures and prints.
///
/// # Errors
/// When recordings cannot be read or a training fails.
pub fn run(arguments: &AsynchronousArguments) -> anyhow::Result<()> {
    let worlds = worlds(arguments.data.as_deref(), arguments.recorded, arguments.seeds, 1, (false, &FAULTS))?;
    for world in &worlds {
        let mut rng = ChaCha8Rng::seed_from_u64(world.config.seed);
        let recorded = &world.pairs[..arguments.recorded];
        let shards = shards(recorded, arguments.homes, &mut rng);
        let start = world.loss(&world.start)?;
        println!(
            "\nseed {}: {} small homes of {} recorded ones; loss at the start {start:.3}",
            world.config.seed,
            shards.len(),
            recorded.len()
        );
        let runs = ARMS.iter().map(|(_, mode, way)| fleet(world, &shards, arguments).run(*mode, *way));
        let runs: Vec<Vec<Point>> = runs.collect::<anyhow::Result<_>>()?;
        print(&runs, start);
    }
    aggregate(&worlds[0], 1000)
}

fn fleet<'a>(world: &'a World, shards: &'a [Shard], arguments: &AsynchronousArguments) -> Fleet<'a> {
    Fleet {
        start: &world.start,
        recorded: &world.pairs[..arguments.recorded],
        shards,
        judges: &world.pairs[arguments.recorded..],
        recordings: &world.recordings,
        server: &world.server,
        recipe: recipe(world.config.anomaly_weight),
        replay: RoundRecipe { batch: 128, ..recipe(world.config.anomaly_weight) },
        config: &world.config,
        answers_max: arguments.answers,
    }
}

fn print(runs: &[Vec<Point>], start: f32) {
    let lowest = runs.iter().flatten().map(|point| point.loss).fold(start, f32::min);
    println!(
        "{:<36}{:>9}{:>9}{:>9}{:>8}{:>9}{:>10}{:>10}  first below (versions, hours, MB)",
        "", "versions", "hours", "asked", "answers", "stale", "lowest", "last"
    );
    for ((name, _, _), points) in ARMS.iter().zip(runs) {
        let Some(last) = points.last() else { continue };
        let own = points.iter().map(|point| point.loss).fold(start, f32::min);
        let stale = points.iter().map(|point| point.stale).sum::<f64>() / points.len() as f64;
        let reached = WAYS.map(|way| {
            let target = start - way * (start - lowest);
            let first = points.iter().find(|point| point.loss <= target);
            let found = first.map_or("never".to_owned(), |point| {
                let bytes = point.asked as u64 * DOWN_BYTES + point.answers as u64 * UP_BYTES;
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
}

/// Seconds of the server for the answers of so many homes, on one core; the deltas are noise as long as real ones.
fn aggregate(world: &World, homes: u64) -> anyhow::Result<()> {
    println!("\nseconds of one core for {homes} homes");
    let noise = |seed| Delta::zero().noised(0.006, &mut ChaCha8Rng::seed_from_u64(seed));
    let deltas: Vec<Delta> = (0..homes).map(noise).collect();
    for way in Way::ALL {
        let known = Known {
            reference: &deltas[0],
            rise: world.server.rise(&world.start),
            before: None,
            weights: BTreeMap::new(),
            seed: 1,
        };
        let mut strategy = way.strategy(known);
        let begun = Instant::now();
        for (home, delta) in deltas.iter().enumerate() {
            strategy.add(&home.to_string(), delta.clone());
        }
        let kept = strategy.kept();
        let finished = strategy.finish().map_or(0, |aggregate| aggregate.homes);
        println!(
            "{:<20}{:>7.2} s, {kept} deltas kept, {finished} homes counted",
            way.name(),
            begun.elapsed().as_secs_f64()
        );
    }
    Ok(())
}
