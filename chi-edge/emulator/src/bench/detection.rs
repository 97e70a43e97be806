//! `bench detection`: every detector on the same homes with the same faults, by a protocol that is written down first.

mod networks;
mod sets;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use hearthwatch_evaluation::dataset::DATA_SETS;
use hearthwatch_evaluation::evaluate::{Baseline, Fixed, Fold, Method, Protocol, Role, bench, figure, table};
use hearthwatch_evaluation::reference_methods;
use hearthwatch_training::{Corpus, never_stops, prepare};

use crate::data;
use networks::{NetworkMethods, shipped};
pub(super) use sets::{Parts, Set};

/// The entrant that the others are held against.
const REFERENCE: &str = "routine detector";

/// What is measured.
#[derive(Debug, Args)]
pub struct DetectionArguments {
    /// The recordings to measure on.
    #[arg(long, value_enum, default_value_t = Set::Bundled)]
    set: Set,
    /// Injection seeds: each makes a faulty copy of every test home.
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// Folder of recordings; else $HEARTHWATCH_DATA, else ../shared/data, else the bundled sets.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where protocol, figures and drawing are written.
    #[arg(long, value_name = "DIR", default_value = "target/bench/detection")]
    out: PathBuf,
    /// Threads for extraction and scoring.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    #[command(flatten)]
    networks: NetworkMethods,
    /// Leaves the rivals out: for trying networks.
    #[arg(long)]
    without_rivals: bool,
}

/// Measures, prints and writes `SET.protocol.json` (before anything is measured), `SET.json`, `SET.txt` and `SET.svg`.
///
/// # Errors
/// When the recordings or the shipped model cannot be read, or a file cannot be written.
pub fn run(arguments: &DetectionArguments) -> anyhow::Result<()> {
    let all: Vec<&str> = DATA_SETS.iter().map(|set| set.name).collect();
    let source = data::find(arguments.data.as_deref(), &all)?;
    let homes = data::homes(&source, arguments.set.folders())?;
    anyhow::ensure!(!homes.is_empty(), "the set {:?} is not in {source:?}; name a folder with --data", arguments.set);
    let parts = Parts::of(arguments.set, &homes, &source)?;
    let seeds = (1..=arguments.seeds).collect();
    let protocol = Protocol::new(arguments.set.rules(), &homes, &|home| parts.part(home), seeds);
    write(arguments, "protocol.json", &serde_json::to_string_pretty(&protocol)?)?;
    for home in &protocol.too_short {
        println!("left out in some role, too short: {home}");
    }
    for role in [Role::Calibrate, Role::Test] {
        let has = |fold: &Fold| fold.homes.iter().any(|home| home.role == role);
        anyhow::ensure!(
            protocol.folds.iter().all(has),
            "a fold has no home for {role:?}: the recordings are too short"
        );
    }
    let network = Fixed::new("network, shipped", shipped()?);
    let baseline = Fixed::new(REFERENCE, Baseline);
    let more = arguments.networks.methods(arguments.threads, |config| {
        let shippable: Vec<&str> = DATA_SETS.iter().filter(|set| set.usage.may_ship()).map(|set| set.name).collect();
        let corpus = Corpus::split(data::homes(&source, &shippable)?);
        eprintln!("extracting the recordings that are replayed");
        Ok(prepare(&corpus, None, config, &mut never_stops(|_| {}))?)
    })?;
    let reference_methods = if arguments.without_rivals { Vec::new() } else { reference_methods::methods() };
    let ours: [&dyn Method; 2] = [&network, &baseline];
    let others = more.iter().chain(&reference_methods).map(|method| &**method);
    let methods: Vec<&dyn Method> = ours.into_iter().chain(others).collect();
    let mut said = None;
    let report = bench(&protocol, &homes, &methods, arguments.threads, &mut |progress| {
        if said.as_ref() != Some(&progress) {
            eprintln!("fold {}: {}", progress.fold, progress.what);
            said = Some(progress);
        }
    })?;
    let text = table(&report, REFERENCE);
    println!("\n{text}");
    write(arguments, "txt", &text)?;
    let lines = report.lines(REFERENCE);
    write(arguments, "json", &serde_json::to_string(&serde_json::json!({ "lines": lines, "report": report }))?)?;
    write(arguments, "svg", &figure(&report, REFERENCE))?;
    println!("written to {}", arguments.out.display());
    Ok(())
}

fn write(arguments: &DetectionArguments, ending: &str, text: &str) -> anyhow::Result<()> {
    let path = arguments.out.join(format!("{}.{ending}", arguments.set.name()));
    std::fs::create_dir_all(&arguments.out)
        .and_then(|()| std::fs::write(&path, text))
        .with_context(|| path.display().to_string())
}
