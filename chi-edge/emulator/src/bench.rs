//! Figures, printed and never asserted on.

mod detection;
mod ingest;
mod round_trip;

use clap::Subcommand;

/// What can be measured.
#[derive(Debug, Subcommand)]
pub enum Bench {
    /// Recall at a false-alarm budget: network, routine detector and a z-score rival on the same homes.
    Detection(detection::DetectionArguments),
    /// The scorer's latency and throughput, the agent's memory and size.
    Edge,
    /// Last verdict stored → better model active on every home.
    Loop(round_trip::LoopArguments),
    /// Records stored durably a second, against a bare subscriber on the same broker.
    Ingest(ingest::IngestArguments),
}

/// Measures.
///
/// # Errors
/// Whatever stopped it.
pub fn run(bench: &Bench) -> anyhow::Result<()> {
    println!("machine: {}, {} cores", processor(), std::thread::available_parallelism().map_or(0, usize::from));
    match bench {
        Bench::Detection(arguments) => detection::run(arguments),
        Bench::Edge => edge(),
        Bench::Loop(arguments) => round_trip::run(arguments),
        Bench::Ingest(arguments) => ingest::run(arguments),
    }
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or_else(|| "unknown processor".to_owned(), |(_, name)| name.trim().to_owned())
}

/// The agent measures itself, as it ships; here only its size is added.
fn edge() -> anyhow::Result<()> {
    let agent = std::path::Path::new("target/dist/hearthwatch-edge");
    let size = std::fs::metadata(agent).map_err(|error| {
        anyhow::anyhow!("{}: {error}; run `cargo xtask bench edge`, which builds it first", agent.display())
    })?;
    println!("binary {:.1} MB, stripped", size.len() as f64 / 1e6);
    let status = std::process::Command::new(agent).arg("measure").status()?;
    anyhow::ensure!(status.success(), "the agent ended with {status}");
    Ok(())
}
