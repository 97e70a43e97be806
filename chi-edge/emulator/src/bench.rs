//! Figures, printed and never asserted on.

mod ablation;
mod admin;
mod asynchronous;
mod attacks;
mod binary;
mod detection;
mod feedback;
mod flower;
mod gate;
mod homes;
mod ingest;
mod network;
mod round_trip;
mod secure_aggregation;
mod verdicts;

use clap::Subcommand;

/// The network that ships, as a file.
const SHIPPED: &[u8] = include_bytes!("../../../model/shipped/network.safetensors");

/// What can be measured.
#[derive(Debug, Subcommand)]
pub enum Bench {
    /// Recall, false alarms and areas of every detector on the same homes, by a protocol written down first.
    Detection(detection::DetectionArguments),
    /// Homes as they are lived with: false alarms by week since installation, and faults, one at a time, in the form that a recorder
    /// keeps, through the deployed path.
    Homes(homes::HomesArguments),
    /// The network against the baseline detector by fold, over training seeds: trains anew where the fold asks for it.
    Network(network::NetworkArguments),
    /// On/off entities: left open, silent, active at night; false alarms a week.
    Binary(binary::BinaryArguments),
    /// Repeated false alarms after a home's own dismissals, and recall kept, beside no answers and random ones.
    Verdicts(verdicts::VerdictsArguments),
    /// Training on residents' answers against as much training without them.
    Feedback(feedback::FeedbackArguments),
    /// What federated weights learnt, by part of the deployed decision, at as many false alarms.
    Ablation(ablation::AblationArguments),
    /// Federated rounds in which some homes lie, by kind of lie and by strategy.
    Attacks(attacks::AttacksArguments),
    /// A thousand small homes in time zones: federated rounds against a buffer of answers, on a virtual clock.
    Asynchronous(asynchronous::AsynchronousArguments),
    /// What it costs that the server sees sums of groups alone: liars, bytes, time.
    SecureAggregation(secure_aggregation::SecureAggregationArguments),
    /// Our federated rounds against Flower's: same homes, network and recipe.
    Flower(flower::FlowerArguments),
    /// What the gate promised beside what the homes of the demonstration then had.
    Gate(gate::GateArguments),
    /// The scorer's latency and throughput, the agent's memory and size.
    Edge,
    /// Last verdict stored → better model active on every home.
    Loop(round_trip::LoopArguments),
    /// Records stored durably a second, against a bare subscriber on the same broker.
    Ingest(ingest::IngestArguments),
    /// The admin API and the page over a large fleet's store, with several people looking.
    Admin(admin::AdminArguments),
}

/// Measures.
///
/// # Errors
/// Whatever stopped it.
pub fn run(bench: &Bench) -> anyhow::Result<()> {
    println!("machine: {}, {} cores", processor(), std::thread::available_parallelism().map_or(0, usize::from));
    match bench {
        Bench::Detection(arguments) => detection::run(arguments),
        Bench::Homes(arguments) => homes::run(arguments),
        Bench::Network(arguments) => network::run(arguments),
        Bench::Binary(arguments) => binary::run(arguments),
        Bench::Verdicts(arguments) => verdicts::run(arguments),
        Bench::Feedback(arguments) => feedback::run(arguments),
        Bench::Ablation(arguments) => ablation::run(arguments),
        Bench::Attacks(arguments) => attacks::run(arguments),
        Bench::Asynchronous(arguments) => asynchronous::run(arguments),
        Bench::SecureAggregation(arguments) => secure_aggregation::run(arguments),
        Bench::Flower(arguments) => flower::run(arguments),
        Bench::Gate(arguments) => gate::run(arguments),
        Bench::Edge => edge(),
        Bench::Loop(arguments) => round_trip::run(arguments),
        Bench::Ingest(arguments) => ingest::run(arguments),
        Bench::Admin(arguments) => admin::run(arguments),
    }
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or_else(|| "unknown processor".to_owned(), |(_, name)| name.trim().to_owned())
}

/// The size of the agent as it ships, and what its detector costs.
fn edge() -> anyhow::Result<()> {
    let agent = std::path::Path::new("target/dist/hearthwatch-edge");
    let size = std::fs::metadata(agent).map_err(|error| {
        anyhow::anyhow!("{}: {error}; run `cargo xtask bench edge`, which builds it first", agent.display())
    })?;
    println!("binary {:.1} MB, stripped", size.len() as f64 / 1e6);
    let speed = std::path::Path::new("target/dist/hearthwatch-speed");
    let status = std::process::Command::new(speed).arg("agent").status();
    let status = status.map_err(|error| anyhow::anyhow!("{}: {error}", speed.display()))?;
    anyhow::ensure!(status.success(), "{} ended with {status}", speed.display());
    Ok(())
}
