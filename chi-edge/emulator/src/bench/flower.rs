//! `bench flower`: our federated rounds against Flower's, on the same homes, with the same network and recipe.
//!
//! In every fold of the London protocol the training homes are written out once, and the weights that ship go through as many rounds of
//! plain averaging in our code and in Flower's simulation (`tests/flower/rounds.py`, PyTorch). What comes of both is judged by our
//! program: loss on homes that took no part, and recall on the test homes under thresholds of the calibration homes. Weights made here
//! never ship.

mod arms;
mod files;

use std::path::PathBuf;

use clap::Args;
use hearthwatch_detector::alarm::Blend;
use hearthwatch_detector::network::Artifact;
use hearthwatch_evaluation::dataset::DATA_SETS;
use hearthwatch_evaluation::evaluate::{Blended, Fixed, Method, Protocol, bench, table};
use hearthwatch_training::RetrainConfig;

use super::SHIPPED;
use super::detection::{Parts, Set};
use crate::data;
use arms::{Arena, Flower, OURS, Ours, Run, THEIRS};

/// What is measured.
#[derive(Debug, Args)]
pub struct FlowerArguments {
    /// Folder of recordings; else $HEARTHWATCH_DATA, else ../shared/data.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// A Python that has the packages of `tests/flower/requirements.txt`; `cargo xtask bench federated` installs one.
    #[arg(long, value_name = "FILE", default_value = "target/flower/bin/python")]
    python: PathBuf,
    /// Training seeds.
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// Federated rounds.
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Homes that train at the same time, in both.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Where homes and weights are written.
    #[arg(long, value_name = "DIR", default_value = "target/bench/flower")]
    out: PathBuf,
}

/// Measures and prints.
///
/// # Errors
/// When recordings cannot be read, or Flower does not run.
pub fn run(arguments: &FlowerArguments) -> anyhow::Result<()> {
    let source = data::find(arguments.data.as_deref(), &DATA_SETS.iter().map(|set| set.name).collect::<Vec<_>>())?;
    let homes = data::homes(&source, Set::London.folders())?;
    anyhow::ensure!(!homes.is_empty(), "no London homes in {source:?}; name a folder with --data");
    anyhow::ensure!(
        arguments.python.is_file(),
        "there is no {}; `cargo xtask bench federated` installs it",
        arguments.python.display()
    );
    let parts = Parts::of(Set::London, &homes, &source)?;
    let protocol = Protocol::new(Set::London.rules(), &homes, &|home| parts.part(home), vec![1]);
    let shipped = Artifact::parse(SHIPPED)?;
    let blend = Blend { in_charge: None, ..shipped.blend().clone() };
    std::fs::create_dir_all(&arguments.out)?;
    let arena = Arena::new(
        shipped.weights().clone(),
        blend.clone(),
        RetrainConfig { threads: arguments.threads, ..RetrainConfig::longer(1) },
        arguments,
    );
    let start = Fixed::new("network, every class", Blended { scorer: shipped.scorer(), blend });
    let (ours, theirs) = (Ours(&arena), Flower(&arena));
    let methods: [&dyn Method; 3] = [&ours, &theirs, &start];
    let mut said = None;
    let report = bench(&protocol, &homes, &methods, arguments.threads, &mut |progress| {
        if said.as_ref() != Some(&progress) {
            eprintln!("fold {}: {}", progress.fold, progress.what);
            said = Some(progress);
        }
    })?;
    println!("\n{}", table(&report, OURS));
    print_runs(&arena.runs());
    Ok(())
}

/// A row of the table of runs: its name, digits, and the figure.
type Row<'a> = (&'a str, usize, &'a dyn Fn(&Run) -> f64);

/// Means over folds and seeds, least and most beside them.
fn print_runs(runs: &[Run]) {
    let spread = |arm: &str, of: &dyn Fn(&Run) -> f64| {
        let values: Vec<f64> = runs.iter().filter(|run| run.arm == arm).map(of).collect();
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (mean, least, most)
    };
    let rows: [Row<'_>; 10] = [
        ("loss on homes that took no part", 3, &|run| f64::from(run.loss)),
        ("the same before the rounds", 3, &|run| f64::from(run.start_loss)),
        ("seconds, all rounds", 1, &|run| run.rounds_s),
        ("processor seconds, all rounds", 1, &|run| run.rounds_cpu_s),
        ("seconds, start and end too", 1, &|run| run.whole_s),
        ("milliseconds of training, a home and round", 0, &|run| run.home_s * 1e3),
        ("the same, of the processor", 0, &|run| run.home_cpu_s * 1e3),
        ("bytes to a home, a round", 0, &|run| run.bytes_down),
        ("bytes from a home, a round", 0, &|run| run.bytes_up),
        ("homes", 0, &|run| run.homes as f64),
    ];
    println!("mean over folds and seeds (least to most)\n{:<44}{OURS:>28}{THEIRS:>28}", "");
    for (name, digits, of) in rows {
        let cell = |arm| {
            let (mean, least, most) = spread(arm, of);
            format!("{mean:.digits$} ({least:.digits$} to {most:.digits$})")
        };
        println!("{name:<44}{:>28}{:>28}", cell(OURS), cell(THEIRS));
    }
    let pairs = runs.iter().filter(|run| run.arm == THEIRS).filter_map(|theirs| {
        let same = |run: &&Run| run.arm == OURS && (run.fold, run.seed) == (theirs.fold, theirs.seed);
        runs.iter().find(same).map(|ours| f64::from(theirs.loss - ours.loss))
    });
    let differences: Vec<f64> = pairs.collect();
    let count = differences.len().max(1) as f64;
    let mean = differences.iter().sum::<f64>() / count;
    let deviation = (differences.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0)).sqrt();
    // Normal, two-sided, 90 %.
    let half = 1.645 * deviation / count.sqrt();
    println!(
        "loss, Flower less ours, paired by fold and seed: {mean:+.4} (90 %: {:+.4} to {:+.4})",
        mean - half,
        mean + half
    );
}
